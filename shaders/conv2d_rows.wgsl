// Convolution of few channels for software adapters. conv2d.wgsl
// has the formulas; lib/rows.wgsl says what a lane takes.
// - products: y from x and w; or, where OUT is 1, dx of a convolution of stride 1, with dy in
//   the place of x and turned weights in that of w. A tile is LANES stretches x KT filters.
//   Each lane loads the weights of one filter, and subgroupShuffle hands them round.
// - forward_held: y, where kernels are small. A lane loads all rows of x
//   under its cells once, for all filters, and takes four filters at a time.
// - forward_each: the same, but with one filter at a time, where the code for four would be too long.
// - forward_wide: y, where kernels are small and there are up to 4 LANES filters. Each lane has four filters of its own
//   and keeps their weights. All lanes take the same RUN stretches, one after the other.
//
// Past the end, the last stretch is computed and stored again. The order of sums is fixed.
#import rows

override SPREAD: u32 = 0u;  // products: 1: neighbouring lanes take the same stretch of several images; 0: they take stretches of one image
override OUT: u32 = 0u;     // products: 0 computes y, 1 computes dx
override WT: u32 = 1u;      // products: texels of the weights in a row of taps; forward_held, forward_each: of the weights of KT filters
override RUN: u32 = 1u;     // forward_wide: stretches of a workgroup
override HT: u32 = 1u;      // forward_held, forward_each: texels of x that a lane holds: R T
override TAPS: u32 = 1u;    // weights of a filter: R S C
override LW: u32 = 1u;      // forward_held, forward_each: WT / LANES, rounded up

@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;

// Adds to the sum of each cell the products of one row of taps of one filter.
fn add_taps(sum: ptr<function, array<f32, TP>>, taps: array<f32, TERMS>) {
#for j in 0..TERMS
#for p in 0..TP
    (*sum)[$p] += row[(SKIP + $pu * STRIDE_W * CC + $ju) / 4u][(SKIP + $pu * STRIDE_W * CC + $ju) % 4u] * taps[$j];
#end
#end
}

fn place(tile: u32, lane: u32) -> Place {
    let stretch = stretch_of(min(tile / K_TILES * LANES + lane, OH * TILES * step.n - 1u));
    return Place(stretch / TILES, stretch % TILES * TP, tile % K_TILES * KT);
}

// The number of a stretch in the batch, if `i` is its number in the order of lanes.
fn stretch_of(i: u32) -> u32 {
    switch SPREAD {
        case 1u: { return i % step.n * (OH * TILES) + i / step.n; }
        default: { return i; }
    }
}

// The rows of taps that lie inside of x for at least one stretch of a tile: the first, and the one behind the last.
fn rows_of_tile(tile: u32) -> vec2<u32> {
    switch SPREAD {
        case 1u: { return rows_inside(tile / K_TILES * LANES, min(tile / K_TILES * LANES + LANES - 1u, OH * TILES * step.n - 1u)); }
        default: { return vec2<u32>(0u, R); }
    }
}

fn rows_inside(first: u32, last: u32) -> vec2<u32> {
    return inside_axis(first / step.n / TILES * STRIDE_H, last / step.n / TILES * STRIDE_H, 1u, R, PAD_H, H);
}

var<private> sums: array<array<f32, TP>, KT>;

