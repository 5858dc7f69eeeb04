// Choosing the items of the largest keys, without a sort, by one workgroup together. The file that imports this has
//   fn key_of(i: u32, group: u32) -> u32
// the key of item i in one of its groups, and 0 if it is not in it. Needs `step`.

var<workgroup> counts: array<u32, WG>;

// The sum of the first `end` numbers of `counts`.
fn counted_before(end: u32) -> u32 {
    var sum = 0u;
    for (var k = 0u; k < WG; k += 1u) {
        sum += select(0u, counts[k], k < end);
    }
    return sum;
}

// The sum of `own` over the lanes before this one; and over all lanes.
fn add_lanes(lane: u32, own: u32) -> vec2<u32> {
    counts[lane] = own;
    workgroupBarrier();
    let sums = vec2<u32>(counted_before(lane), counted_before(WG));
    workgroupBarrier();
    return sums;
}

// Of the items first … first + count - 1: the key of the last one that counts, and how many have a larger key. With fewer items than
// are wanted, 0 and their number.
fn least_key(lane: u32, first: u32, count: u32, group: u32, wanted: u32) -> vec2<u32> {
    var least = 0u;
    var above = 0u;
    for (var bit = 0u; bit < 32u; bit += 1u) {
        let tried = least | (0x80000000u >> bit);
        var own = 0u;
        for (var p = lane; p < count; p += WG) {
            own += select(0u, 1u, key_of(first + p, group) >= tried);
        }
        let found = add_lanes(lane, own).y;
        least = select(least, tried, found >= wanted);
        above = select(found, above, found >= wanted);
    }
    return vec2<u32>(least, above);
}

// The items that a lane looks at in their order: from the first to before the second.
fn stretch_of(lane: u32, count: u32) -> vec2<u32> {
    let size = (count + WG - 1u) / WG;
    return min(vec2<u32>(lane * size, (lane + 1u) * size), vec2<u32>(count));
}

// How many items of the least key this lane may still take: of equal keys the first ones count.
fn equals_left(lane: u32, first: u32, count: u32, group: u32, wanted: u32, least: vec2<u32>) -> i32 {
    let own = stretch_of(lane, count);
    var equal = 0u;
    for (var p = own.x; p < own.y; p += 1u) {
        equal += select(0u, 1u, key_of(first + p, group) == least.x);
    }
    return i32(wanted) - i32(least.y) - i32(add_lanes(lane, equal).x);
}

// Whether an item counts, where `left` of the least key may still be taken.
fn counts_too(key: u32, least: vec2<u32>, left: i32) -> bool {
    return key > 0u && (key > least.x || (key == least.x && left > 0));
}
