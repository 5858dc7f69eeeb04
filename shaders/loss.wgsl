// The scalar loss, and what is counted beside it.
// - mean_loss: total = SCALE · inv_n · Σ loss[n]; its gradient, spread: dloss[n] = SCALE · inv_n · dtotal
// - ratio_loss: total = SCALE · inv_n · N · Σ loss[n] / Σ weight[n]; its gradient,
//   ratio_spread: dloss[n] = SCALE · inv_n · N · dtotal / Σ weight[n]. Both are 0 where Σ weight is 0
// - correct: hit[n] = 1 where the first largest of output[n, :] is at
//   the label. A single output stands for class 1 where it is above 0.
// - record: total = SCALE · inv_n · Σ loss[n], and ring[slot] = (total, Σ hit[n]). The pair behind the last slot says
//   whether updates are held back: (from the first total that is not finite on, for a total of this update)
#import step
#import reduce

override SCALE: f32 = 1.0;
override MEAN: u32 = 1u;   // 1: `values` are N losses to be averaged; 0: `values` is the total
override PER_SAMPLE: u32 = 0u; // 1: `fill` writes SCALE · inv_n for every sample; 0: it writes SCALE once

@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> total: array<f32>;

// For each invocation: Σ loss and Σ hit of its samples.
var<workgroup> sums: array<vec2<f32>, WG>;

// The total and the number of hits, from the sums of all invocations.
// They are added in order, so that the bits do not vary.
fn joined() -> vec2<f32> {
    var sum = vec2<f32>();
    for (var k = 0u; k < WG; k += 1u) {
        sum += sums[k];
    }
    return vec2<f32>(sum.x * select(1.0, SCALE * step.inv_n, MEAN == 1u), sum.y);
}

// The sum of those `values` that belong to invocation `lane`.
fn own_sum(lane: u32) -> f32 {
    let count = select(1u, step.n, MEAN == 1u);
    var sum = 0.0;
    for (var n = lane; n < count; n += WG) {
        sum += values[n];
    }
    return sum;
}

// One workgroup adds the losses of all samples.
@compute @workgroup_size(WG)
fn mean_loss(id: Invocation) {
    let lane = id.local;
    sums[lane] = vec2<f32>(own_sum(lane), 0.0);
    workgroupBarrier();
    if lane == 0u {
        total[0] = joined().x;
    }
}

@group(0) @binding(1) var<storage, read> dtotal: array<f32>;
@group(0) @binding(2) var<storage, read_write> dloss: array<f32>;

// One invocation computes the gradient of one sample's loss.
@compute @workgroup_size(WG)
fn spread(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        dloss[n] = SCALE * step.inv_n * dtotal[0];
    }
}

@group(0) @binding(3) var<storage, read> weights: array<f32>;

// The sum of those `weights` that belong to invocation `lane`.
fn own_weight(lane: u32) -> f32 {
    var sum = 0.0;
    for (var n = lane; n < step.n; n += WG) {
        sum += weights[n];
    }
    return sum;
}

// a / b; 0 where b is 0.
fn ratio(a: f32, b: f32) -> f32 {
    return select(a / b, 0.0, b == 0.0);
}

// One workgroup adds the losses and the weights of all samples.
@compute @workgroup_size(WG)
fn ratio_loss(id: Invocation) {
    let lane = id.local;
    sums[lane] = vec2<f32>(own_sum(lane), own_weight(lane));
    workgroupBarrier();
    if lane == 0u {
        let sum = joined();
        total[0] = ratio(sum.x, sum.y) * f32(step.n);
    }
}

// One workgroup adds the weights of all samples, and writes the gradient of every sample's loss.
@compute @workgroup_size(WG)
fn ratio_spread(id: Invocation) {
    let lane = id.local;
    sums[lane] = vec2<f32>(0.0, own_weight(lane));
    workgroupBarrier();
    let d = ratio(SCALE * step.inv_n * f32(step.n) * dtotal[0], joined().y);
    for (var n = lane; n < step.n; n += WG) {
        dloss[n] = d;
    }
}

// One invocation writes one constant.
@compute @workgroup_size(WG)
fn fill(id: Invocation) {
    let i = flat_index(id);
    if i < select(1u, step.n, PER_SAMPLE == 1u) {
        total[i] = select(SCALE, SCALE * step.inv_n, PER_SAMPLE == 1u);
    }
}

@group(0) @binding(3) var<storage, read> output: array<f32>;
@group(0) @binding(4) var<storage, read> labels: array<i32>;
@group(0) @binding(5) var<storage, read_write> hit: array<f32>;

// 1 where the first largest score of sample n is at the label, else 0.
fn judged(n: u32) -> f32 {
    var best = select(0u, 1u, C == 1u && output[n * C] > 0.0);
    var most = output[n * C];
    for (var c = 1u; c < C; c += 1u) {
        let v = output[n * C + c];
        best = select(best, c, v > most);
        most = select(most, v, v > most);
    }
    return select(0.0, 1.0, i32(best) == labels[n]);
}

// One invocation computes the hit of one sample.
@compute @workgroup_size(WG)
fn correct(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        hit[n] = judged(n);
    }
}

override HELD: u32 = 2u; // where the ring says whether updates are held back: behind the slots

@group(0) @binding(5) var<storage, read_write> ring: array<f32>;

// Writes the total, and puts (total, number of hits) into a slot of the ring.
fn write_record(record: vec2<f32>) {
    let slot = min(step.slot, HELD / 2u - 1u);
    total[0] = record.x;
    ring[2u * slot] = record.x;
    ring[2u * slot + 1u] = record.y;
    let bad = (bitcast<u32>(record.x) & 0x7f800000u) == 0x7f800000u;
    ring[HELD] = select(ring[HELD], 1.0, bad);
    ring[HELD + 1u] = select(select(0.0, ring[HELD + 1u], step.accumulate == 1u), 1.0, bad);
}

// One workgroup adds the losses of all samples, which have no classes.
@compute @workgroup_size(WG)
fn record_loss(id: Invocation) {
    let lane = id.local;
    sums[lane] = vec2<f32>(own_sum(lane), 0.0);
    workgroupBarrier();
    if lane == 0u {
        write_record(joined());
    }
}

// One workgroup adds the losses of all samples and counts their hits.
@compute @workgroup_size(WG)
fn record(id: Invocation) {
    let lane = id.local;
    var hits = 0.0;
    for (var n = lane; n < step.n; n += WG) {
        hits += judged(n);
    }
    sums[lane] = vec2<f32>(own_sum(lane), hits);
    workgroupBarrier();
    if lane == 0u {
        write_record(joined());
    }
}

@group(0) @binding(3) var<storage, read> hits_in: array<f32>;

// One workgroup adds the losses and the hits of all samples, where `correct` has computed the hits.
@compute @workgroup_size(WG)
fn record_hits(id: Invocation) {
    let lane = id.local;
    var hits = 0.0;
    for (var n = lane; n < step.n; n += WG) {
        hits += hits_in[n];
    }
    sums[lane] = vec2<f32>(own_sum(lane), hits);
    workgroupBarrier();
    if lane == 0u {
        write_record(joined());
    }
}
