// Batch normalisation (Ioffe and Szegedy 2015) over all positions m of all samples, channels innermost:
//   mean[c], variance[c] (biased) of x; y = act((x - mean) · weight / sqrt(variance + EPSILON) + bias [+ residual])
//   dbias = Σ dy; dweight = Σ dy · x̂ with x̂ = (x - mean) / sqrt(variance + EPSILON)
//   dx = weight / sqrt(variance + EPSILON) · (dy - dbias / M - x̂ · dweight / M), M the count of positions
// With running statistics, which do not depend on x: dx = dy · weight / sqrt(variance + EPSILON).
// Sums are made in PARTS partial sums, which are then added in order. Channels are counted in F.
// The mean is kept as two numbers, mean[c] and what its rounding took off, mean[C + c]: where it is far larger than the
// deviation, x - mean would else be wrong by the same amount everywhere, and the sum of dx over a channel would not be 0.
#import step
#import activation

override ROWS: u32 = 1u;  // positions of one sample
override C: u32 = 1u;     // channels, in F
override PARTS: u32 = 1u; // partial sums
override TILES: u32 = 1u; // invocations that share the positions of one sample and channel
override EPSILON: f32 = 1e-5;
override MOMENTUM: f32 = 0.1;
override RESIDUAL: u32 = 0u; // 1: `residual` is added before the activation
override RUNNING: u32 = 0u;  // 1: mean and variance are running statistics, and mean has C numbers

override TILE: u32 = 1u;  // positions of one invocation, in kernels that sum nothing; the last one may be computed twice

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> parts: array<F>;

// One invocation computes count, mean and Σ (x - mean)² of one channel over one of PARTS ranges of positions. It joins
// blocks of 4 positions as Chan, Golub and LeVeque (1983) do, which avoids the difference of large squares. The mean is
// counted from the first x of the range, which is the fourth result: so it is small, and rounding takes little off it.
@compute @workgroup_size(WG)
fn stats_partial(id: Invocation) {
    let i = flat_index(id);
    if i < PARTS * C {
        let c = i % C;
        let rows = ROWS * step.n;
        var count = 0.0;
        var mean = F();
        var squares = F();
        let length = (rows + PARTS - 1u) / PARTS;
        let start = i / C * length;
        let end = min(start + length, rows);
        let first = x[min(start, rows - 1u) * C + c];
        for (var m = start; m < end; m += 4u) {
            // Past the last position, the last one is read again but does not count.
            let own = f32(min(end - m, 4u));
            #for k in 0..4
            let x_$k = x[min(m + $ku, end - 1u) * C + c] - first;
            let w_$k = select(0.0, 1.0, m + $ku < end);
            #end
            let block = (x_0 + x_1 * w_1 + x_2 * w_2 + x_3 * w_3) / own;
            var inner = F();
            #for k in 0..4
            inner += w_$k * (x_$k - block) * (x_$k - block);
            #end
            let shift = block - mean;
            let total = count + own;
            mean += shift * (own / total);
            squares += inner + shift * shift * (count * own / total);
            count = total;
        }
        parts[i] = F(count);
        parts[PARTS * C + i] = mean;
        parts[2u * PARTS * C + i] = squares;
        parts[3u * PARTS * C + i] = first;
    }
}

@group(0) @binding(2) var<storage, read> mean: array<F>;
@group(0) @binding(3) var<storage, read> variance: array<F>;
@group(0) @binding(4) var<storage, read> weight: array<F>;
@group(0) @binding(5) var<storage, read> bias: array<F>;
@group(0) @binding(6) var<storage, read_write> y: array<F>;
@group(0) @binding(7) var<storage, read> residual: array<F>; // without a residual, x is bound again and ignored

// One invocation computes one channel of y at TILE positions of one sample.
@compute @workgroup_size(WG)
fn normalise(id: Invocation) {
    let i = flat_index(id);
    if i < TILES * C * step.n {
        let c = i % C;
        let first = i / C % TILES * TILE;
        let sample = i / (C * TILES) * ROWS;
        let scale = weight[c] / sqrt(variance[c] + EPSILON);
        let centre = mean[c];
        let rest = select(mean[select(C + c, c, RUNNING != 0u)], F(), RUNNING != 0u);
        let offset = bias[c];
#for k in 0..TILE
        {
            let at = (sample + min(first + $k, ROWS - 1u)) * C + c;
            let other = select(F(), residual[select(0u, at, RESIDUAL != 0u)], RESIDUAL != 0u);
            y[at] = activate_lanes((x[at] - centre - rest) * scale + offset + other);
        }
#end
    }
}

@group(0) @binding(6) var<storage, read> dy: array<F>;
@group(0) @binding(7) var<storage, read_write> sums: array<F>;

// One invocation sums dy and dy · (x - mean) of one channel over one of PARTS ranges of positions.
@compute @workgroup_size(WG)
fn grad_partial(id: Invocation) {
    let i = flat_index(id);
    if i < PARTS * C {
        let c = i % C;
        let rows = ROWS * step.n;
        let centre = mean[c];
        let rest = select(mean[select(C + c, c, RUNNING != 0u)], F(), RUNNING != 0u);
        var sum = F();
        var product = F();
        let length = (rows + PARTS - 1u) / PARTS;
        let start = i / C * length;
        let end = min(start + length, rows);
        for (var m = start; m < end; m += 4u) {
            // Past the last position, the last one is read again but does not count.
#for k in 0..4
            let at_$k = min(m + $ku, end - 1u) * C + c;
            let d_$k = select(F(), dy[at_$k], m + $ku < end);
            sum += d_$k;
            product += d_$k * (x[at_$k] - centre - rest);
#end
        }
        sums[i] = sum;
        sums[PARTS * C + i] = product;
    }
}

