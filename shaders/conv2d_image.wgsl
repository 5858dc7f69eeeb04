// Convolution for software adapters: implicit GEMMs. conv2d.wgsl has the formulas. Operands come from textures, four
// elements a load (lib/texel.wgsl). The lanes of a subgroup share what they load. Channels of x and w, and filters of
// dy, are padded with zeros to whole texels.
// One workgroup is one subgroup. It computes one tile of the output. With LANES = 8:
// - forward: 8 MG pixels x 8 NG filters. For each 8 filters a lane holds one, or for each 32 filters four. Sums run
//   over taps and channels, four channels a step.
// - grad_input: 8 MG pixels x 32 NG channels. For each 32 channels a lane holds
//   four. Sums run over taps and filters, four filters a step. Where channels are
//   few, RL lanes hold the same channels, and each of them holds one pixel in RL.
// - grad_weight: 4 ML MG filters x 32 NG weights. For each 32 weights a
//   lane holds four. Sums run over a part of the pixels, one pixel a step.
//
// "Rows" below are the rows of the output matrix: pixels, or in grad_weight filters. Each lane loads one row (in
// grad_weight four). subgroupShuffle hands a row from its lane, which is a constant, to all lanes. Past the end, the
// last real row or column is computed and stored again.
// The tile lies in named variables, there is no branch in the hot loops, and the order of sums is fixed.
// Drivers take long to compile each store. So sums are stored in a loop: it stores the last variables' sums, and then
// all others move up. That is why rows stand in their variables from the last to the first.
#import step
#import activation
#import texel
#import taps

override LANES: u32 = 8u;   // lanes of a subgroup, which is a workgroup
override CG: u32 = 1u;      // channels of a group
override KG: u32 = 1u;      // filters of a group that w holds
override K: u32 = 1u;       // filters of y and dy, of all groups
override FIRST_K: u32 = 0u; // the first filter that w holds
override BIAS: u32 = 0u;    // 1 adds b; 2 first multiplies by one of the K factors behind the K biases in b; grad_weight: 1 also sums dy
override ADD: u32 = 0u;     // grad_input: 1 adds the result to what dx holds
override MG: u32 = 1u;
override ML: u32 = 1u;
override NG: u32 = 1u;
override CL: u32 = 8u;      // grad_input: lanes that hold different columns; also rows that a lane computes for each load
override RL: u32 = 1u;      // grad_input: lanes that hold the same columns, each for other rows: LANES / CL
override UNROLL: u32 = 1u;  // steps of the innermost loop in one iteration
override STEP_H: u32 = 1u;  // grad_input: a cell of x meets every STEP_H-th row of taps and every STEP_W-th column
override STEP_W: u32 = 1u;
override PARTS: u32 = 1u;   // grad_weight: number of partial sums
override STORES: u32 = 1u;  // forward: stores for a lane's NG filters: NG / L. L is 4 where a lane stores four neighbouring outputs at once
override SPREAD: u32 = 0u;  // 1: neighbours in a tile are the same pixel of several images; 0: they are pixels of one image

const C: u32 = GROUPS * CG;
const CT: u32 = (CG + 3u) / 4u;             // texels of a group's channels
const KT: u32 = (KG + 3u) / 4u;             // texels of a group's filters
const XT: u32 = GROUPS * CT;                // texels of a pixel of x
const YT: u32 = (K + 3u) / 4u;              // texels of a pixel of dy
const JT: u32 = R * S * CT;                 // texels of a filter
const K_TILES: u32 = (KG + LANES * NG - 1u) / (LANES * NG);
const C_TILES: u32 = (CT + CL * NG - 1u) / (CL * NG);
const F_TILES: u32 = (KT + ML * MG - 1u) / (ML * MG);
const J_TILES: u32 = (JT + LANES * NG - 1u) / (LANES * NG);

@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> b: array<f32>; // without a bias, any buffer is bound and ignored
@group(0) @binding(4) var<storage, read_write> y: array<F>;

// Filter `n` of a lane. The tile's filters begin at `first`. A lane
// has one of each LANES filters, or four neighbours of each 4 LANES.
fn filter_of(first: u32, lane: u32, n: u32) -> u32 {
    return min(first + n / L * (L * LANES) + lane * L, KG - L) + n % L;
}

fn put_y(row: u32, k: array<u32, NG>, sums: array<f32, NG>) {
#for q in 0..STORES
    y[(row + k[L * $qu]) / L] = activate_lanes(F(
#for i in 0..L
        sums[(L * $qu + $iu) % NG],
#end
    ));
#end
}

