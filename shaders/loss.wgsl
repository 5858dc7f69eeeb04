// The scalar loss and what is counted beside it.
//   mean_loss: total = SCALE · inv_n · Σ loss[n]; its gradient, spread: dloss[n] = SCALE · inv_n · dtotal
//   correct: hit[n] = 1 where the first largest of output[n, :] is at the label
//   record: ring[slot] = (total, Σ hit[n])
#import step
#import reduce

override SCALE: f32 = 1.0;
override PARTS: u32 = 0u; // partial sums; 0 when the samples are summed at once

@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;

// One invocation sums samples part, part + PARTS, …
@compute @workgroup_size(WG)
fn partial_sums(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let part = group_index(group, groups) * WG + lane;
    if part < PARTS {
        var sum = 0.0;
        for (var n = part; n < step.n; n += PARTS) {
            sum += values[n];
        }
        parts[part] = sum;
    }
}

fn total_of_values() -> f32 {
    let count = select(step.n, PARTS, PARTS > 0u);
    var sum = 0.0;
    for (var n = 0u; n < count; n += 1u) {
        sum += values[n];
    }
    return sum;
}

@group(0) @binding(2) var<storage, read_write> total: array<f32>;

// One invocation adds all samples, or their partial sums, in order.
@compute @workgroup_size(WG)
fn mean_loss(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if group_index(group, groups) * WG + lane == 0u {
        total[0] = SCALE * step.inv_n * total_of_values();
    }
}

@group(0) @binding(1) var<storage, read> dtotal: array<f32>;
@group(0) @binding(2) var<storage, read_write> dloss: array<f32>;

// One invocation computes the gradient of one sample's loss.
@compute @workgroup_size(WG)
fn spread(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        dloss[n] = SCALE * step.inv_n * dtotal[0];
    }
}

// The same for dtotal = 1, or another constant that SCALE contains.
@compute @workgroup_size(WG)
fn spread_unit(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        dloss[n] = SCALE * step.inv_n;
    }
}

// One invocation writes the constant SCALE.
@compute @workgroup_size(WG)
fn fill(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if group_index(group, groups) * WG + lane == 0u {
        total[0] = SCALE;
    }
}

@group(0) @binding(1) var<storage, read> output: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> hit: array<f32>;

// One invocation judges one sample.
@compute @workgroup_size(WG)
fn correct(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        var best = 0u;
        var most = output[n * C];
        for (var c = 1u; c < C; c += 1u) {
            let v = output[n * C + c];
            best = select(best, c, v > most);
            most = select(most, v, v > most);
        }
        hit[n] = select(0.0, 1.0, i32(best) == labels[n]);
    }
}

@group(0) @binding(2) var<storage, read> total_in: array<f32>;
@group(0) @binding(3) var<storage, read_write> ring: array<f32>;

// One invocation writes a slot of the ring, `values` being the hits or their partial sums.
@compute @workgroup_size(WG)
fn record(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if group_index(group, groups) * WG + lane == 0u {
        let slot = min(step.slot, arrayLength(&ring) / 2u - 1u);
        ring[2u * slot] = total_in[0];
        ring[2u * slot + 1u] = total_of_values();
    }
}
