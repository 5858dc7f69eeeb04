// The loss of SSD (Liu et al. 2016). Of box p: y[p] are 4 offsets, the score of the background, and one for each class.
// matched[p] is 0 for the background, else g + 1 for object g. chosen[p] is 1 where the box counts for the classes.
//   loss[n] = Σ chosen · (log Σ exp(s) - s[own]) + Σ over matched boxes and offsets of smooth L1(y - t)
//   t = ((cx - px) / (0.1 pw), (cy - py) / (0.1 ph), ln(w / pw) / 0.2, ln(h / ph) / 0.2)
#import step
#import boxes

override IOU: f32 = 0.5;

@group(0) @binding(3) var<storage, read_write> best: array<u32>;

// One invocation finds the box that overlaps one object most.
@compute @workgroup_size(WG)
fn best_priors(id: Invocation) {
    let row = flat_index(id);
    if row < G * step.n {
        let own = object(row);
        var found = 0u;
        var most = -1.0;
        for (var p = 0u; p < P; p += 1u) {
            let overlap = iou(corners(priors[p]), own);
            if overlap > most + TIE {
                most = overlap;
                found = p;
            }
        }
        best[row] = found;
    }
}

@group(0) @binding(3) var<storage, read> best_in: array<u32>;
@group(0) @binding(4) var<storage, read_write> matched: array<i32>;

// One invocation matches one box of one sample.
@compute @workgroup_size(WG)
fn match_priors(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        let p = i % P;
        let first = i / P * G;
        let own = corners(priors[p]);
        var found = 0u;
        var most = -1.0;
        var wanted = 0u;
        for (var g = 0u; g < G; g += 1u) {
            if is_object(first + g) {
                let overlap = iou(own, object(first + g));
                if overlap > most + TIE {
                    most = overlap;
                    found = g + 1u;
                }
                wanted = select(wanted, g + 1u, best_in[first + g] == p);
            }
        }
        found = select(0u, found, most >= IOU - TIE);
        matched[i] = i32(select(found, wanted, wanted > 0u));
    }
}

@group(0) @binding(4) var<storage, read> matched_in: array<i32>;
@group(0) @binding(5) var<storage, read_write> positive: array<f32>;

// One invocation counts the boxes of one sample that are matched with objects.
@compute @workgroup_size(WG)
fn positives(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        var count = 0u;
        for (var p = 0u; p < P; p += 1u) {
            count += select(0u, 1u, matched_in[n * P + p] > 0);
        }
        positive[n] = f32(count);
    }
}

@group(0) @binding(3) var<storage, read> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> errors: array<f32>;

// The class of box i of the batch, 0 for the background.
fn own_class(i: u32) -> u32 {
    let g = matched_in[i];
    if g == 0 {
        return 0u;
    }
    return 1u + class_of(i / P * G + u32(g) - 1u);
}

// Of the scores of box i: the largest number m, and Σ exp(s - m).
fn score_sum(i: u32) -> vec2<f32> {
    var m = y[i * K + 4u];
    for (var k = 5u; k < K; k += 1u) {
        m = max(m, y[i * K + k]);
    }
    var sum = 0.0;
    for (var k = 4u; k < K; k += 1u) {
        sum += exp(y[i * K + k] - m);
    }
    return vec2<f32>(m, sum);
}

// The cross-entropy of box i. Rounding must not make it negative: its bits are compared.
fn error_of(i: u32) -> f32 {
    let sum = score_sum(i);
    return max(log(sum.y) + (sum.x - y[i * K + 4u + own_class(i)]), 0.0);
}

// One invocation computes the cross-entropy of one box.
@compute @workgroup_size(WG)
fn cross_entropy(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        errors[i] = error_of(i);
    }
}

override RATIO: f32 = 3.0; // boxes of the background for each box of an object

@group(0) @binding(5) var<storage, read> errors_in: array<f32>;
@group(0) @binding(6) var<storage, read> positive_in: array<f32>;
@group(0) @binding(7) var<storage, read_write> chosen: array<i32>;

var<workgroup> counts: array<u32, WG>;

// The error of box i as bits, which have the order of the numbers, plus 1; 0 for a box of an object.
fn rank_of(i: u32) -> u32 {
    return select((bitcast<u32>(errors_in[i]) & 0x7fffffffu) + 1u, 0u, matched_in[i] > 0);
}

// The sum of the first `end` numbers of `counts`.
fn counted_before(end: u32) -> u32 {
    var sum = 0u;
    for (var k = 0u; k < WG; k += 1u) {
        sum += select(0u, counts[k], k < end);
    }
    return sum;
}

