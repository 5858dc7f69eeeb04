// Convolution (a cross-correlation, as ONNX Conv) of x [N, H, W, C] with filters w [K, R, S, CG]. There are GROUPS
// groups, each of CG channels and KG filters:
//   y[n, oh, ow, k]     = act(b[k] + sum over r, s, c of x[n, ih, iw, g CG + c] * w[k, r, s, c]),  g = k / KG,
//   dx[n, ih, iw, c]    = sum over r, s and the filters k of c's group of dy[n, oh, ow, k] * w[k, r, s, c],
//                         times f' of y_in where an activation f made x,
//   dw[k, r, s, c]      = sum over n, oh, ow of dy[n, oh, ow, k] * x[n, ih, iw, g CG + c],
// where ih = oh STRIDE_H + r DILATION_H - PAD_H, and iw likewise. Cells outside of x are 0.
// One invocation computes a tile of outputs in registers:
// - forward: TP pixels by TK filters
// - grad_input: TP pixels by TC channels
// - grad_weight: TK filters by TJ weights of each
//
// CG and C count channels in F, as do TC and TJ. Past the end, the
// last real pixel, filter or channel is computed again and not stored.
#import step
#import activation
#import taps

override CG: u32 = 1u;     // channels of a group, in F
override KG: u32 = 1u;     // filters of a group
override BIAS: u32 = 0u;   // 1 adds b; 2 first multiplies the sum by one of the K factors that lie behind the K biases in b
override TP: u32 = 1u;
override TK: u32 = 1u;
override TC: u32 = 1u;
override TJ: u32 = 1u;
override CHUNK: u32 = 1u;  // steps of the innermost loop that are unrolled, so that all loops together stay under 65,535 iterations
override STEP_H: u32 = 1u; // grad_input: a cell of x meets every STEP_H-th row of taps and every STEP_W-th column
override STEP_W: u32 = 1u;
override PARTS: u32 = 1u;  // grad_weight: number of partial sums
override WEIGHTS: u32 = 1u; // weights of all filters
override BIASES: u32 = 1u;

const C: u32 = GROUPS * CG;
const K: u32 = GROUPS * KG;
const K_TILES: u32 = (KG + TK - 1u) / TK; // tiles of a group's filters
const C_TILES: u32 = (CG + TC - 1u) / TC; // tiles of a group's channels, for grad_input
const J: u32 = R * S * CG;                // weights of a filter, in F
const J_TILES: u32 = (J + TJ - 1u) / TJ;

// The offset in x of a cell of an image. A cell outside is moved to the nearest one inside.
fn cell(h: i32, w: i32) -> u32 {
    return (u32(clamp(h, 0, i32(H) - 1)) * W + u32(clamp(w, 0, i32(W) - 1))) * C;
}

fn inside(h: i32, w: i32) -> bool {
    return h >= 0 && h < i32(H) && w >= 0 && w < i32(W);
}

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read> w: array<F>;
@group(0) @binding(3) var<storage, read> b: array<f32>; // without a bias, w is bound again and ignored
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// One invocation computes TP pixels of TK filters.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    let tile = i % (GROUPS * K_TILES);
    let g = tile / K_TILES;
    let k0 = tile % K_TILES * TK;
    let first = i / (GROUPS * K_TILES) * TP;
    let pixels = OH * OW * step.n;
#for k in 0..TK
    let k_$k = g * KG + min(k0 + $k, KG - 1u);
#end
#for p in 0..TP
    let m_$p = min(first + $p, pixels - 1u);
    let h_$p = i32(m_$p / OW % OH * STRIDE_H) - i32(PAD_H);
    let w_$p = i32(m_$p % OW * STRIDE_W) - i32(PAD_W);
    let image_$p = m_$p / (OH * OW) * (H * W * C) + g * CG;
#for k in 0..TK
    var sum_$p_$k = 0.0;
