// Writes numbers that the spec gives, one for each class: weights[FROM + i] = W_i for i below COUNT.
#import step

override FROM: u32 = 0u;
override COUNT: u32 = 1u; // at most 16
override W_0: f32 = 0.0;
override W_1: f32 = 0.0;
override W_2: f32 = 0.0;
override W_3: f32 = 0.0;
override W_4: f32 = 0.0;
override W_5: f32 = 0.0;
override W_6: f32 = 0.0;
override W_7: f32 = 0.0;
override W_8: f32 = 0.0;
override W_9: f32 = 0.0;
override W_10: f32 = 0.0;
override W_11: f32 = 0.0;
override W_12: f32 = 0.0;
override W_13: f32 = 0.0;
override W_14: f32 = 0.0;
override W_15: f32 = 0.0;

@group(0) @binding(1) var<storage, read_write> weights: array<f32>;

// One invocation writes one number.
@compute @workgroup_size(WG)
fn forward(id: Invocation) {
    let i = flat_index(id);
    if i < COUNT {
        var weight = W_0;
#for k in 1..16
        weight = select(weight, W_$k, i == $ku);
#end
        weights[FROM + i] = weight;
    }
}
