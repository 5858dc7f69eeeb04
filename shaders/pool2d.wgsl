// Pooling of x [N, H, W, C]. Windows have R x S cells, lie STRIDE_H
// and STRIDE_W apart, and begin PAD_H and PAD_W cells before x. Their cells lie DILATION_H and DILATION_W apart.
// - max: y = the largest cell. NaN counts as larger than any number; of equal cells
//   the first in row order counts. argmax = the winner's place r S + s in the
//   window: 8 bits a channel with up to four channels a word, or 32 bits a channel.
// - avg: y = the mean of the window's cells. Padding does not count, unless INCLUDE_PAD counts it as zeros.
//
// dx: where windows overlap, dx of a cell is gathered from the windows that hold it. Where they do not, each window
// writes the cells from its first one up to the next window's, and 0 between the windows.
// C counts channels in F. Loop steps past the end, and cells in the padding, read from inside and have no effect.
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
override DILATION_H: u32 = 1u;  // of means 1
override DILATION_W: u32 = 1u;
override END_H: u32 = 1u;       // H plus the padding after it
override END_W: u32 = 1u;
override INCLUDE_PAD: u32 = 0u; // avg: 1 counts padding cells in the mean
override UNITS: u32 = 1u;       // words of argmax of one position
override LOADS: u32 = 1u;       // elements, in F, of one word; the last word may have fewer
override MASK: u32 = 255u;      // the bits of a word that hold the place of its first channel
override CHUNK: u32 = 1u;       // taps, cells or windows that are unrolled, so that all loops together stay under 65,535 iterations
override OWN_H: u32 = 1u;       // most rows, and below most columns, of cells that one window writes, where windows do not overlap
override OWN_W: u32 = 1u;
// Whether all windows write equally many cells, and the loop over them has no steps past the end.
const EVEN: bool = OH * OWN_H == H && OW * OWN_W == W && OWN_H * OWN_W % CHUNK == 0u;

// The cells of x under window `o` along an axis of `size` cells: first and end, without padding.
fn span(o: u32, stride: u32, pad: u32, taps: u32, size: u32) -> vec2<u32> {
    let start = o * stride;
    return vec2<u32>(max(start, pad) - pad, min(max(start + taps, pad) - pad, size));
}

// The cell under tap `t` of a window, moved to the nearest one inside of the picture, and whether the tap lies inside.
struct Tap {
    cell: u32,
    real: bool,
}

fn tap(t: u32, oh: u32, ow: u32) -> Tap {
    let h = oh * STRIDE_H + t / S * DILATION_H;
    let w = ow * STRIDE_W + t % S * DILATION_W;
    let real = t < R * S && h >= PAD_H && h < PAD_H + H && w >= PAD_W && w < PAD_W + W;
    return Tap((clamp(h, PAD_H, PAD_H + H - 1u) - PAD_H) * W + clamp(w, PAD_W, PAD_W + W - 1u) - PAD_W, real);
}

// The windows whose `taps` cells, with those between, hold cell `i`, along an axis: first and end.
fn holders(i: u32, stride: u32, pad: u32, taps: u32, count: u32) -> vec2<u32> {
    return vec2<u32>((max(i + pad + stride, taps) - taps) / stride, min((i + pad) / stride + 1u, count));
}

// The cells that window `o` writes, along an axis, where windows do not overlap: first and end.
fn owned(o: u32, stride: u32, pad: u32, count: u32, size: u32) -> vec2<u32> {
    let end = max((o + 1u) * stride, pad) - pad;
    return vec2<u32>(max(o * stride, pad) - pad, select(min(end, size), size, o + 1u == count));
}

// Element c of a position. Where the last word is not full, elements past the last channel are read as the last one.
fn in_row(c: u32) -> u32 {
    return select(c, min(c, C - 1u), C % LOADS != 0u);
}

// The place of cell (h, w) in window (oh, ow). The cell need not lie in the window.
fn place(h: u32, w: u32, oh: u32, ow: u32) -> u32 {
    let down = h + PAD_H - oh * STRIDE_H;
    let right = w + PAD_W - ow * STRIDE_W;
    let r = down / DILATION_H;
    let s = right / DILATION_W;
    let lies = r < R && s < S && r * DILATION_H == down && s * DILATION_W == right;
    return select(0xffffffffu, r * S + s, lies);
}

