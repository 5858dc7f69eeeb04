// Where the samples of a batch lie in a data set on the adapter: sample i of the batch is number order[offset + i] of it.
// Needs `step`.

override COUNT: u32 = 1u;   // samples of the data set
override ORDERED: u32 = 1u; // entries of the order

@group(0) @binding(1) var<storage, read> order: array<u32>;

// The number in the data set of sample i of the batch.
fn sample(i: u32) -> u32 {
    return min(order[min(step.offset + i, ORDERED - 1u)], COUNT - 1u);
}