@group(0) @binding(5) var<storage, read> dweight_in: array<F>;
@group(0) @binding(7) var<storage, read> dbias_in: array<F>;
@group(0) @binding(8) var<storage, read_write> dx: array<F>;

// One invocation computes one channel of dx at TILE positions of one sample, with batch statistics.
@compute @workgroup_size(WG)
fn grad_input(id: Invocation) {
    let i = flat_index(id);
    if i < TILES * C * step.n {
        let c = i % C;
        let first = i / C % TILES * TILE;
        let sample = i / (C * TILES) * ROWS;
        let inverse = 1.0 / sqrt(variance[c] + EPSILON);
        let scale = weight[c] * inverse;
        let count = f32(ROWS * step.n);
        let offset = dbias_in[c] / count;
        let slope = dweight_in[c] * inverse / count;
        let centre = mean[c];
        let rest = mean[C + c];
#for k in 0..TILE
        {
            let at = (sample + min(first + $k, ROWS - 1u)) * C + c;
            dx[at] = (dy[at] - offset - (x[at] - centre - rest) * slope) * scale;
        }
#end
    }
}

// One invocation computes one channel of dx at TILE positions of one sample, with running statistics.
@compute @workgroup_size(WG)
fn inference_grad_input(id: Invocation) {
    let i = flat_index(id);
    if i < TILES * C * step.n {
        let c = i % C;
        let first = i / C % TILES * TILE;
        let sample = i / (C * TILES) * ROWS;
        let scale = weight[c] / sqrt(variance[c] + EPSILON);
#for k in 0..TILE
        {
            let at = (sample + min(first + $k, ROWS - 1u)) * C + c;
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
fn stats(id: Invocation) {
    let c = flat_index(id);
    if c < C {
        var count = 0.0;
        var mean = 0.0; // from the first x of all, as each part's is from its own
        var squares = 0.0;
        let first = parts_in[3u * PARTS * C + c];
        for (var part = 0u; part < PARTS; part += 1u) {
            let own = parts_in[part * C + c];
            let total = max(count + own, 1.0); // in a short batch some parts have no positions
            let shift = (parts_in[(3u * PARTS + part) * C + c] - first) + parts_in[(PARTS + part) * C + c] - mean;
            mean += shift * (own / total);
            squares += parts_in[(2u * PARTS + part) * C + c] + shift * shift * (count * own / total);
            count += own;
        }
        // The last bit is cut off, so that no compiler takes `rounded` for the sum and the rest for 0.
        let rounded = bitcast<f32>(bitcast<u32>(first + mean) & 0xfffffffeu);
        mean_out[c] = rounded;
        mean_out[C + c] = mean - (rounded - first);
        variance_out[c] = squares / count;
    }
}

@group(0) @binding(1) var<storage, read> batch_mean: array<f32>;
@group(0) @binding(2) var<storage, read> batch_variance: array<f32>;
@group(0) @binding(3) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_variance: array<f32>;

// `new` if it is finite, else `old`.
fn finite_or(new_value: f32, old: f32) -> f32 {
    return select(new_value, old, (bitcast<u32>(new_value) & 0x7f800000u) == 0x7f800000u);
}

// One invocation updates the running statistics of one channel. As in PyTorch, they take the unbiased variance. What a
// batch without finite statistics brings is left out.
@compute @workgroup_size(WG)
fn update(id: Invocation) {
    let c = flat_index(id);
    if c < C {
        let count = f32(ROWS * step.n);
        let unbiased = batch_variance[c] * (count / max(count - 1.0, 1.0));
        let mean = (1.0 - MOMENTUM) * running_mean[c] + MOMENTUM * (batch_mean[c] + batch_mean[C + c]);
        let variance = (1.0 - MOMENTUM) * running_variance[c] + MOMENTUM * unbiased;
        running_mean[c] = finite_or(mean, running_mean[c]);
        running_variance[c] = finite_or(variance, running_variance[c]);
    }
}

@group(0) @binding(1) var<storage, read> sums_in: array<F>;
@group(0) @binding(2) var<storage, read_write> dweight: array<F>;
@group(0) @binding(4) var<storage, read_write> dbias: array<F>;

// One invocation adds the partial sums of one channel, in order.
@compute @workgroup_size(WG)
fn grad_params(id: Invocation) {
    let c = flat_index(id);
    if c < C {
        var sum = F();
        var product = F();
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += sums_in[part * C + c];
            product += sums_in[(PARTS + part) * C + c];
        }
        dbias[c] = sum;
        dweight[c] = product / sqrt(variance[c] + EPSILON);
    }
}

@group(0) @binding(1) var<storage, read> fold_mean: array<f32>;
@group(0) @binding(2) var<storage, read> fold_variance: array<f32>;
@group(0) @binding(3) var<storage, read> fold_weight: array<f32>;
@group(0) @binding(4) var<storage, read> fold_bias: array<f32>;
@group(0) @binding(5) var<storage, read> fold_before: array<f32>; // if the convolution has no bias, any other operand is bound and ignored
@group(0) @binding(6) var<storage, read_write> folded: array<f32>;
override BEFORE: u32 = 0u; // 1: x is the convolution's sum plus the bias fold_before

// One invocation turns running statistics, weight and bias of one channel into what a convolution needs instead of its
// own bias: a summand, and C numbers behind it the factor for the convolution's sum.
@compute @workgroup_size(WG)
fn fold(id: Invocation) {
    let c = flat_index(id);
    if c < C {
        let factor = fold_weight[c] / sqrt(fold_variance[c] + EPSILON);
        let before = select(0.0, fold_before[select(0u, c, BEFORE != 0u)], BEFORE != 0u);
        folded[c] = (before - fold_mean[c]) * factor + fold_bias[c];
        folded[C + c] = factor;
    }
}
