// Activation, element by element: y = f(x), dx = dy · f'. `y_in` is
// what f' is computed from: y, or x where y does not determine f'.
#import step
#import activation

override ITEMS: u32 = 1u; // elements of one sample, in F

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        y[i] = activate_lanes(x[i]);
    }
}

@group(0) @binding(1) var<storage, read> y_in: array<F>;
@group(0) @binding(2) var<storage, read> dy: array<F>;
@group(0) @binding(3) var<storage, read_write> dx: array<F>;

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        dx[i] = dy[i] * activate_grad_lanes(y_in[i]);
    }
}

