// The loss of the first YOLO (Redmon et al. 2016, equation 3). y[n, row, column] are B boxes (x and y in cells from the
// cell's corner, √w and √h as shares of the picture, confidence) and a score for each class. matched[cell, b] is g + 1 if the
// middle of object g lies in the cell (the last such object) and box b is responsible for it, else 0.
//   loss[n] = Σ over responsible boxes of 5 · ((x - X)² + (y - Y)² + (√w - √W)² + (√h - √H)²) + (confidence - IoU)²
//           + ½ Σ over all others of confidence² + Σ over cells with an object of Σ (score - [class])²
#import step
#import boxes

override ROWS: u32 = 1u;
override COLUMNS: u32 = 1u;
override B: u32 = 2u;       // boxes of a cell
override CLASSES: u32 = 1u;

const PLACE = 5.0;  // the weight of places and sizes
const NOTHING = 0.5; // the weight of confidences where nothing is

@group(0) @binding(3) var<storage, read> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> matched: array<i32>;
@group(0) @binding(5) var<storage, read_write> overlaps: array<f32>;

// The cell of the picture that cell i of the batch is.
fn cell_of(i: u32) -> vec2<f32> {
    let at = i % (ROWS * COLUMNS);
    return vec2<f32>(f32(at % COLUMNS), f32(at / COLUMNS));
}

// The row of the first object of the sample of cell i.
fn first_of(i: u32) -> u32 {
    return i / (ROWS * COLUMNS) * G;
}

// cx, cy, w, h of box b of cell i, as shares of the picture.
fn said(i: u32, b: u32) -> vec4<f32> {
    let at = i * K + 5u * b;
    let middle = (cell_of(i) + vec2<f32>(y[at], y[at + 1u])) / vec2<f32>(f32(COLUMNS), f32(ROWS));
    return vec4<f32>(middle, y[at + 2u] * y[at + 2u], y[at + 3u] * y[at + 3u]);
}

// One invocation looks at one cell of one sample. Responsible is the box that overlaps the object most; where none does, the
// one that differs least.
@compute @workgroup_size(WG)
fn match_objects(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * COLUMNS * step.n {
        let first = first_of(i);
        var found = 0u;
        for (var g = 0u; g < G; g += 1u) {
            let shape = shape_of(object(first + g));
            let here = all(floor(shape.xy * vec2<f32>(f32(COLUMNS), f32(ROWS))) == cell_of(i));
            found = select(found, g + 1u, here && is_object(first + g));
        }
        var chosen = 0u;
        var most = 0.0;
        var least = 1e30;
        for (var b = 0u; b < B; b += 1u) {
            var overlap = 0.0;
            if found > 0u {
                let own = said(i, b);
                overlap = iou(corners(own), object(first + found - 1u));
                let d = own - shape_of(object(first + found - 1u));
                let better = select(dot(d, d) < least, overlap > most, most > 0.0 || overlap > 0.0);
                least = min(least, dot(d, d));
                most = max(most, overlap);
                chosen = select(chosen, b, better);
            }
        }
        for (var b = 0u; b < B; b += 1u) {
            let responsible = found > 0u && b == chosen;
            matched[i * B + b] = i32(select(0u, found, responsible));
            overlaps[i * B + b] = select(0.0, most, responsible);
        }
    }
}

@group(0) @binding(4) var<storage, read> matched_in: array<i32>;
@group(0) @binding(5) var<storage, read> overlaps_in: array<f32>;

// The row of the object in cell i, plus 1; 0 for none.
fn object_of(i: u32) -> u32 {
    var found = 0;
    for (var b = 0u; b < B; b += 1u) {
        found = max(found, matched_in[i * B + b]);
    }
    return select(0u, first_of(i) + u32(found), found > 0);
}

// What the four numbers of a box of cell i should be.
fn wanted_of(i: u32, row: u32) -> vec4<f32> {
    let shape = shape_of(object(row));
    return vec4<f32>(shape.xy * vec2<f32>(f32(COLUMNS), f32(ROWS)) - cell_of(i), sqrt(shape.zw));
}

// What the network says of a box of cell i, less what it should say.
fn difference(i: u32, b: u32, row: u32) -> vec4<f32> {
    let at = i * K + 5u * b;
    return vec4<f32>(y[at], y[at + 1u], y[at + 2u], y[at + 3u]) - wanted_of(i, row);
}

// The same of class k.
fn class_difference(i: u32, k: u32, row: u32) -> f32 {
    let own = min(class_of(row), CLASSES - 1u);
    return y[i * K + 5u * B + k] - select(0.0, 1.0, own == k);
}

override PARTS: u32 = 1u;   // stretches of cells of a sample
override STRETCH: u32 = 1u; // cells of a stretch

@group(0) @binding(6) var<storage, read_write> parts: array<f32>;

// One invocation adds the terms of one stretch of cells of one sample.
@compute @workgroup_size(WG)
fn partial_sums(id: Invocation) {
    let part = flat_index(id);
    if part < PARTS * step.n {
        let start = part % PARTS * STRETCH;
        var sum = 0.0;
        for (var cell = start; cell < min(start + STRETCH, ROWS * COLUMNS); cell += 1u) {
            let i = part / PARTS * ROWS * COLUMNS + cell;
            let row = object_of(i);
            for (var b = 0u; b < B; b += 1u) {
                let d = y[i * K + 5u * b + 4u] - overlaps_in[i * B + b];
                if matched_in[i * B + b] > 0 {
                    let place = difference(i, b, row - 1u);
                    sum += PLACE * dot(place, place) + d * d;
                } else {
                    sum += NOTHING * d * d;
                }
            }
            if row > 0u {
                for (var k = 0u; k < CLASSES; k += 1u) {
                    let d = class_difference(i, k, row - 1u);
                    sum += d * d;
                }
            }
        }
        parts[part] = sum;
    }
}

@group(0) @binding(6) var<storage, read> dloss: array<f32>;
@group(0) @binding(7) var<storage, read_write> dy: array<f32>;

// One invocation computes dy of one cell.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * COLUMNS * step.n {
        let d = 2.0 * dloss[i / (ROWS * COLUMNS)];
        let row = object_of(i);
        for (var b = 0u; b < B; b += 1u) {
            let responsible = matched_in[i * B + b] > 0;
            var place = vec4<f32>(0.0);
            if responsible {
                place = difference(i, b, row - 1u) * (PLACE * d);
            }
            let at = i * K + 5u * b;
            dy[at] = place.x;
            dy[at + 1u] = place.y;
            dy[at + 2u] = place.z;
            dy[at + 3u] = place.w;
            dy[at + 4u] = (y[at + 4u] - overlaps_in[i * B + b]) * select(NOTHING * d, d, responsible);
        }
        for (var k = 0u; k < CLASSES; k += 1u) {
            var one = 0.0;
            if row > 0u {
                one = class_difference(i, k, row - 1u) * d;
            }
            dy[i * K + 5u * B + k] = one;
        }
    }
}
