// Softmax over the last dimension of C: y = exp(x - m) / Σ exp(x - m) with m = max x, so that nothing overflows.
// Its gradient: dx = y · (dy - Σ y dy). Log-softmax: y = x - m - log Σ exp(x - m); gradient: dx = dy - softmax(x) · Σ dy.
// One invocation computes one row. A loop runs over blocks of 4 classes, so that four passes over
// 65,000 of them stay under the 65,535 iterations that some software adapters allow an invocation.
#import step
#import reduce

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// The largest element of the row that starts at `row`.
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

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * C;
        let m = largest(row);
        let scale = 1.0 / exp_sum(row, m);
        for (var c = 0u; c < C; c += 4u) {
            // A repeated last class is written twice, with the same value.
            #for i in 0..4
            let at$i = row + class_index(c + $iu);
            y[at$i] = exp(x[at$i] - m) * scale;
            #end
        }
    }
}

@compute @workgroup_size(WG)
fn log_forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * C;
        let m = largest(row);
        let log_sum = log(exp_sum(row, m));
        for (var c = 0u; c < C; c += 4u) {
            #for i in 0..4
            let at$i = row + class_index(c + $iu);
            y[at$i] = x[at$i] - m - log_sum;
            #end
        }
    }
}

@group(0) @binding(1) var<storage, read> y_in: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * C;
        var sum = 0.0;
        for (var c = 0u; c < C; c += 4u) {
            #for i in 0..4
            sum += counted(c + $iu, y_in[row + class_index(c + $iu)] * dy[row + class_index(c + $iu)]);
            #end
        }
        for (var c = 0u; c < C; c += 4u) {
            #for i in 0..4
            let at$i = row + class_index(c + $iu);
            dx[at$i] = y_in[at$i] * (dy[at$i] - sum);
            #end
        }
    }
}

@compute @workgroup_size(WG)
fn log_grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * C;
        let m = largest(row);
        var sum = 0.0;
        for (var c = 0u; c < C; c += 4u) {
            #for i in 0..4
            sum += counted(c + $iu, dy[row + class_index(c + $iu)]);
            #end
        }
        let scale = sum / exp_sum(row, m);
        for (var c = 0u; c < C; c += 4u) {
            #for i in 0..4
            let at$i = row + class_index(c + $iu);
            dx[at$i] = dy[at$i] - exp(x[at$i] - m) * scale;
            #end
        }
    }
}
