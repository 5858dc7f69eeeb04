// Activation: y = f(x), element by element. Gradient: dx = dy · f'(x), with f' from y, or from x where y does not tell (`y_in`).
#import step
#import activation

override ITEMS: u32 = 1u; // elements of one sample, or vec4s of them

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        y[i] = activate(x[i]);
    }
}

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;

// One invocation computes four elements of y.
@compute @workgroup_size(WG)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        y4[i] = activate4(x4[i]);
    }
}

@group(0) @binding(1) var<storage, read> y_in: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dx[i] = dy[i] * activate_grad(y_in[i]);
    }
}

@group(0) @binding(1) var<storage, read> y_in4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx4: array<vec4<f32>>;

// One invocation computes four elements of dx.
@compute @workgroup_size(WG)
fn grad_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dx4[i] = dy4[i] * activate_grad4(y_in4[i]);
    }
}
