// The loss `yolo` of version "ciou": several boxes an object, and the complete intersection over union (Zheng et al. 2020).
// Of box p: y[p] are 4 offsets, an objectness and a score for each class. matched[p] is g + 1 for the object g that box p
// stands for, else 0. The box lies at (2σ(x) - ½ + column, 2σ(y) - ½ + row) cells and has sides prior · (2σ)².
//   loss[n] = Σ over all boxes of bce(objectness, IoU where matched, else 0)
//           + Σ over boxes with matched > 0 of 5 · (1 - CIoU) + Σ bce(classes)
//   1 - CIoU = 1 - IoU + d² / c² + a v,  v = (2/π · (atan(W/H) - atan(w/h)))²,  a = v / (1 - IoU + v), held constant
#import step
#import boxes
#import yolo

override ASPECT: f32 = 1.0; // width / height of the network's input: distances and angles are those of its pixels

const BOX = 5.0; // the weight of 1 - CIoU

@group(0) @binding(5) var<storage, read> owner_in: array<i32>;
@group(0) @binding(6) var<storage, read_write> matched: array<i32>;

// One invocation looks at one box of one sample.
@compute @workgroup_size(WG)
fn assign(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        let p = i % P;
        let first = i / P * G;
        let prior = priors[p];
        let cell = cells[p];
        var best = 0;
        var most = -1.0;
        var wanted = 0;
        for (var g = 0u; g < G; g += 1u) {
            if is_object(first + g) {
                let shape = shape_of(object(first + g));
                wanted = select(wanted, i32(g) + 1, owner_in[first + g] == i32(p));
                let away = abs(shape.xy / cell.zw - cell.xy - 0.5);
                let near = min(away.x, away.y) <= 0.5 && max(away.x, away.y) < 1.0;
                let ratio = max(shape.zw / prior.zw, prior.zw / shape.zw);
                let overlap = iou(corners(prior), object(first + g));
                if near && max(ratio.x, ratio.y) < 4.0 && overlap > most + TIE {
                    most = overlap;
                    best = i32(g) + 1;
                }
            }
        }
        matched[i] = select(best, wanted, wanted > 0);
    }
}

@group(0) @binding(6) var<storage, read> matched_in: array<i32>;
@group(0) @binding(7) var<storage, read_write> positive: array<f32>;

// One invocation counts the boxes of one sample that stand for objects; at least 1.
@compute @workgroup_size(WG)
fn positives(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        var count = 0u;
        for (var p = 0u; p < P; p += 1u) {
            count += select(0u, 1u, matched_in[n * P + p] > 0);
        }
        positive[n] = f32(max(count, 1u));
    }
}

// cx, cy, w, h in heights of the input.
fn square(shape: vec4<f32>) -> vec4<f32> {
    return shape * vec4<f32>(ASPECT, 1.0, ASPECT, 1.0);
}

// Box i as the network moves it, in heights of the input.
fn moved(i: u32) -> vec4<f32> {
    let p = i % P;
    let o = offsets_of(i);
    let s = 2.0 * vec4<f32>(sigmoid(o.x), sigmoid(o.y), sigmoid(o.z), sigmoid(o.w));
    return square(vec4<f32>((s.xy - 0.5 + cells[p].xy) * cells[p].zw, s.zw * s.zw * priors[p].zw));
}

// The object that box i stands for, in heights of the input.
fn truth(i: u32) -> vec4<f32> {
    return square(shape_of(object(i / P * G + u32(matched_in[i]) - 1u)));
}

// atan x. The language promises few digits; the series has them all below tan(π/8), which half the angle is.
fn arctangent(x: f32) -> f32 {
    let m = abs(x);
    let r = select(m, 1.0 / max(m, 1.0), m > 1.0);
    let h = r / (1.0 + sqrt(1.0 + r * r));
    let z = h * h;
    let tail = 1.0 / 7.0 - z * (1.0 / 9.0 - z * (1.0 / 11.0 - z / 13.0));
    let series = h * (1.0 - z * (1.0 / 3.0 - z * (0.2 - z * tail)));
    let angle = select(2.0 * series, 1.5707963267948966 - 2.0 * series, m > 1.0);
    return select(angle, -angle, x < 0.0);
}

// atan(W/H) - atan(w/h) of the sides of an object and a box.
fn turned(t: vec4<f32>, b: vec4<f32>) -> f32 {
    return arctangent((t.z * b.w - b.z * t.w) / (t.w * b.w + t.z * b.z));
}

// v of the formula.
fn unlike(t: vec4<f32>, b: vec4<f32>) -> f32 {
    let angle = 0.6366197723675814 * turned(t, b);
    return angle * angle;
}

@group(0) @binding(7) var<storage, read_write> overlaps: array<vec2<f32>>;

// One invocation computes IoU and a of one box; 0 where it stands for no object.
@compute @workgroup_size(WG)
fn overlap(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        var pair = vec2<f32>(0.0);
        if matched_in[i] > 0 {
            let own = iou(corners(moved(i)), corners(truth(i)));
            let v = unlike(truth(i), moved(i));
            pair = vec2<f32>(own, v / max(1.0 - own + v, 1e-9));
        }
        overlaps[i] = pair;
    }
}

