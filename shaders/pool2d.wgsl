// Pooling of x [N, H, W, C] by windows of R x S cells, STRIDE_H and STRIDE_W apart, PAD_H and PAD_W cells before the first one outside of x:
//   max: y = the largest cell, NaN above all, and of equal ones the first in row order; argmax = its index inside the sample, (h W + w) C + c
//   avg: y = mean of the window's cells, of real ones only unless INCLUDE_PAD counts padding as zeros
// and the gradients, gathered: dx of a cell sums over the windows that hold it, times f' of y_in where x = f(…) = y_in.
// C is in fours for the `…_vec4` entries. Loops run over real cells and windows only; steps past the end repeat the last one without effect.
#import step
#import activation

override H: u32 = 1u;
override W: u32 = 1u;
override C: u32 = 1u;
override OH: u32 = 1u;
override OW: u32 = 1u;
override R: u32 = 1u;
override S: u32 = 1u;
override STRIDE_H: u32 = 1u;
override STRIDE_W: u32 = 1u;
override PAD_H: u32 = 0u;
override PAD_W: u32 = 0u;
override END_H: u32 = 1u;       // H with the padding after it
override END_W: u32 = 1u;
override INCLUDE_PAD: u32 = 0u; // 1: the mean counts padding cells
override CHUNK: u32 = 1u;       // columns unrolled, so that all loops together stay under 65,535 iterations

// First and end of the real cells of window `o` along an axis of `size` cells.
fn span(o: u32, stride: u32, pad: u32, taps: u32, size: u32) -> vec2<u32> {
    let start = o * stride;
    return vec2<u32>(max(start, pad) - pad, min(max(start + taps, pad) - pad, size));
}

// First and end of the windows that hold cell `i`.
fn holders(i: u32, stride: u32, pad: u32, taps: u32, count: u32) -> vec2<u32> {
    return vec2<u32>((max(i + pad + stride, taps) - taps) / stride, min((i + pad) / stride + 1u, count));
}

// How many cells the mean of window (oh, ow) counts.
fn divisor(oh: u32, ow: u32) -> f32 {
    let rows = span(oh, STRIDE_H, PAD_H, R, H);
    let columns = span(ow, STRIDE_W, PAD_W, S, W);
    let real = (rows.y - rows.x) * (columns.y - columns.x);
    let all = (min(oh * STRIDE_H + R, END_H + PAD_H) - oh * STRIDE_H) * (min(ow * STRIDE_W + S, END_W + PAD_W) - ow * STRIDE_W);
    return f32(select(real, all, INCLUDE_PAD != 0u));
}

// Comparisons with NaN differ between drivers, its bits do not.
fn is_nan(v: f32) -> bool {
    return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

fn is_nan4(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> argmax: array<u32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> argmax4: array<vec4<u32>>;

// One invocation computes one element of y and argmax.
@compute @workgroup_size(WG)
fn max_forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let raw = group_index(group, groups) * WG + lane;
    let count = OH * OW * C * step.n;
    let i = min(raw, count - 1u);
    let oh = i / (C * OW) % OH;
    let ow = i / C % OW;
    let image = i / (C * OW * OH) * (H * W * C);
    let rows = span(oh, STRIDE_H, PAD_H, R, H);
    let columns = span(ow, STRIDE_W, PAD_W, S, W);
    var at = (rows.x * W + columns.x) * C + i % C;
    var arg = (rows.x * W + columns.x) * C + i % C;
    var best = x[image + arg];
    for (var h = rows.x; h < rows.y; h += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let cell = (h * W + min(w0 + $u, columns.y - 1u)) * C + i % C;
                let v = x[image + cell];
                let better = (v > best) | is_nan(v);
                best = select(best, v, better);
                arg = select(arg, cell, better);
            }
#end
        }
    }
    if raw < count {
        y[i] = best;
        argmax[i] = arg;
    }
}

// One invocation computes one element of y and argmax, four channels.
@compute @workgroup_size(WG)
fn max_forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let raw = group_index(group, groups) * WG + lane;
    let count = OH * OW * C * step.n;
    let i = min(raw, count - 1u);
    let oh = i / (C * OW) % OH;
    let ow = i / C % OW;
    let image = i / (C * OW * OH) * (H * W * C);
    let rows = span(oh, STRIDE_H, PAD_H, R, H);
    let columns = span(ow, STRIDE_W, PAD_W, S, W);
    var at = (rows.x * W + columns.x) * C + i % C;
    let first = (rows.x * W + columns.x) * C + i % C;
    var best = x4[image + first];
    var arg = vec4<u32>(first);
    for (var h = rows.x; h < rows.y; h += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let cell = (h * W + min(w0 + $u, columns.y - 1u)) * C + i % C;
                let v = x4[image + cell];
                let better = (v > best) | is_nan4(v);
                best = select(best, v, better);
                arg = select(arg, vec4<u32>(cell), better);
            }
#end
        }
    }
    if raw < count {
        y4[i] = best;
        argmax4[i] = arg * 4u + vec4<u32>(0u, 1u, 2u, 3u);
    }
}

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn avg_forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let raw = group_index(group, groups) * WG + lane;
    let count = OH * OW * C * step.n;
    let i = min(raw, count - 1u);
    let oh = i / (C * OW) % OH;
    let ow = i / C % OW;
    let image = i / (C * OW * OH) * (H * W * C);
    let rows = span(oh, STRIDE_H, PAD_H, R, H);
    let columns = span(ow, STRIDE_W, PAD_W, S, W);
    var sum = 0.0;
    for (var h = rows.x; h < rows.y; h += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            sum += select(0.0, x[image + (h * W + min(w0 + $u, W - 1u)) * C + i % C], w0 + $u < columns.y);
#end
        }
    }
    if raw < count {
        y[i] = sum / divisor(oh, ow);
    }
}