#end
#end
    let rows = select(0u, R, first < pixels);
    for (var r = 0u; r < rows; r += 1u) {
        for (var s = 0u; s < S; s += 1u) {
            let tap = (r * S + s) * CG;
#for p in 0..TP
            let ih_$p = h_$p + i32(r * DILATION_H);
            let iw_$p = w_$p + i32(s * DILATION_W);
            let in_$p = inside(ih_$p, iw_$p);
            let at_$p = image_$p + cell(ih_$p, iw_$p);
#end
            for (var c0 = 0u; c0 < CG; c0 += CHUNK) {
#for u in 0..CHUNK
                {
                    let real = c0 + $u < CG;
                    let c = min(c0 + $u, CG - 1u);
#for k in 0..TK
                    let f_$k = w[k_$k * J + tap + c];
#end
#for p in 0..TP
                    let v_$p = select(F(), x[at_$p + c], in_$p && real);
#for k in 0..TK
                    sum_$p_$k += dot_lanes(v_$p, f_$k);
#end
#end
                }
#end
            }
        }
    }
#for k in 0..TK
    let b_$k = select(0.0, b[k_$k], BIAS != 0u);
    let factor_$k = select(1.0, b[select(0u, K + k_$k, BIAS == 2u)], BIAS == 2u);
#end
#for p in 0..TP
#for k in 0..TK
    if first + $p < pixels && k0 + $k < KG {
        y[m_$p * K + k_$k] = activate(sum_$p_$k * factor_$k + b_$k);
    }
#end
#end
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<F>;
@group(0) @binding(4) var<storage, read> y_in: array<F>; // if no activation made x, any other operand is bound and ignored

const PHASES: u32 = STRIDE_H * STRIDE_W;
const PH: u32 = (H + STRIDE_H - 1u) / STRIDE_H; // rows of x in a phase
const PW: u32 = (W + STRIDE_W - 1u) / STRIDE_W;

// The offset in dy of an output pixel. A pixel outside is moved to the nearest one inside.
fn pixel(h: i32, w: i32) -> u32 {
    return (u32(clamp(h, 0, i32(OH) - 1)) * OW + u32(clamp(w, 0, i32(OW) - 1))) * K;
}

// One invocation computes TC channels of TP input pixels of one phase. The pixels of a phase leave the same remainders
// when divided by the strides, so they meet the same taps.
@compute @workgroup_size(WG)
fn grad_input(id: Invocation) {
    let i = flat_index(id);
    let tile = i % (GROUPS * C_TILES);
    let g = tile / C_TILES;
    let c0 = tile % C_TILES * TC;
    let j = i / (GROUPS * C_TILES);
    let phase_h = j % PHASES / STRIDE_W;
    let phase_w = j % STRIDE_W;
    let first = j / PHASES * TP;
    let cells = PH * PW * step.n;
#for p in 0..TP
    let m_$p = min(first + $p, cells - 1u);
    let h_$p = m_$p / PW % PH * STRIDE_H + phase_h;
    let w_$p = m_$p % PW * STRIDE_W + phase_w;
    let n_$p = m_$p / (PH * PW);
    let image_$p = n_$p * (OH * OW * K) + g * KG;
#for c in 0..TC
    var sum_$p_$c = F();
#end
#end
#for c in 0..TC
    let c_$c = min(c0 + $c, CG - 1u);
#end
    let first_r = first_tap(phase_h + PAD_H, DILATION_H, STRIDE_H, STEP_H, R);
    let first_s = first_tap(phase_w + PAD_W, DILATION_W, STRIDE_W, STEP_W, S);
    for (var r = select(R, first_r, first < cells); r < R; r += STEP_H) {
        for (var s = first_s; s < S; s += STEP_W) {
            let tap = (r * S + s) * CG;
#for p in 0..TP
            let top_$p = i32(h_$p + PAD_H) - i32(r * DILATION_H);
            let left_$p = i32(w_$p + PAD_W) - i32(s * DILATION_W);
            let oh_$p = top_$p / i32(STRIDE_H);
            let ow_$p = left_$p / i32(STRIDE_W);
            let in_$p = top_$p >= 0 && oh_$p < i32(OH) && left_$p >= 0 && ow_$p < i32(OW);
            let at_$p = image_$p + pixel(oh_$p, ow_$p);
#end
            for (var k0 = 0u; k0 < KG; k0 += CHUNK) {
#for u in 0..CHUNK
                {
                    let real = k0 + $u < KG;
                    let k = min(k0 + $u, KG - 1u);
#for c in 0..TC
                    let f_$c = w[(g * KG + k) * J + tap + c_$c];
#end
#for p in 0..TP
                    let d_$p = select(0.0, dy[at_$p + k], in_$p && real);
#for c in 0..TC
                    sum_$p_$c += d_$p * f_$c;
#end
#end
                }
#end
            }
        }
    }
#for p in 0..TP
#for c in 0..TC
    if first + $p < cells && h_$p < H && w_$p < W && c0 + $c < CG {
        let at = ((n_$p * H + h_$p) * W + w_$p) * C + g * CG + c_$c;
        dx[at] = sum_$p_$c * activate_grad_lanes(y_in[select(0u, at, ACTIVATION != 0u)]);
    }
#end
#end
}

