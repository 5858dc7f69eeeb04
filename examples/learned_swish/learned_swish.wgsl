// y = x · σ(slope · x) with one learned slope. With s = σ(slope · x):
//   dx = dy · (s + slope · x · s · (1 - s))
//   dslope = Σ dy · x² · s · (1 - s), in PARTS partial sums that are then added in order
#import step
#import lanes

override ITEMS: u32 = 1u; // elements of one sample, in F
override PARTS: u32 = 1u; // partial sums

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read> slope: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<F>;

// The argument of exp is never positive, so exp cannot overflow.
fn sigmoid(x: F) -> F {
    let e = exp(-abs(x));
    return select(F(1.0), e, x < F()) / (1.0 + e);
}

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        y[i] = x[i] * sigmoid(slope[0] * x[i]);
    }
}

@group(0) @binding(3) var<storage, read> dy: array<F>;
@group(0) @binding(4) var<storage, read_write> dx: array<F>;
@group(0) @binding(5) var<storage, read_write> parts: array<f32>;

// One invocation computes every PARTS-th element of dx, and their sum of dslope.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let part = flat_index(id);
    if part < PARTS {
        var sum = F();
        for (var i = part; i < ITEMS * step.n; i += PARTS) {
            let s = sigmoid(slope[0] * x[i]);
            let ds = s * (1.0 - s);
            dx[i] = dy[i] * (s + slope[0] * x[i] * ds);
            sum += dy[i] * x[i] * x[i] * ds;
        }
        parts[part] = sum_lanes(sum);
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> dslope: array<f32>;

// One invocation adds the partial sums.
@compute @workgroup_size(WG)
fn grad_slope(id: Invocation) {
    if flat_index(id) == 0u {
        var sum = 0.0;
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += parts_in[part];
        }
        dslope[0] = sum;
    }
}
