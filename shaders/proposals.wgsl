// Regions that a network proposes (Ren et al. 2015, section 3.3). Of box p: y[p] are 4 offsets and a score. All boxes are moved by
// their offsets; of each level the TAKE best ones are put in order; of those that overlap the better one stays; and of all
// levels together the best ones become regions. No gradient flows through any of it.
#import step
#import boxes
#import choose

override TOP: u32 = 1u;         // boxes of a sample that are put in order, of all levels
override START: u32 = 0u;       // the first box of the level
override COUNT: u32 = 1u;       // its boxes
override FIRST: u32 = 0u;       // where its best ones lie among those of all levels
override TAKE: u32 = 1u;        // how many they are
override WORDS: u32 = 1u;       // words of 32 bits, of a row of bits
override IOU: f32 = 0.7;
override LEAST: f32 = 0.001;    // the least side of a region, in pixels
override INPUT_H: f32 = 1.0;
override INPUT_W: f32 = 1.0;
override WIDEST: f32 = 4.135;   // the largest logarithm by which a box is widened

@group(0) @binding(4) var<storage, read> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> places: array<vec4<f32>>;

// One invocation moves one box, and clips it to the input.
@compute @workgroup_size(WG)
fn move_boxes(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        let prior = priors[i % P];
        let middle = prior.xy + vec2<f32>(y[5u * i], y[5u * i + 1u]) * prior.zw;
        let wider = min(vec2<f32>(y[5u * i + 2u], y[5u * i + 3u]), vec2<f32>(WIDEST));
        let moved = corners(vec4<f32>(middle, prior.zw * exp(wider)));
        places[i] = clamp(moved, vec4<f32>(0.0), vec4<f32>(1.0));
    }
}

// The order of the scores, as unsigned numbers above 0.
fn key_of(i: u32, group: u32) -> u32 {
    let bits = bitcast<u32>(y[5u * i + 4u]);
    return max(select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u), 1u);
}

@group(0) @binding(6) var<storage, read_write> list: array<u32>;

// One workgroup lists the TAKE best boxes of one level of one sample, in the order of the boxes.
@compute @workgroup_size(WG)
fn list_best(id: Invocation) {
    let n = min(group_index(id), step.n - 1u);
    let first = n * P + START;
    let least = least_key(id.local, first, COUNT, 0u, TAKE);
    let own = stretch_of(id.local, COUNT);
    let left = equals_left(id.local, first, COUNT, 0u, TAKE, least);
    var equal = 0;
    var taken = 0u;
    for (var p = own.x; p < own.y; p += 1u) {
        let key = key_of(first + p, 0u);
        taken += select(0u, 1u, counts_too(key, least, left - equal));
        equal += select(0, 1, key == least.x);
    }
    var place = n * TOP + FIRST + add_lanes(id.local, taken).x;
    equal = 0;
    for (var p = own.x; p < own.y; p += 1u) {
        let key = key_of(first + p, 0u);
        if counts_too(key, least, left - equal) {
            list[place] = START + p;
            place += 1u;
        }
        equal += select(0, 1, key == least.x);
    }
}

@group(0) @binding(6) var<storage, read> list_in: array<u32>;
@group(0) @binding(7) var<storage, read_write> best: array<i32>;

// One invocation finds the rank of one listed box of one level.
@compute @workgroup_size(WG)
fn order_best(id: Invocation) {
    let i = flat_index(id);
    if i < TAKE * step.n {
        let n = i / TAKE;
        let first = n * TOP + FIRST;
        let own = list_in[first + i % TAKE];
        let key = key_of(n * P + own, 0u);
        var rank = 0u;
        for (var k = 0u; k < TAKE; k += 1u) {
            let other = list_in[first + k];
            let other_key = key_of(n * P + other, 0u);
            rank += select(0u, 1u, other_key > key || (other_key == key && other < own));
        }
        best[first + rank] = i32(own);
    }
}

