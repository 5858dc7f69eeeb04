// The three matrix products of a convolution, out = A B, as implicit GEMMs for GPUs:
//   forward      A = patches of x [pixels, J]        B = filters [J, KG]                out = y
//   grad_input   A = patches of dy [cells, taps KG]  B = filters [taps KG, CG]          out = dx, times f' of y_in
//   grad_weight  A = dy [KG, pixels]                 B = patches of x [pixels, J]       out = dw
// J = R S CG is the number of weights of a filter. conv2d.wgsl has the formulas and layouts. A dense layer is a
// convolution of one pixel. dx is computed phase by phase: a phase is the cells of x whose row and column leave the
// same remainders when divided by the strides. The sum over A's columns and B's rows is called the reduction.
//
// A workgroup of LM x LN invocations computes a tile of BM rows x BN columns of out. Each invocation keeps TM rows x 4
// columns of it in registers. In each step of the loop the workgroup copies BK = 4 QF columns of A and BK rows of B to
// workgroup memory, as vec4s of elements that are neighbours in memory. While it multiplies, it already loads the next
// step's vec4s into registers. What lies outside of a picture, a filter or the reduction is copied as 0. Rows and
// columns past the end are computed but not stored. Where there are few tiles, the reduction is split into PARTS
// ranges, whose sums another kernel adds in order. All invocations run the same steps, so all of them reach every
// barrier.
//
// Why tiles of these sizes:
// - Global memory. A step loads 4 (BM + BN) BK bytes for 2 BM BN BK FLOPs:
//   1/16 byte a FLOP for 64 x 64, 1/21 for 128 x 64. Caches can deliver that.
// - Workgroup memory. An invocation reads 16 (TM + 4) bytes for 32 TM FLOPs: 1 byte a FLOP for 4 x 4, 3/4 for 8 x 4.
//   Most of these reads are broadcasts along a row or column of invocations.
// - Banks. Where lines lie along the reduction, they start QF + 1 vec4s apart, which is an odd number of 16-byte words
//   for even QF. So eight neighbouring invocations, which read the same column of eight lines, touch all 32 banks once.
//   Lines that lie along rows of out are read by neighbours side by side.
//
// A file that imports this one defines how a vec4 is read and
// written: x_four, w_four, dy_rows, dy_taps, dx_store, partial_store.
#import step
#import activation
#import taps

override CG: u32 = 1u;      // channels of a group
override KG: u32 = 1u;      // filters of a group that w holds
override K: u32 = 1u;       // filters of y and dy, of all groups
override FIRST_K: u32 = 0u;   // the first filter that w holds
override BIAS: u32 = 0u;    // forward: 1 adds b; 2 first multiplies the sum by one of the K factors that lie behind the K biases in b
override ADD: u32 = 0u;     // grad_input: 1 adds the result to what dx holds
override STEP_H: u32 = 1u;  // grad_input: a cell of x meets every STEP_H-th row of taps and every STEP_W-th column
override STEP_W: u32 = 1u;
override PARTS: u32 = 1u;   // how many ranges the reduction is split into
override PART: u32 = 0u;    // forward, grad_input: elements of one partial result; y or dx is then workspace that holds PARTS of them
override ROW_TILES: u32 = 1u; // forward, grad_input: tiles along the rows of out, for the planned batch
override LM: u32 = 16u;     // invocations along the rows of a tile
override LN: u32 = 16u;     // invocations along the columns of a tile
override TM: u32 = 4u;      // rows of out that an invocation computes
override TM4: u32 = 1u;     // the same in vec4s: TM / 4
override QF: u32 = 4u;      // vec4s of the reduction in one step
override A_VEC4S: u32 = 1u; // vec4s of A and B that an invocation copies in one step
override B_VEC4S: u32 = 1u;

const C: u32 = GROUPS * CG;
const J: u32 = R * S * CG;            // weights of a filter
const BM: u32 = LM * TM;
const BN: u32 = LN * 4u;
const BK: u32 = QF * 4u;
const LINE: u32 = QF + 1u;            // vec4s from the start of one line to the next, where lines lie along the reduction
const FAR: u32 = WG / QF;             // lines that a workgroup copies at once, where lines lie along the reduction
const K_ROWS: u32 = (KG + BM - 1u) / BM; // tiles that cover a group's filters as rows of out; below, as columns
const K_COLUMNS: u32 = (KG + BN - 1u) / BN;
const C_COLUMNS: u32 = (CG + BN - 1u) / BN;
const J_COLUMNS: u32 = (J + BN - 1u) / BN;

