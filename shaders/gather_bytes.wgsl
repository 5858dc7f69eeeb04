// Copies a batch of bytes, such as the classes of pixels, out of a data set that lies on the adapter:
// y[n, …] = bytes[sample, …], from four bytes a word.
#import step
#import order
#import lanes

override ITEMS: u32 = 1u; // bytes of one sample, in I

@group(0) @binding(2) var<storage, read> bytes: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<I>;

// One invocation computes one element of y, from its L bytes, which lie in one word.
@compute @workgroup_size(WG)
fn gather_bytes(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        let at = sample(i / ITEMS) * ITEMS + i % ITEMS;
        y[i] = I(bytes_of(bytes[at / BLOCK] >> (at % BLOCK * 8u)) & U(255u));
    }
}
