// Convolution of few channels for software adapters (conv2d.wgsl has the formulas; GROUPS and dilations are 1). Operands come from
// textures (lib/texel.wgsl), rows of x as they lie in memory, without a pixel's channels being padded. One workgroup is one subgroup of
// 8 lanes, and a lane takes TP neighbouring cells of a row of y, a stretch, so that what it loads of a row of x serves all taps of each:
//   products:     8 stretches x KT filters, a lane loading the weights of one filter, which are handed round by subgroupShuffle;
//   forward:      y from x and w;
//   forward_held: the same where kernels are small: a lane loads all rows of x under its cells once, for all filters, four after four;
//   forward_each: the same with the sums of one filter at a time, where four of them are too much code;
//   grad_input:   dx from dy in the place of x and turned weights in the place of w (stride 1);
//   grad_weight:  KT filters x RT rows of taps, sums over a part of the stretches, first within each lane.
// A row of x is loaded CC channels of its pixels at a time: all, or four. Stretches past the end are the last one, computed and
// stored again (grad_weight: counted as 0). The order of sums is fixed.
#import step
#import activation
#import texel
#import taps

override C: u32 = 4u;       // channels of x
override K: u32 = 1u;       // channels of y
override CC: u32 = 4u;      // channels of a step: C or 4
override TP: u32 = 1u;      // cells of a stretch, whose windows lie whole texels of x apart from those of the next
override KT: u32 = 1u;      // filters of a tile
override RT: u32 = 1u;      // grad_weight: rows of taps of a tile
override BIAS: u32 = 0u;    // 1: add b; 2: b holds K factors behind, by which sums are multiplied first; grad_weight: sum dy too
override PARTS: u32 = 1u;   // grad_weight: partial sums
override SPREAD: u32 = 0u;  // products: 1: neighbouring lanes take the same stretch of several images, 0: stretches of an image
override LEAD: u32 = 0u;    // texels from the first window's start to the row's, rounded up: PAD_W CC / 4
override T: u32 = 1u;       // texels of x under the windows of TP cells
override WT: u32 = 1u;      // texels of a row of taps; of held rows: of the weights of KT filters
override TERMS: u32 = 1u;   // elements of a row of taps: S CC
override EIGHTS: u32 = 1u;  // grad_weight: TERMS / 8, rounded up
override DT: u32 = 1u;      // fours of a tile of y or dy: TP KT / 4
override HT: u32 = 1u;      // of held rows: texels of x under TP cells: R T
override TAPS: u32 = 1u;    // the same: weights of a filter: R S C
override LW: u32 = 1u;      // the same: WT / 8, rounded up

const STEPS: u32 = C / CC;
const TILES: u32 = OW / TP;
const K_TILES: u32 = (K + KT - 1u) / KT;
const SKIP: u32 = 4u * LEAD - PAD_W * CC; // elements of x loaded before the first window
const AHEAD: u32 = TP * STRIDE_W * CC;    // elements from one tile's first window to the next's
const ROW: u32 = W * CC / 4u;             // texels of a row of x, those of one step

@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;

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

// Adds to each sum the products of a row of taps of one filter with a window.
fn add_taps(sum: ptr<function, array<f32, TP>>, taps: array<f32, TERMS>) {
#for j in 0..TERMS
#for p in 0..TP
    (*sum)[$p] += row[(SKIP + $pu * STRIDE_W * CC + $ju) / 4u][(SKIP + $pu * STRIDE_W * CC + $ju) % 4u] * taps[$j];
#end
#end
}

// Where a lane's sums belong: its row of y, the first column, the first filter.
struct Place {
    row: u32,
    column: u32,
    k: u32,
}

fn place(tile: u32, lane: u32) -> Place {
    let stretch = stretch_of(min(tile / K_TILES * 8u + lane, OH * TILES * step.n - 1u));
    return Place(stretch / TILES, stretch % TILES * TP, tile % K_TILES * KT);
}

// Which stretch of the batch is number `i` in the order of lanes.
fn stretch_of(i: u32) -> u32 {
    switch SPREAD {
        case 1u: { return i % step.n * (OH * TILES) + i / step.n; }
        default: { return i; }
    }
}

// The rows of taps that the stretches of a tile have inside: the first, and the one behind the last.
fn rows_of_tile(tile: u32) -> vec2<u32> {
    switch SPREAD {
        case 1u: { return rows_inside(tile / K_TILES * 8u, min(tile / K_TILES * 8u + 7u, OH * TILES * step.n - 1u)); }
        default: { return vec2<u32>(0u, R); }
    }
}

