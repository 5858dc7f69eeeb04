// Regions that are stacked with gaps of rows between them: y = x, and 0 in the gaps.
#import step
#import lanes

override ITEMS: u32 = 1u; // elements of one sample, in F
override LINE: u32 = 1u;  // elements of one row of the picture, in F
override ROWS: u32 = 1u;  // rows of a region with its gap
override SIZE: u32 = 1u;  // without

@group(0) @binding(1) var<storage, read> x: array<F>;
@group(0) @binding(2) var<storage, read_write> y: array<F>;

// One invocation copies one element.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        y[i] = select(F(), x[i], i / LINE % ROWS < SIZE);
    }
}
