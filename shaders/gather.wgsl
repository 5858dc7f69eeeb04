// Copies a batch out of a data set that lies on the adapter.
// Sample i of the batch is number order[offset + i] of the set.
// - images: y[n, h, w, c] = (byte / 255 - MEAN_c) / STD_c, from four bytes a word
// - labels: y_labels[n] = labels[sample]
// - rows of words, f32 or i32: y_rows[n, …] = rows[sample, …]
#import step
#import order
#import lanes

override ITEMS: u32 = 1u; // bytes of one image, in F; for gather_rows, words of one row
override C: u32 = 1u;     // channels
override MEAN_0: f32 = 0.0;
override MEAN_1: f32 = 0.0;
override MEAN_2: f32 = 0.0;
override MEAN_3: f32 = 0.0;
override STD_0: f32 = 1.0;
override STD_1: f32 = 1.0;
override STD_2: f32 = 1.0;
override STD_3: f32 = 1.0;

@group(0) @binding(2) var<storage, read> images: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<F>;

fn normalised(byte: u32, c: u32) -> f32 {
    let mean = vec4<f32>(MEAN_0, MEAN_1, MEAN_2, MEAN_3);
    let deviation = vec4<f32>(STD_0, STD_1, STD_2, STD_3);
    let k = min(c, 3u);
    return (f32(byte) / 255.0 - mean[k]) / deviation[k];
}

@group(0) @binding(4) var<storage, read> labels: array<i32>;
@group(0) @binding(5) var<storage, read_write> y_labels: array<i32>;

// Computes element i of y, if there is one, from its L bytes, which lie in one word.
fn element(i: u32) {
    if i < ITEMS * step.n {
        let at = sample(i / ITEMS) * ITEMS + i % ITEMS;
        let word = images[at / BLOCK] >> (at % BLOCK * 8u);
        y[i] = F(
#for l in 0..L
            normalised((word >> ($lu * 8u)) & 255u, (i * L + $lu) % C),
#end
        );
    }
}

// Copies the label of sample i, if there is one. There are at least as many invocations as samples.
fn label(i: u32) {
    if i < step.n {
        y_labels[i] = labels[sample(i)];
    }
}

// One invocation computes one element of y.
@compute @workgroup_size(WG)
fn gather(id: Invocation) {
    element(flat_index(id));
}

// One invocation computes one element of y. The first N invocations copy a label each, too.
@compute @workgroup_size(WG)
fn gather_labelled(id: Invocation) {
    let i = flat_index(id);
    element(i);
    label(i);
}

@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> y_rows: array<u32>;

// One invocation copies one word of a row, be it f32 or i32.
@compute @workgroup_size(WG)
fn gather_rows(id: Invocation) {
    let i = flat_index(id);
    if i < ITEMS * step.n {
        y_rows[i] = rows[sample(i / ITEMS) * ITEMS + i % ITEMS];
    }
}
