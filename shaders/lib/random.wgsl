// Random numbers from a counter: the same key gives the same
// four words, on any adapter and in Rust (src/ops/random.rs).
// PCG4D: M. Jarzynski and M. Olano, Hash Functions for GPU Rendering, JCGT 9(3), 2020.

fn pcg4d(key: vec4<u32>) -> vec4<u32> {
    var v = key * 1664525u + 1013904223u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    v = v ^ (v >> vec4<u32>(16u));
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

// Four random words, for elements 4 · block … 4 · block + 3. They
// depend on seed, step, batch within the step, and the node's salt.
fn random4(block: u32, salt: u32) -> vec4<u32> {
    return pcg4d(vec4<u32>(block, salt, step.step, step.seed + step.offset * 747796405u));
}

// Four random words for sample `i` of the batch. They depend on seed, step (each batch has its own) and salt.
fn random4_of(i: u32, salt: u32) -> vec4<u32> {
    return pcg4d(vec4<u32>(i, salt, step.step, step.seed));
}

// Random words as numbers from 0 to below 1.
fn unit4(words: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(words >> vec4<u32>(8u)) * 5.9604644775390625e-8;
}
