// Softmax over the last dimension, of C elements:
// y = exp(x - m) / Σ exp(x - m) with m = max x, so that nothing overflows.
// dx = y · (dy - Σ y dy). Log-softmax: y = x - m - log Σ exp(x - m), dx = dy - softmax(x) · Σ dy.
// One invocation computes one row. Past the last element, the last one is written again, with the same value.
#import step
#import softmax

@group(0) @binding(2) var<storage, read_write> y: array<F>;

@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * step.n {
        let row = i * C;
        let sum = row_sum(row);
        let scale = 1.0 / sum.y;
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            let at$i = row + column(c + $iu);
            y[at$i] = exp(x[at$i] - sum.x) * scale;
            #end
        }
    }
}

@compute @workgroup_size(WG)
fn log_forward(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * step.n {
        let row = i * C;
        let row_sum = row_sum(row);
        let m = row_sum.x;
        let log_sum = log(row_sum.y);
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            let at$i = row + column(c + $iu);
            y[at$i] = x[at$i] - m - log_sum;
            #end
        }
    }
}

@group(0) @binding(1) var<storage, read> y_in: array<F>;
@group(0) @binding(2) var<storage, read> dy: array<F>;
@group(0) @binding(3) var<storage, read_write> dx: array<F>;

@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * step.n {
        let row = i * C;
        var sum = 0.0;
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            sum += dot_lanes(counted(c + $iu, y_in[row + column(c + $iu)]), counted(c + $iu, dy[row + column(c + $iu)]));
            #end
        }
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            let at$i = row + column(c + $iu);
            dx[at$i] = y_in[at$i] * (dy[at$i] - sum);
            #end
        }
    }
}

@compute @workgroup_size(WG)
fn log_grad(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * step.n {
        let row = i * C;
        let row_sum = row_sum(row);
        var sum = 0.0;
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            sum += sum_lanes(counted(c + $iu, dy[row + column(c + $iu)]));
            #end
        }
        let scale = sum / row_sum.y;
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            let at$i = row + column(c + $iu);
            dx[at$i] = dy[at$i] - exp(x[at$i] - row_sum.x) * scale;
            #end
        }
    }
}