// A function, because naga's time grows with the square of the unrolled code. Drivers inline it.
fn add_dot(sum: f32, a: vec4<f32>, b: vec4<f32>) -> f32 {
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

// Pixel `m` of all: its image, and its number in the image. An image has `pixels` of them.
fn pixel(m: u32, pixels: u32) -> vec2<u32> {
    switch SPREAD {
        case 1u: { return vec2<u32>(m % step.n, m / step.n); }
        default: { return vec2<u32>(m / pixels, m % pixels); }
    }
}

// The rows and columns of taps that lie inside of x for at least one of the pixels `first` to `last` of an image.
fn taps_of_tile(first: u32, last: u32, rows: ptr<function, vec2<u32>>, columns: ptr<function, vec2<u32>>) {
    *rows = inside_axis(first / OW * STRIDE_H, last / OW * STRIDE_H, DILATION_H, R, PAD_H, H);
    let same = first / OW == last / OW;
    let left = select(0u, first % OW, same);
    let right = select(OW - 1u, last % OW, same);
    *columns = inside_axis(left * STRIDE_W, right * STRIDE_W, DILATION_W, S, PAD_W, W);
}

@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let lane = id.local;
    let tile = group_index(id);
    let m0 = tile / (GROUPS * K_TILES) * (LANES * MG);
    let g = tile / K_TILES % GROUPS;
    let k0 = tile % K_TILES * (LANES * NG);
    let pixels = OH * OW * step.n;
    if m0 >= pixels {
        return;
    }
#for m in 0..MG
    let m_$m = pixel(min(m0 + LANES * $mu + lane, pixels - 1u), OH * OW);
    let h_$m = i32(m_$m.y / OW * STRIDE_H) - i32(PAD_H);
    let w_$m = i32(m_$m.y % OW * STRIDE_W) - i32(PAD_W);
    let image_$m = m_$m.x * H;
    let to_$m = (m_$m.x * (OH * OW) + m_$m.y) * K + FIRST_K;
#for l in 0..LANES
#for n in 0..NG
    var sum_$m_$l_$n = 0.0;
#end
#end
#end
#for n in 0..NG
    let k_$n = g * KG + filter_of(k0, lane, $nu);
    let f_$n = FIRST + k_$n * JT;
#end
    var rows = vec2<u32>(0u, R);
    var columns = vec2<u32>(0u, S);
    switch SPREAD {
        case 1u: { taps_of_tile(m0 / step.n, (min(m0 + LANES * MG, pixels) - 1u) / step.n, &rows, &columns); }
        default: { }
    }
    let width = columns.y - columns.x;
    for (var tap = 0u; tap < (rows.y - rows.x) * width; tap += 1u) {
        let r = rows.x + tap / width;
        let s = columns.x + tap % width;
#for m in 0..MG
        let in_$m = u32(h_$m + i32(r * DILATION_H)) < H && u32(w_$m + i32(s * DILATION_W)) < W;
        let at_$m = FIRST + ((image_$m + u32(h_$m + i32(r * DILATION_H))) * W + u32(w_$m + i32(s * DILATION_W))) * XT + g * CT;
#end
        for (var c = 0u; c < CT; c += UNROLL) {
#for u in 0..UNROLL
            {
#for m in 0..MG
                let a_$m = textureLoad(x, texel(select(ZERO, at_$m + c + $uu, in_$m)));
#end
#for n in 0..NG
                let b_$n = textureLoad(w, texel(f_$n + (r * S + s) * CT + c + $uu));
#end
#for m in 0..MG
#for l in 0..LANES
                {
                    let row = subgroupShuffle(a_$m, LANES - 1u - $lu);
#for n in 0..NG
                    sum_$m_$l_$n = add_dot(sum_$m_$l_$n, row, b_$n);
#end
                }
#end
#end
            }
#end
        }
    }
#for n in 0..NG
    let bias_$n = select(0.0, b[select(0u, FIRST_K + k_$n, BIAS != 0u)], BIAS != 0u);
    let factor_$n = select(1.0, b[select(0u, K + FIRST_K + k_$n, BIAS == 2u)], BIAS == 2u);
#end
    let k = array<u32, NG>(
#for n in 0..NG
        k_$n,
#end
    );
#for m in 0..MG
    for (var l = 0u; l < min(LANES, pixels - m0); l += 1u) {
#for n in 0..NG
        var v_$n = 0.0;
#end
#for l in 0..LANES
#for n in 0..NG
        { let before = v_$n; v_$n = sum_$m_$l_$n; sum_$m_$l_$n = before; }
#end
#end
        put_y(subgroupShuffle(to_$m, l), k, array<f32, NG>(
#for n in 0..NG
            v_$n * factor_$n + bias_$n,
#end
        ));
    }
#end
}

