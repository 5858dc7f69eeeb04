// Convolution with one filter for each channel: GROUPS = C = K, a multiple of four. conv2d.wgsl has the formulas.
//   wt[r, s, c]   = w[c, r, s], so that the weights of four channels lie together
//   x, y, dx, dw  as in conv2d.wgsl, read and stored as vec4s: here C and c count vec4s of channels
// One invocation computes four channels of TP neighbours in a row of y, or of TD neighbours in a row of dx. So a weight
// is loaded once for all of them. A cell of x or dy that several taps share is loaded once, too: each column under a
// row of taps is. Which column a tap meets is known when the code is compiled. Columns outside of x or dy are read from
// inside and count as 0.
#import step
#import activation
#import taps
#import texel

override C: u32 = 1u;       // channels, in vec4s
override TP: u32 = 1u;      // cells of a row of y that one invocation computes
override TD: u32 = 1u;      // cells of a row of dx that one invocation computes, a multiple of the stride
override TILES: u32 = 1u;   // invocations that share a row
override X_COLUMNS: u32 = 1u; // columns of x under the windows of TP cells of y
override D_COLUMNS: u32 = 1u; // columns of dy whose windows hold one of TD cells of dx
override FIRST_COLUMN: i32 = 0; // the first of these columns, relative to (the first cell of dx) / STRIDE_W
override BIAS: u32 = 0u;    // 1 adds b; 2 first multiplies the sum by one of the C factors that lie behind the C biases in b
override STEP_H: u32 = 1u;  // grad_input: a cell of x meets every STEP_H-th row of taps
override PARTS: u32 = 1u;   // grad_weight: number of partial sums
override TEXTURES: u32 = 0u; // 1: x, wt and dy are read from textures (lib/texel.wgsl)

@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> wt: array<f32>;

// One invocation moves one weight.
@compute @workgroup_size(WG)
fn transpose(id: Invocation) {
    let i = flat_index(id);
    if i < 4u * C * R * S {
        wt[i] = w[i % (4u * C) * (R * S) + i / (4u * C)];
    }
}

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> wt4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b4: array<vec4<f32>>; // without a bias, wt is bound again and ignored
@group(0) @binding(4) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var wt_image: texture_storage_2d<rgba32float, read>;

// Cell (h, w) of x in image n; 0 outside of the image.
fn cell(n: u32, h: i32, w: i32, c: u32) -> vec4<f32> {
    let inside = h >= 0 && h < i32(H) && w >= 0 && w < i32(W);
    let at = ((n * H + u32(select(0, h, inside))) * W + u32(select(0, w, inside))) * C + c;
    switch TEXTURES {
        case 1u: { return textureLoad(x, texel(select(ZERO, FIRST + at, inside))); }
        default: { return select(vec4<f32>(0.0), x4[at], inside); }
    }
}

// The weights of four channels at tap t.
fn tap(t: u32, c: u32) -> vec4<f32> {
    switch TEXTURES {
        case 1u: { return textureLoad(wt_image, texel(FIRST + t * C + c)); }
        default: { return wt4[t * C + c]; }
    }
}

// One invocation computes TP columns of a row of y, in four channels.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    let c = i % C;
    let ow = i / C % TILES * TP;
    let oh = i / (C * TILES) % OH;
    let n = min(i / (C * TILES * OH), step.n - 1u);
    let left = i32(ow * STRIDE_W) - i32(PAD_W);
#for p in 0..TP
    var sum_$p = vec4<f32>(0.0);
#end
    for (var r = 0u; r < R; r += 1u) {
        let h = i32(oh * STRIDE_H + r * DILATION_H) - i32(PAD_H);
        let row = array<vec4<f32>, X_COLUMNS>(
#for j in 0..X_COLUMNS
            cell(n, h, left + $j, c),
#end
        );
#for s in 0..S
        {
            let f = tap(r * S + $su, c);
#for p in 0..TP
            sum_$p += row[$pu * STRIDE_W + $su * DILATION_W] * f;
#end
        }
#end
    }
    let b = select(vec4<f32>(0.0), b4[c], BIAS != 0u);
    let factor = select(vec4<f32>(1.0), b4[select(0u, C + c, BIAS == 2u)], BIAS == 2u);
#for p in 0..TP
    if i < C * TILES * OH * step.n && ow + $pu < OW {
        y4[((n * OH + oh) * OW + ow + $pu) * C + c] = activate4(sum_$p * factor + b);
    }
#end
}

@group(0) @binding(5) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> y_in4: array<vec4<f32>>; // if no activation made x, any other operand is bound and ignored

