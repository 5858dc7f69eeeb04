// Multi-class hinge: loss[n] = Σ max(0, s[n, c] - s[n, t] + 1) over all c ≠ t, where t is the label of sample n.
// ds[n, c] = dloss[n] where the term of c is above 0, else 0. ds[n, t] = -dloss[n] · (number of terms above 0).
#import step
#import reduce

@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

// One invocation computes the loss of one sample.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        let row = n * C;
        let label = label_index(labels[n]);
        let correct = s[row + label];
        var sum = 0.0;
        for (var c = 0u; c < C; c += 1u) {
            let margin = s[row + c] - correct + 1.0;
            // NaN is not below 0, so it stays NaN.
            sum += select(margin, 0.0, margin < 0.0 || c == label);
        }
        loss[n] = sum;
    }
}

@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> ds: array<f32>;

override DLOSS: f32 = 1.0; // where dloss is constant: dloss of every sample, times the number of samples that share the update

// Computes ds of sample n's row; d is dloss[n].
fn row_grad(n: u32, d: f32) {
    let row = n * C;
    let label = label_index(labels[n]);
    let correct = s[row + label];
    var count = 0.0;
    for (var c = 0u; c < C; c += 1u) {
        let above = select(0.0, 1.0, s[row + c] - correct + 1.0 > 0.0 && c != label);
        ds[row + c] = above * d;
        count += above;
    }
    ds[row + label] = -count * d;
}

// One invocation computes ds of one sample's row.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        row_grad(n, dloss[n]);
    }
}

// One invocation computes ds of one sample's row, where dloss is constant.
@compute @workgroup_size(WG)
fn grad_mean(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        row_grad(n, DLOSS * step.inv_n);
    }
}
