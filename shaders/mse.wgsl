// Mean squared error of one sample: loss[n] = Σ (y[n, i] - t[n, i])² / ITEMS; dy[n, i] = 2 (y - t) / ITEMS · dloss[n].
#import step

override ITEMS: u32 = 1u; // elements of one sample
override PARTS: u32 = 1u; // partial sums of one sample
override SPAN: u32 = 1u;  // vec4s that eight invocations side by side sum: one stretch of memory

@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

// One invocation computes the loss of one sample.
@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        var sum = 0.0;
        for (var i = n * ITEMS; i < (n + 1u) * ITEMS; i += 1u) {
            let d = y[i] - t[i];
            sum += d * d;
        }
        loss[n] = sum / f32(ITEMS);
    }
}

@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

// One invocation sums elements part, part + PARTS, … of one sample.
@compute @workgroup_size(WG)
fn partial_sums(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let k = group_index(group, groups) * WG + lane;
    if k < PARTS * step.n {
        let start = k / PARTS * ITEMS;
        var sum = 0.0;
        for (var i = k % PARTS; i < ITEMS; i += PARTS) {
            let d = y[start + i] - t[start + i];
            sum += d * d;
        }
        parts[k] = sum;
    }
}

@group(0) @binding(1) var<storage, read> y4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> t4: array<vec4<f32>>;

// One invocation sums every eighth vec4 of a span of one sample, which has ITEMS of them.
@compute @workgroup_size(WG)
fn partial_sums_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let k = group_index(group, groups) * WG + lane;
    if k < PARTS * step.n {
        let start = k / PARTS * ITEMS;
        let span = k % PARTS / 8u * SPAN;
        var sum = vec4<f32>();
        for (var i = span + k % 8u; i < min(span + SPAN, ITEMS); i += 8u) {
            let d = y4[start + i] - t4[start + i];
            sum += d * d;
        }
        parts[k] = (sum.x + sum.y) + (sum.z + sum.w);
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;

// One invocation adds the partial sums of one sample, in order.
@compute @workgroup_size(WG)
fn mean(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        var sum = 0.0;
        for (var k = n * PARTS; k < (n + 1u) * PARTS; k += 1u) {
            sum += parts_in[k];
        }
        loss[n] = sum / f32(ITEMS);
    }
}

override SCALE: f32 = 2.0; // of the gradients: 2 / elements of one sample; their ITEMS may be vec4s
override DLOSS: f32 = 1.0; // where it is constant, dloss of every sample times those that share the update

@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;

// One invocation computes one element of dy.
@compute @workgroup_size(WG)
fn grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dy[i] = (y[i] - t[i]) * (SCALE * dloss[i / ITEMS]);
    }
}

// The same where dloss is constant.
@compute @workgroup_size(WG)
fn grad_mean(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dy[i] = (y[i] - t[i]) * (SCALE * (DLOSS * step.inv_n));
    }
}

@group(0) @binding(4) var<storage, read_write> dy4: array<vec4<f32>>;

// One invocation computes four elements of dy.
@compute @workgroup_size(WG)
fn grad_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dy4[i] = (y4[i] - t4[i]) * (SCALE * dloss[i / ITEMS]);
    }
}

// The same where dloss is constant.
@compute @workgroup_size(WG)
fn grad_mean_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dy4[i] = (y4[i] - t4[i]) * (SCALE * (DLOSS * step.inv_n));
    }
}
