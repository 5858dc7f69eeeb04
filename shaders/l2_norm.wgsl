// L2 normalisation over the C channels of each position: y = x / n with n = sqrt(Σ x²) + EPSILON. With u = x / n:
//   dx = (dy - u (u · dy)) / n, and 0 where all of x is 0
#import step
#import reduce

override EPSILON: f32 = 1e-10;

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;

// One invocation computes one row of y.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * step.n {
        let row = i * C;
        var sum = 0.0;
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            let v$i = x[row + column(c + $iu)];
            sum += sum_lanes(counted(c + $iu, v$i * v$i));
            #end
        }
        let length = sqrt(sum) + EPSILON;
        for (var c = 0u; c < C; c += BLOCK) {
            // Past the last element, the last one is written again, with the same value.
            #for i in 0..BLOCK
            let c$i = column(c + $iu);
            y[row + c$i] = x[row + c$i] / length;
            #end
        }
    }
}

@group(0) @binding(2) var<storage, read> dy: array<F>;
@group(0) @binding(3) var<storage, read_write> dx: array<F>;

// One invocation computes one row of dx.
@compute @workgroup_size(WG)
fn grad(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * step.n {
        let row = i * C;
        var sum = 0.0;
        var dot = 0.0;
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            let v$i = x[row + column(c + $iu)];
            sum += sum_lanes(counted(c + $iu, v$i * v$i));
            dot += sum_lanes(counted(c + $iu, v$i * dy[row + column(c + $iu)]));
            #end
        }
        let length = sqrt(sum) + EPSILON;
        let scale = select(0.0, 1.0 / length, sum > 0.0);
        let along = dot / length / length;
        for (var c = 0u; c < C; c += BLOCK) {
            #for i in 0..BLOCK
            let c$i = column(c + $iu);
            dx[row + c$i] = (dy[row + c$i] - x[row + c$i] * along) * scale;
            #end
        }
    }
}
