// Rows of C elements, read in blocks of four numbers, which quarters the iterations of L = 1: software adapters of Mesa before 25.0 end an
// invocation's loops after 65,535 in all. Behind the last element of a row the last one is read again and not counted.
#import lanes

override ROWS: u32 = 1u; // rows of one sample
override C: u32 = 1u;    // elements of a row, in F: channels, classes

fn column(c: u32) -> u32 {
    return min(c, C - 1u);
}

fn counted(c: u32, term: F) -> F {
    return select(F(), term, c < C);
}

// A label as an index that cannot leave its row.
fn label_index(label: i32) -> u32 {
    return u32(clamp(label, 0, i32(L * C) - 1));
}

// exp(x - m), 1 for two equal infinities.
fn power(x: F, m: f32) -> F {
    return select(exp(x - m), F(1.0), x == F(m));
}
