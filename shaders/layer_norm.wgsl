// Layer normalisation (Ba, Kiros and Hinton 2016) over the C channels of each row, a row being a position of a sample:
//   mean, variance (biased) of x's row; y = (x - mean) / sqrt(variance + EPSILON) · weight + bias
// With x̂ = (x - mean) / sqrt(variance + EPSILON) and g = dy · weight:
//   dx = (g - Σ g / C - x̂ · Σ g x̂ / C) / sqrt(variance + EPSILON), sums over the row; dweight = Σ dy · x̂, dbias = Σ dy, sums over rows
// Sums over rows are made in PARTS partial ones, then in order. In the vec4 entry points CV counts vec4s of channels.
#import step
#import reduce

override CV: u32 = 1u;    // channels, or vec4s of them
override PARTS: u32 = 1u; // partial sums over rows
override EPSILON: f32 = 1e-5;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean_out: array<f32>;
@group(0) @binding(6) var<storage, read_write> variance_out: array<f32>;

// One invocation computes one row of y, and its mean and variance.
@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * C;
        var sum = 0.0;
        for (var c = 0u; c < C; c += 4u) {
            #for k in 0..4
            let x_$k = counted(c + $ku, x[row + class_index(c + $ku)]);
            #end
            sum += (x_0 + x_1) + (x_2 + x_3);
        }
        let mean = sum / f32(C);
        var squares = 0.0;
        for (var c = 0u; c < C; c += 4u) {
            #for k in 0..4
            let d_$k = counted(c + $ku, x[row + class_index(c + $ku)] - mean);
            #end
            squares += (d_0 * d_0 + d_1 * d_1) + (d_2 * d_2 + d_3 * d_3);
        }
        let variance = squares / f32(C);
        mean_out[i] = mean;
        variance_out[i] = variance;
        let scale = 1.0 / sqrt(variance + EPSILON);
        for (var c = 0u; c < C; c += 4u) {
            // A repeated last channel is written again, with the same value.
            #for k in 0..4
            let c_$k = class_index(c + $ku);
            y[row + c_$k] = (x[row + c_$k] - mean) * scale * weight[c_$k] + bias[c_$k];
            #end
        }
    }
}

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y4: array<vec4<f32>>;

// The same where rows are whole vec4s.
@compute @workgroup_size(WG)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * CV;
        var sum = vec4<f32>();
        for (var c = 0u; c < CV; c += 1u) {
            sum += x4[row + c];
        }
        let mean = dot(sum, vec4<f32>(1.0)) / f32(C);
        var squares = vec4<f32>();
        for (var c = 0u; c < CV; c += 1u) {
            let d = x4[row + c] - mean;
            squares += d * d;
        }
        let variance = dot(squares, vec4<f32>(1.0)) / f32(C);
        mean_out[i] = mean;
        variance_out[i] = variance;
        let scale = 1.0 / sqrt(variance + EPSILON);
        for (var c = 0u; c < CV; c += 1u) {
            y4[row + c] = (x4[row + c] - mean) * scale * weight4[c] + bias4[c];
        }
    }
}

@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;

// One invocation computes one row of dx.
@compute @workgroup_size(WG)
fn grad_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * C;
        let centre = mean[i];
        let scale = 1.0 / sqrt(variance[i] + EPSILON);
        var sum = 0.0;
        var product = 0.0;
        for (var c = 0u; c < C; c += 4u) {
            #for k in 0..4
            let c_$k = class_index(c + $ku);
            let g_$k = counted(c + $ku, dy[row + c_$k] * weight[c_$k]);
            let p_$k = g_$k * (x[row + c_$k] - centre);
            #end
            sum += (g_0 + g_1) + (g_2 + g_3);
            product += (p_0 + p_1) + (p_2 + p_3);
        }
        let offset = sum / f32(C);
        let slope = product * scale * scale / f32(C);
        for (var c = 0u; c < C; c += 4u) {
            // A repeated last channel is written again, with the same value.
            #for k in 0..4
            let at_$k = class_index(c + $ku);
            dx[row + at_$k] = (dy[row + at_$k] * weight[at_$k] - offset - (x[row + at_$k] - centre) * slope) * scale;
            #end
        }
    }
}

