// RoIPool (Girshick 2015). A region is cut into SIZE x SIZE cells of whole rows and columns of x; y has the maximum of each, and
// winner where it comes from: the first one in row order. y holds the regions one below the other: [N, ALL, SIZE, SIZE, C].
#import step
#import lanes
#import rois

override H: u32 = 1u;        // rows and columns of x
override W: u32 = 1u;
override C: u32 = 1u;        // channels, in F
override SIZE: u32 = 1u;
override SCALE_H: f32 = 1.0; // cells of x in the height and width of the input
override SCALE_W: f32 = 1.0;

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;
@group(0) @binding(4) var<storage, read_write> winner: array<I>;

// v rounded as C does: halves away from zero.
fn rounded(v: f32) -> i32 {
    let whole = trunc(v);
    return i32(whole) + i32(select(0.0, sign(v), abs(v - whole) >= 0.5));
}

// The first cell of x in one direction, and the one behind the last, of part k of a region from `low` to `high`.
fn range(low: i32, high: i32, k: u32, cells: u32) -> vec2<u32> {
    let side = max(high - low + 1, 1);
    let start = low + i32(k) * side / i32(SIZE);
    let end = low + ((i32(k) + 1) * side + i32(SIZE) - 1) / i32(SIZE);
    return vec2<u32>(clamp(vec2<i32>(start, end), vec2<i32>(0), vec2<i32>(i32(cells))));
}

// Of a region: first row, last row, first column, last column.
fn frame(row: u32) -> vec4<i32> {
    let c = region(row);
    return vec4<i32>(rounded(c.y * SCALE_H), rounded(c.w * SCALE_H), rounded(c.x * SCALE_W), rounded(c.z * SCALE_W));
}

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ALL * SIZE * SIZE * C * step.n {
        let c = i % C;
        let column = i / C % SIZE;
        let line = i / (C * SIZE);
        let row = line / SIZE;
        let n = row / ALL;
        var best = F();
        var at = I(-1);
        if is_region(row) {
            let f = frame(row);
            let down = range(f.x, f.y, line % SIZE, H);
            let across = range(f.z, f.w, column, W);
            for (var v = down.x; v < down.y; v += 1u) {
                for (var h = across.x; h < across.y; h += 1u) {
                    let value = x[((n * H + v) * W + h) * C + c];
                    let better = (value > best) | (at < I(0));
                    best = select(best, value, better);
                    at = select(at, I(i32(v * W + h)), better);
                }
            }
        }
        y[i] = best;
        winner[i] = at;
    }
}

override FROM: u32 = 0u; // the regions that are added; the first ones overwrite dx
override TO: u32 = 1u;

@group(0) @binding(4) var<storage, read> winner_in: array<I>;
@group(0) @binding(5) var<storage, read> dy: array<F>;
@group(0) @binding(6) var<storage, read_write> dx: array<F>;

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < H * W * C * step.n {
        let c = i % C;
        let column = i / C % W;
        let line = i / (C * W) % H;
        let n = i / (C * W * H);
        let cell = I(i32(line * W + column));
        var sum = F();
        for (var r = FROM; r < TO; r += 1u) {
            let row = n * ALL + r;
            let f = frame(row);
            let inside = i32(line) >= f.x && i32(line) <= max(f.x, f.y) && i32(column) >= f.z && i32(column) <= max(f.z, f.w);
            if !is_region(row) || !inside {
                continue;
            }
            for (var v = 0u; v < SIZE; v += 1u) {
                let down = range(f.x, f.y, v, H);
                if line < down.x || line >= down.y {
                    continue;
                }
                for (var h = 0u; h < SIZE; h += 1u) {
                    let place = ((row * SIZE + v) * SIZE + h) * C + c;
                    sum += select(F(), dy[place], winner_in[place] == cell);
                }
            }
        }
        if FROM == 0u {
            dx[i] = sum;
        } else {
            dx[i] += sum;
        }
    }
}