// How many cells count in the mean of window (oh, ow).
fn divisor(oh: u32, ow: u32) -> f32 {
    let rows = span(oh, STRIDE_H, PAD_H, R, H);
    let columns = span(ow, STRIDE_W, PAD_W, S, W);
    let real = (rows.y - rows.x) * (columns.y - columns.x);
    let all = (min(oh * STRIDE_H + R, END_H + PAD_H) - oh * STRIDE_H) * (min(ow * STRIDE_W + S, END_W + PAD_W) - ow * STRIDE_W);
    return f32(select(real, all, INCLUDE_PAD != 0u));
}

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;
@group(0) @binding(3) var<storage, read_write> argmax: array<u32>;

// One invocation computes one word of argmax and its LOADS elements of y.
@compute @workgroup_size(WG)
fn max_forward(id: Invocation) {
    let raw = flat_index(id);
    let count = OH * OW * UNITS * step.n;
    let i = min(raw, count - 1u);
    let oh = i / (UNITS * OW) % OH;
    let ow = i / UNITS % OW;
    let image = i / (UNITS * OW * OH) * (H * W);
    let c = i % UNITS * LOADS;
    var found = false;
#for k in 0..LOADS
    var best_$k = F();
    var arg_$k = U();
#end
    for (var t = 0u; t < R * S; t += CHUNK) {
#for u in 0..CHUNK
        {
            let tap = tap(t + $u, oh, ow);
#for k in 0..LOADS
            let v_$k = x[(image + tap.cell) * C + in_row(c + $k)];
            let better_$k = B(tap.real) & (B(!found) | (v_$k > best_$k) | is_nan(v_$k));
            best_$k = select(best_$k, v_$k, better_$k);
            arg_$k = select(arg_$k, U(t + $u), better_$k);
#end
            found |= tap.real;
        }
#end
    }
    if raw < count {
        var word = 0u;
#for k in 0..LOADS
        if C % LOADS == 0u || c + $k < C {
            y[i / UNITS * C + c + $k] = best_$k;
            word |= packed(arg_$k) << (8u * $k);
        }
#end
        argmax[i] = word;
    }
}

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn avg_forward(id: Invocation) {
    let raw = flat_index(id);
    let count = OH * OW * C * step.n;
    let i = min(raw, count - 1u);
    let oh = i / (C * OW) % OH;
    let ow = i / C % OW;
    let image = i / (C * OW * OH) * (H * W);
    var sum = F();
    for (var t = 0u; t < R * S; t += CHUNK) {
#for u in 0..CHUNK
        {
            let tap = tap(t + $u, oh, ow);
            sum += select(F(), x[(image + tap.cell) * C + i % C], tap.real);
        }
#end
    }
    if raw < count {
        y[i] = sum / divisor(oh, ow);
    }
}

@group(0) @binding(1) var<storage, read> dy: array<F>;
@group(0) @binding(2) var<storage, read> argmax_in: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<F>;
@group(0) @binding(4) var<storage, read> y_in: array<F>; // if no activation made x, any other operand is bound and ignored

// Stores element i of dx: `sum`, times f' of y_in where an activation f made x.
fn store_dx(i: u32, sum: F) {
    dx[i] = sum * activate_grad_lanes(y_in[select(0u, i, ACTIVATION != 0u)]);
}

// The places of the lanes of element `k` of a word.
fn places(word: u32, k: u32) -> U {
    return bytes_of(word >> (8u * k)) & U(MASK);
}

