// Negative log-likelihood. The targets are q[n, c] = SMOOTHING / C, plus 1 - SMOOTHING where c is the label:
//   loss[n] = -Σ q[n, c] logp[n, c]; dlogp[n, c] = -dloss[n] q[n, c]
// Fused with log-softmax:
//   loss[n] = log Σ exp(x[n, c]) - Σ q[n, c] x[n, c]; dx[n, c] = dloss[n] · (softmax(x)[n, c] - q[n, c])
#import step
#import softmax

override SMOOTHING: f32 = 0.0; // label smoothing: the part of the target that is spread evenly over all classes

// q[n, c], for the label if `hot`, else for another class.
fn target_of(hot: bool) -> f32 {
    return select(0.0, 1.0 - SMOOTHING, hot) + SMOOTHING / f32(L * C);
}

@group(0) @binding(1) var<storage, read> logp: array<F>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

// logp at class `label` of the row that starts at element `row`.
fn logp_of(row: u32, label: u32) -> f32 {
    return lane_of(logp[row + label / L], label % L);
}

// One invocation computes the loss of one sample.
@compute @workgroup_size(WG)
fn nll(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        var sum = 0.0;
        if SMOOTHING > 0.0 {
            for (var c = 0u; c < C; c += BLOCK) {
                #for i in 0..BLOCK
                sum += sum_lanes(counted(c + $iu, logp[n * C + column(c + $iu)]));
                #end
            }
        }
        loss[n] = -(1.0 - SMOOTHING) * logp_of(n * C, label_index(labels[n])) - sum * (SMOOTHING / f32(L * C));
    }
}

@group(0) @binding(1) var<storage, read> labels_in: array<i32>;
@group(0) @binding(2) var<storage, read> dloss: array<f32>;
@group(0) @binding(3) var<storage, read_write> dlogp: array<F>;

// d · q for element `c` of a row.
fn targets(c: u32, label: u32, d: f32) -> F {
    return select(F(d * target_of(false)), F(d * target_of(true)), numbers(c) == U(label));
}

// One invocation computes one element of dlogp.
@compute @workgroup_size(WG)
fn nll_grad(id: Invocation) {
    let i = flat_index(id);
    if i < C * step.n {
        let n = i / C;
        dlogp[i] = targets(i % C, label_index(labels_in[n]), -dloss[n]);
    }
}

// SMOOTHING · (m - mean of the row that starts at `row`), where m is the
// row's largest number. Without smoothing it is 0 and costs no loop.
fn spread_loss(row: u32, m: f32) -> f32 {
    var sum = F();
    if SMOOTHING > 0.0 {
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            sum += counted(c + $iu, m - x[row + column(c + $iu)]);
            #end
        }
    }
    return sum_lanes(sum) * (SMOOTHING / f32(L * C));
}

// One invocation computes the loss of one sample.
@compute @workgroup_size(WG)
fn softmax_nll(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        let sum = row_sum(n * C);
        let label = label_index(labels[n]);
        let own = lane_of(x[n * C + label / L], label % L);
        loss[n] = log(sum.y) + ((1.0 - SMOOTHING) * (sum.x - own) + spread_loss(n * C, sum.x));
    }
}

@group(0) @binding(3) var<storage, read_write> dx: array<F>;

override DLOSS: f32 = 1.0; // where dloss is constant: dloss of every sample, times the number of samples that share the update

// Computes dx of sample n's row; d is dloss[n].
fn row_grad(n: u32, d: f32) {
    let row = n * C;
    let sum = row_sum(row);
    let scale = d / sum.y;
    let label = label_index(labels_in[n]);
    for (var c = 0u; c < C; c += BLOCK) {
        // Past the last element, the last one is written again, with the same value.
        #for i in 0..BLOCK
        let c$i = column(c + $iu);
        dx[row + c$i] = exp(x[row + c$i] - sum.x) * scale - targets(c$i, label, d);
        #end
    }
}

// One invocation computes dx of one sample's row.
@compute @workgroup_size(WG)
fn softmax_nll_grad(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        row_grad(n, dloss[n]);
    }
}

// One invocation computes dx of one sample's row, where dloss is constant.
@compute @workgroup_size(WG)
fn softmax_nll_grad_mean(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        row_grad(n, DLOSS * step.inv_n);
    }
}