fn add_up(tile: u32, at: Place, lane: u32) {
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

@compute @workgroup_size(WG)
fn products(id: Invocation) {
    let lane = id.local;
    let tile = group_index(id);
    if tile / K_TILES * LANES >= OH * TILES * step.n {
        return;
    }
    let at = place(tile, lane);
    add_up(tile, at, lane);
    put(at);
}

@group(0) @binding(3) var<storage, read> b: array<f32>; // without a bias, any buffer is bound and ignored
@group(0) @binding(4) var<storage, read_write> y: array<F>;

fn bias(k: u32) -> f32 {
    return select(0.0, b[select(0u, k, BIAS != 0u)], BIAS != 0u);
}

fn factor(k: u32) -> f32 {
    return select(1.0, b[select(0u, K + k, BIAS == 2u)], BIAS == 2u);
}

// Whether element `q` of a tile belongs to a filter. The last tile may have fewer filters.
fn is_real(at: Place, q: u32) -> bool {
    return K % KT == 0u || at.k + L * q % KT < K;
}

fn put_y(at: Place) {
    let added = array<f32, KT>(
#for f in 0..KT
        bias(min(at.k + $fu, K - 1u)),
#end
    );
    let factors = array<f32, KT>(
#for f in 0..KT
        factor(min(at.k + $fu, K - 1u)),
#end
    );
    let to = begin(at);
#for q in 0..DT
    if is_real(at, $qu) {
        y[to + element_at($qu)] = activate_lanes(F(
#for i in 0..L
            sums[(L * $qu + $iu) % KT][(L * $qu + $iu) / KT % TP] * factors[(L * $qu + $iu) % KT] + added[(L * $qu + $iu) % KT],
#end
        ));
    }
#end
}

@group(0) @binding(3) var<storage, read> y_in: array<F>; // if no activation made x, any buffer is bound and ignored
@group(0) @binding(4) var<storage, read_write> dx: array<F>;

fn put_dx(at: Place) {
    let to = begin(at);
#for q in 0..DT
    if is_real(at, $qu) {
        dx[to + element_at($qu)] = activate_grad_lanes(y_in[select(0u, to + element_at($qu), ACTIVATION != 0u)]) * F(
#for i in 0..L
            sums[(L * $qu + $iu) % KT][(L * $qu + $iu) / KT % TP],
#end
        );
    }
#end
}

// Stores the sums of TP cells.
fn put(at: Place) {
    switch OUT {
        case 0u: { put_y(at); }
        default: { put_dx(at); }
    }
}

@group(0) @binding(4) var<storage, read_write> y4: array<vec4<f32>>;

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

// The weights of KT filters, from filter k KT on.
fn weights(k: u32, lane: u32) -> array<vec4<f32>, WT> {
#for i in 0..LW
    let mine_$i = textureLoad(w, texel(FIRST + k * WT + min($iu * LANES + lane, WT - 1u)));
#end
    let mine = array<vec4<f32>, LW>(
#for i in 0..LW
        mine_$i,
#end
    );
    return array<vec4<f32>, WT>(
#for t in 0..WT
        subgroupShuffle(mine[$tu / LANES], $tu % LANES),
#end
    );
}

// The values of the lanes 0 to 3.
fn four_lanes(v: f32) -> vec4<f32> {
    return vec4<f32>(subgroupShuffle(v, 0u), subgroupShuffle(v, 1u), subgroupShuffle(v, 2u), subgroupShuffle(v, 3u));
}

@compute @workgroup_size(WG)
fn forward_held(id: Invocation) {
    let lane = id.local;
    let tile = group_index(id);
    if tile * LANES >= OH * TILES * step.n {
        return;
    }
    let stretch = min(tile * LANES + lane, OH * TILES * step.n - 1u);
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
fn forward_each(id: Invocation) {
    let lane = id.local;
    let tile = group_index(id);
    if tile * LANES >= OH * TILES * step.n {
        return;
    }
    let stretch = min(tile * LANES + lane, OH * TILES * step.n - 1u);
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

var<private> filters: array<vec4<f32>, TAPS>; // of each tap, the weights of the lane's four filters

fn dot_wide(met: array<f32, TAPS>) -> vec4<f32> {
    var sum = vec4<f32>();
#for t in 0..TAPS
    sum += filters[$t] * met[$t];
#end
    return sum;
}

@compute @workgroup_size(WG)
fn forward_wide(id: Invocation) {
    let lane = id.local;
    let k = lane * 4u;
    let k4 = min(k, K - 4u);
#for t in 0..TAPS
    filters[$t] = textureLoad(w, texel(FIRST + ($tu * K + k4) / 4u));
#end
    let biases = vec4<f32>(bias(k4), bias(k4 + 1u), bias(k4 + 2u), bias(k4 + 3u));
    let factors = vec4<f32>(factor(k4), factor(k4 + 1u), factor(k4 + 2u), factor(k4 + 3u));
    let first = group_index(id) * RUN;
    for (var stretch = first; stretch < min(first + RUN, OH * TILES * step.n); stretch += 1u) {
        let m = stretch / TILES;
        load_rows(m / OH, i32(m % OH * STRIDE_H) - i32(PAD_H), i32(stretch % TILES * (AHEAD / 4u)) - i32(LEAD), 0u, lane);
#for p in 0..TP
        let sum_$p = dot_wide(array<f32, TAPS>(
#for r in 0..R
#for j in 0..TERMS
            xs[$ru * T + (SKIP + $pu * STRIDE_W * CC + $ju) / 4u][(SKIP + $pu * STRIDE_W * CC + $ju) % 4u],
#end
#end
        ));
#end
        if k < K {
            let to = (stretch * TP * K + k) / 4u;
#for p in 0..TP
            y4[to + $pu * (K / 4u)] = activate4(sum_$p * factors + biases);
#end
        }
    }
}

@group(0) @binding(1) var<storage, read> w_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> turned: array<f32>;

// One invocation moves one weight: turned[TAPS, K] from w_in [K, TAPS].
@compute @workgroup_size(WG)
fn transpose(id: Invocation) {
    let i = flat_index(id);
    if i < K * TAPS {
        turned[i] = w_in[i % K * TAPS + i / K];
    }
}

// One invocation moves one weight: turned[k, r, (s, c)] = w[c, R-1-r, S-1-s, k].
// A row of taps fills whole texels. K and C are those of the convolution that
// computes dx: the channels and the filters of the convolution that w belongs to.
@compute @workgroup_size(WG)
fn turn(id: Invocation) {
    let i = flat_index(id);
    let j = i % (4u * WT * STEPS);
    let r = i / (4u * WT * STEPS) % R;
    let k = i / (4u * WT * STEPS * R);
    if k < K {
        let real = j < S * C;
        let s = S - 1u - min(j / C, S - 1u);
        turned[i] = select(0.0, w_in[((j % C * R + (R - 1u - r)) * S + s) * K + k], real);
    }
}
