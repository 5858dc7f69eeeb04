// Updates of flat windows of parameters, one vec4 an invocation.
// PyTorch's formulas, with g' = g + WEIGHT_DECAY · w + L1 · sign(w):
//   sgd             w -= lr g'
//   sgd_momentum    b = MOMENTUM b + g'; w -= lr b, or lr (g' + MOMENTUM b) with Nesterov's momentum
//   adam            m = BETA1 m + (1 - BETA1) g'; v = BETA2 v + (1 - BETA2) g'²
//                   w -= lr (correction1 m / (sqrt(correction2 v) + EPSILON) + SHRINK w), SHRINK being adamw's weight decay
//   rmsprop         v = ALPHA v + (1 - ALPHA) g'²; w -= lr g' / (sqrt(v) + EPSILON)
//   rmsprop_momentum  b = MOMENTUM b + g' / (sqrt(v) + EPSILON); w -= lr b
//   adagrad         v += g'²; w -= lr g' / (sqrt(v) + EPSILON)
//   average         m = d m + (1 - d) w, with d = step.average
//   accumulate      sum = g in the first batch of an update, then sum + g
//   clip            g *= min(1, MAX_NORM / (|g| + 1e-6)), with |g| over all windows
// An update is left out where the ring says so. `guard` says it of an update whose gradients are not all finite.
#import step

override COUNT: u32 = 1u; // vec4s of the window
override MOMENTUM: f32 = 0.0;
override NESTEROV: f32 = 0.0; // 1 for Nesterov's momentum
override WEIGHT_DECAY: f32 = 0.0;
override L1: f32 = 0.0;
override SHRINK: f32 = 0.0;
override BETA1: f32 = 0.9;
override BETA2: f32 = 0.999;
override REST1: f32 = 0.1;   // 1 - BETA1, computed before BETA1 was rounded
override REST2: f32 = 0.001; // 1 - BETA2
override ALPHA: f32 = 0.99;
override REST: f32 = 0.01;   // 1 - ALPHA
override EPSILON: f32 = 1e-8;

@group(0) @binding(1) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g: array<vec4<f32>>;

override GUARD: u32 = 0u;     // 1: `ring` is the ring; 0: there is none, and g is bound again
override HELD: u32 = 0u;      // where the ring says that updates are held back

@group(0) @binding(5) var<storage, read> ring: array<f32>;

// Whether the parameters and moments stay as they are.
fn held() -> bool {
    return GUARD == 1u && ring[HELD] != 0.0;
}

// g' of vec4 i.
fn penalised(i: u32) -> vec4<f32> {
    return g[i] + (WEIGHT_DECAY * w[i] + L1 * sign(w[i]));
}

@compute @workgroup_size(WG)
fn sgd(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT && !held() {
        w[i] -= step.lr * penalised(i);
    }
}

@group(0) @binding(3) var<storage, read_write> b: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn sgd_momentum(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT && !held() {
        let gradient = penalised(i);
        let moment = MOMENTUM * b[i] + gradient;
        b[i] = moment;
        w[i] -= step.lr * select(moment, gradient + MOMENTUM * moment, NESTEROV == 1.0);
    }
}

@group(0) @binding(3) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> v: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn adam(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT && !held() {
        let gradient = penalised(i);
        let first = BETA1 * m[i] + REST1 * gradient;
        let second = BETA2 * v[i] + REST2 * gradient * gradient;
        m[i] = first;
        v[i] = second;
        w[i] -= step.lr * (step.correction1 * first / (sqrt(step.correction2 * second) + EPSILON) + SHRINK * w[i]);
    }
}

// m is the average of the parameters, and g the parameters.
@compute @workgroup_size(WG)
fn average(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT && !held() {
        m[i] = step.average * m[i] + (1.0 - step.average) * g[i];
    }
}

@compute @workgroup_size(WG)
fn rmsprop(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT && !held() {
        let gradient = penalised(i);
        let second = ALPHA * v[i] + REST * gradient * gradient;
        v[i] = second;
        w[i] -= step.lr * gradient / (sqrt(second) + EPSILON);
    }
}

@compute @workgroup_size(WG)
fn rmsprop_momentum(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT && !held() {
        let gradient = penalised(i);
        let second = ALPHA * v[i] + REST * gradient * gradient;
        let moment = MOMENTUM * b[i] + gradient / (sqrt(second) + EPSILON);
        v[i] = second;
        b[i] = moment;
        w[i] -= step.lr * moment;
    }
}