@group(0) @binding(2) var<storage, read> x_in: array<F>;
@group(0) @binding(3) var<storage, read_write> partial: array<F>;

// One invocation computes a tile of partial[part, k, r, s, c]: TK filters
// by TJ weights, summed over one of PARTS ranges of the output pixels.
@compute @workgroup_size(WG)
fn grad_weight(id: Invocation) {
    let i = flat_index(id);
    let j0 = i % J_TILES * TJ;
    let tile = i / J_TILES % (GROUPS * K_TILES);
    let part = i / (J_TILES * GROUPS * K_TILES);
    let g = tile / K_TILES;
    let k0 = tile % K_TILES * TK;
#for j in 0..TJ
    let j_$j = min(j0 + $j, J - 1u);
    let h_$j = i32(j_$j / (S * CG) * DILATION_H) - i32(PAD_H);
    let w_$j = i32(j_$j / CG % S * DILATION_W) - i32(PAD_W);
    let c_$j = g * CG + j_$j % CG;
#end
#for k in 0..TK
    let k_$k = g * KG + min(k0 + $k, KG - 1u);
#for j in 0..TJ
    var sum_$k_$j = F();
#end
#end
    let pixels = OH * OW * step.n;
    let length = (pixels + PARTS - 1u) / PARTS;
    let start = min(part, PARTS) * length;
    let end = min(start + length, pixels);
    var n = start / (OH * OW);
    var oh = start / OW % OH;
    var ow = start % OW;
    for (var m = start; m < end; m += 1u) {
#for k in 0..TK
        let d_$k = dy[m * K + k_$k];
#end
        let image = n * (H * W * C);
        let top = i32(oh * STRIDE_H);
        let left = i32(ow * STRIDE_W);
#for j in 0..TJ
        let v_$j = select(F(), x_in[image + cell(top + h_$j, left + w_$j) + c_$j], inside(top + h_$j, left + w_$j));
#for k in 0..TK
        sum_$k_$j += d_$k * v_$j;
#end
#end
        ow += 1u;
        oh += select(0u, 1u, ow == OW);
        ow = select(ow, 0u, ow == OW);
        n += select(0u, 1u, oh == OH);
        oh = select(oh, 0u, oh == OH);
    }
#for k in 0..TK
#for j in 0..TJ
    if part < PARTS && k0 + $k < KG && j0 + $j < J {
        partial[(part * K + k_$k) * J + j_$j] = sum_$k_$j;
    }
#end
#end
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@group(0) @binding(3) var<storage, read> bias_parts_in: array<f32>;
@group(0) @binding(4) var<storage, read_write> db: array<f32>;

// One invocation adds the partial sums, in order, of one weight or of one bias. The biases come after all weights.
@compute @workgroup_size(WG)
fn grad_weight_bias_sum(id: Invocation) {
    let i = flat_index(id);
    var sum = 0.0;
    if i < WEIGHTS {
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += parts_in[part * WEIGHTS + i];
        }
        dw[i] = sum;
    } else if i < WEIGHTS + BIASES {
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += bias_parts_in[part * BIASES + i - WEIGHTS];
        }
        db[i - WEIGHTS] = sum;
    }
}

// One invocation adds the partial sums of one weight, in order.
@compute @workgroup_size(WG)
fn grad_weight_sum(id: Invocation) {
    let i = flat_index(id);
    if i < WEIGHTS {
        var sum = 0.0;
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += parts_in[part * WEIGHTS + i];
        }
        dw[i] = sum;
    }
}
