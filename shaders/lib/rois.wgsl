// Regions of interest: rows of five numbers. The first is -1 for a row that is none; else an objectness, or a label: 0 for
// the background, k for class k - 1. Then x1, y1, x2, y2 as shares of the input.

override ALL: u32 = 1u; // rows of a sample

@group(0) @binding(3) var<storage, read> rois: array<f32>;

fn is_region(row: u32) -> bool {
    return rois[5u * row] >= 0.0;
}

// x1, y1, x2, y2
fn region(row: u32) -> vec4<f32> {
    return vec4<f32>(rois[5u * row + 1u], rois[5u * row + 2u], rois[5u * row + 3u], rois[5u * row + 4u]);
}

// A place between two of `cells` cells in a row, with their weights. A place that is more than a cell away has no weights.
struct Between {
    low: u32,
    high: u32,
    weight_low: f32,
    weight_high: f32,
}

fn between(place: f32, cells: u32) -> Between {
    let near = select(0.0, 1.0, place >= -1.0 && place <= f32(cells));
    let inside = clamp(place, 0.0, f32(cells));
    let low = min(u32(inside), cells - 1u);
    let part = select(inside - f32(low), 0.0, low + 1u >= cells);
    return Between(low, min(low + 1u, cells - 1u), near * (1.0 - part), near * part);
}