var<workgroup> tile_a: array<vec4<f32>, BM * LINE>;
var<workgroup> tile_b: array<vec4<f32>, BN * LINE>;

// The window of an output pixel: the offset in x of its picture
// and group, its first row and column (negative over padding).
struct Corner {
    at: u32,
    h: i32,
    w: i32,
}

fn corner(m: u32, g: u32) -> Corner {
    let h = i32(m / OW % OH * STRIDE_H) - i32(PAD_H);
    let w = i32(m % OW * STRIDE_W) - i32(PAD_W);
    return Corner(m / (OH * OW) * (H * W * C) + g * CG, h, w);
}

// The offset in x of channel 0 under the tap of flat weight index
// `t`. A cell outside of x is moved to the nearest one inside.
fn under(corner: Corner, t: u32) -> u32 {
    let h = corner.h + i32(t / (S * CG) * DILATION_H);
    let w = corner.w + i32(t / CG % S * DILATION_W);
    return corner.at + (u32(clamp(h, 0, i32(H) - 1)) * W + u32(clamp(w, 0, i32(W) - 1))) * C;
}

fn inside(corner: Corner, t: u32) -> bool {
    let h = corner.h + i32(t / (S * CG) * DILATION_H);
    let w = corner.w + i32(t / CG % S * DILATION_W);
    return h >= 0 && h < i32(H) && w >= 0 && w < i32(W);
}

// One part's range of a reduction of `depth` terms. All parts but the last hold whole steps of the loop.
struct Range {
    start: u32,
    length: u32,
}

fn range_of(part: u32, depth: u32) -> Range {
    let length = (depth + PARTS * BK - 1u) / (PARTS * BK) * BK;
    let start = min(min(part, PARTS) * length, depth);
    return Range(start, min(length, depth - start));
}

// One workgroup computes a tile of y: rows are pixels, columns are filters of one group.
fn forward_tile(tile: u32, lane: u32) {
    let block = tile % (GROUPS * K_COLUMNS);
    let g = block / K_COLUMNS;
    let k0 = block % K_COLUMNS * BN;
    let first = tile / (GROUPS * K_COLUMNS) % ROW_TILES * BM;
    let part = tile / (GROUPS * K_COLUMNS * ROW_TILES);
    let pixels = OH * OW * step.n;
    let range = range_of(part, select(0u, J, first < pixels));
    let q = range.start + lane % QF * 4u;
    let line = lane / QF;
#for f in 0..A_VEC4S
    let corner_$f = corner(min(first + line + $f * FAR, pixels - 1u), g);
    var a_$f = x_four(corner_$f, q);
#end
#for f in 0..B_VEC4S
    let filter_$f = g * KG + min(k0 + line + $f * FAR, KG - 1u);
    var b_$f = w_four(filter_$f, q);
#end
#for i in 0..TM
#for j in 0..4
    var sum_$i_$j = 0.0;
#end
#end
    let row = lane / LN;
    let column = lane % LN;
    for (var q0 = 0u; q0 < range.length; q0 += BK) {
        workgroupBarrier();
#for f in 0..A_VEC4S
        tile_a[(line + $f * FAR) * LINE + lane % QF] = a_$f;
#end
#for f in 0..B_VEC4S
        tile_b[(line + $f * FAR) * LINE + lane % QF] = b_$f;
#end
        workgroupBarrier();
#for f in 0..A_VEC4S
        a_$f = x_four(corner_$f, q0 + BK + q);
#end
#for f in 0..B_VEC4S
        b_$f = w_four(filter_$f, q0 + BK + q);
#end
#for u in 0..QF
        {
#for j in 0..4
            let v_$j = tile_b[(column + $j * LN) * LINE + $u];
#end
#for i in 0..TM
            let p_$i = tile_a[(row + $i * LM) * LINE + $u];
#for l in 0..4
#for j in 0..4
            sum_$i_$j += p_$i[$l] * v_$j[$l];
#end
#end
#end
        }
#end
    }
#for j in 0..4
    let k_$j = k0 + column + $j * LN;
    let y_$j = FIRST_K + g * KG + min(k_$j, KG - 1u);
    let b_column_$j = select(0.0, b[select(0u, y_$j, BIAS != 0u)], BIAS != 0u);
    let factor_$j = select(1.0, b[select(0u, K + y_$j, BIAS == 2u)], BIAS == 2u);
#end
#for i in 0..TM
    let m_$i = first + row + $i * LM;
#for j in 0..4
    if part < PARTS && m_$i < pixels && k_$j < KG {
        y[part * PART + m_$i * K + y_$j] = activate(sum_$i_$j * factor_$j + b_column_$j);
    }
#end
#end
}

