// Sums over rows of C classes in blocks of 4, which quarters the iterations: software adapters of Mesa before 25.0 end an
// invocation's loops after 65,535 in all. Behind the last class the last one is read again and not counted.

override ROWS: u32 = 1u; // rows of one sample
override C: u32 = 1u;    // classes

fn class_index(c: u32) -> u32 {
    return min(c, C - 1u);
}

fn counted(c: u32, term: f32) -> f32 {
    return select(0.0, term, c < C);
}

// A label as an index that cannot leave its row.
fn label_index(label: i32) -> u32 {
    return u32(clamp(label, 0, i32(C) - 1));
}

// exp(x - m), 1 for two equal infinities.
fn power(x: f32, m: f32) -> f32 {
    return select(exp(x - m), 1.0, x == m);
}
