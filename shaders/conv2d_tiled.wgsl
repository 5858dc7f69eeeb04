// Convolution for GPUs by tiles in workgroup memory (lib/conv2d_tiles.wgsl says how), for channels or filters that are not in fours: neighbours are
// read one by one. The reduction is flat over taps and channels, so that three channels waste nothing.
#import conv2d_tiles

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>; // without a bias any other operand, ignored
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> y_in: array<f32>; // without an activation before any other operand, ignored
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;
@group(0) @binding(7) var<storage, read_write> partial: array<f32>;

fn x_one(corner: Corner, q: u32) -> f32 {
    let t = min(q, J - 1u);
    return select(0.0, x[under(corner, t) + t % CG], q < J && inside(corner, t));
}

// x under taps q … q + 3 of a window, 0 past the last.
fn x_four(corner: Corner, q: u32) -> vec4<f32> {
    return vec4<f32>(x_one(corner, q), x_one(corner, q + 1u), x_one(corner, q + 2u), x_one(corner, q + 3u));
}

fn w_one(filter_k: u32, q: u32) -> f32 {
    return select(0.0, w[filter_k * J + min(q, J - 1u)], q < J);
}

// Taps q … q + 3 of a filter, 0 past the last.
fn w_four(filter_k: u32, q: u32) -> vec4<f32> {
    return vec4<f32>(w_one(filter_k, q), w_one(filter_k, q + 1u), w_one(filter_k, q + 2u), w_one(filter_k, q + 3u));
}

// dy of pixel `m` and filters k … k + 3 of the group, 0 from pixel `end` on.
fn dy_rows(m: u32, end: u32, g: u32, k: u32) -> vec4<f32> {
    let at = min(m, OH * OW * step.n - 1u) * K + FIRST + g * KG;
    let last = KG - 1u;
    let four = vec4<f32>(dy[at + min(k, last)], dy[at + min(k + 1u, last)], dy[at + min(k + 2u, last)], dy[at + min(k + 3u, last)]);
    return select(vec4<f32>(0.0), four, m < end);
}

fn dy_one(cell: Cell, taps: Taps, q: u32) -> f32 {
    let tap = tap_of(taps, q);
    return select(0.0, dy[over(cell, tap)], q < taps.depth && meets(cell, tap));
}

// dy under steps q … q + 3 of the reduction of a cell, 0 past the last.
fn dy_taps(cell: Cell, taps: Taps, q: u32) -> vec4<f32> {
    return vec4<f32>(dy_one(cell, taps, q), dy_one(cell, taps, q + 1u), dy_one(cell, taps, q + 2u), dy_one(cell, taps, q + 3u));
}

// The factor of number `at` of dx.
fn derivative(at: u32) -> f32 {
    return activate_grad(y_in[select(0u, at, ACTIVATION != 0u)]);
}

fn dx_store(at: u32, count: u32, value: vec4<f32>) {
#for l in 0..4
    if $l < count {
        dx[at + $l] = (value[$l] + select(0.0, dx[at + $l], ADD != 0u)) * derivative(at + $l);
    }
#end
}

fn partial_store(at: u32, count: u32, value: vec4<f32>) {
#for l in 0..4
    if $l < count {
        partial[at + $l] = value[$l];
    }
#end
}

override ITEMS: u32 = 1u; // numbers of a sample
@group(0) @binding(1) var<storage, read> parts_in: array<f32>;

// The PARTS partial sums of number `i` of y or dx, added in order.
fn total(i: u32) -> f32 {
    var total = 0.0;
    for (var part = 0u; part < PARTS; part += 1u) {
        total += parts_in[part * PART + i];
    }
    return total;
}

// One invocation adds the partial sums of one number of y.
@compute @workgroup_size(WG)
fn sum(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        let factor = select(1.0, b[select(0u, K + i % K, BIAS == 2u)], BIAS == 2u);
        y[i] = activate(total(i) * factor + select(0.0, b[select(0u, i % K, BIAS != 0u)], BIAS != 0u));
    }
}

// One invocation adds the partial sums of one number of dx.
@compute @workgroup_size(WG)
fn sum_dx(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dx[i] = total(i) * derivative(i);
    }
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
