// Padding of x [N, H, W, C] to y [N, OH, OW, C]. TOP and LEFT cells come
// before x; where they are negative, as many cells of x are cut off.
//   y[n, oh, ow, c] = x[n, source(oh), source(ow), c]
// MODE says what y holds outside of x: 0 zeros; 1 the cell mirrored at the first or last cell; 2 the nearest cell.
// dx of a cell is the sum of dy over the cells of y that hold it,
// for MODE 1 and 2. For MODE 0, dx is a padding the other way round.
// C counts channels in F. Loop steps past the end read from inside and have no effect.
#import step
#import lanes

override H: u32 = 1u;
override W: u32 = 1u;
override C: u32 = 1u;
override OH: u32 = 1u;
override OW: u32 = 1u;
override TOP: i32 = 0;
override LEFT: i32 = 0;
override MODE: u32 = 0u;
override CHUNK: u32 = 1u; // cells that are unrolled, so that all loops together stay under 65,535 iterations

// Which of the `size` cells of x is held by cell `o` of y, along one axis.
fn source(o: u32, before: i32, size: u32) -> u32 {
    let i = i32(o) - before;
    let last = i32(size) - 1;
    return u32(clamp(select(i, last - abs(last - abs(i)), MODE == 1u), 0, last));
}

// Whether cell `o` of y is a cell of x, and not padding.
fn inside(o: u32, before: i32, size: u32) -> bool {
    let i = i32(o) - before;
    return i >= 0 && i < i32(size);
}

// A range of y, as first cell and end, that contains all cells which hold cell `i` of x.
fn holders(i: u32, before: i32, size: u32, count: u32) -> vec2<u32> {
    let own = i32(i) + before;
    let last = i32(size) - 1;
    let mirrored = vec2<i32>(before - i32(i), before + 2 * last - i32(i) + 1);
    let reflect = vec2<i32>(
        select(own, mirrored.x, i32(i) > 0 && mirrored.x >= 0),
        select(own + 1, mirrored.y, i32(i) < last && mirrored.y <= i32(count)),
    );
    let replicate = vec2<i32>(select(own, 0, i == 0u), select(own + 1, i32(count), i32(i) == last));
    return vec2<u32>(select(replicate, reflect, MODE == 1u));
}

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < OH * OW * C * step.n {
        let oh = i / (C * OW) % OH;
        let ow = i / C % OW;
        let at = (i / (C * OW * OH) * H + source(oh, TOP, H)) * W + source(ow, LEFT, W);
        y[i] = select(F(), x[at * C + i % C], MODE != 0u || (inside(oh, TOP, H) && inside(ow, LEFT, W)));
    }
}

@group(0) @binding(1) var<storage, read> dy: array<F>;
@group(0) @binding(2) var<storage, read_write> dx: array<F>;

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn grad_input(id: Invocation) {
    let raw = flat_index(id);
    let count = H * W * C * step.n;
    let i = min(raw, count - 1u);
    let h = i / (C * W) % H;
    let w = i / C % W;
    let rows = holders(h, TOP, H, OH);
    let columns = holders(w, LEFT, W, OW);
    let image = i / (C * W * H) * (OH * OW * C) + i % C;
    var sum = F();
    for (var oh = rows.x; oh < rows.y; oh += 1u) {
        let row = source(oh, TOP, H) == h;
        for (var w0 = columns.x; w0 < columns.y; w0 += CHUNK) {
#for u in 0..CHUNK
            {
                let ow = min(w0 + $u, OW - 1u);
                let held = row && w0 + $u < columns.y && source(ow, LEFT, W) == w;
                sum += select(F(), dy[image + (oh * OW + ow) * C], held);
            }
#end
        }
    }
    if raw < count {
        dx[i] = sum;
    }
}

