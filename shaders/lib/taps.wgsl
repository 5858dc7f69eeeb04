// The sizes of a convolution, which all its kernels share, and the taps of a strided one that meet an input position
// (src/ops/conv2d/grad.rs: cells of equal remainders by the stride form a phase).

override H: u32 = 1u;
override W: u32 = 1u;
override OH: u32 = 1u;
override OW: u32 = 1u;
override R: u32 = 1u;
override S: u32 = 1u;
override STRIDE_H: u32 = 1u;
override STRIDE_W: u32 = 1u;
override DILATION_H: u32 = 1u;
override DILATION_W: u32 = 1u;
override PAD_H: u32 = 0u; // cells before the first row
override PAD_W: u32 = 0u;
override GROUPS: u32 = 1u;

// The first tap that meets input positions congruent to `phase`: taps t with (phase + pad - t dilation) divisible by the stride; `taps` if none.
fn first_tap(phase: u32, dilation: u32, stride: u32, span: u32, taps: u32) -> u32 {
    var t = 0u;
    while t < min(span, taps) && (phase + dilation * taps * stride - t * dilation) % stride != 0u {
        t += 1u;
    }
    return select(t, taps, t == span);
}

// Along a padded axis of `length` cells: of the places i `every` cells apart, for i below `count`, those inside when counted from one of `low` to
// `high` cells behind the first of padding. The first i, and the one behind the last.
fn inside_axis(low: u32, high: u32, every: u32, count: u32, pad: u32, length: u32) -> vec2<u32> {
    let first = min((max(pad, high) - high + every - 1u) / every, count);
    let behind = min((max(length + pad, low) - low + every - 1u) / every, count);
    return vec2<u32>(first, max(behind, first));
}
