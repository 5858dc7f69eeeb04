// F is one f32 (lib/lanes.wgsl).

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

// The largest of m and the lanes of v. A NaN in v is ignored.
fn max_lanes(m: f32, v: F) -> f32 {
    return select(m, v, v > m);
}

// The sum of a block: of BLOCK F, which are four numbers.
fn block_sum(v: array<F, 4>) -> F {
    return (v[0] + v[1]) + (v[2] + v[3]);
}

// A block as a vec4, and F number `k` of the block that is given as a vec4.
fn four_of(v: array<F, 4>) -> vec4<f32> {
    return vec4<f32>(v[0], v[1], v[2], v[3]);
}

fn part_of(four: vec4<f32>, k: u32) -> F {
    return four[k];
}

// The indices of the numbers in element `i` of an array of F: from L i on.
fn numbers(i: u32) -> U {
    return i;
}

// Of the four random words of a block, those for element `i`.
fn random_of(four: vec4<u32>, i: u32) -> U {
    return four[i % 4u];
}

// The bytes of a word as numbers, the lowest byte first; and back to a word.
fn bytes_of(word: u32) -> U {
    return word;
}

fn packed(bytes: U) -> u32 {
    return bytes;
}
