// Negative log-likelihood: loss[n] = -logp[n, t[n]]; dlogp[n, c] = -dloss[n] where c = t[n], else 0.
// With log-softmax: loss[n] = log Σ exp(x[n, c]) - x[n, t[n]]; dx[n, c] = dloss[n] · (softmax(x)[n, c] - (1 where c = t[n])).
#import step
#import reduce

@group(0) @binding(1) var<storage, read> logp: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

// One invocation computes the loss of one sample.
@compute @workgroup_size(WG)
fn nll(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        loss[n] = -logp[n * C + label_index(labels[n])];
    }
}

@group(0) @binding(1) var<storage, read> labels_in: array<i32>;
@group(0) @binding(2) var<storage, read> dloss: array<f32>;
@group(0) @binding(3) var<storage, read_write> dlogp: array<f32>;

// One invocation computes one element of dlogp.
@compute @workgroup_size(WG)
fn nll_grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < C * step.n {
        let n = i / C;
        dlogp[i] = select(0.0, -dloss[n], i % C == label_index(labels_in[n]));
    }
}

@group(0) @binding(4) var<storage, read> x: array<f32>;

// The largest of the row that starts at `row`.
fn largest(row: u32) -> f32 {
    var m = x[row];
    for (var c = 0u; c < C; c += 4u) {
        #for i in 0..4
        let v$i = x[row + class_index(c + $iu)];
        m = select(m, v$i, v$i > m);
        #end
    }
    return m;
}

// Σ exp(x - m) over the row.
fn exp_sum(row: u32, m: f32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < C; c += 4u) {
        #for i in 0..4
        sum += counted(c + $iu, exp(x[row + class_index(c + $iu)] - m));
        #end
    }
    return sum;
}

// One invocation computes the loss of one sample.
@compute @workgroup_size(WG)
fn softmax_nll(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        let row = n * C;
        let m = largest(row);
        loss[n] = log(exp_sum(row, m)) + (m - x[row + label_index(labels[n])]);
    }
}

@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

override DLOSS: f32 = 1.0; // where it is constant, dloss of every sample times those that share the update

// The gradient of sample n's row.
fn row_grad(n: u32, d: f32) {
    let row = n * C;
    let m = largest(row);
    let scale = d / exp_sum(row, m);
    let label = label_index(labels_in[n]);
    for (var c = 0u; c < C; c += 4u) {
        // Behind the last class the last one is written again, with the same value.
        #for i in 0..4
        let c$i = class_index(c + $iu);
        dx[row + c$i] = exp(x[row + c$i] - m) * scale - select(0.0, d, c$i == label);
        #end
    }
}

// One invocation computes the gradient of one sample's row.
@compute @workgroup_size(WG)
fn softmax_nll_grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        row_grad(n, dloss[n]);
    }
}

// The same where dloss is constant.
@compute @workgroup_size(WG)
fn softmax_nll_grad_mean(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        row_grad(n, DLOSS * step.inv_n);
    }
}
