// Dice loss over the whole batch. Of the pixels that count, p is the softmax of the logits x, and g is 1 for a pixel's own class, else 0:
//   I[c] = Σ p g, S[c] = Σ p + Σ g over pixels; loss = 1 - mean over c of (2 I + 1) / (S + 1) = mean of (S - 2 I) / (S + 1)
//   dx[c] = p[c] (dp[c] - Σ p dp), where dp[c] = dS[c], plus dI[c] for the own class
// `sums` are I for all units, then S for all units. A single unit stands for class 1 alone: p is its sigmoid.
#import step
#import pixels

override PARTS: u32 = 1u; // partial sums of the batch

@group(0) @binding(2) var<storage, read_write> scales: array<f32>;

// One invocation computes the largest logit m of one pixel, and 1 / Σ exp(x - m); 0 if the pixel does not count.
@compute @workgroup_size(WG)
fn pixel_scales(id: Invocation) {
    let pixel = flat_index(id);
    if pixel < PIXELS * step.n {
        let sum = pixel_sum(pixel * C);
        scales[2u * pixel] = sum.x;
        scales[2u * pixel + 1u] = select(1.0 / sum.y, 0.0, ignored(pixel));
    }
}

@group(0) @binding(2) var<storage, read> scales_in: array<f32>;
@group(0) @binding(3) var<storage, read_write> parts: array<F>;

// One invocation adds the terms of one element of a row over one stretch of pixels.
@compute @workgroup_size(WG)
fn partial_sums(id: Invocation) {
    let k = flat_index(id);
    if k < PARTS * C {
        let c = k % C;
        let pixels = PIXELS * step.n;
        let stretch = (pixels + PARTS - 1u) / PARTS;
        let start = k / C * stretch;
        var both = F();
        var all = F();
        for (var pixel = start; pixel < min(start + stretch, pixels); pixel += 1u) {
            let p = exp(x[pixel * C + c] - scales_in[2u * pixel]) * scales_in[2u * pixel + 1u];
            let own = select(is_class(c, class_of(pixel)), B(), ignored(pixel));
            both += select(F(), p, own);
            all += p + select(F(), F(1.0), own);
        }
        parts[k / C * (2u * C) + c] = both;
        parts[k / C * (2u * C) + C + c] = all;
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<F>;
@group(0) @binding(2) var<storage, read_write> sums: array<F>;

// One invocation adds the partial sums of one element of I and S, in order.
@compute @workgroup_size(WG)
fn add_parts(id: Invocation) {
    let k = flat_index(id);
    if k < 2u * C {
        var sum = F();
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += parts_in[part * (2u * C) + k];
        }
        sums[k] = sum;
    }
}

@group(0) @binding(1) var<storage, read> sums_in: array<F>;
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;

// One invocation computes the loss of one sample, which is that of the whole batch.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        var sum = 0.0;
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            let all$i = sums_in[C + column(c + $iu)];
            sum += sum_lanes(counted(c + $iu, (all$i - 2.0 * sums_in[column(c + $iu)]) / (all$i + 1.0)));
            #end
        }
        loss[n] = sum / f32(L * C);
    }
}

@group(0) @binding(2) var<storage, read> dloss: array<f32>;
@group(0) @binding(3) var<storage, read_write> dsums: array<F>;

// One invocation computes dI and dS of one element of a row.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let c = flat_index(id);
    if c < C {
        var d = 0.0;
        for (var n = 0u; n < step.n; n += 1u) {
            d += dloss[n];
        }
        let scale = d / f32(L * C) / (sums_in[C + c] + 1.0);
        dsums[c] = -2.0 * scale;
        dsums[C + c] = scale * (2.0 * sums_in[c] + 1.0) / (sums_in[C + c] + 1.0);
    }
}

@group(0) @binding(2) var<storage, read> dsums_in: array<F>;
@group(0) @binding(3) var<storage, read_write> dx: array<F>;

// dp of element `c` of a row, whose pixel has the class `own`.
fn slope(c: u32, own: u32) -> F {
    return dsums_in[C + c] + select(F(), dsums_in[c], is_class(c, own));
}

// Of a row whose pixel has the class `own`: the largest logit m, Σ exp(x - m) and Σ exp(x - m) dp, in one pass as row_sum (lib/softmax.wgsl).
fn row_sums(row: u32, own: u32) -> vec3<f32> {
    // Class 0 of a single unit has the logit 0, and dp = 0.
    var m = select(lane_of(x[row], 0u), 0.0, FIRST == 1u);
    var sum = select(0.0, 1.0, FIRST == 1u);
    var dot = 0.0;
    for (var c = 0u; c < C; c += BLOCK) {
        let before = m;
        #for i in 0..BLOCK
        let v$i = x[row + column(c + $iu)];
        m = max_lanes(m, v$i);
        #end
        let scale = lane_of(exp_below(F(before), m), 0u);
        sum *= scale;
        dot *= scale;
        #for i in 0..BLOCK
        let e$i = counted(c + $iu, exp_below(v$i, m));
        sum += sum_lanes(e$i);
        dot += dot_lanes(e$i, slope(column(c + $iu), own));
        #end
    }
    return vec3<f32>(m, sum, dot);
}

// One invocation computes dx of one pixel.
@compute @workgroup_size(WG)
fn sums_grad(id: Invocation) {
    let pixel = flat_index(id);
    if pixel < PIXELS * step.n {
        let row = pixel * C;
        let own = class_of(pixel);
        let found = row_sums(row, own);
        let scale = select(1.0 / found.y, 0.0, ignored(pixel));
        let mean = found.z / found.y;
        for (var c = 0u; c < C; c += BLOCK) {
            // Past the last element, the last one is written again, with the same value.
            #for i in 0..BLOCK
            let c$i = column(c + $iu);
            dx[row + c$i] = exp(x[row + c$i] - found.x) * scale * (slope(c$i, own) - mean);
            #end
        }
    }
}
