// What conv2d_rows.wgsl and conv2d_rows_weight.wgsl share: convolutions of few channels, of one group and without dilation, for software
// adapters. Operands come from textures (lib/texel.wgsl), rows of x as they lie in memory, without a pixel's channels being padded. One
// workgroup is one subgroup of LANES lanes, and a lane takes TP neighbouring cells of a row of y, a stretch, so that what it loads of a row
// of x serves all taps of each; wide kernels have all lanes take the same stretch, for filters of their own. A row is loaded CC channels
// of its pixels at a time: all, or four.
#import step
#import activation
#import texel
#import taps

override LANES: u32 = 8u;   // of a subgroup, which is a workgroup
override C: u32 = 4u;       // channels of x
override K: u32 = 1u;       // channels of y
override CC: u32 = 4u;      // channels of a step: C or 4
override TP: u32 = 1u;      // cells of a stretch, whose windows lie whole texels of x apart from those of the next
override KT: u32 = 1u;      // filters of a tile
override BIAS: u32 = 0u;    // 1: add b; 2: b holds K factors behind, by which sums are multiplied first; grad_weight: sum dy too
override LEAD: u32 = 0u;    // texels from the first window's start to the row's, rounded up: PAD_W CC / 4
override T: u32 = 1u;       // texels of x under the windows of TP cells
override TERMS: u32 = 1u;   // elements of a row of taps: S CC
override DT: u32 = 1u;      // elements of a tile of y or dy: TP KT / L
override XT: u32 = 1u;      // wide: texels of x of a stretch, all rows
override XL: u32 = 1u;      // wide: those by lanes: XT / LANES, rounded up

const STEPS: u32 = C / CC;
const TILES: u32 = OW / TP;
const K_TILES: u32 = (K + KT - 1u) / KT;
const SKIP: u32 = 4u * LEAD - PAD_W * CC; // elements of x loaded before the first window
const AHEAD: u32 = TP * STRIDE_W * CC;    // elements from one tile's first window to the next's
const ROW: u32 = W * CC / 4u;             // texels of a row of x, those of one step

@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;

// Of x, what the windows of a lane's cells cover.
var<private> row: array<vec4<f32>, T>;

// Texels `left` and on of row h of image n: channels 4 c and on where a step has four.
fn load_row(n: u32, h: i32, left: i32, c: u32) {
    let inside = h >= 0 && h < i32(H);
    let base = FIRST + (n * H + u32(h)) * (ROW * STEPS) + c;
#for j in 0..T
    row[$j] = textureLoad(x, texel(select(ZERO, base + u32(left + $j) * STEPS, inside && u32(left + $j) < ROW)));
#end
}

// Where a lane's sums belong: its row of y, the first column, the first filter.
struct Place {
    row: u32,
    column: u32,
    k: u32,
}

// At which element the outputs of a tile begin, the filters of a cell together, and where number `q` of them lies.
fn begin(at: Place) -> u32 {
    let cell = at.row * OW + at.column;
    return select(cell * K / L, cell * (K / L) + at.k / L, K > KT);
}

fn element_at(q: u32) -> u32 {
    return select(q, q / max(KT / L, 1u) * (K / L) + q % max(KT / L, 1u), K > KT);
}

var<private> xs: array<vec4<f32>, XT>;

// The texels of x under a stretch, loaded by the lanes together: row `r` of them begins at number r T.
fn load_rows(n: u32, top: i32, left: i32, c: u32, lane: u32) {
#for i in 0..XL
    let t_$i = min($iu * LANES + lane, XT - 1u);
    let h_$i = top + i32(t_$i / T);
    let w_$i = u32(left + i32(t_$i % T));
    let at_$i = FIRST + ((n * H + u32(h_$i)) * ROW + w_$i) * STEPS + c;
    let mine_$i = textureLoad(x, texel(select(ZERO, at_$i, u32(h_$i) < H && w_$i < ROW)));
#end
    let mine = array<vec4<f32>, XL>(
#for i in 0..XL
        mine_$i,
#end
    );
#for t in 0..XT
    xs[$t] = subgroupShuffle(mine[$tu / LANES], $tu % LANES);
#end
}