// One workgroup chooses the boxes of one sample. Bit by bit it finds the rank `least` of the last box of the background
// that counts. Boxes of this very rank count in their order.
@compute @workgroup_size(WG)
fn mine(id: Invocation) {
    let n = min(group_index(id), step.n - 1u);
    let lane = id.local;
    let first = n * P;
    let wanted = u32(RATIO * positive_in[n]);
    var least = 0u;
    var above = 0u;
    for (var bit = 0u; bit < 32u; bit += 1u) {
        let tried = least | (0x80000000u >> bit);
        var own = 0u;
        for (var p = lane; p < P; p += WG) {
            own += select(0u, 1u, rank_of(first + p) >= tried);
        }
        counts[lane] = own;
        workgroupBarrier();
        let found = counted_before(WG);
        workgroupBarrier();
        least = select(least, tried, found >= wanted);
        above = select(found, above, found >= wanted);
    }
    // With fewer boxes of the background than are wanted, `least` is 0 and all of them count.
    let stretch = (P + WG - 1u) / WG;
    let start = min(lane * stretch, P);
    let end = min(start + stretch, P);
    var equal = 0u;
    for (var p = start; p < end; p += 1u) {
        equal += select(0u, 1u, rank_of(first + p) == least);
    }
    counts[lane] = equal;
    workgroupBarrier();
    var left = i32(wanted) - i32(above) - i32(counted_before(lane));
    for (var p = start; p < end; p += 1u) {
        let rank = rank_of(first + p);
        let same = rank == least && rank > 0u;
        let counts_too = rank == 0u || rank > least || (same && left > 0);
        chosen[first + p] = select(0, 1, counts_too);
        left -= select(0, 1, same);
    }
}

override PARTS: u32 = 1u;   // stretches of boxes of a sample
override STRETCH: u32 = 1u; // boxes of a stretch

@group(0) @binding(5) var<storage, read> chosen_in: array<i32>;
@group(0) @binding(6) var<storage, read_write> parts: array<f32>;

// Of box i, which is matched: what the network says of the offsets, less what it should say.
fn differences(i: u32) -> vec4<f32> {
    let truth = shape_of(object(i / P * G + u32(matched_in[i]) - 1u));
    let prior = priors[i % P];
    let wanted = vec4<f32>((truth.xy - prior.xy) / (0.1 * prior.zw), log(truth.zw / prior.zw) / 0.2);
    return vec4<f32>(y[i * K], y[i * K + 1u], y[i * K + 2u], y[i * K + 3u]) - wanted;
}

// One invocation adds the terms of one stretch of boxes of one sample.
@compute @workgroup_size(WG)
fn partial_sums(id: Invocation) {
    let part = flat_index(id);
    if part < PARTS * step.n {
        let first = part / PARTS * P;
        let start = part % PARTS * STRETCH;
        var sum = 0.0;
        for (var p = start; p < min(start + STRETCH, P); p += 1u) {
            let i = first + p;
            if chosen_in[i] == 1 {
                sum += error_of(i);
            }
            if matched_in[i] > 0 {
                let d = abs(differences(i));
                let terms = select(d - 0.5, 0.5 * d * d, d < vec4<f32>(1.0));
                sum += (terms.x + terms.y) + (terms.z + terms.w);
            }
        }
        parts[part] = sum;
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;

// One invocation adds the parts of one sample, in order.
@compute @workgroup_size(WG)
fn add_parts(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        var sum = 0.0;
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += parts_in[n * PARTS + part];
        }
        loss[n] = sum;
    }
}

@group(0) @binding(6) var<storage, read> dloss: array<f32>;
@group(0) @binding(7) var<storage, read_write> dy: array<f32>;

// One invocation computes dy of one box.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        let d = dloss[i / P];
        var offsets = vec4<f32>(0.0);
        if matched_in[i] > 0 {
            offsets = clamp(differences(i), vec4<f32>(-1.0), vec4<f32>(1.0)) * d;
        }
        dy[i * K] = offsets.x;
        dy[i * K + 1u] = offsets.y;
        dy[i * K + 2u] = offsets.z;
        dy[i * K + 3u] = offsets.w;
        let sum = score_sum(i);
        let own = own_class(i);
        let scale = select(0.0, d, chosen_in[i] == 1);
        for (var k = 4u; k < K; k += 1u) {
            dy[i * K + k] = (exp(y[i * K + k] - sum.x) / sum.y - select(0.0, 1.0, k - 4u == own)) * scale;
        }
    }
}
