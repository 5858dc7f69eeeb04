// Negative log-likelihood of targets q[n, c] = SMOOTHING / C, and 1 - SMOOTHING more where c is the label:
//   loss[n] = -Σ q[n, c] logp[n, c]; dlogp[n, c] = -dloss[n] q[n, c]
// With log-softmax: loss[n] = log Σ exp(x[n, c]) - Σ q[n, c] x[n, c]; dx[n, c] = dloss[n] · (softmax(x)[n, c] - q[n, c]).
#import step
#import reduce

override SMOOTHING: f32 = 0.0; // share of the target that all classes have together

// q where c is the label, and elsewhere.
fn target_of(hot: bool) -> f32 {
    return select(0.0, 1.0 - SMOOTHING, hot) + SMOOTHING / f32(C);
}

@group(0) @binding(1) var<storage, read> logp: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

// One invocation computes the loss of one sample.
@compute @workgroup_size(WG)
fn nll(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        var sum = 0.0;
        if SMOOTHING > 0.0 {
            for (var c = 0u; c < C; c += 4u) {
                #for i in 0..4
                sum += counted(c + $iu, logp[n * C + class_index(c + $iu)]);
                #end
            }
        }
        loss[n] = -(1.0 - SMOOTHING) * logp[n * C + label_index(labels[n])] - sum * (SMOOTHING / f32(C));
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
        dlogp[i] = -dloss[n] * target_of(i % C == label_index(labels_in[n]));
    }
}

@group(0) @binding(4) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> x4: array<vec4<f32>>;

// The largest element m of the row that starts at `row`, and Σ exp(x - m), in one pass: the sum so far is scaled down where a larger element comes
// (Milakov and Gimelshein 2018). Differences of equal numbers are taken as 0, infinite ones too.
fn row_sum(row: u32) -> vec2<f32> {
    var m = x[row];
    var sum = 0.0;
    for (var c = 0u; c < C; c += 4u) {
        let before = m;
        #for i in 0..4
        let v$i = x[row + class_index(c + $iu)];
        m = select(m, v$i, v$i > m);
        #end
        sum *= power(before, m);
        #for i in 0..4
        sum += counted(c + $iu, power(v$i, m));
        #end
    }
    return vec2<f32>(m, sum);
}

// The same where rows are whole vec4s.
fn row_sum4(row: u32) -> vec2<f32> {
    var m = x4[row].x;
    var sum = 0.0;
    for (var c = 0u; c < C / 4u; c += 1u) {
        let before = m;
        let v = x4[row + c];
        m = select(m, v.x, v.x > m);
        m = select(m, v.y, v.y > m);
        m = select(m, v.z, v.z > m);
        m = select(m, v.w, v.w > m);
        sum *= power(before, m);
        sum += (power(v.x, m) + power(v.y, m)) + (power(v.z, m) + power(v.w, m));
    }
    return vec2<f32>(m, sum);
}

// SMOOTHING times how far the mean of the row that starts at `row` lies below its largest element m; 0 without a loop where nothing is smoothed.
fn spread_loss(row: u32, m: f32) -> f32 {
    var sum = 0.0;
    if SMOOTHING > 0.0 {
        for (var c = 0u; c < C; c += 4u) {
            #for i in 0..4
            sum += counted(c + $iu, m - x[row + class_index(c + $iu)]);
            #end
        }
    }
    return sum * (SMOOTHING / f32(C));
}

// The same where rows are whole vec4s.
fn spread_loss4(row: u32, m: f32) -> f32 {
    var sum = vec4<f32>();
    if SMOOTHING > 0.0 {
        for (var c = 0u; c < C / 4u; c += 1u) {
            sum += m - x4[row + c];
        }
    }
    return ((sum.x + sum.y) + (sum.z + sum.w)) * (SMOOTHING / f32(C));
}

// One invocation computes the loss of one sample.
@compute @workgroup_size(WG)
fn softmax_nll(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        let sum = row_sum(n * C);
        loss[n] = log(sum.y) + ((1.0 - SMOOTHING) * (sum.x - x[n * C + label_index(labels[n])]) + spread_loss(n * C, sum.x));
    }
}

// One invocation computes the loss of one sample, by vec4s.
@compute @workgroup_size(WG)
fn softmax_nll_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        let sum = row_sum4(n * (C / 4u));
        let at = n * C + label_index(labels[n]);
        loss[n] = log(sum.y) + ((1.0 - SMOOTHING) * (sum.x - x4[at / 4u][at % 4u]) + spread_loss4(n * (C / 4u), sum.x));
    }
}

@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx4: array<vec4<f32>>;

override DLOSS: f32 = 1.0; // where it is constant, dloss of every sample times those that share the update

// The gradient of sample n's row.
fn row_grad(n: u32, d: f32) {
    let row = n * C;
    let sum = row_sum(row);
    let scale = d / sum.y;
    let label = label_index(labels_in[n]);
    for (var c = 0u; c < C; c += 4u) {
        // Behind the last class the last one is written again, with the same value.
        #for i in 0..4
        let c$i = class_index(c + $iu);
        dx[row + c$i] = exp(x[row + c$i] - sum.x) * scale - d * target_of(c$i == label);
        #end
    }
}

// The same by vec4s.
fn row_grad4(n: u32, d: f32) {
    let row = n * (C / 4u);
    let sum = row_sum4(row);
    let scale = d / sum.y;
    let label = label_index(labels_in[n]);
    let hot = d * target_of(true);
    let cold = d * target_of(false);
    for (var c = 0u; c < C / 4u; c += 1u) {
        let own = vec4<u32>(c * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
        dx4[row + c] = exp(x4[row + c] - sum.x) * scale - select(vec4<f32>(cold), vec4<f32>(hot), own == vec4<u32>(label));
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

// One invocation computes the gradient of one sample's row, by vec4s.
@compute @workgroup_size(WG)
fn softmax_nll_grad_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        row_grad4(n, dloss[n]);
    }
}

// The same where dloss is constant.
@compute @workgroup_size(WG)
fn softmax_nll_grad_mean_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group_index(group, groups) * WG + lane;
    if n < step.n {
        row_grad4(n, DLOSS * step.inv_n);
    }
}