@group(0) @binding(1) var dy: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read_write> dx: array<F>;
@group(0) @binding(4) var<storage, read> y_in: array<F>; // if no activation made x, any buffer is bound and ignored

const PHASES: u32 = STRIDE_H * STRIDE_W;
const PH: u32 = (H + STRIDE_H - 1u) / STRIDE_H; // rows of x in a phase
const PW: u32 = (W + STRIDE_W - 1u) / STRIDE_W;

fn add_product(sum: vec4<f32>, a: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) -> vec4<f32> {
    return sum + a.x * b0 + a.y * b1 + a.z * b2 + a.w * b3;
}

// Stores four channels of dx, from channel c on, of the pixel that begins at `to`.
fn put_dx(to: u32, c: u32, sum: vec4<f32>) {
#for q in 0..BLOCK
    if L == 4u || c + $qu < CG {
        let at = (to + c) / L + $qu;
        let factor = activate_grad_lanes(y_in[select(0u, at, ACTIVATION != 0u)]);
        dx[at] = (part_of(sum, $qu) + select(F(), dx[at], ADD != 0u)) * factor;
    }
#end
}

// Which row of the tile's LANES rows is number `l` of those that this lane computes.
fn row_of_lane(l: u32, lane: u32) -> u32 {
    return select(l, l * RL + lane / CL, RL > 1u);
}

// That row, from the lane that loaded it. Every shuffle takes a constant lane: others are loops on most software adapters.
fn row_from(a: vec4<f32>, l: u32, lane: u32) -> vec4<f32> {
    var row = subgroupShuffle(a, l * RL);
#for i in 1..RL
    row = select(row, subgroupShuffle(a, l * RL + $iu), lane / CL == $iu);
#end
    return row;
}

const NOWHERE: u32 = 0xffffffffu;

// Of every `every`-th tap of the range `taps`, those by which a cell in `first` to `last` of an axis meets an output.
fn taps_met(first: u32, last: u32, pad: u32, dilation: u32, reach: u32, every: u32, taps: vec2<u32>) -> vec2<u32> {
    let start = (max(first + pad + dilation, reach) - reach) / dilation;
    let skipped = (max(start, taps.x) - taps.x + every - 1u) / every * every;
    return vec2<u32>(taps.x + skipped, min(taps.y, (last + pad) / dilation + 1u));
}

// Keeps of rows and columns of taps those by which at least one
// of the cells `first` to `last` of a phase meets an output.
fn met_by_tile(first: u32, last: u32, phase_h: u32, phase_w: u32, rows: ptr<function, vec2<u32>>, columns: ptr<function, vec2<u32>>) {
    let top = first / PW * STRIDE_H + phase_h;
    let bottom = last / PW * STRIDE_H + phase_h;
    let same = first / PW == last / PW;
    let left = select(0u, first % PW, same) * STRIDE_W + phase_w;
    let right = select(PW - 1u, last % PW, same) * STRIDE_W + phase_w;
    *rows = taps_met(top, bottom, PAD_H, DILATION_H, OH * STRIDE_H, STEP_H, *rows);
    *columns = taps_met(left, right, PAD_W, DILATION_W, OW * STRIDE_W, STEP_W, *columns);
}

