// F is a vec4 of f32 (lib/lanes.wgsl). lib/lanes_1.wgsl says what the functions are for.

alias F = vec4<f32>;
alias U = vec4<u32>;
alias I = vec4<i32>;
alias B = vec4<bool>;
const BLOCK: u32 = 1u;

fn lane_of(v: F, i: u32) -> f32 {
    return v[i];
}

fn sum_lanes(v: F) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

fn dot_lanes(a: F, b: F) -> f32 {
    return dot(a, b);
}

fn max_lanes(m: f32, v: F) -> f32 {
    var most = select(m, v.x, v.x > m);
    most = select(most, v.y, v.y > most);
    most = select(most, v.z, v.z > most);
    return select(most, v.w, v.w > most);
}

fn block_sum(v: array<F, 1>) -> F {
    return v[0];
}

fn four_of(v: array<F, 1>) -> vec4<f32> {
    return v[0];
}

fn part_of(four: vec4<f32>, k: u32) -> F {
    return four;
}

fn numbers(i: u32) -> U {
    return U(4u * i) + U(0u, 1u, 2u, 3u);
}

fn random_of(four: vec4<u32>, i: u32) -> U {
    return four;
}

fn bytes_of(word: u32) -> U {
    return U(word) >> U(0u, 8u, 16u, 24u);
}

fn packed(bytes: U) -> u32 {
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}
