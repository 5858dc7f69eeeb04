// Convolution for GPUs, by tiles in workgroup memory. lib/conv2d_tiles.wgsl says how. L is 4 where the channels and
// filters of a group are multiples of four. Where dy is read (grad_input, grad_weight), FIRST_K and K must be, too. Else
// L is 1 and neighbours are read one by one. Taps and channels are one flat reduction, so that three channels waste
// nothing.
#import conv2d_tiles

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read> w: array<F>;
@group(0) @binding(3) var<storage, read> b: array<f32>; // without a bias, any other operand is bound and ignored
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<F>;
@group(0) @binding(3) var<storage, read> y_in: array<F>; // if no activation made x, any other operand is bound and ignored
@group(0) @binding(6) var<storage, read_write> dx: array<F>;
@group(0) @binding(7) var<storage, read_write> partial: array<F>;

fn x_element(corner: Corner, q: u32) -> F {
    let t = min(q, J - L);
    return select(F(), x[(under(corner, t) + t % CG) / L], q < J && inside(corner, t));
}

// x under the weights q … q + 3 of a filter; 0 past the last weight.
fn x_four(corner: Corner, q: u32) -> vec4<f32> {
    return four_of(array<F, BLOCK>(
#for k in 0..BLOCK
        x_element(corner, q + $ku),
#end
    ));
}

fn w_element(filter_k: u32, q: u32) -> F {
    return select(F(), w[(filter_k * J + min(q, J - L)) / L], q < J);
}

// The weights q … q + 3 of a filter; 0 past the last.
fn w_four(filter_k: u32, q: u32) -> vec4<f32> {
    return four_of(array<F, BLOCK>(
#for k in 0..BLOCK
        w_element(filter_k, q + $ku),
#end
    ));
}

// dy of pixel `m` and the filters k … k + 3 of the group; 0 for m >= end.
fn dy_rows(m: u32, end: u32, g: u32, k: u32) -> vec4<f32> {
    let at = min(m, OH * OW * step.n - 1u) * K + FIRST_K + g * KG;
    let four = four_of(array<F, BLOCK>(
#for i in 0..BLOCK
        dy[(at + min(k + $iu, KG - L)) / L],
#end
    ));
    return select(vec4<f32>(0.0), four, m < end);
}

fn dy_element(cell: Cell, taps: Taps, q: u32) -> F {
    let tap = tap_of(taps, q);
    return select(F(), dy[over(cell, tap) / L], q < taps.depth && meets(cell, tap));
}

// dy for the terms q … q + 3 of a cell's reduction; 0 past the last.
fn dy_taps(cell: Cell, taps: Taps, q: u32) -> vec4<f32> {
    return four_of(array<F, BLOCK>(
#for k in 0..BLOCK
        dy_element(cell, taps, q + $ku),
#end
    ));
}

// What element `at` of dx is multiplied by: the derivative of the activation that made x.
fn derivative(at: u32) -> F {
    return activate_grad_lanes(y_in[select(0u, at, ACTIVATION != 0u)]);
}

// Stores four elements of dx from `at` on, of which only the first `count` exist.
fn dx_store(at: u32, count: u32, value: vec4<f32>) {
#for k in 0..BLOCK
    if L == 4u || $k < count {
        let to = at / L + $k;
        dx[to] = (part_of(value, $ku) + select(F(), dx[to], ADD != 0u)) * derivative(to);
    }
#end
}

fn partial_store(at: u32, count: u32, value: vec4<f32>) {
#for k in 0..BLOCK
    if L == 4u || $k < count {
        partial[at / L + $k] = part_of(value, $ku);
    }
#end
}

override ITEMS: u32 = 1u; // elements of one sample, in F
@group(0) @binding(1) var<storage, read> parts_in: array<F>;

// The sum, in order, of the PARTS partial sums of element `i` of y or dx.
fn total(i: u32) -> F {
    var total = F();
    for (var part = 0u; part < PARTS; part += 1u) {
        total += parts_in[part * PART + i];
    }
    return total;
}

// One invocation adds the partial sums of one element of y (L is 1).
@compute @workgroup_size(WG)
fn sum(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        let factor = select(1.0, b[select(0u, K + i % K, BIAS == 2u)], BIAS == 2u);
        y[i] = activate(sum_lanes(total(i)) * factor + select(0.0, b[select(0u, i % K, BIAS != 0u)], BIAS != 0u));
    }
}

// One invocation adds the partial sums of one element of dx.
@compute @workgroup_size(WG)
fn sum_dx(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        dx[i] = total(i) * derivative(i);
    }
}

// One workgroup computes LM TM pixels by 4 LN filters.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let lane = id.local;
    forward_tile(group_index(id), lane);
}

// One workgroup computes LM TM cells of one phase by 4 LN channels.
@compute @workgroup_size(WG)
fn grad_input(id: Invocation) {
    let lane = id.local;
    grad_input_tile(group_index(id), lane);
}

// One workgroup computes LM TM filters by 4 LN weights, summed over one of PARTS ranges of the output pixels.
@compute @workgroup_size(WG)
fn grad_weight(id: Invocation) {
    let lane = id.local;
    grad_weight_tile(group_index(id), lane);
}