const PHASES: u32 = STRIDE_H * STRIDE_W;
const PH: u32 = (H + STRIDE_H - 1u) / STRIDE_H; // rows of a phase
const PW: u32 = (W + STRIDE_W - 1u) / STRIDE_W;

// The taps that meet the cells of a phase: rows r, r + STEP_H,
// … and columns s, s + STEP_W, …, of which there are `columns`.
struct Taps {
    r: u32,
    s: u32,
    columns: u32,
    depth: u32, // terms of the reduction: taps times filters of a group
}

fn taps_of(phase_h: u32, phase_w: u32) -> Taps {
    let r = first_tap(phase_h + PAD_H, DILATION_H, STRIDE_H, STEP_H, R);
    let s = first_tap(phase_w + PAD_W, DILATION_W, STRIDE_W, STEP_W, S);
    // Without strides the number is a constant, so that compilers can divide by it with a multiplication.
    let columns = select((S - s + STEP_W - 1u) / STEP_W, S, STRIDE_W == 1u);
    return Taps(r, s, max(columns, 1u), (R - r + STEP_H - 1u) / STEP_H * columns * KG);
}

// What term `q` of the reduction is: tap (r, s), filter k of the group.
struct Tap {
    r: u32,
    s: u32,
    k: u32,
}

fn tap_of(taps: Taps, q: u32) -> Tap {
    let t = q / KG;
    return Tap(min(taps.r + t / taps.columns * STEP_H, R - 1u), min(taps.s + t % taps.columns * STEP_W, S - 1u), q % KG);
}

// A cell of x as dy sees it: the offset in dy of its picture and
// group, its row and column counted from the first cell of padding.
struct Cell {
    at: u32,
    h: i32,
    w: i32,
}

// The offset in dy of the output pixel whose tap meets a cell of
// x. A pixel outside of dy is moved to the nearest one inside.
fn over(cell: Cell, tap: Tap) -> u32 {
    let h = (cell.h - i32(tap.r * DILATION_H)) / i32(STRIDE_H);
    let w = (cell.w - i32(tap.s * DILATION_W)) / i32(STRIDE_W);
    return cell.at + (u32(clamp(h, 0, i32(OH) - 1)) * OW + u32(clamp(w, 0, i32(OW) - 1))) * K + tap.k;
}

fn meets(cell: Cell, tap: Tap) -> bool {
    let h = cell.h - i32(tap.r * DILATION_H);
    let w = cell.w - i32(tap.s * DILATION_W);
    return h >= 0 && h < i32(OH * STRIDE_H) && w >= 0 && w < i32(OW * STRIDE_W);
}

// One workgroup computes a tile of dx: rows are cells of one phase, columns
// are channels of one group. All cells of a phase meet the same taps.
fn grad_input_tile(tile: u32, lane: u32) {
    let block = tile % (GROUPS * C_COLUMNS);
    let g = block / C_COLUMNS;
    let c0 = block % C_COLUMNS * BN;
    let phase = tile / (GROUPS * C_COLUMNS * ROW_TILES) % PHASES;
    let phase_h = phase / STRIDE_W;
    let phase_w = phase % STRIDE_W;
    let first = tile / (GROUPS * C_COLUMNS) % ROW_TILES * BM;
    let part = tile / (GROUPS * C_COLUMNS * ROW_TILES * PHASES);
    let cells = PH * PW * step.n;
    let taps = taps_of(phase_h, phase_w);
    let range = range_of(part, select(0u, taps.depth, first < cells));
    let q = range.start + lane % QF * 4u;
    let line = lane / QF;
    let row = lane / LN;
    let column = lane % LN;
#for f in 0..A_VEC4S
    let m_$f = min(first + line + $f * FAR, cells - 1u);
    let cell_$f = Cell(
        m_$f / (PH * PW) * (OH * OW * K) + FIRST_K + g * KG,
        i32(m_$f / PW % PH * STRIDE_H + phase_h + PAD_H),
        i32(m_$f % PW * STRIDE_W + phase_w + PAD_W),
    );
    var a_$f = dy_taps(cell_$f, taps, q);
#end
#for f in 0..B_VEC4S
    var b_$f = w_taps(taps, range.start + row + $f * LM, g, c0 + column * 4u);
#end
#for i in 0..TM
    var sum_$i = vec4<f32>(0.0);
#end
    for (var q0 = 0u; q0 < range.length; q0 += BK) {
        workgroupBarrier();
#for f in 0..A_VEC4S
        tile_a[(line + $f * FAR) * LINE + lane % QF] = a_$f;
#end
#for f in 0..B_VEC4S
        tile_b[lane + $f * WG] = b_$f;
#end
        workgroupBarrier();
#for f in 0..A_VEC4S
        a_$f = dy_taps(cell_$f, taps, q0 + BK + q);
#end
#for f in 0..B_VEC4S
        b_$f = w_taps(taps, range.start + q0 + BK + row + $f * LM, g, c0 + column * 4u);
#end
#for u in 0..QF
        {
#for l in 0..4
            let v_$l = tile_b[($u * 4 + $l) * LN + column];
#end
#for i in 0..TM
            let p_$i = tile_a[(row + $i * LM) * LINE + $u];
#for l in 0..4
            sum_$i += p_$i[$l] * v_$l;
#end
#end
        }
#end
    }
    let c = c0 + column * 4u;
#for i in 0..TM
    {
        let m = first + row + $i * LM;
        let h = m / PW % PH * STRIDE_H + phase_h;
        let w = m % PW * STRIDE_W + phase_w;
        if part < PARTS && m < cells && h < H && w < W && c < CG {
            dx_store(part * PART + ((m / (PH * PW) * H + h) * W + w) * C + g * CG + c, CG - c, sum_$i);
        }
    }
#end
}