// One invocation computes LOADS elements of dx, of one cell: those whose places share a word.
@compute @workgroup_size(WG)
fn max_grad_input(id: Invocation) {
    let raw = flat_index(id);
    let count = H * W * UNITS * step.n;
    let i = min(raw, count - 1u);
    let h = i / (UNITS * W) % H;
    let w = i / UNITS % W;
    let rows = holders(h, STRIDE_H, PAD_H, (R - 1u) * DILATION_H + 1u, OH);
    let columns = holders(w, STRIDE_W, PAD_W, (S - 1u) * DILATION_W + 1u, OW);
    let image = i / (UNITS * W * H) * (OH * OW);
    let c = i % UNITS * LOADS;
#for k in 0..LOADS
    var sum_$k = F();
#end
    for (var oh = rows.x; oh < rows.y; oh += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let real = w0 + $u < columns.y;
                let ow = min(w0 + $u, OW - 1u);
                let at = image + oh * OW + ow;
                let word = argmax_in[at * UNITS + i % UNITS];
                let own = U(place(h, w, oh, ow));
#for k in 0..LOADS
                sum_$k += select(F(), dy[at * C + in_row(c + $k)], B(real) & (places(word, $ku) == own));
#end
            }
#end
        }
    }
    if raw < count {
#for k in 0..LOADS
        if C % LOADS == 0u || c + $k < C {
            store_dx(i / UNITS * C + c + $k, sum_$k);
        }
#end
    }
}

// One invocation writes dx under one window, for the LOADS elements of
// one word: dy where the winner is, else 0. Windows do not overlap.
@compute @workgroup_size(WG)
fn max_grad_window(id: Invocation) {
    let i = flat_index(id);
    if i < OH * OW * UNITS * step.n {
        let oh = i / (UNITS * OW) % OH;
        let ow = i / UNITS % OW;
        let rows = owned(oh, STRIDE_H, PAD_H, OH, H);
        let columns = owned(ow, STRIDE_W, PAD_W, OW, W);
        let image = i / (UNITS * OW * OH) * (H * W);
        let c = i % UNITS * LOADS;
        let word = argmax_in[i];
#for k in 0..LOADS
        let d_$k = dy[i / UNITS * C + in_row(c + $k)];
#end
        for (var t = 0u; t < OWN_H * OWN_W; t += CHUNK) {
#for u in 0..CHUNK
            {
                let h = rows.x + (t + $u) / OWN_W;
                let w = columns.x + (t + $u) % OWN_W;
                let own = U(place(h, w, oh, ow));
                let at = (image + h * W + w) * C;
                if EVEN || (h < rows.y && w < columns.y) {
#for k in 0..LOADS
                    if C % LOADS == 0u || c + $k < C {
                        store_dx(at + c + $k, select(F(), d_$k, places(word, $ku) == own));
                    }
#end
                }
            }
#end
        }
    }
}

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn avg_grad_input(id: Invocation) {
    let raw = flat_index(id);
    let count = H * W * C * step.n;
    let i = min(raw, count - 1u);
    let rows = holders(i / (C * W) % H, STRIDE_H, PAD_H, R, OH);
    let columns = holders(i / C % W, STRIDE_W, PAD_W, S, OW);
    let image = i / (C * W * H) * (OH * OW * C) + i % C;
    var sum = F();
    for (var oh = rows.x; oh < rows.y; oh += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let real = w0 + $u < columns.y;
                let ow = min(w0 + $u, OW - 1u);
                let at = image + (oh * OW + ow) * C;
                sum += select(F(), dy[at] / divisor(oh, ow), real);
            }
#end
        }
    }
    if raw < count {
        store_dx(i, sum);
    }
}

// One invocation writes dx under one window, for one element of channels. Windows do not overlap.
@compute @workgroup_size(WG)
fn avg_grad_window(id: Invocation) {
    let i = flat_index(id);
    if i < OH * OW * C * step.n {
        let oh = i / (C * OW) % OH;
        let ow = i / C % OW;
        let rows = owned(oh, STRIDE_H, PAD_H, OH, H);
        let columns = owned(ow, STRIDE_W, PAD_W, OW, W);
        let image = i / (C * OW * OH) * (H * W);
        let d = dy[i] / divisor(oh, ow);
        for (var t = 0u; t < OWN_H * OWN_W; t += CHUNK) {
#for u in 0..CHUNK
            {
                let h = rows.x + (t + $u) / OWN_W;
                let w = columns.x + (t + $u) % OWN_W;
                let own = place(h, w, oh, ow);
                let at = (image + h * W + w) * C;
                if EVEN || (h < rows.y && w < columns.y) {
                    store_dx(at + i % C, select(F(), d, own < R * S));
                }
            }
#end
        }
    }
}

