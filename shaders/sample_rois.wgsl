// Regions that a detector of two stages learns from (Ren et al. 2015). P regions and G objects of a sample are candidates: each is
// matched with the object that it overlaps most. Of those with an object and of the others some are chosen at random.
#import step
#import boxes
#import rois
#import random
#import choose

override IOU: f32 = 0.5;
override R: u32 = 1u;    // regions that are chosen
override MOST: u32 = 1u; // how many of them have an object, at most
override SALT: u32 = 0u;

@group(0) @binding(4) var<storage, read_write> matched: array<i32>;

// The object of sample n that a box overlaps most, if by at least IOU, and 1; 0 for none.
fn best_object(n: u32, own: vec4<f32>) -> u32 {
    var found = 0u;
    var most = -1.0;
    for (var g = 0u; g < G; g += 1u) {
        if is_object(n * G + g) {
            let overlap = iou(own, object(n * G + g));
            if overlap > most + TIE {
                most = overlap;
                found = g + 1u;
            }
        }
    }
    return select(0u, found, most >= IOU - TIE);
}

// One invocation matches one candidate.
@compute @workgroup_size(WG)
fn match_rois(id: Invocation) {
    let i = flat_index(id);
    if i < (P + G) * step.n {
        let n = i / (P + G);
        let p = i % (P + G);
        var own = vec4<f32>(0.0);
        var real = false;
        if p < P {
            own = region(n * P + p);
            real = is_region(n * P + p);
        } else {
            own = object(n * G + p - P);
            real = is_object(n * G + p - P);
        }
        matched[i] = select(-1, i32(best_object(n, own)), real);
    }
}

@group(0) @binding(4) var<storage, read> matched_in: array<i32>;
@group(0) @binding(5) var<storage, read_write> chosen: array<i32>;

// A random number above 0 for a candidate with an object (group 1) or without one (group 0); 0 for the others.
fn key_of(i: u32, group: u32) -> u32 {
    let own = matched_in[i];
    let fits = (group == 1u && own > 0) || (group == 0u && own == 0);
    return select(0u, max(random4(i / 4u, SALT)[i % 4u], 1u), fits);
}

// Lists the `wanted` candidates of one group, from place `start` on. Returns how many there are.
fn list_group(lane: u32, n: u32, group: u32, wanted: u32, start: u32) -> u32 {
    let first = n * P;
    let least = least_key(lane, first, P, group, wanted);
    let left = equals_left(lane, first, P, group, wanted, least);
    let own = stretch_of(lane, P);
    var equal = 0;
    var taken = 0u;
    for (var p = own.x; p < own.y; p += 1u) {
        let key = key_of(first + p, group);
        taken += select(0u, 1u, counts_too(key, least, left - equal));
        equal += select(0, 1, key == least.x);
    }
    let sums = add_lanes(lane, taken);
    var place = n * R + start + sums.x;
    equal = 0;
    for (var p = own.x; p < own.y; p += 1u) {
        let key = key_of(first + p, group);
        if counts_too(key, least, left - equal) {
            chosen[place] = i32(p);
            place += 1u;
        }
        equal += select(0, 1, key == least.x);
    }
    return sums.y;
}

// One workgroup chooses the candidates of one sample; here P counts all of them.
@compute @workgroup_size(WG)
fn choose_rois(id: Invocation) {
    let n = min(group_index(id), step.n - 1u);
    let objects = list_group(id.local, n, 1u, MOST, 0u);
    let all = objects + list_group(id.local, n, 0u, R - objects, objects);
    for (var k = all + id.local; k < R; k += WG) {
        chosen[n * R + k] = -1;
    }
}

@group(0) @binding(5) var<storage, read> chosen_in: array<i32>;
@group(0) @binding(6) var<storage, read_write> sampled: array<f32>;

fn write_region(i: u32, number: f32, place: vec4<f32>) {
    sampled[5u * i] = number;
    sampled[5u * i + 1u] = place.x;
    sampled[5u * i + 2u] = place.y;
    sampled[5u * i + 3u] = place.z;
    sampled[5u * i + 4u] = place.w;
}

// The number of a region of sample n that is matched: 0 for the background, else the class of its object and 1.
fn label_of(n: u32, own: u32) -> f32 {
    if own == 0u {
        return 0.0;
    }
    return f32(class_of(n * G + own - 1u) + 1u);
}

// One invocation writes one region that was chosen.
@compute @workgroup_size(WG)
fn sample(id: Invocation) {
    let i = flat_index(id);
    if i < R * step.n {
        let n = i / R;
        if chosen_in[i] < 0 {
            write_region(i, -1.0, vec4<f32>(0.0));
            return;
        }
        let p = u32(chosen_in[i]);
        var place = vec4<f32>(0.0);
        if p < P {
            place = region(n * P + p);
        } else {
            place = object(n * G + p - P);
        }
        write_region(i, label_of(n, u32(max(matched_in[n * (P + G) + p], 0))), place);
    }
}

// One invocation labels one region.
@compute @workgroup_size(WG)
fn label(id: Invocation) {
    let i = flat_index(id);
    if i < P * step.n {
        if is_region(i) {
            write_region(i, label_of(i / P, best_object(i / P, region(i))), region(i));
        } else {
            write_region(i, -1.0, vec4<f32>(0.0));
        }
    }
}
