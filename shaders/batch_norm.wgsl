// Batch normalisation (Ioffe and Szegedy 2015) over all positions m of all samples, channels innermost:
//   mean[c], variance[c] (biased) of x; y = act((x - mean) · weight / sqrt(variance + EPSILON) + bias [+ residual])
//   dbias = Σ dy; dweight = Σ dy · x̂ with x̂ = (x - mean) / sqrt(variance + EPSILON)
//   dx = weight / sqrt(variance + EPSILON) · (dy - dbias / M - x̂ · dweight / M), M the count of positions
// With running statistics, which do not depend on x, dx = dy · weight / sqrt(variance + EPSILON).
// Sums are made in PARTS partial ones, then in order. In the vec4 entry points CV counts vec4s of channels.
#import step
#import activation

override ROWS: u32 = 1u;  // positions of one sample
override C: u32 = 1u;     // channels
override CV: u32 = 1u;    // channels, or vec4s of them
override PARTS: u32 = 1u; // partial sums
override TILES: u32 = 1u; // invocations that share the positions of one sample
override EPSILON: f32 = 1e-5;
override MOMENTUM: f32 = 0.1;
override RESIDUAL: u32 = 0u; // 1: y has `residual` added

override TILE: u32 = 1u;  // positions of one invocation where nothing is summed; the last one may be computed again

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;

// One invocation computes count, mean and Σ (x - mean)² of one channel over one of PARTS runs of positions, joining
// blocks of 4 as Chan, Golub and LeVeque (1983) do: no difference of large squares.
@compute @workgroup_size(WG)
fn stats_partial(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < PARTS * CV {
        let c = i % CV;
        let rows = ROWS * step.n;
        var count = 0.0;
        var mean = 0.0;
        var squares = 0.0;
        let length = (rows + PARTS - 1u) / PARTS;
        let start = i / CV * length;
        let end = min(start + length, rows);
        for (var m = start; m < end; m += 4u) {
            // Positions behind the last one are read as the last one and do not count.
            let own = f32(min(end - m, 4u));
            #for k in 0..4
            let x_$k = x[min(m + $ku, end - 1u) * CV + c];
            let w_$k = select(0.0, 1.0, m + $ku < end);
            #end
            let block = (x_0 + x_1 * w_1 + x_2 * w_2 + x_3 * w_3) / own;
            var inner = 0.0;
            #for k in 0..4
            inner += w_$k * (x_$k - block) * (x_$k - block);
            #end
            let shift = block - mean;
            let total = count + own;
            mean += shift * (own / total);
            squares += inner + shift * shift * (count * own / total);
            count = total;
        }
        parts[i] = f32(count);
        parts[PARTS * CV + i] = mean;
        parts[2u * PARTS * CV + i] = squares;
    }
}

@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> variance: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<storage, read> residual: array<f32>; // without one x again, ignored

// One invocation computes one channel of y at TILE positions of one sample.
@compute @workgroup_size(WG)
fn normalise(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < TILES * CV * step.n {
        let c = i % CV;
        let first = i / CV % TILES * TILE;
        let sample = i / (CV * TILES) * ROWS;
        let scale = weight[c] / sqrt(variance[c] + EPSILON);
        let centre = mean[c];
        let offset = bias[c];
#for k in 0..TILE
        {
            let at = (sample + min(first + $k, ROWS - 1u)) * CV + c;
            let other = select(0.0, residual[select(0u, at, RESIDUAL != 0u)], RESIDUAL != 0u);
            y[at] = activate((x[at] - centre) * scale + offset + other);
        }
#end
    }
}

@group(0) @binding(6) var<storage, read> dy: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

// One invocation sums dy and dy · (x - mean) of one channel over one of PARTS runs of positions.
@compute @workgroup_size(WG)
fn grad_partial(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < PARTS * CV {
        let c = i % CV;
        let rows = ROWS * step.n;
        let centre = mean[c];
        var sum = 0.0;
        var product = 0.0;
        let length = (rows + PARTS - 1u) / PARTS;
        let start = i / CV * length;
        let end = min(start + length, rows);
        for (var m = start; m < end; m += 4u) {
            // Positions behind the last one are read as the last one and do not count.
#for k in 0..4
            let at_$k = min(m + $ku, end - 1u) * CV + c;
            let d_$k = select(0.0, dy[at_$k], m + $ku < end);
            sum += d_$k;
            product += d_$k * (x[at_$k] - centre);
#end
        }
        sums[i] = sum;
        sums[PARTS * CV + i] = product;
    }
}

@group(0) @binding(5) var<storage, read> dweight_in: array<f32>;
@group(0) @binding(7) var<storage, read> dbias_in: array<f32>;
@group(0) @binding(8) var<storage, read_write> dx: array<f32>;