@group(0) @binding(3) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> dx4: array<vec4<f32>>;

// The same where rows are whole vec4s.
@compute @workgroup_size(WG)
fn grad_input_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < ROWS * step.n {
        let row = i * CV;
        let centre = mean[i];
        let scale = 1.0 / sqrt(variance[i] + EPSILON);
        var sum = vec4<f32>();
        var product = vec4<f32>();
        for (var c = 0u; c < CV; c += 1u) {
            let g = dy4[row + c] * weight4[c];
            sum += g;
            product += g * (x4[row + c] - centre);
        }
        let offset = dot(sum, vec4<f32>(1.0)) / f32(C);
        let slope = dot(product, vec4<f32>(1.0)) * scale * scale / f32(C);
        for (var c = 0u; c < CV; c += 1u) {
            dx4[row + c] = (dy4[row + c] * weight4[c] - offset - (x4[row + c] - centre) * slope) * scale;
        }
    }
}

@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

// One invocation sums dy · x̂ and dy of one channel over one of PARTS runs of rows.
@compute @workgroup_size(WG)
fn grad_partial(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < PARTS * CV {
        let c = i % CV;
        let rows = ROWS * step.n;
        var product = 0.0;
        var sum = 0.0;
        let length = (rows + PARTS - 1u) / PARTS;
        let start = i / CV * length;
        let end = min(start + length, rows);
        for (var m = start; m < end; m += 4u) {
            // Rows behind the last one are read as the last one and do not count.
#for k in 0..4
            let m_$k = min(m + $ku, end - 1u);
            let d_$k = select(0.0, dy[m_$k * CV + c], m + $ku < end);
            product += d_$k * (x[m_$k * CV + c] - mean[m_$k]) / sqrt(variance[m_$k] + EPSILON);
            sum += d_$k;
#end
        }
        sums[i] = product;
        sums[PARTS * CV + i] = sum;
    }
}

@group(0) @binding(7) var<storage, read_write> sums4: array<vec4<f32>>;

// One invocation sums dy · x̂ and dy of four channels over one of PARTS runs of rows.
@compute @workgroup_size(WG)
fn grad_partial_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < PARTS * CV {
        let c = i % CV;
        let rows = ROWS * step.n;
        var product = vec4<f32>();
        var sum = vec4<f32>();
        let length = (rows + PARTS - 1u) / PARTS;
        let start = i / CV * length;
        let end = min(start + length, rows);
        for (var m = start; m < end; m += 4u) {
            // Rows behind the last one are read as the last one and do not count.
#for k in 0..4
            let m_$k = min(m + $ku, end - 1u);
            let d_$k = select(vec4<f32>(), dy4[m_$k * CV + c], m + $ku < end);
            product += d_$k * (x4[m_$k * CV + c] - mean[m_$k]) / sqrt(variance[m_$k] + EPSILON);
            sum += d_$k;
#end
        }
        sums4[i] = product;
        sums4[PARTS * CV + i] = sum;
    }
}

@group(0) @binding(1) var<storage, read> sums_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(3) var<storage, read_write> dbias: array<f32>;

// One invocation adds the partial sums of one channel, in order.
@compute @workgroup_size(WG)
fn grad_params(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = group_index(group, groups) * WG + lane;
    if c < C {
        var product = 0.0;
        var sum = 0.0;
        for (var part = 0u; part < PARTS; part += 1u) {
            product += sums_in[part * C + c];
            sum += sums_in[(PARTS + part) * C + c];
        }
        dweight[c] = product;
        dbias[c] = sum;
    }
}
