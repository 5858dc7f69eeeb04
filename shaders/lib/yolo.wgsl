// What the losses of YOLO share: the numbers of the boxes, and the cells that they lie in. Needs `boxes`.

@group(0) @binding(3) var<storage, read> y: array<f32>;
@group(0) @binding(4) var<storage, read> cells: array<vec4<f32>>; // column, row, width, height

// The four offsets of box i of the batch.
fn offsets_of(i: u32) -> vec4<f32> {
    return vec4<f32>(y[i * K], y[i * K + 1u], y[i * K + 2u], y[i * K + 3u]);
}

fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

// The binary cross-entropy of the score x, whose sigmoid should be t. For small e, log(1 + e) would lose its digits.
fn bce(x: f32, t: f32) -> f32 {
    let e = exp(-abs(x));
    return max(x, 0.0) - x * t + select(log(1.0 + e), e - 0.5 * e * e, e < 1e-3);
}
