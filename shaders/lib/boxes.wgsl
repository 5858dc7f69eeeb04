// What the losses of detectors share: the boxes of a layer `anchors`, and the objects of a sample.

override P: u32 = 1u;        // boxes of the network
override G: u32 = 1u;        // rows of objects of a sample
override K: u32 = 6u;        // numbers of a box: 4 offsets, one more, classes
override TIE: f32 = 1e-5;    // overlaps that differ by less are equal; the first one wins

@group(0) @binding(1) var<storage, read> priors: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> boxes: array<f32>;

// x1, y1, x2, y2 of cx, cy, w, h.
fn corners(shape: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(shape.xy - 0.5 * shape.zw, shape.xy + 0.5 * shape.zw);
}

// x1, y1, x2, y2 of row `row` of the objects of all samples.
fn object(row: u32) -> vec4<f32> {
    return vec4<f32>(boxes[5u * row + 1u], boxes[5u * row + 2u], boxes[5u * row + 3u], boxes[5u * row + 4u]);
}

// Whether a row is an object: not padding, and with an area.
fn is_object(row: u32) -> bool {
    let c = object(row);
    return boxes[5u * row] >= 0.0 && c.z > c.x && c.w > c.y;
}

// The class of an object, from 0. One past the last counts as the last.
fn class_of(row: u32) -> u32 {
    return min(u32(max(boxes[5u * row], 0.0)), K - 6u);
}

// cx, cy, w, h of x1, y1, x2, y2.
fn shape_of(c: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(0.5 * (c.xy + c.zw), c.zw - c.xy);
}

// Intersection over union.
fn iou(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let sides = max(min(a.zw, b.zw) - max(a.xy, b.xy), vec2<f32>(0.0));
    let both = sides.x * sides.y;
    return both / ((a.z - a.x) * (a.w - a.y) + (b.z - b.x) * (b.w - b.y) - both);
}
