// rrelu: y = x where x > 0, else x · slope with a slope drawn uniformly from [LOWER, LOWER + RANGE) for each element. The gradient multiplies
// dy by the same factors: it is the same kernel, with dy in the place of x and x in the place of `sign_of`.
#import step
#import random

override ITEMS: u32 = 1u; // elements of one sample, or vec4s of them
override SALT: u32 = 0u;
override LOWER: f32 = 0.125;
override RANGE: f32 = 0.0;

// Slopes from random words, whose upper 24 bits a float holds exactly.
fn slopes(random: vec4<u32>) -> vec4<f32> {
    return LOWER + RANGE * (vec4<f32>(random >> vec4<u32>(8u)) * (1.0 / 16777216.0));
}

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> sign_of: array<f32>;

// One invocation computes one element: y from x, or dx from dy.
@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        let slope = slopes(random4(i / 4u, SALT));
        y[i] = x[i] * select(slope[i % 4u], 1.0, sign_of[i] > 0.0);
    }
}

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> sign_of4: array<vec4<f32>>;

// One invocation computes four elements.
@compute @workgroup_size(WG)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        y4[i] = x4[i] * select(slopes(random4(i, SALT)), vec4<f32>(1.0), sign_of4[i] > vec4<f32>());
    }
}
