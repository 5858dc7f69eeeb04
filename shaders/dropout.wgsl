// Dropout: y = x / (1 - rate) for elements that their random number keeps, else 0. dx has the same mask and scale. It
// is also multiplied by f' of y_in where an activation f made x.
#import step
#import random
#import activation

override ITEMS: u32 = 1u;  // elements of one sample, in F
override SALT: u32 = 0u;
override BELOW: u32 = 0u;  // rate · 2^32: an element is dropped if its random word is below
override SCALE: f32 = 1.0; // 1 / (1 - rate)

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;
@group(0) @binding(3) var<storage, read> y_in: array<F>; // if no activation made x, x is bound again and ignored

// One invocation computes one element: y from x, or dx from dy.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        let random = random_of(random4(i / BLOCK, SALT), i);
        let kept = select(x[i] * SCALE, F(), random < U(BELOW));
        y[i] = kept * activate_grad_lanes(y_in[select(0u, i, ACTIVATION != 0u)]);
    }
}
