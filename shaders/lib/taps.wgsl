// The sizes of a convolution, and which of its taps meet a cell of x. All kernels of a
// convolution share them. With strides, cells of x whose positions leave the same remainders
// when divided by the strides form a phase. All cells of a phase meet the same taps.

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
override PAD_H: u32 = 0u; // rows of padding before the first row
override PAD_W: u32 = 0u;
override GROUPS: u32 = 1u;

// The first tap that meets cells whose position leaves the remainder `phase`: the first t for which
// phase - t · dilation is a multiple of the stride. The caller has added the padding to `phase`.
// The result is `taps` if there is none.
fn first_tap(phase: u32, dilation: u32, stride: u32, span: u32, taps: u32) -> u32 {
    var t = 0u;
    while t < min(span, taps) && (phase + dilation * taps * stride - t * dilation) % stride != 0u {
        t += 1u;
    }
    return select(t, taps, t == span);
}

// An axis of `length` cells has `pad` cells of padding before it. For i from 0 to count - 1, place i covers the
// positions i · every + low to i · every + high, counted from the first cell of padding. Returns the first i whose
// positions reach onto the axis, and the i behind the last such one.
fn inside_axis(low: u32, high: u32, every: u32, count: u32, pad: u32, length: u32) -> vec2<u32> {
    let first = min((max(pad, high) - high + every - 1u) / every, count);
    let behind = min((max(length + pad, low) - low + every - 1u) / every, count);
    return vec2<u32>(first, max(behind, first));
}
