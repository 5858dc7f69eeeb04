// The loss of the second stage of a detector (Girshick 2015). Of region r: y[r] are LEAD numbers that nothing is learnt from, the scores of the
// background and the classes, and four offsets for each of them. owner[r] is g + 1 for object g, 0 for the background, -1 for no region.
//   loss[n] = Σ over regions of (log Σ exp(s) - s[label]) + Σ over those with an object of smooth L1(y - t), for the label's own offsets
//   t = ((cx - rx) / (0.1 rw), (cy - ry) / (0.1 rh), ln(w / rw) / 0.2, ln(h / rh) / 0.2)
#import step
#import boxes
#import rois

override CLASSES: u32 = 1u;      // without a background
override NUMBERS: u32 = 15u;     // numbers of a region in y
override BETA: f32 = 0.1111111;  // smooth L1 is a square below it
override LEAST: f32 = 0.0;
override FIRST: u32 = 1u;

const LEAD: u32 = 5u;

@group(0) @binding(4) var<storage, read_write> owner: array<i32>;

// One invocation finds the object of one region.
@compute @workgroup_size(WG)
fn owners(id: Invocation) {
    let i = flat_index(id);
    if i < ALL * step.n {
        var found = 0;
        var most = -1.0;
        let objects = select(0u, G, rois[5u * i] > 0.0);
        for (var g = 0u; g < objects; g += 1u) {
            let row = i / ALL * G + g;
            if is_object(row) {
                let overlap = iou(region(i), object(row));
                if overlap > most + TIE {
                    most = overlap;
                    found = i32(g) + 1;
                }
            }
        }
        owner[i] = select(-1, found, is_region(i));
    }
}

@group(0) @binding(4) var<storage, read_write> counts: array<f32>;

// One invocation counts regions of one sample.
@compute @workgroup_size(WG)
fn count(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        var sum = 0u;
        for (var r = 0u; r < FIRST; r += 1u) {
            sum += select(0u, 1u, rois[5u * (n * ALL + r)] >= LEAST);
        }
        counts[n] = f32(sum);
    }
}

@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(4) var<storage, read> owner_in: array<i32>;
@group(0) @binding(5) var<storage, read_write> parts: array<f32>;

// The label of a region: 0 for the background, k for class k - 1. One past the last counts as the last.
fn label_of(i: u32) -> u32 {
    return min(u32(max(rois[5u * i], 0.0)), CLASSES);
}

// Of the scores of region i: the largest number m, and Σ exp(s - m).
fn score_sum(i: u32) -> vec2<f32> {
    let first = i * NUMBERS + LEAD;
    var m = y[first];
    for (var k = 1u; k <= CLASSES; k += 1u) {
        m = max(m, y[first + k]);
    }
    var sum = 0.0;
    for (var k = 0u; k <= CLASSES; k += 1u) {
        sum += exp(y[first + k] - m);
    }
    return vec2<f32>(m, sum);
}

// Of region i, which has an object: what the network says of the offsets of its class, less what it should say.
fn differences(i: u32) -> vec4<f32> {
    let truth = shape_of(object(i / ALL * G + u32(owner_in[i]) - 1u));
    let own = shape_of(region(i));
    let wanted = vec4<f32>((truth.xy - own.xy) / (0.1 * own.zw), log(truth.zw / own.zw) / 0.2);
    let first = i * NUMBERS + LEAD + CLASSES + 1u + 4u * label_of(i);
    return vec4<f32>(y[first], y[first + 1u], y[first + 2u], y[first + 3u]) - wanted;
}

fn has_object(i: u32) -> bool {
    return owner_in[i] > 0 && label_of(i) > 0u;
}

// One invocation computes the terms of one region.
@compute @workgroup_size(WG)
fn terms(id: Invocation) {
    let i = flat_index(id);
    if i < ALL * step.n {
        var sum = 0.0;
        if is_region(i) {
            let s = score_sum(i);
            sum = log(s.y) + (s.x - y[i * NUMBERS + LEAD + label_of(i)]);
            if has_object(i) {
                let d = abs(differences(i));
                let each = select(d - 0.5 * BETA, d * d / (2.0 * BETA), d < vec4<f32>(BETA));
                sum += (each.x + each.y) + (each.z + each.w);
            }
        }
        parts[i] = sum;
    }
}

@group(0) @binding(5) var<storage, read> dloss: array<f32>;
@group(0) @binding(6) var<storage, read_write> dy: array<f32>;

// One invocation computes dy of one region.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < ALL * step.n {
        let d = select(0.0, dloss[i / ALL], is_region(i));
        let s = score_sum(i);
        let own = label_of(i);
        var offsets = vec4<f32>(0.0);
        if has_object(i) {
            offsets = clamp(differences(i) / BETA, vec4<f32>(-1.0), vec4<f32>(1.0)) * d;
        }
        let first = i * NUMBERS;
        for (var k = 0u; k < LEAD; k += 1u) {
            dy[first + k] = 0.0;
        }
        for (var k = 0u; k <= CLASSES; k += 1u) {
            let p = exp(y[first + LEAD + k] - s.x) / s.y;
            dy[first + LEAD + k] = (p - select(0.0, 1.0, k == own)) * d;
            let place = first + LEAD + CLASSES + 1u + 4u * k;
            let each = select(vec4<f32>(0.0), offsets, k == own);
            dy[place] = each.x;
            dy[place + 1u] = each.y;
            dy[place + 2u] = each.z;
            dy[place + 3u] = each.w;
        }
    }
}
