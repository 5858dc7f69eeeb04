// Concatenation along channels: y[m, START + c] = x[m, c], m = positions of all samples, one dispatch for each input.
// Its gradient, a slice: y[m, c] = x[m, START + c]. In the vec4 entry points channels are counted in vec4s.
#import step

override ROWS: u32 = 1u;  // positions of one sample
override CX: u32 = 1u;    // channels of x
override CY: u32 = 1u;    // channels of y
override START: u32 = 0u; // first channel

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// One invocation copies one element of x.
@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * CX * step.n {
        y[i / CX * CY + START + i % CX] = x[i];
    }
}

// One invocation copies one element to y.
@compute @workgroup_size(WG)
fn slice(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * CY * step.n {
        y[i] = x[i / CY * CX + START + i % CY];
    }
}

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;

// One invocation copies four elements of x.
@compute @workgroup_size(WG)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * CX * step.n {
        y4[i / CX * CY + START + i % CX] = x4[i];
    }
}

// One invocation copies four elements to y.
@compute @workgroup_size(WG)
fn slice_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * CY * step.n {
        y4[i] = x4[i / CY * CX + START + i % CY];
    }
}
