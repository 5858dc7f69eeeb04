// Two roofs of an adapter, for `pumice bench`: how fast it multiplies and adds, and how fast it loads.
// - alu: a = a · x + y, ITERATIONS · 16 times, for each of ACC independent chains. A chain is one vec4 in registers.
// - load: the sum of LOADS vec4s of a buffer that is larger than the caches. Neighbours read neighbouring elements.

#import step

override ACC: u32 = 4u;
override ITERATIONS: u32 = 200u;
override LOADS: u32 = 16u;
// Invocations of the whole grid.
override TOTAL: u32 = 4096u;

@group(0) @binding(1) var<storage, read_write> chains4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> data4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> sum4: array<vec4<f32>>;

// One invocation computes ACC chains that start from one element, and stores their sum in that element.
@compute @workgroup_size(WG)
fn alu(id: Invocation) {
    let i = min(flat_index(id), TOTAL - 1u);
    // Values near 1, because some processors are slow with infinities and denormal numbers.
    let x = vec4<f32>(0.999) - chains4[i] * 1e-6;
    let y = vec4<f32>(0.001);
#for a in 0..ACC
    var a$a = x + vec4<f32>($a.0);
#end
    for (var k = 0u; k < ITERATIONS; k += 1u) {
#for r in 0..16
#for a in 0..ACC
        a$a = a$a * x + y;
#end
#end
    }
    var total = vec4<f32>(0.0);
#for a in 0..ACC
    total += a$a;
#end
    chains4[i] = total;
}

// One invocation loads LOADS elements, TOTAL apart. It stores their sum only if it has a value that it never has: so
// nothing is written, and yet no compiler can leave out the loads.
@compute @workgroup_size(WG)
fn load(id: Invocation) {
    let i = min(flat_index(id), TOTAL - 1u);
    var total = vec4<f32>(0.0);
#for l in 0..LOADS
    total += data4[i + $lu * TOTAL];
#end
    if (total.x == 12345.0) {
        sum4[0] = total;
    }
}