fn rows_inside(first: u32, last: u32) -> vec2<u32> {
    return inside_axis(first / step.n / TILES * STRIDE_H, last / step.n / TILES * STRIDE_H, 1u, R, PAD_H, H);
}

var<private> sums: array<array<f32, TP>, KT>;

fn products(tile: u32, at: Place, lane: u32) {
    let n = at.row / OH;
    let top = i32(at.row % OH * STRIDE_H) - i32(PAD_H);
    let left = i32(at.column / TP * (AHEAD / 4u)) - i32(LEAD);
    let mine = min(at.k + min(lane, KT - 1u), K - 1u);
#for f in 0..KT
    var sum_$f = array<f32, TP>();
#end
    let rows = rows_of_tile(tile);
    for (var r = rows.x; r < rows.y; r += 1u) {
        for (var c = 0u; c < STEPS; c += 1u) {
            load_row(n, top + i32(r), left, c);
#for t in 0..WT
            let w_$t = textureLoad(w, texel(FIRST + ((mine * R + r) * WT + $tu) * STEPS + c));
#end
#for f in 0..KT
#for t in 0..WT
            let taps_$f_$t = subgroupShuffle(w_$t, $fu);
#end
            let taps_$f = array<vec4<f32>, WT>(
#for t in 0..WT
                taps_$f_$t,
#end
            );
            add_taps(&sum_$f, array<f32, TERMS>(
#for j in 0..TERMS
                taps_$f[$ju / 4u][$ju % 4u],
#end
            ));
#end
        }
    }
#for f in 0..KT
    sums[$f] = sum_$f;
#end
}

// Where in fours the outputs of a tile begin, the filters of a cell together, and where number `q` of them lies.
fn begin(at: Place) -> u32 {
    let cell = at.row * OW + at.column;
    return select(cell * K / 4u, cell * (K / 4u) + at.k / 4u, K > KT);
}

fn four(q: u32) -> u32 {
    return select(q, q / max(KT / 4u, 1u) * (K / 4u) + q % max(KT / 4u, 1u), K > KT);
}

@group(0) @binding(3) var<storage, read> b: array<f32>; // without a bias any buffer, ignored
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> y4: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group, groups);
    if tile / K_TILES * 8u >= OH * TILES * step.n {
        return;
    }
    let at = place(tile, lane);
    products(tile, at, lane);
#for f in 0..KT
    if K % KT == 0u || at.k + $fu < K {
        let to = (at.row * OW + at.column) * K + at.k + $fu;
#for p in 0..TP
        y[to + $pu * K] = activate(sums[$f][$p] * factor(at.k + $fu) + bias(at.k + $fu));
#end
    }
#end
}

fn bias(k: u32) -> f32 {
    return select(0.0, b[select(0u, k, BIAS != 0u)], BIAS != 0u);
}

fn factor(k: u32) -> f32 {
    return select(1.0, b[select(0u, K + k, BIAS == 2u)], BIAS == 2u);
}

// The same where outputs of a tile lie in fours.
@compute @workgroup_size(WG)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group, groups);
    if tile / K_TILES * 8u >= OH * TILES * step.n {
        return;
    }
    let at = place(tile, lane);
    products(tile, at, lane);
    let added = array<f32, KT>(
#for f in 0..KT
        bias(at.k + $fu),
#end
    );
    let factors = array<f32, KT>(
#for f in 0..KT
        factor(at.k + $fu),
#end
    );
    let to = begin(at);
#for q in 0..DT
    y4[to + four($qu)] = activate4(vec4<f32>(
#for i in 0..4
        sums[(4u * $qu + $iu) % KT][(4u * $qu + $iu) / KT % TP] * factors[(4u * $qu + $iu) % KT] + added[(4u * $qu + $iu) % KT],
#end
    ));
#end
}

var<private> held: array<vec4<f32>, HT>;

// Loads all rows of x under the windows of a stretch.
fn hold(stretch: u32) {
    let m = stretch / TILES;
    let top = i32(m % OH * STRIDE_H) - i32(PAD_H);
    let left = i32(stretch % TILES * (AHEAD / 4u)) - i32(LEAD);
#for r in 0..R
    load_row(m / OH, top + $r, left, 0u);
#for j in 0..T
    held[$ru * T + $ju] = row[$j];
#end
#end
}

// The weights of filters k KT and on.
fn weights(k: u32, lane: u32) -> array<vec4<f32>, WT> {
#for i in 0..LW
    let mine_$i = textureLoad(w, texel(FIRST + k * WT + min($iu * 8u + lane, WT - 1u)));
#end
    let mine = array<vec4<f32>, LW>(
#for i in 0..LW
        mine_$i,
#end
    );
    return array<vec4<f32>, WT>(
#for t in 0..WT
        subgroupShuffle(mine[$tu / 8u], $tu % 8u),
#end
    );
}

