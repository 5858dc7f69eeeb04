// 3 x 3 convolutions of stride 1 by Winograd's method, for software adapters (docs/performance.md, "winograd").
// A tile of 4 x 4 outputs reads 6 x 6 cells of x. Both x and w are transformed to 36 numbers, the planes; what belongs
// to one plane is multiplied; and 36 sums become 16 outputs: 36 multiplications where the formula has 144.
//   u = G w Gᵀ      v = Bᵀ x B      m = Σ over channels u · v      y = Aᵀ m A      (Lavin and Gray 2016)
// The interpolation points are 0, ±3/4, ±3/2 and ∞. Their errors are about a third of those of 0, ±1, ±2 and ∞, and all
// coefficients but those of G are exact in binary.
// dx is the same with dy in the place of x and turned weights. For dw, dy is transformed as Aᵀ is, transposed:
//   dw = Gᵀ (Σ over tiles (A dy Aᵀ) · v) G
// The sums are 1 x 1 convolutions of 36 groups (conv2d_image.wgsl). Layouts, with K and C in vec4s here:
//   v [tiles, 36, C]    u [36, 4 K filters, C]    m [tiles, 36, K]    tiles of all images, row by row
// Cells over the padding, and those of a tile past the end of the picture, count as 0.
#import step
#import activation
#import texel

override H: u32 = 1u;       // rows and columns of the picture that is read
override W: u32 = 1u;
override OH: u32 = 1u;      // rows and columns of the picture that is written
override OW: u32 = 1u;
override C: u32 = 1u;       // channels of the picture that is read, in vec4s
override K: u32 = 1u;       // channels of the picture that is written, in vec4s
override PAD_H: u32 = 0u;   // cells of padding above the first row
override PAD_W: u32 = 0u;
override OUT: u32 = 0u;     // output: 0 computes y, 1 computes dx
override TURN: u32 = 0u;    // filter: 1 turns the filters, and swaps K and C, for dx
override BIAS: u32 = 0u;    // output: 1 adds b; 2 first multiplies by one of the factors that lie behind the biases in b

const TH: u32 = (OH + 3u) / 4u; // tiles
const TW: u32 = (OW + 3u) / 4u;
const P: f32 = 0.75;
const Q: f32 = 1.5;
const PP: f32 = P * P;
const QQ: f32 = Q * Q;
const N_0: f32 = 1.0 / (PP * QQ);
const N_A: f32 = 0.5 / (PP * (PP - QQ));
const N_B: f32 = 0.5 / (QQ * (QQ - PP));

alias Six = array<vec4<f32>, 6>;
alias Four = array<vec4<f32>, 4>;
alias Three = array<vec4<f32>, 3>;

// Bᵀ d
fn cells_to_points(d: Six) -> Six {
    let a = d[4] - QQ * d[2];
    let a1 = P * (d[3] - QQ * d[1]);
    let b = d[4] - PP * d[2];
    let b1 = Q * (d[3] - PP * d[1]);
    return Six(PP * QQ * d[0] - (PP + QQ) * d[2] + d[4], a + a1, a - a1, b + b1, b - b1,
        PP * QQ * d[1] - (PP + QQ) * d[3] + d[5]);
}

// G t
fn weights_to_points(t: Three) -> Six {
    let a = N_A * (t[0] + PP * t[2]);
    let a1 = N_A * P * t[1];
    let b = N_B * (t[0] + QQ * t[2]);
    let b1 = N_B * Q * t[1];
    return Six(N_0 * t[0], a + a1, a - a1, b + b1, b - b1, t[2]);
}

// Aᵀ t
fn points_to_outputs(t: Six) -> Four {
    let a = t[1] + t[2];
    let a1 = t[1] - t[2];
    let b = t[3] + t[4];
    let b1 = t[3] - t[4];
    return Four(t[0] + a + b, P * a1 + Q * b1, PP * a + QQ * b, P * PP * a1 + Q * QQ * b1 + t[5]);
}

// A d
fn outputs_to_points(d: Four) -> Six {
    let a = d[0] + PP * d[2];
    let a1 = P * d[1] + P * PP * d[3];
    let b = d[0] + QQ * d[2];
    let b1 = Q * d[1] + Q * QQ * d[3];
    return Six(d[0], a + a1, a - a1, b + b1, b - b1, d[3]);
}

// Gᵀ t
fn points_to_weights(t: Six) -> Three {
    let a = N_A * (t[1] + t[2]);
    let a1 = N_A * P * (t[1] - t[2]);
    let b = N_B * (t[3] + t[4]);
    let b1 = N_B * Q * (t[3] - t[4]);
    return Three(N_0 * t[0] + a + b, a1 + b1, PP * a + QQ * b + t[5]);
}

@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;

// Cell (h, w) of image n of the picture that is read, in the four channels c.
fn cell(n: u32, h: i32, w: i32, c: u32) -> vec4<f32> {
    let inside = u32(h) < H && u32(w) < W;
    return textureLoad(x, texel(select(ZERO, FIRST + ((n * H + u32(h)) * W + u32(w)) * C + c, inside)));
}

