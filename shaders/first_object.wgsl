// What a network that looks for one object a picture learns, from the target `boxes` [N, G, 5]:
// label[n] = boxes[n, 0, 0] as a number, corners[n, k] = boxes[n, 0, 1 + k].
#import step

override OBJECTS: u32 = 1u; // G

@group(0) @binding(1) var<storage, read> boxes: array<f32>;
@group(0) @binding(2) var<storage, read_write> label: array<i32>;
@group(0) @binding(3) var<storage, read_write> corners: array<f32>;

// One invocation computes one sample.
@compute @workgroup_size(WG)
fn first_object(id: Invocation) {
    let n = flat_index(id);
    if n < step.n {
        let row = n * OBJECTS * 5u;
        label[n] = i32(boxes[row]);
        for (var k = 0u; k < 4u; k++) {
            corners[n * 4u + k] = boxes[row + 1u + k];
        }
    }
}