// One invocation computes one channel of dx at TILE positions of one sample, with batch statistics.
@compute @workgroup_size(WG)
fn grad_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < TILES * CV * step.n {
        let c = i % CV;
        let first = i / CV % TILES * TILE;
        let sample = i / (CV * TILES) * ROWS;
        let inverse = 1.0 / sqrt(variance[c] + EPSILON);
        let scale = weight[c] * inverse;
        let count = f32(ROWS * step.n);
        let offset = dbias_in[c] / count;
        let slope = dweight_in[c] * inverse / count;
        let centre = mean[c];
#for k in 0..TILE
        {
            let at = (sample + min(first + $k, ROWS - 1u)) * CV + c;
            dx[at] = (dy[at] - offset - (x[at] - centre) * slope) * scale;
        }
#end
    }
}

// One invocation computes one channel of dx at TILE positions of one sample, with running statistics.
@compute @workgroup_size(WG)
fn inference_grad_input(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < TILES * CV * step.n {
        let c = i % CV;
        let first = i / CV % TILES * TILE;
        let sample = i / (CV * TILES) * ROWS;
        let scale = weight[c] / sqrt(variance[c] + EPSILON);
#for k in 0..TILE
        {
            let at = (sample + min(first + $k, ROWS - 1u)) * CV + c;
            dx[at] = dy[at] * scale;
        }
#end
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean_out: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance_out: array<f32>;

// One invocation joins the partial statistics of one channel, in order.
@compute @workgroup_size(WG)
fn stats(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = group_index(group, groups) * WG + lane;
    if c < C {
        var count = 0.0;
        var mean = 0.0;
        var squares = 0.0;
        for (var part = 0u; part < PARTS; part += 1u) {
            let own = parts_in[part * C + c];
            let total = max(count + own, 1.0); // parts without a position in a short batch are empty
            let shift = parts_in[(PARTS + part) * C + c] - mean;
            mean += shift * (own / total);
            squares += parts_in[(2u * PARTS + part) * C + c] + shift * shift * (count * own / total);
            count += own;
        }
        mean_out[c] = mean;
        variance_out[c] = squares / count;
    }
}

@group(0) @binding(1) var<storage, read> batch_mean: array<f32>;
@group(0) @binding(2) var<storage, read> batch_variance: array<f32>;
@group(0) @binding(3) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_variance: array<f32>;

// One invocation moves one channel's running statistics. The variance that enters is the unbiased one, as in PyTorch.
@compute @workgroup_size(WG)
fn update(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = group_index(group, groups) * WG + lane;
    if c < C {
        let count = f32(ROWS * step.n);
        let unbiased = batch_variance[c] * (count / max(count - 1.0, 1.0));
        running_mean[c] = (1.0 - MOMENTUM) * running_mean[c] + MOMENTUM * batch_mean[c];
        running_variance[c] = (1.0 - MOMENTUM) * running_variance[c] + MOMENTUM * unbiased;
    }
}

@group(0) @binding(1) var<storage, read> sums_in: array<f32>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;
@group(0) @binding(4) var<storage, read_write> dbias: array<f32>;

// One invocation adds the partial sums of one channel, in order.
@compute @workgroup_size(WG)
fn grad_params(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = group_index(group, groups) * WG + lane;
    if c < C {
        var sum = 0.0;
        var product = 0.0;
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += sums_in[part * C + c];
            product += sums_in[(PARTS + part) * C + c];
        }
        dbias[c] = sum;
        dweight[c] = product / sqrt(variance[c] + EPSILON);
    }
}

@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> parts4: array<vec4<f32>>;

// One invocation computes count, mean and Σ (x - mean)² of four channels over one of PARTS runs of positions, joining
// blocks of 4 as Chan, Golub and LeVeque (1983) do: no difference of large squares.
@compute @workgroup_size(WG)
fn stats_partial_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < PARTS * CV {
        let c = i % CV;
        let rows = ROWS * step.n;
        var count = 0.0;
        var mean = vec4<f32>(0.0);
        var squares = vec4<f32>(0.0);
        let length = (rows + PARTS - 1u) / PARTS;
        let start = i / CV * length;
        let end = min(start + length, rows);
        for (var m = start; m < end; m += 4u) {
            // Positions behind the last one are read as the last one and do not count.
            let own = f32(min(end - m, 4u));
            #for k in 0..4
            let x_$k = x4[min(m + $ku, end - 1u) * CV + c];
            let w_$k = select(0.0, 1.0, m + $ku < end);
            #end
            let block = (x_0 + x_1 * w_1 + x_2 * w_2 + x_3 * w_3) / own;
            var inner = vec4<f32>(0.0);
            #for k in 0..4
            inner += w_$k * (x_$k - block) * (x_$k - block);
            #end
            let shift = block - mean;
            let total = count + own;
            mean += shift * (own / total);
            squares += inner + shift * shift * (count * own / total);
            count = total;
        }
        parts4[i] = vec4<f32>(count);
        parts4[PARTS * CV + i] = mean;
        parts4[2u * PARTS * CV + i] = squares;
    }
}

