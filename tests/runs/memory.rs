//! Resident memory of a training process: flat from the tenth step on.

mod gpu;
