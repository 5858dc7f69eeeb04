// Loops over rows of C elements. They read blocks of four numbers, so that L = 1 takes a quarter of the iterations: on
// software adapters, Mesa before 25.0 ends an invocation's loops after 65,535 iterations in all. Where a block reaches
// past the row, the row's last element is read again but not counted.
#import lanes

override ROWS: u32 = 1u; // rows of one sample
override C: u32 = 1u;    // elements of a row, in F: channels or classes

fn column(c: u32) -> u32 {
    return min(c, C - 1u);
}

fn counted(c: u32, term: F) -> F {
    return select(F(), term, c < C);
}

// A label as an index. A label that is no class is moved to the nearest one.
fn label_index(label: i32) -> u32 {
    return u32(clamp(label, 0, i32(L * C) - 1));
}

// exp(x - m), and 1 where x = m, even if both are infinite.
fn exp_below(x: F, m: f32) -> F {
    return select(exp(x - m), F(1.0), x == F(m));
}
