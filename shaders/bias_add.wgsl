// Bias: y[m, c] = x[m, c] + b[c], where m counts the positions of all samples. The C channels are innermost.
// db[c] = Σ dy[m, c] over m, in two stages of fixed order.
#import step

override ITEMS: u32 = 1u; // elements of one sample
override ROWS: u32 = 1u;  // positions of one sample
override C: u32 = 1u;     // channels
override PARTS: u32 = 1u; // partial sums

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        y[i] = x[i] + b[i % C];
    }
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts_out: array<f32>;

// One invocation sums channel c over the rows part, part + PARTS, part + 2 PARTS, …
@compute @workgroup_size(WG)
fn grad_bias_partial(id: Invocation) {
    let i = flat_index(id);
    if i < PARTS * C {
        let c = i % C;
        let rows = ROWS * step.n;
        var sum = 0.0;
        for (var m = i / C; m < rows; m += PARTS) {
            sum += dy[m * C + c];
        }
        parts_out[i] = sum;
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> db: array<f32>;

// One invocation adds the partial sums of one channel, in order.
@compute @workgroup_size(WG)
fn grad_bias(id: Invocation) {
    let c = flat_index(id);
    if c < C {
        var sum = 0.0;
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += parts_in[part * C + c];
        }
        db[c] = sum;
    }
}