// All pixels of a tile belong to one phase: they leave the same
// remainders when divided by the strides, so they meet the same taps.
@compute @workgroup_size(WG)
fn grad_input(id: Invocation) {
    let lane = id.local;
    let tile = group_index(id);
    let c0 = tile % C_TILES * (CL * NG) + lane % CL;
    let g = tile / C_TILES % GROUPS;
    let phase = tile / (C_TILES * GROUPS) % PHASES;
    let m0 = tile / (C_TILES * GROUPS * PHASES) * (LANES * MG);
    let cells = PH * PW * step.n;
    if m0 >= cells {
        return;
    }
    let phase_h = phase / STRIDE_W;
    let phase_w = phase % STRIDE_W;
#for m in 0..MG
    let m_$m = pixel(min(m0 + lane * MG + $mu, cells - 1u), PH * PW);
    let row_$m = m_$m.y / PW * STRIDE_H + phase_h;
    let column_$m = m_$m.y % PW * STRIDE_W + phase_w;
    let h_$m = i32(row_$m + PAD_H);
    let w_$m = i32(column_$m + PAD_W);
    let image_$m = m_$m.x * OH;
    let place_$m = select(NOWHERE, ((m_$m.x * H + row_$m) * W + column_$m) * C + g * CG, row_$m < H && column_$m < W);
#end
#for n in 0..NG
    let c_$n = min(c0 + CL * $nu, CT - 1u);
#end
#for m in 0..MG
#for l in 0..CL
#for n in 0..NG
    var sum_$m_$l_$n = vec4<f32>(0.0);
#end
#end
#end
    var rows = vec2<u32>(first_tap(phase_h + PAD_H, DILATION_H, STRIDE_H, STEP_H, R), R);
    var columns = vec2<u32>(first_tap(phase_w + PAD_W, DILATION_W, STRIDE_W, STEP_W, S), S);
    switch SPREAD {
        case 1u: { met_by_tile(m0 / step.n, (min(m0 + LANES * MG, cells) - 1u) / step.n, phase_h, phase_w, &rows, &columns); }
        default: { }
    }
    for (var r = rows.x; r < rows.y; r += STEP_H) {
        for (var s = columns.x; s < columns.y; s += STEP_W) {
#for m in 0..MG
            let top_$m = h_$m - i32(r * DILATION_H);
            let left_$m = w_$m - i32(s * DILATION_W);
            let oh_$m = u32(top_$m) / STRIDE_H;
            let ow_$m = u32(left_$m) / STRIDE_W;
            let in_$m = top_$m >= 0 && oh_$m < OH && left_$m >= 0 && ow_$m < OW;
            let at_$m = FIRST + ((image_$m + oh_$m) * OW + ow_$m) * YT + (FIRST_K / 4u + g * KT);
#end
            for (var k = 0u; k < KT; k += UNROLL) {
#for u in 0..UNROLL
                {
#for m in 0..MG
                    let a_$m = textureLoad(dy, texel(select(ZERO, at_$m + k + $uu, in_$m)));
#end
#for q in 0..4
                    let filter_$q = FIRST + ((g * KG + min(4u * (k + $uu) + $qu, KG - 1u)) * (R * S) + r * S + s) * CT;
#for n in 0..NG
                    let b_$q_$n = textureLoad(w, texel(filter_$q + c_$n));
#end
#end
#for m in 0..MG
#for l in 0..CL
                    {
                        let row = row_from(a_$m, CL - 1u - $lu, lane);
#for n in 0..NG
                        sum_$m_$l_$n = add_product(sum_$m_$l_$n, row, b_0_$n, b_1_$n, b_2_$n, b_3_$n);
#end
                    }
#end
#end
                }
#end
            }
        }
    }
    for (var l = 0u; l < min(CL, (cells - m0 + RL * MG - 1u) / (RL * MG)); l += 1u) {
        let row = row_of_lane(l, lane);
#for m in 0..MG
        {
#for n in 0..NG
            var v_$n = vec4<f32>();
#end
#for l in 0..CL
#for n in 0..NG
            { let before = v_$n; v_$n = sum_$m_$l_$n; sum_$m_$l_$n = before; }
#end
#end
            let to = subgroupShuffle(place_$m, row);
            let real = (H % STRIDE_H == 0u && W % STRIDE_W == 0u) || to != NOWHERE;
            // A row or column that is stored twice must not be added twice.
            if real && (ADD == 0u || m0 + row * MG + $mu < cells) {
#for n in 0..NG
                if ADD == 0u || c0 + CL * $nu < CT {
                    put_dx(to, 4u * c_$n, v_$n);
                }
#end
            }
        }
#end
    }
}

@group(0) @binding(2) var x_in: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read_write> partial: array<F>;
@group(0) @binding(4) var<storage, read_write> bias_partial: array<f32>; // written only if there is a bias

// Stores four channels, from channel c on, of the tap that begins at `to`.
fn put_partial(to: u32, c: u32, sum: vec4<f32>) {
#for q in 0..BLOCK
    if L == 4u || c + $qu < CG {
        partial[(to + c) / L + $qu] = part_of(sum, $qu);
    }
#end
}

// Whether all columns of a tile belong to one tap.
const ONE_TAP: bool = CT % (LANES * NG) == 0u;

