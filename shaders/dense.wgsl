// Dense layer with x [N, IN], w [UNITS, IN], b [UNITS]:
//   y[n, u]  = act(b[u] + sum over i of x[n, i] * w[u, i]),
//   dx[n, i] = sum over u of dy[n, u] * w[u, i], times f' of y_in where an activation f made x,
//   dw[u, i] = sum over n of dy[n, u] * x[n, i].
// w and dw are bound in windows of COUNT units, from unit FIRST on, because the whole may exceed the adapter's binding
// limit. One invocation computes a tile of outputs in registers. IN and TI count inputs in F. Past the end, the last
// real row or column is computed again and not stored.
#import step
#import activation

override IN: u32 = 1u;
override UNITS: u32 = 1u;
override FIRST: u32 = 0u;
override COUNT: u32 = 1u;
override BIAS: u32 = 0u;  // 1: add b
override ADD: u32 = 0u;   // grad_input: 1 adds the result to what dx holds from other windows
override TN: u32 = 1u;    // samples of a tile
override TU: u32 = 1u;    // units of a tile
override TI: u32 = 1u;    // inputs of a tile, in F
override CHUNK: u32 = 1u; // steps of the loop that are unrolled, so that it stays under 65,535 iterations

const U_TILES: u32 = (COUNT + TU - 1u) / TU;
const I_TILES: u32 = (IN + TI - 1u) / TI;

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read> w: array<F>;
@group(0) @binding(3) var<storage, read> b: array<f32>; // without a bias, w is bound again and ignored
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// One invocation computes TU units of TN samples.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let index = flat_index(id);
    let u0 = index % U_TILES * TU;
    let n0 = index / U_TILES * TN;
#for u in 0..TU
    let u_$u = min(u0 + $u, COUNT - 1u);
#end
#for n in 0..TN
    let n_$n = min(n0 + $n, step.n - 1u);
#for u in 0..TU
    var sum_$n_$u = 0.0;
#end
#end
    let end = select(0u, IN, n0 < step.n);
    for (var i0 = 0u; i0 < end; i0 += CHUNK) {
#for c in 0..CHUNK
        {
            let real = i0 + $c < IN;
            let i = min(i0 + $c, IN - 1u);
#for u in 0..TU
            let w_$u = w[u_$u * IN + i];
#end
#for n in 0..TN
            let x_$n = select(F(), x[n_$n * IN + i], real);
#for u in 0..TU
            sum_$n_$u += dot_lanes(x_$n, w_$u);
#end
#end
        }
#end
    }
#for u in 0..TU
    let b_$u = select(0.0, b[select(0u, FIRST + u_$u, BIAS != 0u)], BIAS != 0u);
#end
#for n in 0..TN
#for u in 0..TU
    if n0 + $n < step.n && u0 + $u < COUNT {
        y[n_$n * UNITS + FIRST + u_$u] = activate(sum_$n_$u + b_$u);
    }
#end
#end
}

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<F>;
@group(0) @binding(4) var<storage, read> y_in: array<F>; // if no activation made x, any other operand is bound and ignored

// One invocation computes TI elements of dx for TN samples, from the units of one window.
@compute @workgroup_size(WG)
fn grad_input(id: Invocation) {
    let index = flat_index(id);
    let i0 = index % I_TILES * TI;
    let n0 = index / I_TILES * TN;
#for i in 0..TI
    let i_$i = min(i0 + $i, IN - 1u);
#end
#for n in 0..TN
    let n_$n = min(n0 + $n, step.n - 1u);
#for i in 0..TI
    var sum_$n_$i = select(F(), dx[n_$n * IN + i_$i], ADD != 0u);
#end
#end
    let end = select(0u, COUNT, n0 < step.n);
    for (var u0 = 0u; u0 < end; u0 += CHUNK) {
#for c in 0..CHUNK
        {
            let real = u0 + $c < COUNT;
            let u = min(u0 + $c, COUNT - 1u);
#for i in 0..TI
            let w_$i = w[u * IN + i_$i];
#end
#for n in 0..TN
            let d_$n = select(0.0, dy[n_$n * UNITS + FIRST + u], real);
#for i in 0..TI
            sum_$n_$i += d_$n * w_$i;
#end
#end
        }
#end
    }
#for n in 0..TN
#for i in 0..TI
    if n0 + $n < step.n && i0 + $i < IN {
        let at = n_$n * IN + i_$i;
        dx[at] = sum_$n_$i * activate_grad_lanes(y_in[select(0u, at, ACTIVATION != 0u)]);
    }
#end
#end
}

@group(0) @binding(2) var<storage, read> x_in: array<F>;
@group(0) @binding(3) var<storage, read_write> dw: array<F>;

// One invocation computes TI weights of dw for TU units.
@compute @workgroup_size(WG)
fn grad_weight(id: Invocation) {
    let index = flat_index(id);
    let i0 = index % I_TILES * TI;
    let u0 = index / I_TILES * TU;
#for i in 0..TI
    let i_$i = min(i0 + $i, IN - 1u);
#end
#for u in 0..TU
    let u_$u = min(u0 + $u, COUNT - 1u);
#for i in 0..TI
    var sum_$u_$i = F();
#end
#end
    let end = select(0u, step.n, u0 < COUNT);
    for (var n0 = 0u; n0 < end; n0 += CHUNK) {
#for c in 0..CHUNK
        {
            let real = n0 + $c < step.n;
            let n = min(n0 + $c, step.n - 1u);
#for u in 0..TU
            let d_$u = select(0.0, dy[n * UNITS + FIRST + u_$u], real);
#end
#for i in 0..TI
            let x_$i = x_in[n * IN + i_$i];
#for u in 0..TU
            sum_$u_$i += d_$u * x_$i;
#end
#end
        }
#end
    }
#for u in 0..TU
#for i in 0..TI
    if u0 + $u < COUNT && i0 + $i < IN {
        dw[u_$u * IN + i_$i] = sum_$u_$i;
    }
#end
#end
}

