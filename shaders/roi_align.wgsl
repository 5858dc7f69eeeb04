// RoIAlign (He et al. 2017), as torchvision computes it. A region is cut into SIZE x SIZE cells; each is the mean of
// SAMPLES x SAMPLES samples of x between its cells. y holds the regions one below the other: [N, R, SIZE + GAP, SIZE, C].
#import step
#import lanes
#import rois

override H: u32 = 1u;            // rows and columns of x
override W: u32 = 1u;
override C: u32 = 1u;            // channels, in F
override R: u32 = 1u;            // regions of a sample that are taken
override SIZE: u32 = 1u;
override GAP: u32 = 0u;          // rows of zeros behind a region
override SAMPLES: u32 = 2u;
override SCALE_H: f32 = 1.0;     // cells of x in the height and width of the input
override SCALE_W: f32 = 1.0;
override OFFSET: f32 = 0.0;      // what is taken off from corners
override LEAST: f32 = 1.0;       // the least side of a region in cells
override INPUT_H: f32 = 1.0;     // pixels
override INPUT_W: f32 = 1.0;
override LOW: f32 = -3e38;       // the areas in square pixels of the regions that belong to x
override HIGH: f32 = 3e38;
override FIRST: u32 = 1u;        // 1: write all; 0: y and dx hold something already

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;

// Whether a row is a region that belongs to x.
fn belongs(row: u32) -> bool {
    let c = region(row);
    let area = (c.z - c.x) * INPUT_W * ((c.w - c.y) * INPUT_H);
    return is_region(row) && area >= LOW && area < HIGH;
}

// Of a region: its first row and column, and the height and width of a cell.
fn frame(row: u32) -> vec4<f32> {
    let c = region(row);
    let start = c.yx * vec2<f32>(SCALE_H, SCALE_W) - OFFSET;
    let sides = max(c.wz * vec2<f32>(SCALE_H, SCALE_W) - OFFSET - start, vec2<f32>(LEAST));
    return vec4<f32>(start, sides / f32(SIZE));
}

// Sample i of cell k in one direction.
fn place(start: f32, bin: f32, k: u32, i: u32) -> f32 {
    return start + f32(k) * bin + (f32(i) + 0.5) * bin / f32(SAMPLES);
}

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < R * (SIZE + GAP) * SIZE * C * step.n {
        let c = i % C;
        let column = i / C % SIZE;
        let line = i / (C * SIZE);
        let line_of_region = line % (SIZE + GAP);
        let r = line / (SIZE + GAP);
        let n = r / R;
        let row = n * ALL + r % R;
        if line_of_region < SIZE && belongs(row) {
            let f = frame(row);
            var sum = F();
            for (var a = 0u; a < SAMPLES; a += 1u) {
                let v = between(place(f.x, f.z, line_of_region, a), H);
                for (var b = 0u; b < SAMPLES; b += 1u) {
                    let h = between(place(f.y, f.w, column, b), W);
                    let top = (n * H + v.low) * W;
                    let bottom = (n * H + v.high) * W;
                    sum += (x[(top + h.low) * C + c] * h.weight_low + x[(top + h.high) * C + c] * h.weight_high)
                        * v.weight_low;
                    sum += (x[(bottom + h.low) * C + c] * h.weight_low + x[(bottom + h.high) * C + c] * h.weight_high)
                        * v.weight_high;
                }
            }
            y[i] = sum / f32(SAMPLES * SAMPLES);
        } else if FIRST == 1u {
            y[i] = F();
        }
    }
}

override FROM: u32 = 0u; // the regions that are added
override TO: u32 = 1u;

@group(0) @binding(4) var<storage, read> dy: array<F>;
@group(0) @binding(5) var<storage, read_write> dx: array<F>;

// The weight that `cell` of a row of `cells` has in the samples of cell k of a region.
fn weight(cell: u32, cells: u32, start: f32, bin: f32, k: u32) -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < SAMPLES; i += 1u) {
        let at = between(place(start, bin, k, i), cells);
        sum += select(0.0, at.weight_low, at.low == cell) + select(0.0, at.weight_high, at.high == cell);
    }
    return sum;
}

// Whether samples from the first to the last one may lie beside `cell`.
fn reaches(cell: u32, cells: u32, start: f32, bin: f32) -> bool {
    let last = f32(cells - 1u);
    let from_cell = floor(clamp(place(start, bin, 0u, 0u), 0.0, last));
    let to_cell = min(floor(clamp(place(start, bin, SIZE - 1u, SAMPLES - 1u), 0.0, last)) + 1.0, last);
    return f32(cell) >= from_cell && f32(cell) <= to_cell;
}

// One invocation computes one element of dx.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < H * W * C * step.n {
        let c = i % C;
        let column = i / C % W;
        let line = i / (C * W) % H;
        let n = i / (C * W * H);
        var sum = F();
        for (var r = FROM; r < TO; r += 1u) {
            let row = n * ALL + r;
            if !belongs(row) {
                continue;
            }
            let f = frame(row);
            if !reaches(line, H, f.x, f.z) || !reaches(column, W, f.y, f.w) {
                continue;
            }
            for (var v = 0u; v < SIZE; v += 1u) {
                let down = weight(line, H, f.x, f.z, v);
                if down == 0.0 {
                    continue;
                }
                let first = ((n * R + r) * (SIZE + GAP) + v) * SIZE;
                for (var h = 0u; h < SIZE; h += 1u) {
                    let across = weight(column, W, f.y, f.w, h);
                    if across != 0.0 {
                        sum += dy[(first + h) * C + c] * (down * across);
                    }
                }
            }
        }
        sum = sum / f32(SAMPLES * SAMPLES);
        if FIRST == 1u {
            dx[i] = sum;
        } else {
            dx[i] += sum;
        }
    }
}
