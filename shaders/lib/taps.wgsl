// The taps of a strided convolution that meet an input position (src/ops/conv2d/grad.rs: cells of equal remainders by the stride form a phase).

// The first tap that meets input positions congruent to `phase`: taps t with (phase + pad - t dilation) divisible by the stride; `taps` if none.
fn first_tap(phase: u32, dilation: u32, stride: u32, span: u32, taps: u32) -> u32 {
    var t = 0u;
    while t < min(span, taps) && (phase + dilation * taps * stride - t * dilation) % stride != 0u {
        t += 1u;
    }
    return select(t, taps, t == span);
}