@compute @workgroup_size(WG)
fn adagrad(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT && !held() {
        let gradient = penalised(i);
        let second = v[i] + gradient * gradient;
        v[i] = second;
        w[i] -= step.lr * gradient / (sqrt(second) + EPSILON);
    }
}

@group(0) @binding(1) var<storage, read_write> sum: array<vec4<f32>>;

// In the first batch `sum` holds what an earlier update left, which may be NaN. `select` leaves it out.
@compute @workgroup_size(WG)
fn accumulate(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT {
        sum[i] = select(sum[i] + g[i], g[i], step.accumulate == 0u);
    }
}

override PARTS: u32 = 1u;   // partial sums of this window
override FIRST: u32 = 0u;   // the index of this window's first partial sum
override ALL_PARTS: u32 = 1u;
override MAX_NORM: f32 = 1.0;

@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

override SPAN: u32 = 1u;    // vec4s, side by side, that eight neighbouring invocations sum together

// One invocation sums the squares of every eighth vec4 of a span.
@compute @workgroup_size(WG)
fn clip_partial(id: Invocation) {
    let part = flat_index(id);
    if part < PARTS {
        var total = 0.0;
        let span = part / 8u * SPAN;
        for (var i = span + part % 8u; i < min(span + SPAN, COUNT); i += 8u) {
            let four = g[i];
            total += dot(four, four);
        }
        parts[FIRST + part] = total;
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> factor: array<f32>;

var<workgroup> sums: array<f32, WG>;

// One workgroup adds the partial sums of all windows, always in the same
// order. A norm that is NaN makes all gradients NaN, as in PyTorch.
@compute @workgroup_size(WG)
fn clip_factor(id: Invocation) {
    let lane = id.local;
    var own = 0.0;
    for (var part = lane; part < ALL_PARTS; part += WG) {
        own += parts_in[part];
    }
    sums[lane] = own;
    workgroupBarrier();
    if lane == 0u {
        var total = 0.0;
        for (var k = 0u; k < WG; k += 1u) {
            total += sums[k];
        }
        let norm = sqrt(total);
        let scale = MAX_NORM / (norm + 1e-6);
        factor[0] = select(scale, 1.0, scale > 1.0);
        factor[1] = norm;
    }
}

@group(0) @binding(2) var<storage, read> factor_in: array<f32>;

// One invocation scales one vec4.
@compute @workgroup_size(WG)
fn clip_scale(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT {
        sum[i] *= factor_in[0];
    }
}

fn is_finite(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
}

// One invocation looks at every eighth vec4 of a span: its part is 1 if one of them is not finite, else 0.
@compute @workgroup_size(WG)
fn guard_partial(id: Invocation) {
    let part = flat_index(id);
    if part < PARTS {
        var finite = vec4<bool>(true);
        let span = part / 8u * SPAN;
        for (var i = span + part % 8u; i < min(span + SPAN, COUNT); i += 8u) {
            finite = finite & is_finite(g[i]);
        }
        parts[FIRST + part] = select(1.0, 0.0, all(finite));
    }
}

@group(0) @binding(2) var<storage, read_write> verdict: array<f32>;

override NORMS: u32 = 0u;   // where the ring keeps the norms of gradients

// One invocation: the ring keeps the norm that `clip_factor` found, for the host.
@compute @workgroup_size(WG)
fn clip_record(id: Invocation) {
    if flat_index(id) == 0u {
        verdict[NORMS + min(step.slot, HELD / 2u - 1u)] = parts_in[1];
    }
}

// One workgroup: this update is held back if one of its losses or gradients is not finite. Of a gradient the host hears
// by the loss, which becomes infinite.
@compute @workgroup_size(WG)
fn guard(id: Invocation) {
    let lane = id.local;
    var own = 0.0;
    for (var part = lane; part < ALL_PARTS; part += WG) {
        own += parts_in[part];
    }
    sums[lane] = own;
    workgroupBarrier();
    if lane == 0u {
        var total = 0.0;
        for (var k = 0u; k < WG; k += 1u) {
            total += sums[k];
        }
        let bad = total > 0.0;
        let slot = min(step.slot, HELD / 2u - 1u);
        verdict[2u * slot] = select(verdict[2u * slot], bitcast<f32>(select(0u, 0x7f800000u, bad)), bad);
        verdict[HELD] = select(verdict[HELD + 1u], 1.0, bad);
    }
}
