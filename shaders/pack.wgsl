// Packs what lies under each window of a row into whole texels
// (lib/texel.wgsl): the channels of its first cell, of its second, and so on.
//   x [rows, W, C], y [rows, OW, 4 TEXELS]
//   y[row, o, s C + c] = x[row, o STRIDE_W + s DILATION_W - PAD_W, c]; 0 in the padding and behind element S C
// With S = 1 it only pads channels to a multiple of four.
// One invocation computes RUN texels of one pixel: all, or one.
#import step

override W: u32 = 1u;
override OW: u32 = 1u;
override C: u32 = 1u;
override S: u32 = 1u;
override STRIDE_W: u32 = 1u;
override DILATION_W: u32 = 1u;
override PAD_W: u32 = 0u;
override TEXELS: u32 = 1u;
override RUN: u32 = 1u;
override ROWS: u32 = 0u;        // rows that belong to no sample
override SAMPLE_ROWS: u32 = 0u; // rows of a sample

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

fn element(row: u32, o: u32, t: u32) -> f32 {
    let column = i32(o * STRIDE_W + t / C * DILATION_W) - i32(PAD_W);
    let real = t < S * C && column >= 0 && column < i32(W);
    return select(0.0, x[(row * W + select(0u, u32(column), real)) * C + t % C], real);
}

@compute @workgroup_size(WG)
fn pack(id: Invocation) {
    let i = flat_index(id);
    if i >= (SAMPLE_ROWS * step.n + ROWS) * OW * (TEXELS / RUN) {
        return;
    }
    let pixel = i / (TEXELS / RUN);
    let row = pixel / OW;
    let o = pixel % OW;
    let first = i % (TEXELS / RUN) * 4u;
#for t in 0..RUN
    {
        let t = first + 4u * $tu;
        y[i * RUN + $tu] = vec4<f32>(element(row, o, t), element(row, o, t + 1u), element(row, o, t + 2u), element(row, o, t + 3u));
    }
#end
}