@group(0) @binding(5) var<storage, read> places_in: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> best_in: array<i32>;
@group(0) @binding(8) var<storage, read_write> overlaps: array<u32>;

// One invocation writes 32 bits of one box of one level: whether it overlaps boxes behind it in the order by more than IOU.
@compute @workgroup_size(WG)
fn find_overlaps(id: Invocation) {
    let i = flat_index(id);
    if i < TAKE * WORDS * step.n {
        let word = i % WORDS;
        let k = i / WORDS % TAKE;
        let n = i / (WORDS * TAKE);
        let first = n * TOP + FIRST;
        let own = places_in[n * P + u32(best_in[first + k])];
        var bits = 0u;
        for (var b = 0u; b < 32u; b += 1u) {
            let other = word * 32u + b;
            if other > k && other < TAKE {
                let place = places_in[n * P + u32(best_in[first + other])];
                bits |= select(0u, 1u << b, iou(own, place) > IOU);
            }
        }
        overlaps[(first + k) * WORDS + word] = bits;
    }
}

@group(0) @binding(8) var<storage, read> overlaps_in: array<u32>;
@group(0) @binding(9) var<storage, read_write> kept: array<u32>;

// One invocation goes through the boxes of one level of one sample, the best first.
@compute @workgroup_size(WG)
fn suppress(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        let first = n * TOP + FIRST;
        var gone: array<u32, 64>;
        for (var k = 0u; k < TAKE; k += 1u) {
            let c = places_in[n * P + u32(best_in[first + k])];
            let large = (c.z - c.x) * INPUT_W >= LEAST && (c.w - c.y) * INPUT_H >= LEAST;
            let stays = large && (gone[k / 32u] & (1u << (k % 32u))) == 0u;
            kept[first + k] = select(0u, 1u, stays);
            if stays {
                for (var w = k / 32u; w < WORDS; w += 1u) {
                    gone[w] |= overlaps_in[(first + k) * WORDS + w];
                }
            }
        }
    }
}

override ALL_CHOSEN: u32 = 1u; // regions of a sample

@group(0) @binding(9) var<storage, read> kept_in: array<u32>;
@group(0) @binding(10) var<storage, read_write> chosen: array<i32>;

// One invocation clears one region.
@compute @workgroup_size(WG)
fn clear(id: Invocation) {
    let i = flat_index(id);
    if i < ALL_CHOSEN * step.n {
        chosen[i] = -1;
    }
}

// One invocation gives one box its place among those of all levels that stay, the best first.
@compute @workgroup_size(WG)
fn join_levels(id: Invocation) {
    let i = flat_index(id);
    if i < TOP * step.n && kept_in[i] == 1u {
        let n = i / TOP;
        let key = key_of(n * P + u32(best_in[i]), 0u);
        var rank = 0u;
        for (var k = n * TOP; k < (n + 1u) * TOP; k += 1u) {
            let other_key = key_of(n * P + u32(best_in[k]), 0u);
            let before = other_key > key || (other_key == key && k < i);
            rank += select(0u, 1u, before && kept_in[k] == 1u);
        }
        if rank < ALL_CHOSEN {
            chosen[n * ALL_CHOSEN + rank] = best_in[i];
        }
    }
}

@group(0) @binding(10) var<storage, read> chosen_in: array<i32>;
@group(0) @binding(11) var<storage, read_write> regions: array<f32>;

// One invocation writes one region.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ALL_CHOSEN * step.n {
        let p = chosen_in[i];
        var number = -1.0;
        var place = vec4<f32>(0.0);
        if p >= 0 {
            let box = i / ALL_CHOSEN * P + u32(p);
            let score = y[5u * box + 4u];
            let e = exp(-abs(score));
            number = select(1.0, e, score < 0.0) / (1.0 + e);
            place = places_in[box];
        }
        regions[5u * i] = number;
        regions[5u * i + 1u] = place.x;
        regions[5u * i + 2u] = place.y;
        regions[5u * i + 3u] = place.z;
        regions[5u * i + 4u] = place.w;
    }
}
