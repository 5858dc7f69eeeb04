// Global average pooling: y[n, c] = mean of x[n, p, c] over the pixels p.
// dx[n, p, c] = dy[n, c] / pixels, times f' of y_in where an activation f made x. C counts channels in F.
#import step
#import activation

override ROWS: u32 = 1u;   // pixels of x, or partial sums of the stage before
override C: u32 = 1u;
override PARTS: u32 = 1u;  // parts that a sample's rows are split into
override SCALE: f32 = 1.0;
override TILE: u32 = 1u;   // pixels of dx that one invocation computes
override TILES: u32 = 1u;  // invocations that share a sample's pixels

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> sums: array<F>;

// One invocation computes sums[n, part, c] = SCALE · the sum over one part of the rows.
@compute @workgroup_size(WG)
fn sum_rows(id: Invocation) {
    let i = flat_index(id);
    if i < step.n * PARTS * C {
        let length = (ROWS + PARTS - 1u) / PARTS;
        let start = i / C % PARTS * length;
        let end = min(start + length, ROWS);
        let image = i / (C * PARTS) * ROWS;
        var sum = F();
        for (var p = start; p < end; p += 4u) {
            // Past the last row, it is read again but does not count.
#for k in 0..4
            sum += select(F(), x[(image + min(p + $k, end - 1u)) * C + i % C], p + $k < end);
#end
        }
        sums[i] = sum * SCALE;
    }
}

@group(0) @binding(1) var<storage, read> dy: array<F>;
@group(0) @binding(2) var<storage, read_write> dx: array<F>;
@group(0) @binding(3) var<storage, read> y_in: array<F>; // if no activation made x, any other operand is bound and ignored

// One invocation computes one channel of dx at TILE pixels.
@compute @workgroup_size(WG)
fn grad_input(id: Invocation) {
    let i = flat_index(id);
    if i < step.n * TILES * C {
        let d = dy[i / (TILES * C) * C + i % C] * SCALE;
        let first = i / C % TILES * TILE;
        let image = i / (TILES * C) * ROWS;
        // The last pixel may be written again, with the same value.
#for k in 0..TILE
        {
            let at = (image + min(first + $k, ROWS - 1u)) * C + i % C;
            dx[at] = d * activate_grad_lanes(y_in[select(0u, at, ACTIVATION != 0u)]);
        }
#end
    }
}