@group(0) @binding(7) var<storage, read> overlaps_in: array<vec2<f32>>;

// 1 - CIoU of a box and an object.
fn apart(b: vec4<f32>, t: vec4<f32>, a: f32) -> f32 {
    let own = corners(b);
    let theirs = corners(t);
    let outer = max(own.zw, theirs.zw) - min(own.xy, theirs.xy);
    let d = b.xy - t.xy;
    return 1.0 - iou(own, theirs) + dot(d, d) / dot(outer, outer) + a * unlike(t, b);
}

// Its gradient by cx, cy, w, h of the box.
fn apart_grad(b: vec4<f32>, t: vec4<f32>, a: f32) -> vec4<f32> {
    let own = corners(b);
    let theirs = corners(t);
    let none = vec2<f32>(0.0);
    let all_of = vec2<f32>(1.0);
    // Sides of what both share, their slopes by the box's upper and lower corner, and what follows by its middle and sides.
    let inner = max(min(own.zw, theirs.zw) - max(own.xy, theirs.xy), none);
    let touch = inner.x > 0.0 && inner.y > 0.0;
    let inner_high = select(none, all_of, (own.zw < theirs.zw) & vec2<bool>(touch));
    let inner_low = -select(none, all_of, (own.xy > theirs.xy) & vec2<bool>(touch));
    let both = inner.x * inner.y;
    let both_grad = vec4<f32>((inner_high + inner_low) * inner.yx, 0.5 * (inner_high - inner_low) * inner.yx);
    let union_area = b.z * b.w + t.z * t.w - both;
    let area_grad = vec4<f32>(none, b.wz);
    let iou_grad = (both_grad * (union_area + both) - both * area_grad) / (union_area * union_area);
    // The same of the box around both.
    let outer = max(own.zw, theirs.zw) - min(own.xy, theirs.xy);
    let outer_high = select(none, all_of, own.zw > theirs.zw);
    let outer_low = -select(none, all_of, own.xy < theirs.xy);
    let c2 = dot(outer, outer);
    let d = b.xy - t.xy;
    let c2_grad = 2.0 * vec4<f32>(outer * (outer_high + outer_low), 0.5 * outer * (outer_high - outer_low));
    let far_grad = vec4<f32>(2.0 * d, none) / c2 - c2_grad * (dot(d, d) / (c2 * c2));
    // 8 / π² = 0.81…
    let turn = 0.8105694691387022 * turned(t, b) / dot(b.zw, b.zw);
    let unlike_grad = vec4<f32>(none, vec2<f32>(-b.w, b.z) * turn);
    return far_grad - iou_grad + a * unlike_grad;
}

// 1 if class k is the class of the object that box i stands for.
fn wanted_class(i: u32, k: u32) -> f32 {
    return select(0.0, 1.0, class_of(i / P * G + u32(matched_in[i]) - 1u) == k);
}

override PARTS: u32 = 1u;   // stretches of boxes of a sample
override STRETCH: u32 = 1u; // boxes of a stretch

@group(0) @binding(8) var<storage, read_write> parts: array<f32>;

// One invocation adds the terms of one stretch of boxes of one sample.
@compute @workgroup_size(WG)
fn partial_sums(id: Invocation) {
    let part = flat_index(id);
    if part < PARTS * step.n {
        let start = part % PARTS * STRETCH;
        var sum = 0.0;
        for (var p = start; p < min(start + STRETCH, P); p += 1u) {
            let i = part / PARTS * P + p;
            let own = overlaps_in[i];
            sum += bce(y[i * K + 4u], own.x);
            if matched_in[i] > 0 {
                sum += BOX * apart(moved(i), truth(i), own.y);
                for (var k = 5u; k < K; k += 1u) {
                    sum += bce(y[i * K + k], wanted_class(i, k - 5u));
                }
            }
        }
        parts[part] = sum;
    }
}

@group(0) @binding(5) var<storage, read> dloss: array<f32>;
@group(0) @binding(8) var<storage, read_write> dy: array<f32>;

// One invocation computes dy of one box.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        let d = dloss[i / P];
        let m = matched_in[i];
        var offsets = vec4<f32>(0.0);
        if m > 0 {
            let b = moved(i);
            let o = offsets_of(i);
            let middle = vec2<f32>(sigmoid(o.x) * sigmoid(-o.x), sigmoid(o.y) * sigmoid(-o.y));
            let slope = vec4<f32>(middle * cells[i % P].zw * vec2<f32>(ASPECT, 1.0), sigmoid(-o.z) * b.z, sigmoid(-o.w) * b.w);
            offsets = apart_grad(b, truth(i), overlaps_in[i].y) * slope * (2.0 * BOX * d);
        }
        dy[i * K] = offsets.x;
        dy[i * K + 1u] = offsets.y;
        dy[i * K + 2u] = offsets.z;
        dy[i * K + 3u] = offsets.w;
        dy[i * K + 4u] = (sigmoid(y[i * K + 4u]) - overlaps_in[i].x) * d;
        for (var k = 5u; k < K; k += 1u) {
            var one = 0.0;
            if m > 0 {
                one = (sigmoid(y[i * K + k]) - wanted_class(i, k - 5u)) * d;
            }
            dy[i * K + k] = one;
        }
    }
}