// Four channels of w at the filter and tap of term `q` of the reduction.
fn w_taps(taps: Taps, q: u32, g: u32, c: u32) -> vec4<f32> {
    let tap = tap_of(taps, q);
    let weights = w_four(g * KG + tap.k, (tap.r * S + tap.s) * CG + c);
    return select(vec4<f32>(0.0), weights, q < taps.depth);
}

// One workgroup computes a tile of partial[part, k, r, s, c], summed over one of PARTS ranges of the output pixels:
// rows are filters of one group, columns are weights of a filter.
fn grad_weight_tile(tile: u32, lane: u32) {
    let j0 = tile % J_COLUMNS * BN;
    let block = tile / J_COLUMNS % (GROUPS * K_ROWS);
    let part = tile / (J_COLUMNS * GROUPS * K_ROWS);
    let g = block / K_ROWS;
    let k0 = block % K_ROWS * BM;
    let pixels = OH * OW * step.n;
    let range = range_of(part, pixels);
    let start = range.start;
    let end = start + range.length;
    let row = lane / LN;
    let column = lane % LN;
    let j = j0 + column * 4u;
    // Here A's lines lie along filters: BM / 4 vec4s for each pixel.
    let k = k0 + lane % (BM / 4u) * 4u;
    let line = lane / (BM / 4u);
#for f in 0..A_VEC4S
    var a_$f = dy_rows(start + line + $f * (WG / (BM / 4u)), end, g, k);
#end
#for f in 0..B_VEC4S
    var b_$f = x_rows(start + row + $f * LM, end, g, j);
#end
#for i in 0..TM4
#for l in 0..4
    var sum_$i_$l = vec4<f32>(0.0);
#end
#end
    for (var m0 = start; m0 < end; m0 += BK) {
        workgroupBarrier();
#for f in 0..A_VEC4S
        tile_a[lane + $f * WG] = a_$f;
#end
#for f in 0..B_VEC4S
        tile_b[lane + $f * WG] = b_$f;
#end
        workgroupBarrier();
#for f in 0..A_VEC4S
        a_$f = dy_rows(m0 + BK + line + $f * (WG / (BM / 4u)), end, g, k);
#end
#for f in 0..B_VEC4S
        b_$f = x_rows(m0 + BK + row + $f * LM, end, g, j);
#end
#for u in 0..QF
#for l in 0..4
        {
            let v = tile_b[($u * 4 + $l) * LN + column];
#for i in 0..TM4
            let p_$i = tile_a[($u * 4 + $l) * (BM / 4u) + row + $i * LM];
#for e in 0..4
            sum_$i_$e += p_$i[$e] * v;
#end
#end
        }
#end
#end
    }
    if part < PARTS && j < J {
#for i in 0..TM4
#for l in 0..4
        {
            let k_row = k0 + (row + $i * LM) * 4u + $l;
            if k_row < KG {
                partial_store(((part * GROUPS + g) * KG + k_row) * J + j, J - j, sum_$i_$l);
            }
        }
#end
#end
    }
}

// x under four neighbouring weights of a filter, for the window of pixel `m`; 0 for m >= end.
fn x_rows(m: u32, end: u32, g: u32, j: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), x_four(corner(min(m, OH * OW * step.n - 1u), g), j), m < end);
}