// What lane 0 to 3 have.
fn four_lanes(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupShuffle(v, 0u), subgroupShuffle(v, 1u), subgroupShuffle(v, 2u), subgroupShuffle(v, 3u));
}

@compute @workgroup_size(WG)
fn forward_held(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group, groups);
    if tile * 8u >= OH * TILES * step.n {
        return;
    }
    let stretch = min(tile * 8u + lane, OH * TILES * step.n - 1u);
    hold(stretch);
    let to = stretch * TP * (K / 4u);
    for (var k = 0u; k < K / 4u; k += 1u) {
        var taps = weights(k, lane);
        let biases = four_lanes(bias(4u * k + min(lane, 3u)));
        let factors = four_lanes(factor(4u * k + min(lane, 3u)));
#for f in 0..4
        var sum_$f = array<f32, TP>();
#for r in 0..R
#for j in 0..T
        row[$j] = held[$ru * T + $ju];
#end
        add_taps(&sum_$f, array<f32, TERMS>(
#for j in 0..TERMS
            taps[($fu * TAPS + $ru * TERMS + $ju) / 4u][($fu * TAPS + $ru * TERMS + $ju) % 4u],
#end
        ));
#end
#end
#for p in 0..TP
        y4[to + $pu * (K / 4u) + k] = activate4(vec4<f32>(
#for f in 0..4
            sum_$f[$p],
#end
        ) * factors + biases);
#end
    }
}

@compute @workgroup_size(WG)
fn forward_each(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group, groups);
    if tile * 8u >= OH * TILES * step.n {
        return;
    }
    let stretch = min(tile * 8u + lane, OH * TILES * step.n - 1u);
    hold(stretch);
    let to = stretch * TP * (K / 4u);
    for (var k = 0u; k < K / 4u; k += 1u) {
#for p in 0..TP
        var four_$p = vec4<f32>();
#end
        for (var f = 0u; f < 4u; f += 1u) {
            var taps = weights(4u * k + f, lane);
            var sum = array<f32, TP>();
#for r in 0..R
#for j in 0..T
            row[$j] = held[$ru * T + $ju];
#end
            add_taps(&sum, array<f32, TERMS>(
#for j in 0..TERMS
                taps[($ru * TERMS + $ju) / 4u][($ru * TERMS + $ju) % 4u],
#end
            ));
#end
#for p in 0..TP
            four_$p = select(four_$p, vec4<f32>(sum[$p]), vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(f));
#end
        }
        let biases = four_lanes(bias(4u * k + min(lane, 3u)));
        let factors = four_lanes(factor(4u * k + min(lane, 3u)));
#for p in 0..TP
        y4[to + $pu * (K / 4u) + k] = activate4(four_$p * factors + biases);
#end
    }
}

@group(0) @binding(3) var<storage, read> y_in: array<f32>; // without an activation before any buffer, ignored
@group(0) @binding(3) var<storage, read> y_in4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx4: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn grad_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group, groups);
    if tile / K_TILES * 8u >= OH * TILES * step.n {
        return;
    }
    let at = place(tile, lane);
    products(tile, at, lane);
#for f in 0..KT
    if K % KT == 0u || at.k + $fu < K {
        let to = (at.row * OW + at.column) * K + at.k + $fu;
#for p in 0..TP
        dx[to + $pu * K] = sums[$f][$p] * activate_grad(y_in[select(0u, to + $pu * K, ACTIVATION != 0u)]);
#end
    }
#end
}

@compute @workgroup_size(WG)
fn grad_input_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group, groups);
    if tile / K_TILES * 8u >= OH * TILES * step.n {
        return;
    }
    let at = place(tile, lane);
    products(tile, at, lane);
    let to = begin(at);
#for q in 0..DT
    dx4[to + four($qu)] = activate_grad4(y_in4[select(0u, to + four($qu), ACTIVATION != 0u)]) * vec4<f32>(
#for i in 0..4
        sums[(4u * $qu + $iu) % KT][(4u * $qu + $iu) / KT % TP],
#end
    );
#end
}

@group(0) @binding(1) var<storage, read> w_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> turned: array<f32>;