@group(0) @binding(2) var<storage, read> mean4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> variance4: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> weight4: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> bias4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> residual4: array<vec4<f32>>;

// One invocation computes four channels of y at TILE positions of one sample.
@compute @workgroup_size(WG)
fn normalise_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < TILES * CV * step.n {
        let c = i % CV;
        let first = i / CV % TILES * TILE;
        let sample = i / (CV * TILES) * ROWS;
        let scale = weight4[c] / sqrt(variance4[c] + EPSILON);
        let centre = mean4[c];
        let offset = bias4[c];
#for k in 0..TILE
        {
            let at = (sample + min(first + $k, ROWS - 1u)) * CV + c;
            let other = select(vec4<f32>(0.0), residual4[select(0u, at, RESIDUAL != 0u)], RESIDUAL != 0u);
            y4[at] = activate4((x4[at] - centre) * scale + offset + other);
        }
#end
    }
}

@group(0) @binding(6) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> sums4: array<vec4<f32>>;

// One invocation sums dy and dy · (x - mean) of four channels over one of PARTS runs of positions.
@compute @workgroup_size(WG)
fn grad_partial_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < PARTS * CV {
        let c = i % CV;
        let rows = ROWS * step.n;
        let centre = mean4[c];
        var sum = vec4<f32>(0.0);
        var product = vec4<f32>(0.0);
        let length = (rows + PARTS - 1u) / PARTS;
        let start = i / CV * length;
        let end = min(start + length, rows);
        for (var m = start; m < end; m += 4u) {
            // Positions behind the last one are read as the last one and do not count.
#for k in 0..4
            let at_$k = min(m + $ku, end - 1u) * CV + c;
            let d_$k = select(vec4<f32>(), dy4[at_$k], m + $ku < end);
            sum += d_$k;
            product += d_$k * (x4[at_$k] - centre);
#end
        }
        sums4[i] = sum;
        sums4[PARTS * CV + i] = product;
    }
}

@group(0) @binding(5) var<storage, read> dweight_in4: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> dbias_in4: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> dx4: array<vec4<f32>>;

// One invocation computes four channels of dx at TILE positions of one sample, with batch statistics.
@compute @workgroup_size(WG)
fn grad_input_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < TILES * CV * step.n {
        let c = i % CV;
        let first = i / CV % TILES * TILE;
        let sample = i / (CV * TILES) * ROWS;
        let inverse = 1.0 / sqrt(variance4[c] + EPSILON);
        let scale = weight4[c] * inverse;
        let count = f32(ROWS * step.n);
        let offset = dbias_in4[c] / count;
        let slope = dweight_in4[c] * inverse / count;
        let centre = mean4[c];
#for k in 0..TILE
        {
            let at = (sample + min(first + $k, ROWS - 1u)) * CV + c;
            dx4[at] = (dy4[at] - offset - (x4[at] - centre) * slope) * scale;
        }
#end
    }
}

// One invocation computes four channels of dx at TILE positions of one sample, with running statistics.
@compute @workgroup_size(WG)
fn inference_grad_input_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(group, groups) * WG + lane;
    if i < TILES * CV * step.n {
        let c = i % CV;
        let first = i / CV % TILES * TILE;
        let sample = i / (CV * TILES) * ROWS;
        let scale = weight4[c] / sqrt(variance4[c] + EPSILON);
#for k in 0..TILE
        {
            let at = (sample + min(first + $k, ROWS - 1u)) * CV + c;
            dx4[at] = dy4[at] * scale;
        }
#end
    }
}

@group(0) @binding(1) var<storage, read> fold_mean: array<f32>;
@group(0) @binding(2) var<storage, read> fold_variance: array<f32>;
@group(0) @binding(3) var<storage, read> fold_weight: array<f32>;
@group(0) @binding(4) var<storage, read> fold_bias: array<f32>;
@group(0) @binding(5) var<storage, read> fold_before: array<f32>; // without a bias before any operand, ignored
@group(0) @binding(6) var<storage, read_write> folded: array<f32>;
override BEFORE: u32 = 0u; // 1: x is a sum and fold_before

// One invocation computes what a convolution does for one channel instead of its bias and the normalisation of running statistics: the
// summand and, C numbers behind, the factor of its sum.
@compute @workgroup_size(WG)
fn fold(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = group_index(group, groups) * WG + lane;
    if c < C {
        let factor = fold_weight[c] / sqrt(fold_variance[c] + EPSILON);
        let before = select(0.0, fold_before[select(0u, c, BEFORE != 0u)], BEFORE != 0u);
        folded[c] = (before - fold_mean[c]) * factor + fold_bias[c];
        folded[C + c] = factor;
    }
}
