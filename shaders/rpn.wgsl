// The loss of a network that proposes regions (Ren et al. 2015). Of box p: y[p] are 4 offsets and a score s. matched[p] is g + 1 for
// object g, 0 for the background, -1 for what does not count. chosen[p] is 1 where the box is learnt from.
//   loss[n] = Σ over chosen boxes of (log(1 + exp(s)) - s · (1 for an object, else 0)) + Σ over those of objects of smooth L1(y - t)
//   t = ((cx - px) / pw, (cy - py) / ph, ln(w / pw), ln(h / ph))
#import step
#import boxes
#import random
#import choose

override IOU: f32 = 0.7;
override BACKGROUND: f32 = 0.3;

@group(0) @binding(3) var<storage, read_write> most: array<f32>;

// One invocation finds the largest overlap of one object with any box.
@compute @workgroup_size(WG)
fn best_overlaps(id: Invocation) {
    let row = flat_index(id);
    if row < G * step.n {
        let own = object(row);
        var found = 0.0;
        for (var p = 0u; p < P; p += 1u) {
            found = max(found, iou(corners(priors[p]), own));
        }
        most[row] = found;
    }
}

@group(0) @binding(3) var<storage, read> most_in: array<f32>;
@group(0) @binding(4) var<storage, read_write> matched: array<i32>;

// One invocation matches one box of one sample.
@compute @workgroup_size(WG)
fn match_priors(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        let first = i / P * G;
        let own = corners(priors[i % P]);
        var found = 0;
        var largest = -1.0;
        var wanted = false;
        for (var g = 0u; g < G; g += 1u) {
            if is_object(first + g) {
                let overlap = iou(own, object(first + g));
                if overlap > largest + TIE {
                    largest = overlap;
                    found = i32(g) + 1;
                }
                wanted = wanted || overlap >= most_in[first + g] - TIE;
            }
        }
        let apart = select(0, -1, largest >= BACKGROUND - TIE);
        matched[i] = select(apart, found, wanted || largest >= IOU - TIE);
    }
}

override COUNT: u32 = 256u; // boxes of a sample that are chosen
override MOST: u32 = 128u;  // how many of them stand for objects, at most
override SALT: u32 = 0u;

@group(0) @binding(4) var<storage, read> matched_in: array<i32>;
@group(0) @binding(5) var<storage, read_write> chosen: array<i32>;
@group(0) @binding(6) var<storage, read_write> total: array<f32>;

// A random number above 0 for a box of an object (group 1) or of the background (group 0); 0 for the others.
fn key_of(i: u32, group: u32) -> u32 {
    let own = matched_in[i];
    let fits = (group == 1u && own > 0) || (group == 0u && own == 0);
    return select(0u, max(random4(i / 4u, SALT)[i % 4u], 1u), fits);
}

// Marks the `wanted` boxes of one group. Returns how many this lane has marked.
fn mark_group(lane: u32, first: u32, group: u32, wanted: u32) -> u32 {
    let least = least_key(lane, first, P, group, wanted);
    var left = equals_left(lane, first, P, group, wanted, least);
    let own = stretch_of(lane, P);
    var taken = 0u;
    for (var p = own.x; p < own.y; p += 1u) {
        let key = key_of(first + p, group);
        if counts_too(key, least, left) {
            chosen[first + p] = 1;
            taken += 1u;
        }
        left -= select(0, 1, key == least.x);
    }
    return add_lanes(lane, taken).y;
}

// One workgroup chooses the boxes of one sample. Each lane writes those of its own stretch alone.
@compute @workgroup_size(WG)
fn sample(id: Invocation) {
    let n = min(group_index(id), step.n - 1u);
    let first = n * P;
    let own = stretch_of(id.local, P);
    for (var p = own.x; p < own.y; p += 1u) {
        chosen[first + p] = 0;
    }
    let objects = mark_group(id.local, first, 1u, MOST);
    let others = mark_group(id.local, first, 0u, COUNT - objects);
    if id.local == 0u {
        total[n] = f32(objects + others);
    }
}

override BETA: f32 = 0.1111111; // smooth L1 is a square below it
override PARTS: u32 = 1u;       // stretches of boxes of a sample
override STRETCH: u32 = 1u;     // boxes of a stretch

@group(0) @binding(3) var<storage, read> y: array<f32>;
@group(0) @binding(5) var<storage, read> chosen_in: array<i32>;
@group(0) @binding(6) var<storage, read_write> parts: array<f32>;

// Of box i, which stands for an object: what the network says of the offsets, less what it should say.
fn differences(i: u32) -> vec4<f32> {
    let truth = shape_of(object(i / P * G + u32(matched_in[i]) - 1u));
    let prior = priors[i % P];
    let wanted = vec4<f32>((truth.xy - prior.xy) / prior.zw, log(truth.zw / prior.zw));
    return vec4<f32>(y[5u * i], y[5u * i + 1u], y[5u * i + 2u], y[5u * i + 3u]) - wanted;
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
                let s = y[5u * i + 4u];
                sum += max(s, 0.0) + log(1.0 + exp(-abs(s)));
                if matched_in[i] > 0 {
                    let d = abs(differences(i));
                    let terms = select(d - 0.5 * BETA, d * d / (2.0 * BETA), d < vec4<f32>(BETA));
                    sum += (terms.x + terms.y) + (terms.z + terms.w) - s;
                }
            }
        }
        parts[part] = sum;
    }
}

@group(0) @binding(6) var<storage, read> dloss: array<f32>;
@group(0) @binding(7) var<storage, read_write> dy: array<f32>;

// One invocation computes dy of one box.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        let scale = select(0.0, dloss[i / P], chosen_in[i] == 1);
        var offsets = vec4<f32>(0.0);
        var wanted = 0.0;
        if chosen_in[i] == 1 && matched_in[i] > 0 {
            offsets = clamp(differences(i) / BETA, vec4<f32>(-1.0), vec4<f32>(1.0)) * scale;
            wanted = 1.0;
        }
        let s = y[5u * i + 4u];
        let e = exp(-abs(s));
        dy[5u * i] = offsets.x;
        dy[5u * i + 1u] = offsets.y;
        dy[5u * i + 2u] = offsets.z;
        dy[5u * i + 3u] = offsets.w;
        dy[5u * i + 4u] = (select(1.0, e, s < 0.0) / (1.0 + e) - wanted) * scale;
    }
}
