// What conv2d_rows.wgsl and conv2d_rows_weight.wgsl share: convolutions of few channels for software adapters. They
// have one group and no dilation. Operands come from textures (lib/texel.wgsl). Rows of x lie there as in memory: a
// pixel's channels are not padded. One workgroup is one subgroup of LANES lanes. A lane takes a stretch: TP
// neighbouring cells of a row of y.
// What it loads of a row of x then serves all taps of all of these cells. In the *wide* kernels all lanes take the same
// stretch, and each lane has filters of its own. A step of the loop takes CC channels of each pixel: all, or four.
#import step
#import activation
#import texel
#import taps

override LANES: u32 = 8u;   // lanes of a subgroup, which is a workgroup
override C: u32 = 4u;       // channels of x
override K: u32 = 1u;       // channels of y
override CC: u32 = 4u;      // channels of one step: C or 4
override TP: u32 = 1u;      // cells of a stretch. From one stretch to the next, the window moves by whole texels of x
override KT: u32 = 1u;      // filters of a tile
override BIAS: u32 = 0u;    // 1 adds b; 2 first multiplies by one of the K factors behind the K biases in b; grad_weight: 1 also sums dy
override LEAD: u32 = 0u;    // texels of left padding: PAD_W CC / 4, rounded up
override T: u32 = 1u;       // texels of a row of x under the windows of TP cells
override TERMS: u32 = 1u;   // weights in one row of taps and one step: S CC
override DT: u32 = 1u;      // elements of a stretch's tile of y or dy: TP KT / L
override XT: u32 = 1u;      // wide: texels of x under a stretch, in all rows of taps
override XL: u32 = 1u;      // wide: how many of these texels each lane loads: XT / LANES, rounded up

const STEPS: u32 = C / CC;
const TILES: u32 = OW / TP;
const K_TILES: u32 = (K + KT - 1u) / KT;
const SKIP: u32 = 4u * LEAD - PAD_W * CC; // elements that are loaded before the first window begins
const AHEAD: u32 = TP * STRIDE_W * CC;    // elements of x from a stretch's first window to the next stretch's
const ROW: u32 = W * CC / 4u;             // texels of a row of x in one step

@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;

// The part of one row of x that the windows of a lane's cells cover.
var<private> row: array<vec4<f32>, T>;

// Loads texels `left` … left + T - 1 of row h of image n into
// `row`. If CC is 4, of channels 4 c … 4 c + 3. Padding is 0.
fn load_row(n: u32, h: i32, left: i32, c: u32) {
    let inside = h >= 0 && h < i32(H);
    let base = FIRST + (n * H + u32(h)) * (ROW * STEPS) + c;
#for j in 0..T
    row[$j] = textureLoad(x, texel(select(ZERO, base + u32(left + $j) * STEPS, inside && u32(left + $j) < ROW)));
#end
}

// Where a lane's sums belong: the row of y (counted over the batch), the first column, the first filter.
struct Place {
    row: u32,
    column: u32,
    k: u32,
}

// `begin`: the first element of a tile in y or dy. `element_at`: how far element `q` of the tile lies behind that one.
// If one tile holds all filters, its outputs lie together; else the filters of each cell do.
fn begin(at: Place) -> u32 {
    let cell = at.row * OW + at.column;
    return select(cell * K / L, cell * (K / L) + at.k / L, K > KT);
}

fn element_at(q: u32) -> u32 {
    return select(q, q / max(KT / L, 1u) * (K / L) + q % max(KT / L, 1u), K > KT);
}

var<private> xs: array<vec4<f32>, XT>;

// Loads the texels of x under a stretch into `xs`. The lanes share the loads. Row `r` of the window begins at xs[r T].
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
