//! Batch norms by running statistics are folded into the convolutions before them, with the same answers.

mod gpu;