// As many strides as must be added so that no difference of columns and taps is negative.
const AHEAD: u32 = S * DILATION_W;

@group(0) @binding(5) var dy: texture_storage_2d<rgba32float, read>;

// Cell (h, w) of dy in image n; 0 outside of the image.
fn pixel(n: u32, h: i32, w: i32, c: u32) -> vec4<f32> {
    let inside = h >= 0 && h < i32(OH) && w >= 0 && w < i32(OW);
    let at = ((n * OH + u32(select(0, h, inside))) * OW + u32(select(0, w, inside))) * C + c;
    switch TEXTURES {
        case 1u: { return textureLoad(dy, texel(select(ZERO, FIRST + at, inside))); }
        default: { return select(vec4<f32>(0.0), dy4[at], inside); }
    }
}

// One invocation computes TD columns of a row of dx, in four channels.
@compute @workgroup_size(WG)
fn grad_input(id: Invocation) {
    let i = flat_index(id);
    let c = i % C;
    let iw = i / C % TILES * TD;
    let ih = i / (C * TILES) % H;
    let n = min(i / (C * TILES * H), step.n - 1u);
    let left = i32(iw / STRIDE_W) + FIRST_COLUMN;
#for p in 0..TD
    var sum_$p = vec4<f32>(0.0);
#end
    for (var r = first_tap(ih % STRIDE_H + PAD_H, DILATION_H, STRIDE_H, STEP_H, R); r < R; r += STEP_H) {
        let top = i32(ih + PAD_H) - i32(r * DILATION_H);
        let h = select(top / i32(STRIDE_H), -1, top < 0);
        let row = array<vec4<f32>, D_COLUMNS>(
#for j in 0..D_COLUMNS
            pixel(n, h, left + $j, c),
#end
        );
#for s in 0..S
        {
            let f = tap(r * S + $su, c);
#for p in 0..TD
            if ($pu + PAD_W + AHEAD * STRIDE_W - $su * DILATION_W) % STRIDE_W == 0u {
                sum_$p += row[i32(($pu + PAD_W + AHEAD * STRIDE_W - $su * DILATION_W) / STRIDE_W) - i32(AHEAD) - FIRST_COLUMN] * f;
            }
#end
        }
#end
    }
#for p in 0..TD
    if i < C * TILES * H * step.n && iw + $pu < W {
        let at = ((n * H + ih) * W + iw + $pu) * C + c;
        dx4[at] = sum_$p * activate_grad4(y_in4[select(0u, at, ACTIVATION != 0u)]);
    }
#end
}

@group(0) @binding(3) var<storage, read_write> partial4: array<vec4<f32>>;

// One invocation computes partial[part, r, s, c] for all taps of four
// channels. A part is one of PARTS ranges of the tiles of TP columns of y.
@compute @workgroup_size(WG)
fn grad_weight(id: Invocation) {
    let i = flat_index(id);
    let c = i % C;
    let part = i / C;
    let tiles = TILES * OH * step.n;
    let length = (tiles + PARTS - 1u) / PARTS;
    let start = min(part, PARTS) * length;
    let end = min(start + length, tiles);
#for r in 0..R
#for s in 0..S
    var sum_$r_$s = vec4<f32>(0.0);
#end
#end
    for (var t = start; t < end; t += 1u) {
        let ow = t % TILES * TP;
        let oh = t / TILES % OH;
        let n = t / (TILES * OH);
        let left = i32(ow * STRIDE_W) - i32(PAD_W);
        let top = i32(oh * STRIDE_H) - i32(PAD_H);
#for p in 0..TP
        let d_$p = pixel(n, i32(oh), i32(ow + $pu), c);
#end
#for r in 0..R
        {
            let row = array<vec4<f32>, X_COLUMNS>(
#for j in 0..X_COLUMNS
                cell(n, top + i32($ru * DILATION_H), left + $j, c),
#end
            );
#for s in 0..S
#for p in 0..TP
            sum_$r_$s += d_$p * row[$pu * STRIDE_W + $su * DILATION_W];
#end
#end
        }
#end
    }
#for r in 0..R
#for s in 0..S
    if part < PARTS {
        partial4[((part * R + $ru) * S + $su) * C + c] = sum_$r_$s;
    }
#end
#end
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

// One invocation adds the partial sums of one weight, in order.
@compute @workgroup_size(WG)
fn grad_weight_sum(id: Invocation) {
    let i = flat_index(id);
    if i < 4u * C * R * S {
        let at = i % (R * S) * (4u * C) + i / (R * S);
        var sum = 0.0;
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += parts_in[part * (4u * C * R * S) + at];
        }
        dw[i] = sum;
    }
}
