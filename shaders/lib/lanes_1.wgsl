// One number at a time (lib/lanes.wgsl).

alias F = f32;
alias U = u32;
alias I = i32;
alias B = bool;
const BLOCK: u32 = 4u;

fn lane_of(v: F, i: u32) -> f32 {
    return v;
}

fn sum_lanes(v: F) -> f32 {
    return v;
}

fn dot_lanes(a: F, b: F) -> f32 {
    return a * b;
}

// The larger of m and v, or m where v is NaN.
fn max_lanes(m: f32, v: F) -> f32 {
    return select(m, v, v > m);
}

// The sum of a block.
fn block_sum(v: array<F, 4>) -> F {
    return (v[0] + v[1]) + (v[2] + v[3]);
}

// A block as four numbers, and number `k` of a block.
fn four_of(v: array<F, 4>) -> vec4<f32> {
    return vec4<f32>(v[0], v[1], v[2], v[3]);
}

fn part_of(four: vec4<f32>, k: u32) -> F {
    return four[k];
}

// The numbers of the lanes of element `i`: L i and on.
fn numbers(i: u32) -> U {
    return i;
}

// What of four random words belongs to element `i`.
fn random_of(four: vec4<u32>, i: u32) -> U {
    return four[i % 4u];
}

// Bytes of a word, from the lowest on, and the word of such bytes.
fn bytes_of(word: u32) -> U {
    return word;
}

fn packed(bytes: U) -> u32 {
    return bytes;
}
