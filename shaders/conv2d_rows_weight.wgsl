// dw of a convolution of few channels, for software adapters. conv2d.wgsl has the formulas; lib/rows.wgsl says what a
// lane takes. Each workgroup sums over a part of the stretches, in a fixed order.
// - grad_weight: KT filters x RT rows of taps. Each lane sums over stretches of its own; at the end come sums over the
//   lanes. Stretches past the end count as 0.
// - grad_weight_wide: the same where there are many filters. Each lane
//   has four filters of its own, and all lanes take the same stretch.
#import rows

override RT: u32 = 1u;      // rows of taps of a tile
override PARTS: u32 = 1u;   // number of partial sums
override QUADS: u32 = 2u;   // LANES / 4
override SHARES: u32 = 1u;  // TERMS / LANES, rounded up

@group(0) @binding(2) var dy: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read_write> partial: array<f32>;
@group(0) @binding(4) var<storage, read_write> bias_partial: array<f32>; // written only if there is a bias

// What a workgroup computes: the first filter, the step of channels, the first row of taps, the part of the stretches.
struct Share {
    k: u32,
    c: u32,
    r: u32,
    part: u32,
}

fn share_of(tile: u32) -> Share {
    let rest = tile / (K_TILES * STEPS);
    return Share(tile % K_TILES * KT, tile / K_TILES % STEPS, rest % (R / RT) * RT, rest / (R / RT));
}

var<private> cells: array<vec4<f32>, DT>;

// Adds to sum j, for each of TP cells, the product of dy with the element of x under weight j.
fn add_cells(sum: ptr<function, array<f32, TERMS>>, mine: array<f32, TP>) {
#for j in 0..TERMS
#for p in 0..TP
    (*sum)[$j] += mine[$p] * row[(SKIP + $pu * STRIDE_W * CC + $ju) / 4u][(SKIP + $pu * STRIDE_W * CC + $ju) % 4u];
#end
#end
}

fn across(v: f32) -> f32 {
#for q in 0..QUADS
    let v_$q = (subgroupShuffle(v, 4u * $qu) + subgroupShuffle(v, 4u * $qu + 1u))
        + (subgroupShuffle(v, 4u * $qu + 2u) + subgroupShuffle(v, 4u * $qu + 3u));
#end
    var sum = v_0;
#for q in 1..QUADS
    sum += v_$q;
#end
    return sum;
}

// For a lane: the sum over all lanes of `values` at this lane's number.
fn totals(lane: u32, values: array<f32, LANES>) -> f32 {
    var total = across(values[0]);
#for l in 1..LANES
    total = select(total, across(values[$l]), lane == $lu);
#end
    return total;
}

@compute @workgroup_size(WG)
fn grad_weight(id: Invocation) {
    let lane = id.local;
    let share = share_of(group_index(id));
    let k0 = share.k;
    let c = share.c;
    let r0 = share.r;
    let part = share.part;
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
    let blocks = (rows * TILES + LANES - 1u) / LANES;
    let length = (blocks + PARTS - 1u) / PARTS;
    let end = min(part * length + length, blocks);
    for (var block = part * length; block < end; block += 1u) {
        let stretch = block * LANES + lane;
        let m = min(stretch / TILES, rows - 1u);
        let n = m / OH;
        let top = i32(m % OH * STRIDE_H) - i32(PAD_H);
        let left = i32(stretch % TILES * (AHEAD / 4u)) - i32(LEAD);
        let first = FIRST + begin(Place(m, stretch % TILES * TP, k0));
#for j in 0..DT
        cells[$j] = textureLoad(dy, texel(select(ZERO, first + element_at($ju), stretch < rows * TILES)));
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
    // Each lane stores every LANES-th term.
#for f in 0..KT
#for r in 0..RT
    {
        let to = ((part * K + k0 + $fu) * R + r0 + $ru) * (S * C) + c * CC;
#for i in 0..SHARES
        {
            let total = totals(lane, array<f32, LANES>(
#for l in 0..LANES
                sum_$f_$r[min(LANES * $iu + $lu, TERMS - 1u)],
#end
            ));
            let j = LANES * $iu + lane;
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

var<private> dys: array<vec4<f32>, TP>;

fn add_wide(sum: vec4<f32>, met: array<f32, TP>) -> vec4<f32> {
    var all = sum;
#for p in 0..TP
    all += dys[$p] * met[$p];
#end
    return all;
}

@compute @workgroup_size(WG)
fn grad_weight_wide(id: Invocation) {
    let lane = id.local;
    let share = share_of(group_index(id));
    let c = share.c;
    let r0 = share.r;
    let part = share.part;
    if part >= PARTS {
        return;
    }
    let k = share.k + lane * 4u;
    var bias = vec4<f32>();
#for r in 0..RT
#for j in 0..TERMS
    var sum_$r_$j = vec4<f32>();
#end
#end
    let stretches = OH * TILES * step.n;
    let length = (stretches + PARTS - 1u) / PARTS;
    let end = min(part * length + length, stretches);
    for (var stretch = part * length; stretch < end; stretch += 1u) {
        let m = stretch / TILES;
        let first = FIRST + (stretch * TP * K + min(k, K - 4u)) / 4u;
#for p in 0..TP
        dys[$p] = textureLoad(dy, texel(first + $pu * (K / 4u)));
        bias += dys[$p];
#end
        load_rows(m / OH, i32(m % OH * STRIDE_H + r0) - i32(PAD_H), i32(stretch % TILES * (AHEAD / 4u)) - i32(LEAD), c, lane);
#for r in 0..RT
#for j in 0..TERMS
        sum_$r_$j = add_wide(sum_$r_$j, array<f32, TP>(
#for p in 0..TP
            xs[$ru * T + (SKIP + $pu * STRIDE_W * CC + $ju) / 4u][(SKIP + $pu * STRIDE_W * CC + $ju) % 4u],
#end
        ));
#end
#end
    }
    if k >= K {
        return;
    }
    // Stores the last variable's sum, then moves all others up: drivers take long to compile each store.
    for (var left = min(RT * TERMS, RT * TERMS * stretches); left > 0u; left -= 1u) {
        var v = vec4<f32>();
#for r in 0..RT
#for j in 0..TERMS
        { let before = v; v = sum_$r_$j; sum_$r_$j = before; }
#end
#end
        let r = r0 + (left - 1u) / TERMS;
        let j = (left - 1u) % TERMS;
        let to = ((part * K + k) * R + r) * (S * C) + c * CC + j / CC * C + j % CC;
#for q in 0..4
        partial[to + $qu * (R * S * C)] = v[$q];
#end
    }
    if BIAS != 0u && r0 == 0u && c == 0u {
#for q in 0..4
        bias_partial[part * K + k + $qu] = bias[$q];
#end
    }
}
