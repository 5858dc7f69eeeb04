//! Optimizers of the spec, and what is done with gradients before an update.

mod update;

ops! { normal_equation, sgd, adam, rmsprop, adagrad, accumulate, average, clip, guard }