// One invocation moves one element: turned[k, r, (s, c)] = w[c, R-1-r, S-1-s, k], rows of taps in whole texels. K and C are those of the
// convolution that computes dx: channels and filters of the one that w belongs to.
@compute @workgroup_size(WG)
fn turn(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    let j = i % (4u * WT * STEPS);
    let r = i / (4u * WT * STEPS) % R;
    let k = i / (4u * WT * STEPS * R);
    if k < K {
        let real = j < S * C;
        let s = S - 1u - min(j / C, S - 1u);
        turned[i] = select(0.0, w_in[((j % C * R + (R - 1u - r)) * S + s) * K + k], real);
    }
}

@group(0) @binding(2) var dy: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;
@group(0) @binding(4) var<storage, read_write> bias_partial: array<f32>; // without a bias nothing is written

var<private> cells: array<vec4<f32>, DT>;

// Adds to sum j the products of TP cells of dy with what tap j of each meets.
fn add_cells(sum: ptr<function, array<f32, TERMS>>, mine: array<f32, TP>) {
#for j in 0..TERMS
#for p in 0..TP
    (*sum)[$j] += mine[$p] * row[(SKIP + $pu * STRIDE_W * CC + $ju) / 4u][(SKIP + $pu * STRIDE_W * CC + $ju) % 4u];
#end
#end
}

fn across(v: f32) -> f32 {
    return ((subgroupShuffle(v, 0u) + subgroupShuffle(v, 1u)) + (subgroupShuffle(v, 2u) + subgroupShuffle(v, 3u)))
        + ((subgroupShuffle(v, 4u) + subgroupShuffle(v, 5u)) + (subgroupShuffle(v, 6u) + subgroupShuffle(v, 7u)));
}

// The sum over all lanes of the value whose number is the lane's.
fn totals(lane: u32, v0: f32, v1: f32, v2: f32, v3: f32, v4: f32, v5: f32, v6: f32, v7: f32) -> f32 {
    let low = select(select(across(v0), across(v1), lane == 1u), select(across(v2), across(v3), lane == 3u), lane >= 2u);
    let high = select(select(across(v4), across(v5), lane == 5u), select(across(v6), across(v7), lane == 7u), lane >= 6u);
    return select(low, high, lane >= 4u);
}

@compute @workgroup_size(WG)
fn grad_weight(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = group_index(group, groups);
    let k0 = tile % K_TILES * KT;
    let c = tile / K_TILES % STEPS;
    let r0 = tile / (K_TILES * STEPS) % (R / RT) * RT;
    let part = tile / (K_TILES * STEPS * (R / RT));
    if part >= PARTS {
        return;
    }
#for f in 0..KT
    var bias_$f = 0.0;
#for r in 0..RT
    var sum_$f_$r = array<f32, TERMS>();
#end
#end
    let rows = OH * step.n;
    let blocks = (rows * TILES + 7u) / 8u;
    let length = (blocks + PARTS - 1u) / PARTS;
    let end = min(part * length + length, blocks);
    for (var block = part * length; block < end; block += 1u) {
        let stretch = block * 8u + lane;
        let m = min(stretch / TILES, rows - 1u);
        let n = m / OH;
        let top = i32(m % OH * STRIDE_H) - i32(PAD_H);
        let left = i32(stretch % TILES * (AHEAD / 4u)) - i32(LEAD);
        let first = FIRST + begin(Place(m, stretch % TILES * TP, k0));
#for j in 0..DT
        cells[$j] = textureLoad(dy, texel(select(ZERO, first + four($ju), stretch < rows * TILES)));
#end
#for f in 0..KT
#for p in 0..TP
        bias_$f += cells[($pu * KT + $fu) / 4u][($pu * KT + $fu) % 4u];
#end
#end
#for r in 0..RT
        load_row(n, top + i32(r0 + $ru), left, c);
#for f in 0..KT
        add_cells(&sum_$f_$r, array<f32, TP>(
#for p in 0..TP
            cells[($pu * KT + $fu) / 4u][($pu * KT + $fu) % 4u],
#end
        ));
#end
#end
    }
    // Each lane stores a term of each 8.
#for f in 0..KT
#for r in 0..RT
    {
        let to = ((part * K + k0 + $fu) * R + r0 + $ru) * (S * C) + c * CC;
#for i in 0..EIGHTS
        {
            let total = totals(lane
#for l in 0..8
                , sum_$f_$r[min(8u * $iu + $lu, TERMS - 1u)]
#end
            );
            let j = 8u * $iu + lane;
            if j < TERMS {
                partial[to + j / CC * C + j % CC] = total;
            }
        }
#end
    }
#end
#end
    if BIAS != 0u && r0 == 0u && c == 0u {
#for f in 0..KT
        let total_$f = across(bias_$f);
        if lane == 0u {
            bias_partial[part * K + k0 + $fu] = total_$f;
        }
#end
    }
}
