// Layer normalisation (Ba, Kiros and Hinton 2016) over the C channels of each row. A row is a position of a sample.
//   y = (x - mean) / sqrt(variance + EPSILON) · weight + bias, with mean and variance (biased) of x's row
// The mean is kept as two numbers, mean + rest: where it is far larger than the deviation, its rounding would count.
// With x̂ = (x - mean) / sqrt(variance + EPSILON) and g = dy · weight:
//   dx = (g - Σ g / C - x̂ · Σ g x̂ / C) / sqrt(variance + EPSILON), sums over the row
//   dweight = Σ dy · x̂, dbias = Σ dy, sums over all rows
// Sums over rows are made in PARTS partial sums, which are then added in order. Channels are counted in F.
#import step
#import reduce

override PARTS: u32 = 1u; // partial sums over rows
override EPSILON: f32 = 1e-5;

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read> weight: array<F>;
@group(0) @binding(3) var<storage, read> bias: array<F>;
@group(0) @binding(4) var<storage, read_write> y: array<F>;
@group(0) @binding(5) var<storage, read_write> mean_out: array<f32>;
@group(0) @binding(6) var<storage, read_write> variance_out: array<f32>;
@group(0) @binding(7) var<storage, read_write> rest_out: array<f32>;

// The mean of a row, from a sum for each lane of F.
fn mean_of(sum: F) -> f32 {
    return dot_lanes(sum, F(1.0)) / f32(L * C);
}

// One invocation computes one row of y, and its mean and variance.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * step.n {
        let row = i * C;
        var sum = F();
        for (var c = 0u; c < C; c += BLOCK) {
            sum += block_sum(array<F, BLOCK>(
                #for k in 0..BLOCK
                counted(c + $ku, x[row + column(c + $ku)]),
                #end
            ));
        }
        let mean = mean_of(sum);
        var squares = F();
        var over = F();
        for (var c = 0u; c < C; c += BLOCK) {
            #for k in 0..BLOCK
            let d_$k = counted(c + $ku, x[row + column(c + $ku)] - mean);
            #end
            squares += block_sum(array<F, BLOCK>(
                #for k in 0..BLOCK
                d_$k * d_$k,
                #end
            ));
            over += block_sum(array<F, BLOCK>(
                #for k in 0..BLOCK
                d_$k,
                #end
            ));
        }
        let rest = mean_of(over);
        let variance = max(mean_of(squares) - rest * rest, 0.0);
        mean_out[i] = mean;
        rest_out[i] = rest;
        variance_out[i] = variance;
        let scale = 1.0 / sqrt(variance + EPSILON);
        for (var c = 0u; c < C; c += BLOCK) {
            // Past the last channel, the last one is written again, with the same value.
            #for k in 0..BLOCK
            let c_$k = column(c + $ku);
            y[row + c_$k] = (x[row + c_$k] - mean - rest) * scale * weight[c_$k] + bias[c_$k];
            #end
        }
    }
}

@group(0) @binding(3) var<storage, read> dy: array<F>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<F>;
@group(0) @binding(8) var<storage, read> rest: array<f32>;

// One invocation computes one row of dx.
@compute @workgroup_size(WG)
fn grad_input(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * step.n {
        let row = i * C;
        let centre = mean[i];
        let beyond = rest[i];
        let scale = 1.0 / sqrt(variance[i] + EPSILON);
        var sum = F();
        var product = F();
        for (var c = 0u; c < C; c += BLOCK) {
            #for k in 0..BLOCK
            let c_$k = column(c + $ku);
            let g_$k = counted(c + $ku, dy[row + c_$k] * weight[c_$k]);
            #end
            sum += block_sum(array<F, BLOCK>(
                #for k in 0..BLOCK
                g_$k,
                #end
            ));
            product += block_sum(array<F, BLOCK>(
                #for k in 0..BLOCK
                g_$k * (x[row + c_$k] - centre - beyond),
                #end
            ));
        }
        let offset = mean_of(sum);
        let slope = dot_lanes(product, F(1.0)) * scale * scale / f32(L * C);
        for (var c = 0u; c < C; c += BLOCK) {
            // Past the last channel, the last one is written again, with the same value.
            #for k in 0..BLOCK
            let at_$k = column(c + $ku);
            dx[row + at_$k] = (dy[row + at_$k] * weight[at_$k] - offset - (x[row + at_$k] - centre - beyond) * slope) * scale;
            #end
        }
    }
}

@group(0) @binding(7) var<storage, read_write> sums: array<F>;

// One invocation sums dy · x̂ and dy of one channel over one of PARTS ranges of rows.
@compute @workgroup_size(WG)
fn grad_partial(id: Invocation) {
    let i = flat_index(id);
    if i < PARTS * C {
        let c = i % C;
        let rows = ROWS * step.n;
        var product = F();
        var sum = F();
        let length = (rows + PARTS - 1u) / PARTS;
        let start = i / C * length;
        let end = min(start + length, rows);
        for (var m = start; m < end; m += 4u) {
            // Past the last row, the last one is read again but does not count.
#for k in 0..4
            let m_$k = min(m + $ku, end - 1u);
            let d_$k = select(F(), dy[m_$k * C + c], m + $ku < end);
            product += d_$k * (x[m_$k * C + c] - mean[m_$k] - rest[m_$k]) / sqrt(variance[m_$k] + EPSILON);
            sum += d_$k;
#end
        }
        sums[i] = product;
        sums[PARTS * C + i] = sum;
    }
}

@group(0) @binding(1) var<storage, read> sums_in: array<F>;
@group(0) @binding(2) var<storage, read_write> dweight: array<F>;
@group(0) @binding(3) var<storage, read_write> dbias: array<F>;

// One invocation adds the partial sums of one channel, in order.
@compute @workgroup_size(WG)
fn grad_params(id: Invocation) {
    let c = flat_index(id);
    if c < C {
        var product = F();
        var sum = F();
        for (var part = 0u; part < PARTS; part += 1u) {
            product += sums_in[part * C + c];
            sum += sums_in[(PARTS + part) * C + c];
        }
        dweight[c] = product;
        dbias[c] = sum;
    }
}
