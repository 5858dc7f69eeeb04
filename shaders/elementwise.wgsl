// Four ops, element by element:
// - add: y = act(a + b); for gradients, y = (a + b) · f' of y_in
// - mul: y = a · b with NumPy's broadcasting
// - copy: y = a
// - reduce_sum: y = Σ x over the dimensions that were broadcast
//
// Shapes are collapsed to D0 × D1 × D2 × D3 × D4, with D4 innermost. D0 may have any length, so it needs no constant.
// An operand has stride 0 in dimensions over which it is broadcast. D4, strides and ITEMS count elements in F.
#import step
#import activation

override ITEMS: u32 = 1u;   // elements of y, in F; of one sample where y has a batch dimension
override BATCHED: u32 = 1u; // 1 where y has a batch dimension
override D1: u32 = 1u;
override D2: u32 = 1u;
override D3: u32 = 1u;
override D4: u32 = 1u;
override A0: u32 = 0u;
override A1: u32 = 0u;
override A2: u32 = 0u;
override A3: u32 = 0u;
override A4: u32 = 0u;
override B0: u32 = 0u;
override B1: u32 = 0u;
override B2: u32 = 0u;
override B3: u32 = 0u;
override B4: u32 = 0u;

fn count() -> u32 {
    return select(ITEMS, ITEMS * step.n, BATCHED == 1u);
}

fn index_a(i: u32) -> u32 {
    return i % D4 * A4 + i / D4 % D3 * A3 + i / (D4 * D3) % D2 * A2 + i / (D4 * D3 * D2) % D1 * A1
        + i / (D4 * D3 * D2 * D1) * A0;
}

fn index_b(i: u32) -> u32 {
    return i % D4 * B4 + i / D4 % D3 * B3 + i / (D4 * D3) % D2 * B2 + i / (D4 * D3 * D2) % D1 * B1
        + i / (D4 * D3 * D2 * D1) * B0;
}

@group(0) @binding(1) var<storage, read> a: array<F>;
@group(0) @binding(2) var<storage, read> b: array<F>;
@group(0) @binding(3) var<storage, read_write> y: array<F>;

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn add(id: Invocation) {
    let i = flat_index(id);
    if i < count() {
        y[i] = activate_lanes(a[index_a(i)] + b[index_b(i)]);
    }
}

@group(0) @binding(4) var<storage, read> y_in: array<F>;

// One invocation computes one element of y, where a and b are gradients.
@compute @workgroup_size(WG)
fn add_gradients(id: Invocation) {
    let i = flat_index(id);
    if i < count() {
        y[i] = (a[index_a(i)] + b[index_b(i)]) * activate_grad_lanes(y_in[i]);
    }
}

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn mul(id: Invocation) {
    let i = flat_index(id);
    if i < count() {
        y[i] = a[index_a(i)] * b[index_b(i)];
    }
}

// One invocation copies one element.
@compute @workgroup_size(WG)
fn copy(id: Invocation) {
    let i = flat_index(id);
    if i < count() {
        y[i] = a[i];
    }
}

override K0: u32 = 1u; // 1 where y keeps dimension 0, 0 where it is summed; K1 to K4 likewise
override K1: u32 = 1u;
override K2: u32 = 1u;
override K3: u32 = 1u;
override K4: u32 = 1u;
override TERMS: u32 = 1u;      // terms of one sum; of one sample where the sum runs over N
override OVER_BATCH: u32 = 0u; // 1 when the sum runs over N
override PARTS: u32 = 1u;      // partial sums of one element

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> parts: array<F>;

// Index into x of term t of element o of y. Coordinates come from
// o in dimensions that are kept, from t in those that are summed.
fn term(o: u32, t: u32) -> u32 {
    let kept4 = select(1u, D4, K4 == 1u);
    let kept3 = kept4 * select(1u, D3, K3 == 1u);
    let kept2 = kept3 * select(1u, D2, K2 == 1u);
    let kept1 = kept2 * select(1u, D1, K1 == 1u);
    let summed4 = select(D4, 1u, K4 == 1u);
    let summed3 = summed4 * select(D3, 1u, K3 == 1u);
    let summed2 = summed3 * select(D2, 1u, K2 == 1u);
    let summed1 = summed2 * select(D1, 1u, K1 == 1u);
    let c4 = select(t, o, K4 == 1u) % D4;
    let c3 = select(t / summed4, o / kept4, K3 == 1u) % D3;
    let c2 = select(t / summed3, o / kept3, K2 == 1u) % D2;
    let c1 = select(t / summed2, o / kept2, K1 == 1u) % D1;
    let c0 = select(t / summed1, o / kept1, K0 == 1u);
    return (((c0 * D1 + c1) * D2 + c2) * D3 + c3) * D4 + c4;
}

fn terms() -> u32 {
    return select(TERMS, TERMS * step.n, OVER_BATCH == 1u);
}

// One invocation sums the terms part, part + PARTS, … of one element of y.
@compute @workgroup_size(WG)
fn reduce_sum_partial(id: Invocation) {
    let i = flat_index(id);
    if i < count() * PARTS {
        let o = i / PARTS;
        let end = terms();
        var sum = F();
        for (var t = i % PARTS; t < end; t += PARTS) {
            sum += x[term(o, t)];
        }
        parts[i] = sum;
    }
}

// One invocation sums one element of y.
@compute @workgroup_size(WG)
fn reduce_sum(id: Invocation) {
    let o = flat_index(id);
    if o < count() {
        let end = terms();
        var sum = F();
        for (var t = 0u; t < end; t += 1u) {
            sum += x[term(o, t)];
        }
        y[o] = sum;
    }
}

@group(0) @binding(1) var<storage, read> parts_in: array<F>;

// One invocation adds the partial sums of one element of y, in order.
@compute @workgroup_size(WG)
fn reduce_sum_parts(id: Invocation) {
    let o = flat_index(id);
    if o < count() {
        var sum = F();
        for (var part = 0u; part < PARTS; part += 1u) {
            sum += parts_in[o * PARTS + part];
        }
        y[o] = sum;
    }
}
