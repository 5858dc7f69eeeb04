// k nearest neighbours. The samples of the training set are taken in chunks, one dispatch
// after the other, so that memory does not grow with queries × samples. `distances` fills
// a tile [CHUNK, ROWS · 4] for one chunk; `merge` puts it into the running best [N, K].
// - l1: d = Σ |x - s|. l2: d = Σ (x - s)², without the square root.
// - Bytes: sums are exact. A block of at most 256 squares of 255 is summed in f32 (below 2^24), the blocks in u32.
// - f32: sums are f32. Their bits compare as u32 do, because no distance is negative.
// - vote: y[n, c] = the share of the K neighbours of n that have label c.
#import step

override L1: bool = false;    // true: l1; false: l2
override BYTES: bool = false; // elements are bytes, four a word; else f32
override WIDE: bool = false;  // a part is four elements; else one
override PARTS: u32 = 1u;     // parts of one sample
override FIRST: u32 = 0u;     // first sample of this window of the set
override COUNT: u32 = 1u;     // samples of this window
override CHUNK: u32 = 4u;     // samples of a chunk, a multiple of 4
override ROWS: u32 = 1u;      // vec4s of queries in a row of the tile
override TIMES: u32 = 1u;     // workgroups that share four queries
override K: u32 = 1u;
override LABELS: u32 = 1u;    // labels of the training set
override CLASSES: u32 = 1u;
// How many parts have a sum that is exact in f32.
const BLOCK: u32 = 64u;

@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> samples: array<u32>;
@group(0) @binding(3) var<storage, read> position: array<u32>;          // how many samples a query has been compared with
@group(0) @binding(3) var<storage, read_write> progress: array<u32>;    // the same, written by `merge`
@group(0) @binding(4) var<storage, read_write> tile4: array<vec4<u32>>; // each vec4 has the distances to four queries
@group(0) @binding(4) var<storage, read> tile: array<u32>;
@group(0) @binding(5) var<storage, read_write> best: array<u32>;
@group(0) @binding(6) var<storage, read_write> best_index: array<u32>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn unpacked(word: u32) -> vec4<f32> {
    return vec4<f32>(f32(word & 255u), f32((word >> 8u) & 255u), f32((word >> 16u) & 255u), f32(word >> 24u));
}

// Part `at` of the queries.
fn query(at: u32) -> vec4<f32> {
    if BYTES && WIDE {
        return unpacked(x[at]);
    } else if BYTES {
        return vec4<f32>(f32((x[at / 4u] >> (at % 4u * 8u)) & 255u), 0.0, 0.0, 0.0);
    } else if WIDE {
        return bitcast<vec4<f32>>(vec4<u32>(x[at * 4u], x[at * 4u + 1u], x[at * 4u + 2u], x[at * 4u + 3u]));
    }
    return vec4<f32>(bitcast<f32>(x[at]), 0.0, 0.0, 0.0);
}

// Part `at` of the training set.
fn sample(at: u32) -> vec4<f32> {
    if BYTES && WIDE {
        return unpacked(samples[at]);
    } else if BYTES {
        return vec4<f32>(f32((samples[at / 4u] >> (at % 4u * 8u)) & 255u), 0.0, 0.0, 0.0);
    } else if WIDE {
        let i = at * 4u;
        return bitcast<vec4<f32>>(vec4<u32>(samples[i], samples[i + 1u], samples[i + 2u], samples[i + 3u]));
    }
    return vec4<f32>(bitcast<f32>(samples[at]), 0.0, 0.0, 0.0);
}

fn term(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let d = a - b;
    if L1 {
        return dot(abs(d), vec4<f32>(1.0));
    }
    return dot(d, d);
}

// `total` plus a block's sum. Of f32, totals are kept as their bits.
fn plus(total: u32, block: f32) -> u32 {
    if BYTES {
        return total + u32(block);
    }
    return bitcast<u32>(bitcast<f32>(total) + block);
}

// One invocation empties one place of the running best.
@compute @workgroup_size(WG)
fn start(id: Invocation) {
    let i = flat_index(id);
    if i < step.n * K {
        best[i] = 0xffffffffu;
        best_index[i] = 0u;
    }
    if i < step.n {
        progress[i] = 0u;
    }
}

// One invocation computes the distances of 4 queries to 4 samples of the chunk at `position`.
@compute @workgroup_size(WG)
fn distances(id: Invocation) {
    let lane = id.local;
    let g = group_index(id);
    let q = g / TIMES * 4u;
    let s = (g % TIMES * WG + lane) * 4u;
    let last = step.n - 1u;
    let chunk = position[min(q, last)] - FIRST;
#for i in 0..4
    let q$i = min(q + $iu, last) * PARTS;
    let s$i = min(chunk + s + $iu, COUNT - 1u) * PARTS;
    var t$i_0 = 0u;
    var t$i_1 = 0u;
    var t$i_2 = 0u;
    var t$i_3 = 0u;
#end
    for (var block = 0u; block < PARTS; block += BLOCK) {
#for i in 0..4
        var p$i_0 = 0.0;
        var p$i_1 = 0.0;
        var p$i_2 = 0.0;
        var p$i_3 = 0.0;
#end
        let end = min(block + BLOCK, PARTS);
        for (var at = block; at < end; at++) {
#for i in 0..4
            let a$i = query(q$i + at);
#end
#for j in 0..4
            let b$j = sample(s$j + at);
            p0_$j += term(a0, b$j);
            p1_$j += term(a1, b$j);
            p2_$j += term(a2, b$j);
            p3_$j += term(a3, b$j);
#end
        }
#for i in 0..4
        t$i_0 = plus(t$i_0, p$i_0);
        t$i_1 = plus(t$i_1, p$i_1);
        t$i_2 = plus(t$i_2, p$i_2);
        t$i_3 = plus(t$i_3, p$i_3);
#end
    }
    if s < CHUNK && q < step.n {
#for j in 0..4
        tile4[(s + $ju) * ROWS + q / 4u] = vec4<u32>(t0_$j, t1_$j, t2_$j, t3_$j);
#end
    }
}

// One invocation puts the chunk's distances to one query into the running best, nearest first. Samples come in their
// order, so among equal distances the first sample stays in front.
@compute @workgroup_size(WG)
fn merge(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        let chunk = progress[n];
        let count = min(CHUNK, FIRST + COUNT - chunk);
        let row = n * K;
        var worst = best[row + K - 1u];
        for (var s = 0u; s < count; s++) {
            let d = tile[s * ROWS * 4u + n];
            if d < worst {
                var i = K - 1u;
                while i > 0u && best[row + i - 1u] > d {
                    best[row + i] = best[row + i - 1u];
                    best_index[row + i] = best_index[row + i - 1u];
                    i--;
                }
                best[row + i] = d;
                best_index[row + i] = chunk + s;
                worst = best[row + K - 1u];
            }
        }
        progress[n] = chunk + count;
    }
}

// One invocation computes the share of one class among the neighbours
// of one query. A label past the last class counts as the last class.
@compute @workgroup_size(WG)
fn vote(id: Invocation) {
    let i = flat_index(id);
    if i < step.n * CLASSES {
        let row = i / CLASSES * K;
        let class_index = i % CLASSES;
        var votes = 0u;
        for (var j = 0u; j < K; j++) {
            let label = u32(labels[min(indices[row + j], LABELS - 1u)]);
            votes += select(0u, 1u, min(label, CLASSES - 1u) == class_index);
        }
        y[i] = f32(votes) / f32(K);
    }
}
