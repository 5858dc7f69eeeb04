// rrelu: y = x where x > 0, else x · slope. Each element's slope is drawn uniformly from [LOWER, LOWER + RANGE). dx is
// dy times the same factors. So the same kernel computes it, with dy in the place of x and x in the place of `sign_of`.
#import step
#import random
#import lanes

override ITEMS: u32 = 1u; // elements of one sample, in F
override SALT: u32 = 0u;
override LOWER: f32 = 0.125;
override RANGE: f32 = 0.0;

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;
@group(0) @binding(3) var<storage, read> sign_of: array<F>;

// One invocation computes one element: y from x, or dx from dy.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        // A slope comes from the upper 24 bits of a random word, which f32 holds exactly.
        let random = random_of(random4(i / BLOCK, SALT), i);
        let slope = LOWER + RANGE * (F(random >> U(8u)) * (1.0 / 16777216.0));
        y[i] = x[i] * select(slope, F(1.0), sign_of[i] > F());
    }
}
