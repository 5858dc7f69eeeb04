// Losses of a sample that compare it element by element: loss[n] = Σ pair_loss(y[n, i], t[n, i]) / ITEMS;
// dy[n, i] = pair_slope(y, t) / ITEMS · dloss[n]. With d = y - t:
//   mse d²; mae |d|; huber d² / 2 where |d| <= DELTA, else DELTA (|d| - DELTA / 2)
//   binary_cross_entropy -t log σ(y) - (1 - t) log(1 - σ(y)) = max(y, 0) - y t + log(1 + exp(-|y|))
#import step
#import activation

override LOSS: u32 = 0u; // 0 mse, 1 mae, 2 huber, 3 binary_cross_entropy
override DELTA: f32 = 1.0;

override ITEMS: u32 = 1u; // elements of one sample
override PARTS: u32 = 1u; // partial sums of one sample
override SPAN: u32 = 1u;  // vec4s that eight invocations side by side sum: one stretch of memory

// Comparisons and selects rather than max and clamp, which may swallow NaN.
fn pair_loss(y: f32, t: f32) -> f32 {
    let d = y - t;
    let size = abs(d);
    switch LOSS {
        case 1u: { return size; }
        case 2u: { return select(0.5 * d * d, DELTA * (size - 0.5 * DELTA), size > DELTA); }
        case 3u: { return (select(y, 0.0, y < 0.0) - y * t) + softplus(-abs(y)); }
        default: { return d * d; }
    }
}

fn pair_loss4(y: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(pair_loss(y.x, t.x), pair_loss(y.y, t.y), pair_loss(y.z, t.z), pair_loss(y.w, t.w));
}

// d clipped to ±limit.
fn clipped(d: f32, limit: f32) -> f32 {
    return select(select(d, limit, d > limit), -limit, d < -limit);
}

// The derivative by y; 0 at the kink of mae.
fn pair_slope(y: f32, t: f32) -> f32 {
    let d = y - t;
    switch LOSS {
        case 1u: { return select(select(d, 1.0, d > 0.0), -1.0, d < 0.0); }
        case 2u: { return clipped(d, DELTA); }
        case 3u: { return sigmoid(y) - t; }
        default: { return 2.0 * d; }
    }
}

fn pair_slope4(y: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(pair_slope(y.x, t.x), pair_slope(y.y, t.y), pair_slope(y.z, t.z), pair_slope(y.w, t.w));
}

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
            sum += pair_loss(y[i], t[i]);
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
            sum += pair_loss(y[start + i], t[start + i]);
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
            sum += pair_loss4(y4[start + i], t4[start + i]);
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

override SCALE: f32 = 1.0; // of the gradients: 1 / elements of one sample; their ITEMS may be vec4s
override DLOSS: f32 = 1.0; // where it is constant, dloss of every sample times those that share the update

@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;

// One invocation computes one element of dy.
@compute @workgroup_size(WG)
fn grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dy[i] = pair_slope(y[i], t[i]) * (SCALE * dloss[i / ITEMS]);
    }
}

// The same where dloss is constant.
@compute @workgroup_size(WG)
fn grad_mean(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dy[i] = pair_slope(y[i], t[i]) * (SCALE * (DLOSS * step.inv_n));
    }
}

@group(0) @binding(4) var<storage, read_write> dy4: array<vec4<f32>>;

// One invocation computes four elements of dy.
@compute @workgroup_size(WG)
fn grad_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dy4[i] = pair_slope4(y4[i], t4[i]) * (SCALE * dloss[i / ITEMS]);
    }
}

// The same where dloss is constant.
@compute @workgroup_size(WG)
fn grad_mean_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ITEMS * step.n {
        dy4[i] = pair_slope4(y4[i], t4[i]) * (SCALE * (DLOSS * step.inv_n));
    }
}

@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;

// One invocation makes a number of one label.
@compute @workgroup_size(WG)
fn label_values(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        values[n] = f32(labels[n]);
    }
}