// One invocation computes one element of y, four channels.
@compute @workgroup_size(WG)
fn avg_forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let raw = group_index(group, groups) * WG + lane;
    let count = OH * OW * C * step.n;
    let i = min(raw, count - 1u);
    let oh = i / (C * OW) % OH;
    let ow = i / C % OW;
    let image = i / (C * OW * OH) * (H * W * C);
    let rows = span(oh, STRIDE_H, PAD_H, R, H);
    let columns = span(ow, STRIDE_W, PAD_W, S, W);
    var sum = vec4<f32>(0.0);
    for (var h = rows.x; h < rows.y; h += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            sum += select(vec4<f32>(0.0), x4[image + (h * W + min(w0 + $u, W - 1u)) * C + i % C], w0 + $u < columns.y);
#end
        }
    }
    if raw < count {
        y4[i] = sum / divisor(oh, ow);
    }
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> argmax_in: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(1) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> argmax_in4: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> dx4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> y_in: array<f32>; // without an activation before any other operand, ignored
@group(0) @binding(4) var<storage, read> y_in4: array<vec4<f32>>;

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn max_grad_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let raw = group_index(group, groups) * WG + lane;
    let count = H * W * C * step.n;
    let i = min(raw, count - 1u);
    let rows = holders(i / (C * W) % H, STRIDE_H, PAD_H, R, OH);
    let columns = holders(i / C % W, STRIDE_W, PAD_W, S, OW);
    let image = i / (C * W * H) * (OH * OW * C) + i % C;
    var sum = 0.0;
    let own = i % (H * W * C);
    for (var oh = rows.x; oh < rows.y; oh += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let real = w0 + $u < columns.y;
                let ow = min(w0 + $u, OW - 1u);
                let at = image + (oh * OW + ow) * C;
                sum += select(0.0, dy[at], real && argmax_in[at] == own);
            }
#end
        }
    }
    if raw < count {
        dx[i] = sum * activate_grad(y_in[select(0u, i, ACTIVATION != 0u)]);
    }
}

// One invocation computes one element of dx, four channels.
@compute @workgroup_size(WG)
fn max_grad_input_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let raw = group_index(group, groups) * WG + lane;
    let count = H * W * C * step.n;
    let i = min(raw, count - 1u);
    let rows = holders(i / (C * W) % H, STRIDE_H, PAD_H, R, OH);
    let columns = holders(i / C % W, STRIDE_W, PAD_W, S, OW);
    let image = i / (C * W * H) * (OH * OW * C) + i % C;
    var sum = vec4<f32>(0.0);
    let own = vec4<u32>(i % (H * W * C) * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    for (var oh = rows.x; oh < rows.y; oh += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let real = w0 + $u < columns.y;
                let ow = min(w0 + $u, OW - 1u);
                let at = image + (oh * OW + ow) * C;
                sum += select(vec4<f32>(0.0), dy4[at], (argmax_in4[at] == own) & vec4<bool>(real));
            }
#end
        }
    }
    if raw < count {
        dx4[i] = sum * activate_grad4(y_in4[select(0u, i, ACTIVATION != 0u)]);
    }
}

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn avg_grad_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let raw = group_index(group, groups) * WG + lane;
    let count = H * W * C * step.n;
    let i = min(raw, count - 1u);
    let rows = holders(i / (C * W) % H, STRIDE_H, PAD_H, R, OH);
    let columns = holders(i / C % W, STRIDE_W, PAD_W, S, OW);
    let image = i / (C * W * H) * (OH * OW * C) + i % C;
    var sum = 0.0;
    for (var oh = rows.x; oh < rows.y; oh += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let real = w0 + $u < columns.y;
                let ow = min(w0 + $u, OW - 1u);
                let at = image + (oh * OW + ow) * C;
                sum += select(0.0, dy[at] / divisor(oh, ow), real);
            }
#end
        }
    }
    if raw < count {
        dx[i] = sum * activate_grad(y_in[select(0u, i, ACTIVATION != 0u)]);
    }
}

// One invocation computes one element of dx, four channels.
@compute @workgroup_size(WG)
fn avg_grad_input_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let raw = group_index(group, groups) * WG + lane;
    let count = H * W * C * step.n;
    let i = min(raw, count - 1u);
    let rows = holders(i / (C * W) % H, STRIDE_H, PAD_H, R, OH);
    let columns = holders(i / C % W, STRIDE_W, PAD_W, S, OW);
    let image = i / (C * W * H) * (OH * OW * C) + i % C;
    var sum = vec4<f32>(0.0);
    for (var oh = rows.x; oh < rows.y; oh += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let real = w0 + $u < columns.y;
                let ow = min(w0 + $u, OW - 1u);
                let at = image + (oh * OW + ow) * C;
                sum += select(vec4<f32>(0.0), dy4[at] / divisor(oh, ow), real);
            }
#end
        }
    }
    if raw < count {
        dx4[i] = sum * activate_grad4(y_in4[select(0u, i, ACTIVATION != 0u)]);
    }
}
