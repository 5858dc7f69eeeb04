// Losses that compare output y and target t element by element, and average over the elements of each sample:
//   loss[n] = Σ pair_loss(y[n, i], t[n, i]) / ITEMS; dy[n, i] = pair_slope(y, t) / ITEMS · dloss[n]
// With d = y - t:
//   mse d²; mae |d|; huber d² / 2 where |d| <= DELTA, else DELTA (|d| - DELTA / 2)
//   binary_cross_entropy -t log σ(y) - (1 - t) log(1 - σ(y)) = max(y, 0) - y t + log(1 + exp(-|y|))
#import step
#import activation

override LOSS: u32 = 0u; // 0 mse, 1 mae, 2 huber, 3 binary_cross_entropy
override DELTA: f32 = 1.0;

override ITEMS: u32 = 1u; // elements of one sample, in F; for `mean`, in f32
override PARTS: u32 = 1u; // partial sums of one sample
override SPAN: u32 = 1u;  // elements, side by side, that SIDE invocations sum together
override SIDE: u32 = 1u;

// Comparisons and selects are used instead of max and clamp, which may turn NaN into a number.
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

// pair_loss for each lane of an F.
fn pair_losses(y: F, t: F) -> F {
    return F(
#for l in 0..L
        pair_loss(lane_of(y, $lu), lane_of(t, $lu)),
#end
    );
}

// d clipped to ±limit.
fn clipped(d: f32, limit: f32) -> f32 {
    return select(select(d, limit, d > limit), -limit, d < -limit);
}

// The derivative with respect to y. At the kink of mae it is 0.
fn pair_slope(y: f32, t: f32) -> f32 {
    let d = y - t;
    switch LOSS {
        case 1u: { return select(select(d, 1.0, d > 0.0), -1.0, d < 0.0); }
        case 2u: { return clipped(d, DELTA); }
        case 3u: { return sigmoid(y) - t; }
        default: { return 2.0 * d; }
    }
}

fn pair_slopes(y: F, t: F) -> F {
    return F(
#for l in 0..L
        pair_slope(lane_of(y, $lu), lane_of(t, $lu)),
#end
    );
}

@group(0) @binding(1) var<storage, read> y: array<F>;
@group(0) @binding(2) var<storage, read> t: array<F>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

// One invocation computes the loss of one sample.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        var sum = F();
        for (var i = n * ITEMS; i < (n + 1u) * ITEMS; i += 1u) {
            sum += pair_losses(y[i], t[i]);
        }
        loss[n] = sum_lanes(sum) / f32(L * ITEMS);
    }
}

@group(0) @binding(3) var<storage, read_write> parts: array<f32>;

// One invocation sums every SIDE-th element of a span of SPAN elements of one sample.
@compute @workgroup_size(WG)
fn partial_sums(id: Invocation) {
    let k = flat_index(id);
    if k < PARTS * step.n {
        let start = k / PARTS * ITEMS;
        let span = k % PARTS / SIDE * SPAN;
        var sum = F();
        for (var i = span + k % SIDE; i < min(span + SPAN, ITEMS); i += SIDE) {
            sum += pair_losses(y[start + i], t[start + i]);
        }
        parts[k] = sum_lanes(sum);
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<f32>;

// One invocation adds the partial sums of one sample, in order.
@compute @workgroup_size(WG)
fn mean(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        var sum = 0.0;
        for (var k = n * PARTS; k < (n + 1u) * PARTS; k += 1u) {
            sum += parts_in[k];
        }
        loss[n] = sum / f32(ITEMS);
    }
}

override SCALE: f32 = 1.0; // of dy: 1 / (elements of one sample)
override DLOSS: f32 = 1.0; // where dloss is constant: dloss of every sample, times the number of samples that share the update

@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<F>;

// One invocation computes one element of dy.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        dy[i] = pair_slopes(y[i], t[i]) * (SCALE * dloss[i / ITEMS]);
    }
}

// One invocation computes one element of dy, where dloss is constant.
@compute @workgroup_size(WG)
fn grad_mean(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        dy[i] = pair_slopes(y[i], t[i]) * (SCALE * (DLOSS * step.inv_n));
    }
}

@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;

// One invocation converts one label to f32.
@compute @workgroup_size(WG)
fn label_values(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        values[n] = f32(labels[n]);
    }
}