// One invocation transforms the cells under one tile, in four channels. Its stores are
// unrolled: a loop that moves the planes up, as in conv2d_image.wgsl, takes twice as long here.
@compute @workgroup_size(WG)
fn cells(id: Invocation) {
    let i = flat_index(id);
    if i >= TH * TW * C * step.n {
        return;
    }
    let tile = i / C;
    let n = tile / (TH * TW);
    let top = i32(tile / TW % TH * 4u) - i32(PAD_H);
    let left = i32(tile % TW * 4u) - i32(PAD_W);
#for s in 0..6
    let column_$s = cells_to_points(Six(
#for r in 0..6
        cell(n, top + $r, left + $s, i % C),
#end
    ));
#end
#for r in 0..6
    let row_$r = Six(
#for s in 0..6
        column_$s[$r],
#end
    );
#end
#for r in 0..6
    put_v(tile, $ru, i % C, cells_to_points(row_$r));
#end
}

fn put_v(tile: u32, r: u32, c: u32, planes: Six) {
#for s in 0..6
    v[((tile * 6u + r) * 6u + $su) * C + c] = planes[$s];
#end
}

// One invocation transforms the outputs of one tile of dy, in four channels.
@compute @workgroup_size(WG)
fn errors(id: Invocation) {
    let i = flat_index(id);
    if i >= TH * TW * C * step.n {
        return;
    }
    let tile = i / C;
    let n = tile / (TH * TW);
    let top = i32(tile / TW % TH * 4u);
    let left = i32(tile % TW * 4u);
#for s in 0..4
    let column_$s = outputs_to_points(Four(
#for r in 0..4
        cell(n, top + $r, left + $s, i % C),
#end
    ));
#end
#for r in 0..6
    let row_$r = Four(
#for s in 0..4
        column_$s[$r],
#end
    );
#end
#for r in 0..6
    put_v(tile, $ru, i % C, outputs_to_points(row_$r));
#end
}

@group(0) @binding(1) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> u: array<vec4<f32>>;

// Weight (r, s) of a filter, in four channels. `first` is the filter's first weight. For dx filters are turned.
fn weight(first: u32, r: u32, s: u32) -> vec4<f32> {
    let tap = r * 3u + s;
    return w[first + select(tap, 8u - tap, TURN != 0u) * C];
}

// One invocation transforms the weights of one filter, in four channels.
@compute @workgroup_size(WG)
fn filters(id: Invocation) {
    let i = flat_index(id);
    if i >= 4u * K * C {
        return;
    }
    let first = i / C * (9u * C) + i % C;
#for s in 0..3
    let column_$s = weights_to_points(Three(
#for r in 0..3
        weight(first, $ru, $su),
#end
    ));
#end
#for r in 0..6
    let row_$r = Three(
#for s in 0..3
        column_$s[$r],
#end
    );
#end
#for r in 0..6
    let planes_$r = weights_to_points(row_$r);
#for s in 0..6
    u[($ru * 6u + $su) * (4u * K * C) + i] = planes_$r[$s];
#end
#end
}

@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>; // without a bias, m is bound again and ignored
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> y_in: array<vec4<f32>>; // if no activation made x, any buffer is bound and ignored
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

fn put_y(at: u32, k: u32, sum: vec4<f32>) {
    let factor = select(vec4<f32>(1.0), b[select(0u, K + k, BIAS == 2u)], BIAS == 2u);
    let bias = select(vec4<f32>(), b[select(0u, k, BIAS != 0u)], BIAS != 0u);
    y[at] = activate4(sum * factor + bias);
}

fn put_dx(at: u32, sum: vec4<f32>) {
    dx[at] = sum * activate_grad4(y_in[select(0u, at, ACTIVATION != 0u)]);
}

fn put(at: u32, k: u32, sum: vec4<f32>) {
    switch OUT {
        case 0u: { put_y(at, k, sum); }
        default: { put_dx(at, sum); }
    }
}

// One invocation computes the outputs of one tile, in four channels.
@compute @workgroup_size(WG)
fn outputs(id: Invocation) {
    let i = flat_index(id);
    if i >= TH * TW * K * step.n {
        return;
    }
    let k = i % K;
    let tile = i / K;
    let n = tile / (TH * TW);
    let top = tile / TW % TH * 4u;
    let left = tile % TW * 4u;
    let first = tile * (36u * K) + k;
#for s in 0..6
    let column_$s = points_to_outputs(Six(
#for r in 0..6
        m[first + ($ru * 6u + $su) * K],
#end
    ));
#end
#for r in 0..4
    let row_$r = Six(
#for s in 0..6
        column_$s[$r],
#end
    );
#end
#for r in 0..4
    let sums_$r = points_to_outputs(row_$r);
#for s in 0..4
    if top + $ru < OH && left + $su < OW {
        put(((n * OH + top + $ru) * OW + left + $su) * K + k, k, sums_$r[$s]);
    }
#end
#end
}

@group(0) @binding(2) var<storage, read_write> dw: array<vec4<f32>>;

// One invocation computes the gradients of the weights of one filter, in four channels.
@compute @workgroup_size(WG)
fn weights(id: Invocation) {
    let i = flat_index(id);
    if i >= 4u * K * C {
        return;
    }
#for s in 0..6
    let column_$s = points_to_weights(Six(
#for r in 0..6
        m[($ru * 6u + $su) * (4u * K * C) + i],
#end
    ));
#end
#for r in 0..3
    let row_$r = points_to_weights(Six(
#for s in 0..6
        column_$s[$r],
#end
    ));
#for s in 0..3
    dw[i / C * (9u * C) + ($ru * 3u + $su) * C + i % C] = row_$r[$s];
#end
#end
}
