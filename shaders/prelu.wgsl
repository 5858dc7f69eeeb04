// prelu: y = x where x > 0, else weight · x, with one learned weight. dx = dy where x > 0, else weight · dy.
// dweight = Σ dy · x over all x that are not positive, in PARTS partial sums that are then added in order.
#import step
#import lanes

override ITEMS: u32 = 1u; // elements of one sample, in F
override PARTS: u32 = 8u; // a multiple of 8

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        y[i] = x[i] * select(F(weight[0]), F(1.0), x[i] > F());
    }
}

@group(0) @binding(2) var<storage, read> dy: array<F>;
@group(0) @binding(4) var<storage, read_write> dx: array<F>;
@group(0) @binding(5) var<storage, read_write> parts: array<f32>;

// One invocation computes every eighth element of dx in a stretch
// that eight invocations share, and a partial sum of dweight.
@compute @workgroup_size(WG)
fn grad_partial(id: Invocation) {
    let part = flat_index(id);
    if part < PARTS {
        let count = ITEMS * step.n;
        let stretch = (count + PARTS - 1u) / PARTS * 8u;
        let slope = F(weight[0]);
        let start = part / 8u * stretch;
        let end = min(start + stretch, count);
        var sum = F();
        for (var i = start + part % 8u; i < end; i += 8u) {
            let positive = x[i] > F();
            dx[i] = dy[i] * select(slope, F(1.0), positive);
            sum += select(x[i] * dy[i], F(), positive);
        }
        parts[part] = sum_lanes(sum);
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;

// One invocation adds all partial sums, in order, eight at a time.
@compute @workgroup_size(WG)
fn grad_weight(id: Invocation) {
    if flat_index(id) == 0u {
        var sum = 0.0;
        for (var part = 0u; part < PARTS; part += 8u) {
            var block = 0.0;
            #for i in 0..8
            block += parts_in[part + $iu];
            #end
            sum += block;
        }
        dweight[0] = sum;
    }
}
