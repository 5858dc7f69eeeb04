// The loss of YOLOv3 (Redmon and Farhadi 2018), as darknet computes it. Of box p: y[p] are 4 offsets, an objectness and a score
// for each class. An object belongs to the box of its cell that is most like it in shape: owner[g]. matched[p] is g + 1 for
// the last object g that belongs to box p; 0 for none; -1 for none, but the box as the network moves it overlaps an object.
//   loss[n] = Σ over boxes with matched >= 0 of bce(objectness, matched > 0)
//           + Σ over boxes with matched > 0 of s · (bce(x, tx) + bce(y, ty) + (w - tw)² / 2 + (h - th)² / 2) + Σ bce(classes)
//   s = 2 - the object's area
#import step
#import boxes
#import yolo

override IGNORE: f32 = 0.5; // overlap from which on a box that stands for no object does not count

@group(0) @binding(5) var<storage, read_write> owner: array<i32>;

// One invocation finds the box that one object belongs to.
@compute @workgroup_size(WG)
fn own(id: Invocation) {
    let row = flat_index(id);
    if row < G * step.n {
        var found = -1;
        var most = -1.0;
        if is_object(row) {
            let shape = shape_of(object(row));
            for (var p = 0u; p < P; p += 1u) {
                let cell = cells[p];
                let prior = priors[p];
                let both = min(prior.z, shape.z) * min(prior.w, shape.w);
                let overlap = both / (prior.z * prior.w + shape.z * shape.w - both);
                if all(floor(shape.xy / cell.zw) == cell.xy) && overlap > most + TIE {
                    most = overlap;
                    found = i32(p);
                }
            }
        }
        owner[row] = found;
    }
}

@group(0) @binding(5) var<storage, read> owner_in: array<i32>;
@group(0) @binding(6) var<storage, read_write> matched: array<i32>;

// One invocation looks at one box of one sample.
@compute @workgroup_size(WG)
fn match_objects(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        let p = i % P;
        let first = i / P * G;
        let o = offsets_of(i);
        let middle = (cells[p].xy + vec2<f32>(sigmoid(o.x), sigmoid(o.y))) * cells[p].zw;
        let moved = corners(vec4<f32>(middle, priors[p].zw * exp(min(o.zw, vec2<f32>(10.0)))));
        var found = 0;
        var ignored = false;
        for (var g = 0u; g < G; g += 1u) {
            if is_object(first + g) {
                ignored = ignored || iou(moved, object(first + g)) > IGNORE;
                found = select(found, i32(g) + 1, owner_in[first + g] == i32(p));
            }
        }
        matched[i] = select(found, -1, ignored && found == 0);
    }
}

@group(0) @binding(6) var<storage, read> matched_in: array<i32>;

// What the offsets of box i should be, the first two behind the sigmoid, for an object of this shape.
fn wanted_of(i: u32, shape: vec4<f32>) -> vec4<f32> {
    let p = i % P;
    return vec4<f32>(shape.xy / cells[p].zw - cells[p].xy, log(shape.zw / priors[p].zw));
}

// The shape of the object that box i stands for.
fn own_shape(i: u32) -> vec4<f32> {
    return shape_of(object(i / P * G + u32(matched_in[i]) - 1u));
}

// 1 if one of the objects that belong to box i, which stands for one, is of class k.
fn wanted_class(i: u32, k: u32) -> f32 {
    let first = i / P * G;
    var wanted = 0.0;
    for (var g = 0u; g < G; g += 1u) {
        wanted = select(wanted, 1.0, owner_in[first + g] == i32(i % P) && class_of(first + g) == k);
    }
    return wanted;
}

// The terms of box i.
fn terms_of(i: u32) -> f32 {
    let score = y[i * K + 4u];
    if matched_in[i] <= 0 {
        return select(0.0, bce(score, 0.0), matched_in[i] == 0);
    }
    let shape = own_shape(i);
    let wanted = wanted_of(i, shape);
    let o = offsets_of(i);
    let d = o.zw - wanted.zw;
    var sum = bce(o.x, wanted.x) + bce(o.y, wanted.y) + 0.5 * dot(d, d);
    sum = sum * (2.0 - shape.z * shape.w) + bce(score, 1.0);
    for (var k = 5u; k < K; k += 1u) {
        sum += bce(y[i * K + k], wanted_class(i, k - 5u));
    }
    return sum;
}

override PARTS: u32 = 1u;   // stretches of boxes of a sample
override STRETCH: u32 = 1u; // boxes of a stretch

@group(0) @binding(7) var<storage, read_write> parts: array<f32>;

// One invocation adds the terms of one stretch of boxes of one sample.
@compute @workgroup_size(WG)
fn partial_sums(id: Invocation) {
    let part = flat_index(id);
    if part < PARTS * step.n {
        let start = part % PARTS * STRETCH;
        var sum = 0.0;
        for (var p = start; p < min(start + STRETCH, P); p += 1u) {
            sum += terms_of(part / PARTS * P + p);
        }
        parts[part] = sum;
    }
}

@group(0) @binding(7) var<storage, read> dloss: array<f32>;
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
            let shape = own_shape(i);
            let o = offsets_of(i);
            let said = vec4<f32>(sigmoid(o.x), sigmoid(o.y), o.zw);
            offsets = (said - wanted_of(i, shape)) * ((2.0 - shape.z * shape.w) * d);
        }
        dy[i * K] = offsets.x;
        dy[i * K + 1u] = offsets.y;
        dy[i * K + 2u] = offsets.z;
        dy[i * K + 3u] = offsets.w;
        let score = sigmoid(y[i * K + 4u]) - select(0.0, 1.0, m > 0);
        dy[i * K + 4u] = select(score * d, 0.0, m < 0);
        for (var k = 5u; k < K; k += 1u) {
            var one = 0.0;
            if m > 0 {
                one = (sigmoid(y[i * K + k]) - wanted_class(i, k - 5u)) * d;
            }
            dy[i * K + k] = one;
        }
    }
}
