// Concatenation along channels: y[m, START + c] = x[m, c], where m
// counts the positions of all samples. One dispatch for each input.
// Its gradient is a slice: y[m, c] = x[m, START + c]. Channels are counted in F.
#import step
#import lanes

override ROWS: u32 = 1u;  // positions of one sample
override CX: u32 = 1u;    // channels of x, in F
override CY: u32 = 1u;    // channels of y, in F
override START: u32 = 0u; // first channel, in F

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;

// One invocation copies one element of x.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * CX * step.n {
        y[i / CX * CY + START + i % CX] = x[i];
    }
}

// One invocation copies one element to y.
@compute @workgroup_size(WG)
fn slice(id: Invocation) {
    let i = flat_index(id);
    if i < ROWS * CY * step.n {
        y[i] = x[i / CY * CX + START + i % CY];
    }
}

