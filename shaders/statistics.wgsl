// Statistics of the numbers x[0 .. count], for whoever watches a training.
// - extreme[0 .. 2] = the smallest and the largest finite number, both 0 where there is none; extreme[2] = the norm, √Σ x² over finite numbers
// - counts[0] = zeros, counts[1] = numbers that are not finite, counts[2 + b] = finite numbers in bin b of BINS equal ones between both extremes
// One invocation looks at CHUNK numbers. What it found is a part; parts are added in order.
#import step

override CHUNK: u32 = 256u;
override ITEMS: u32 = 1u;   // numbers of one sample; of all, where PER_SAMPLE is 0
override PER_SAMPLE: u32 = 0u;
override BASE: u32 = 0u;    // the first part of this range of x
override PARTS: u32 = 1u;   // parts of this range; where parts are added: all of them
override BINS: u32 = 1u;

// A number that no finite one exceeds.
const LARGEST: f32 = 3.4028234663852886e38;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> part_extreme: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> part_count: array<vec2<u32>>;

fn range(part: u32) -> vec2<u32> {
    let count = ITEMS * select(1u, step.n, PER_SAMPLE == 1u);
    return vec2<u32>(min(part * CHUNK, count), min((part + 1u) * CHUNK, count));
}

// By its bits: a driver may assume that numbers are finite.
fn is_finite(v: f32) -> bool {
    return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u;
}

// One invocation finds the extremes of one part, and counts zeros and numbers that are not finite.
@compute @workgroup_size(WG)
fn extremes(id: Invocation) {
    let part = flat_index(id);
    if part >= PARTS {
        return;
    }
    let at = range(part);
    var low = LARGEST;
    var high = -LARGEST;
    var found = vec2<u32>();
    for (var i = at.x; i < at.y; i += 1u) {
        let v = x[i];
        let finite = is_finite(v);
        low = select(low, min(low, v), finite);
        high = select(high, max(high, v), finite);
        found += vec2<u32>(select(0u, 1u, v == 0.0), select(1u, 0u, finite));
    }
    part_extreme[BASE + part] = vec2<f32>(low, high);
    part_count[BASE + part] = found;
}

@group(0) @binding(1) var<storage, read> part_extreme_in: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> part_count_in: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> extreme: array<f32>;
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;

// One invocation puts all parts together.
@compute @workgroup_size(WG)
fn extent(id: Invocation) {
    if flat_index(id) > 0u {
        return;
    }
    var low = LARGEST;
    var high = -LARGEST;
    var found = vec2<u32>();
    for (var p = 0u; p < PARTS; p += 1u) {
        low = min(low, part_extreme_in[p].x);
        high = max(high, part_extreme_in[p].y);
        found += part_count_in[p];
    }
    let none = low > high;
    extreme[0] = select(low, 0.0, none);
    extreme[1] = select(high, 0.0, none);
    extreme[2] = 0.0;
    counts[0] = found.x;
    counts[1] = found.y;
    for (var b = 0u; b < BINS; b += 1u) {
        counts[2u + b] = 0u;
    }
}

@group(0) @binding(2) var<storage, read> extreme_in: array<f32>;
@group(0) @binding(3) var<storage, read_write> part_square: array<f32>;
@group(0) @binding(4) var<storage, read_write> part_bins: array<u32>;

// The largest magnitude, by which squares are scaled so that none overflows; 1 where all is 0.
fn scale(low: f32, high: f32) -> f32 {
    let largest = max(abs(low), abs(high));
    return select(largest, 1.0, largest == 0.0);
}

// a / b for |a| <= |b|. WGSL promises a quotient only where 2^-126 <= |b| <= 2^126; GPUs take 1 / b for 0 above that.
fn ratio(a: f32, b: f32) -> f32 {
    let size = abs(b);
    let s = select(select(1.0, 0x1p64, size < 0x1p-64), 0x1p-64, size > 0x1p64);
    return (a * s) / (b * s);
}

// One invocation counts the numbers of one part in each bin, and adds their squares.
@compute @workgroup_size(WG)
fn bins(id: Invocation) {
    let part = flat_index(id);
    if part >= PARTS {
        return;
    }
    let at = range(part);
    let low = extreme_in[0];
    // Halves, so that the distance between both extremes does not overflow.
    let width = 0.5 * extreme_in[1] - 0.5 * low;
    let unit = scale(low, extreme_in[1]);
    var sum = 0.0;
    var found: array<u32, BINS>;
    for (var i = at.x; i < at.y; i += 1u) {
        let v = x[i];
        if is_finite(v) {
            let y = ratio(v, unit);
            sum += y * y;
            let share = select(ratio(0.5 * v - 0.5 * low, width), 0.0, width == 0.0);
            found[min(u32(share * f32(BINS)), BINS - 1u)] += 1u;
        }
    }
    part_square[BASE + part] = sum;
    for (var b = 0u; b < BINS; b += 1u) {
        part_bins[(BASE + part) * BINS + b] = found[b];
    }
}

@group(0) @binding(1) var<storage, read> part_square_in: array<f32>;
@group(0) @binding(2) var<storage, read> part_bins_in: array<u32>;

// One invocation adds one bin over all parts; one more adds the squares.
@compute @workgroup_size(WG)
fn total(id: Invocation) {
    let b = flat_index(id);
    if b < BINS {
        var sum = 0u;
        for (var p = 0u; p < PARTS; p += 1u) {
            sum += part_bins_in[p * BINS + b];
        }
        counts[2u + b] = sum;
    } else if b == BINS {
        var sum = 0.0;
        for (var p = 0u; p < PARTS; p += 1u) {
            sum += part_square_in[p];
        }
        extreme[2] = sqrt(sum) * scale(extreme[0], extreme[1]);
    }
}