@compute @workgroup_size(WG)
fn grad_weight(id: Invocation) {
    let lane = id.local;
    let tile = group_index(id);
    let j0 = tile % J_TILES * (LANES * NG) + lane;
    let f0 = tile / J_TILES % F_TILES * (ML * MG);
    let g = tile / (J_TILES * F_TILES) % GROUPS;
    let part = tile / (J_TILES * F_TILES * GROUPS);
    if part >= PARTS {
        return;
    }
#for n in 0..NG
    let j_$n = min(j0 + LANES * $nu, JT - 1u);
    let h_$n = i32(j_$n / (S * CT) * DILATION_H) - i32(PAD_H);
    let w_$n = i32(j_$n / CT % S * DILATION_W) - i32(PAD_W);
    let c_$n = i32(FIRST + g * CT + j_$n % CT) + (h_$n * i32(W) + w_$n) * i32(XT);
#end
#for m in 0..MG
    var bias_$m = vec4<f32>(0.0);
    let f_$m = FIRST + FIRST_K / 4u + g * KT + min(f0 + ML * $mu + min(lane, ML - 1u), KT - 1u);
#for l in 0..ML
#for q in 0..4
#for n in 0..NG
    var sum_$m_$l_$q_$n = vec4<f32>(0.0);
#end
#end
#end
#end
    // Where a tile holds one tap only, pixels for which this tap
    // lies over padding add nothing to dw. They do add to the bias.
    let all = !ONE_TAP || (BIAS != 0u && tile % J_TILES == 0u);
    let tap = j0 / CT;
    let down = tap / S * DILATION_H;
    let right = tap % S * DILATION_W;
    let rows = select(inside_axis(down, down, STRIDE_H, OH, PAD_H, H), vec2<u32>(0u, OH), all);
    let columns = select(inside_axis(right, right, STRIDE_W, OW, PAD_W, W), vec2<u32>(0u, OW), all);
    let width = columns.y - columns.x;
    let area = (rows.y - rows.x) * width;
    let length = (area * step.n + PARTS - 1u) / PARTS;
    let start = part * length;
    let end = min(start + length, area * step.n);
    var image = start / max(area, 1u);
    var row = rows.x + start % max(area, 1u) / max(width, 1u);
    var column = columns.x + start % max(width, 1u);
    for (var m = start; m < end; m += UNROLL) {
#for u in 0..UNROLL
        let m_$u = (image * OH + row) * OW + column;
        let real_$u = m + $uu < end;
        let top_$u = i32(row * STRIDE_H);
        let left_$u = i32(column * STRIDE_W);
        let base_$u = ((i32(image * H) + top_$u) * i32(W) + left_$u) * i32(XT);
        column += 1u;
        row += select(0u, 1u, column == columns.y);
        column = select(column, columns.x, column == columns.y);
        image += select(0u, 1u, row == rows.y);
        row = select(row, rows.x, row == rows.y);
#for m in 0..MG
        let a_$u_$m = textureLoad(dy, texel(select(ZERO, f_$m + m_$u * YT, real_$u)));
        bias_$m += a_$u_$m;
#end
#for n in 0..NG
        let in_$u_$n = real_$u && u32(top_$u + h_$n) < H && u32(left_$u + w_$n) < W;
        let b_$u_$n = textureLoad(x_in, texel(select(ZERO, u32(base_$u + c_$n), in_$u_$n)));
#end
#end
#for m in 0..MG
#for l in 0..ML
#for q in 0..4
#for u in 0..UNROLL
        let d_$u_$m_$l_$q = subgroupShuffle(a_$u_$m[$q], ML - 1u - $lu);
#end
#for n in 0..NG
#for u in 0..UNROLL
        sum_$m_$l_$q_$n += d_$u_$m_$l_$q * b_$u_$n;
#end
#end
#end
#end
#end
    }
    for (var l = 0u; l < min(ML, KT - f0); l += 1u) {
#for m in 0..MG
#for q in 0..4
        {
#for n in 0..NG
            var v_$n = vec4<f32>();
#end
#for l in 0..ML
#for n in 0..NG
            { let before = v_$n; v_$n = sum_$m_$l_$q_$n; sum_$m_$l_$q_$n = before; }
#end
#end
            let k = 4u * min(f0 + ML * $mu + l, KT - 1u) + $qu;
            if KG % 4u == 0u || k < KG {
                let row = ((part * GROUPS + g) * KG + k) * (R * S * CG);
#for n in 0..NG
                put_partial(row + j_$n / CT * CG, 4u * (j_$n % CT), v_$n);
#end
            }
        }
#end
#end
    }
    if BIAS != 0u && tile % J_TILES == 0u && lane < ML {
#for m in 0..MG
        {
            let k = 4u * min(f0 + ML * $mu + lane, KT - 1u);
#for q in 0..4
            if KG % 4u == 0u || k + $qu < KG {
                bias_partial[(part * GROUPS + g) * KG + k + $qu] = bias_$m[$q];
            }
#end
        }
#end
    }
}
