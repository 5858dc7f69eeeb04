// Convolution for GPUs by tiles in workgroup memory (lib/conv2d_tiles.wgsl says how), four neighbours in one access: for channels and filters of
// a group in fours, and FIRST and K too where dy is read (grad_input, grad_weight).
#import conv2d_tiles

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b: array<f32>; // without a bias any other operand, ignored
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> y_in4: array<vec4<f32>>; // without an activation before any other operand, ignored
@group(0) @binding(6) var<storage, read_write> dx4: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> partial4: array<vec4<f32>>;

// x under taps q … q + 3 of a window, 0 past the last.
fn x_four(corner: Corner, q: u32) -> vec4<f32> {
    let t = min(q, J - 4u);
    return select(vec4<f32>(0.0), x4[(under(corner, t) + t % CG) / 4u], q < J && inside(corner, t));
}

// Taps q … q + 3 of a filter, 0 past the last.
fn w_four(filter_k: u32, q: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), w4[(filter_k * J + min(q, J - 4u)) / 4u], q < J);
}

// dy of pixel `m` and filters k … k + 3 of the group, 0 from pixel `end` on.
fn dy_rows(m: u32, end: u32, g: u32, k: u32) -> vec4<f32> {
    let pixel = min(m, OH * OW * step.n - 1u);
    return select(vec4<f32>(0.0), dy4[(pixel * K + FIRST + g * KG + min(k, KG - 4u)) / 4u], m < end);
}

// dy under steps q … q + 3 of the reduction of a cell, 0 past the last.
fn dy_taps(cell: Cell, taps: Taps, q: u32) -> vec4<f32> {
    let tap = tap_of(taps, q);
    return select(vec4<f32>(0.0), dy4[over(cell, tap) / 4u], q < taps.depth && meets(cell, tap));
}

fn dx_store(at: u32, count: u32, value: vec4<f32>) {
    let derivative = activate_grad4(y_in4[select(0u, at / 4u, ACTIVATION != 0u)]);
    dx4[at / 4u] = (value + select(vec4<f32>(0.0), dx4[at / 4u], ADD != 0u)) * derivative;
}

fn partial_store(at: u32, count: u32, value: vec4<f32>) {
    partial4[at / 4u] = value;
}

// One workgroup computes LM TM pixels of 4 LN filters.
@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    forward_tile(group_index(group, groups), lane);
}

// One workgroup computes 4 LN channels of LM TM cells of one phase.
@compute @workgroup_size(WG)
fn grad_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    grad_input_tile(group_index(group, groups), lane);
}

// One workgroup computes 4 LN taps of LM TM filters, summed over one of PARTS ranges of the output pixels.
@compute @workgroup_size(WG)
fn grad_weight(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    grad_weight_tile(group_index(group, groups), lane);
}
