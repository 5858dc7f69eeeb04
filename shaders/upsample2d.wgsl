// Upsampling of x [N, H, W, C] to y [N, OH, OW, C] with OH = SCALE_H H and OW = SCALE_W W.
// - nearest: y[n, oh, ow, c] = x[n, oh / SCALE_H, ow / SCALE_W, c]
// - bilinear: y is a weighted mean of four cells of x. In units of cells, the centre of a cell of y lies at row
//   (oh + 1/2) / SCALE_H - 1/2 of x, not below 0, and columns likewise. A cell's weight falls with its distance along
//   each axis.
//
// dx of a cell is the sum of dy times the cell's weight, over all cells of y that it has a weight in.
// C counts channels in F. Loop steps past the end read from inside and have no effect.
#import step
#import lanes

override H: u32 = 1u;
override W: u32 = 1u;
override C: u32 = 1u;
override SCALE_H: u32 = 1u;
override SCALE_W: u32 = 1u;
override CHUNK: u32 = 1u; // cells that are unrolled, so that all loops together stay under 65,535 iterations

const OH: u32 = SCALE_H * H;
const OW: u32 = SCALE_W * W;

// Two neighbouring cells of x along one axis, and the weight of the second.
struct Sources {
    first: u32,
    second: u32,
    part: f32,
}

fn sources(o: u32, scale: u32, size: u32) -> Sources {
    let at = max(2u * o + 1u, scale) - scale; // in halves of 1 / scale
    let first = at / (2u * scale);
    return Sources(first, min(first + 1u, size - 1u), f32(at % (2u * scale)) / f32(2u * scale));
}

// The weight of cell `i` in cell `o` of y.
fn share(i: u32, o: u32, scale: u32, size: u32) -> f32 {
    let s = sources(o, scale, size);
    return select(0.0, 1.0 - s.part, s.first == i) + select(0.0, s.part, s.second == i);
}

// The cells of y in which cell `i` of x has a weight, along an axis: first and end.
fn holders(i: u32, scale: u32, size: u32) -> vec2<u32> {
    let end = (i + 1u) * scale + scale / 2u;
    return vec2<u32>(select(i * scale + scale / 2u - scale, 0u, i == 0u), min(end, size * scale));
}

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn nearest(id: Invocation) {
    let i = flat_index(id);
    if i < OH * OW * C * step.n {
        let at = (i / (C * OW * OH) * H + i / (C * OW) % OH / SCALE_H) * W + i / C % OW / SCALE_W;
        y[i] = x[at * C + i % C];
    }
}

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn bilinear(id: Invocation) {
    let i = flat_index(id);
    if i < OH * OW * C * step.n {
        let rows = sources(i / (C * OW) % OH, SCALE_H, H);
        let columns = sources(i / C % OW, SCALE_W, W);
        let top = (i / (C * OW * OH) * H + rows.first) * W;
        let bottom = (i / (C * OW * OH) * H + rows.second) * W;
        let a = mix(x[(top + columns.first) * C + i % C], x[(top + columns.second) * C + i % C], columns.part);
        let b = mix(x[(bottom + columns.first) * C + i % C], x[(bottom + columns.second) * C + i % C], columns.part);
        y[i] = mix(a, b, rows.part);
    }
}

@group(0) @binding(1) var<storage, read> dy: array<F>;
@group(0) @binding(2) var<storage, read_write> dx: array<F>;

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn nearest_grad_input(id: Invocation) {
    let raw = flat_index(id);
    let count = H * W * C * step.n;
    let i = min(raw, count - 1u);
    let h = i / (C * W) % H;
    let w = i / C % W;
    let rows = vec2<u32>(h, h + 1u) * SCALE_H;
    let columns = vec2<u32>(w, w + 1u) * SCALE_W;
    let image = i / (C * W * H) * (OH * OW * C) + i % C;
    var sum = F();
    for (var oh = rows.x; oh < rows.y; oh += 1u) {
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let ow = min(w0 + $u, OW - 1u);
                sum += select(F(), dy[image + (oh * OW + ow) * C], w0 + $u < columns.y);
            }
#end
        }
    }
    if raw < count {
        dx[i] = sum;
    }
}

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn bilinear_grad_input(id: Invocation) {
    let raw = flat_index(id);
    let count = H * W * C * step.n;
    let i = min(raw, count - 1u);
    let h = i / (C * W) % H;
    let w = i / C % W;
    let rows = holders(h, SCALE_H, H);
    let columns = holders(w, SCALE_W, W);
    let image = i / (C * W * H) * (OH * OW * C) + i % C;
    var sum = F();
    for (var oh = rows.x; oh < rows.y; oh += 1u) {
        let row = share(h, oh, SCALE_H, H);
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let ow = min(w0 + $u, OW - 1u);
                let part = select(0.0, row * share(w, ow, SCALE_W, W), w0 + $u < columns.y);
                sum += part * dy[image + (oh * OW + ow) * C];
            }
#end
        }
    }
    if raw < count {
        dx[i] = sum;
    }
}

