// Softmax over the last dimension of C: y = exp(x - m) / Σ exp(x - m) with m = max x, so that nothing overflows.
// Its gradient: dx = y · (dy - Σ y dy). Log-softmax: y = x - m - log Σ exp(x - m); gradient: dx = dy - softmax(x) · Σ dy.
// One invocation computes one row. A loop runs over blocks of 4 classes, so that four passes over
// 65,000 of them stay under the 65,535 iterations that some software adapters allow an invocation.
#import step
#import reduce

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;

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

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * C;
        let sum = row_sum(row);
        let scale = 1.0 / sum.y;
        for (var c = 0u; c < C; c += 4u) {
            // A repeated last class is written twice, with the same value.
            #for i in 0..4
            let at$i = row + class_index(c + $iu);
            y[at$i] = exp(x[at$i] - sum.x) * scale;
            #end
        }
    }
}

@compute @workgroup_size(WG)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * (C / 4u);
        let sum = row_sum4(row);
        let scale = 1.0 / sum.y;
        for (var c = 0u; c < C / 4u; c += 1u) {
            y4[row + c] = exp(x4[row + c] - sum.x) * scale;
        }
    }
}

@compute @workgroup_size(WG)
fn log_forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * C;
        let row_sum = row_sum(row);
        let m = row_sum.x;
        let log_sum = log(row_sum.y);
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

@group(0) @binding(1) var<storage, read> y_in4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx4: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn grad_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * (C / 4u);
        var sum = 0.0;
        for (var c = 0u; c < C / 4u; c += 1u) {
            sum += dot(y_in4[row + c], dy4[row + c]);
        }
        for (var c = 0u; c < C / 4u; c += 1u) {
            dx4[row + c] = y_in4[row + c] * (dy4[row + c] - sum);
        }
    }
}

@compute @workgroup_size(WG)
fn log_grad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * C;
        let row_sum = row_sum(row);
        var sum = 0.0;
        for (var c = 0u; c < C; c += 4u) {
            #for i in 0..4
            sum += counted(c + $iu, dy[row + class_index(c + $iu)]);
            #end
        }
        let scale = sum / row_sum.y;
        for (var c = 0u; c < C; c += 4u) {
            #for i in 0..4
            let at$i = row + class_index(c + $iu);
            dx[at$i] = dy[at$i] - exp(x[at$i] - row_sum.x) * scale;
            #end
        }
    }
}
