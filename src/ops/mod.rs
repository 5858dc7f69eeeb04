//! Operations. A file holds one family: its JSON keys, shapes, gradients, kernels and f64 references. The lists in
//! `ops!`, one for each room, are the only lists of ops.
//!
//! - [`layer`]: what a spec writes in `layers`, and what belongs to it
//! - [`loss`]: what a spec writes in `loss`
//! - [`optimizer`]: what a spec writes in `train.optimizer`, accumulation and clipping of gradients
//! - [`plumbing`]: ops that no spec names: batches, the bias, the mean of a loss, what training records
//! - [`augment`]: random changes of a batch's pictures, and of the targets that move along
//! - [`matmul`]: the three matrix products of a convolution or a dense layer, and the rule that picks their kernels
//! - [`mod@registry`]: the traits of words, and the registry; [`window`], [`tile`]: what several families share

pub mod choose;
pub mod flow;
pub mod matmul;
mod random;
pub mod registry;
mod row;
pub mod tile;
pub mod window;

use crate::spec::Extensible;
pub use registry::{Arity, CloneLayer, Layer, LayerCx, Loss, Losses, Optimizer, Registry, TargetType};

/// The list of one room: declares its files, and registers what they hold. A file holds one family of ops.
macro_rules! ops {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        pub(super) fn register(registry: &mut crate::ops::registry::Registry) {
            $($module::register(registry);)*
        }
    };
}

pub mod augment;
pub mod layer;
pub mod loss;
pub mod optimizer;
pub mod plumbing;

static REGISTRY: Extensible<Registry> = Extensible::empty();

/// Adds words, ops and shaders of another crate to the registry, after Pumice's
/// own. Call it before anything reads a spec, as `examples/learned_swish` does.
///
/// # Panics
/// If the registry has been read already: some specs would then know the words, and others not.
pub fn extend(register: fn(&mut Registry)) {
    REGISTRY.extend("pumice::ops::extend", register);
}

/// The registry. It is made once.
pub fn registry() -> &'static Registry {
    REGISTRY.get(&[layer::register, loss::register, optimizer::register, plumbing::register, augment::register])
}
