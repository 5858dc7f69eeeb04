// Dropout: y = x / (1 - rate) where the element's random number keeps it, else 0. The gradient has the same mask,
// and is multiplied by f' of y_in where x = f(…) = y_in.
#import step
#import random
#import activation

override ITEMS: u32 = 1u;  // elements of one sample, or vec4s of them
override SALT: u32 = 0u;
override BELOW: u32 = 0u;  // rate · 2^32: random words below it drop the element
override SCALE: f32 = 1.0; // 1 / (1 - rate)

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> y_in: array<f32>; // without an activation before x again, ignored

// One invocation computes one element: y from x, or dx from dy.
@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        let random = random4(i / 4u, SALT);
        let kept = select(x[i] * SCALE, 0.0, random[i % 4u] < BELOW);
        y[i] = kept * activate_grad(y_in[select(0u, i, ACTIVATION != 0u)]);
    }
}

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> y_in4: array<vec4<f32>>;

// One invocation computes four elements.
@compute @workgroup_size(WG)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        let kept = select(x4[i] * SCALE, vec4<f32>(), random4(i, SALT) < vec4<u32>(BELOW));
        y4[i] = kept * activate_grad4(y_in4[select(0u, i, ACTIVATION != 0u)]);
    }
}
