//! Sugar becomes plain layers with names, and every `from` becomes names of earlier layers.
//!
//! One file for each word: `repeat`, `residual`, `parallel`, and `use` in `use_block.rs`. A block's name stands for its
//! output, and is the prefix of the names inside the block.

mod blocks;
mod expander;
mod join;
mod names;
mod parallel;
mod repeat;
mod residual;
mod use_block;
mod vars;

use super::InputSpec;
use crate::spec::{Diagnostics, Node};
pub(super) use blocks::Blocks;
pub(super) use expander::Expanded;
use expander::Sugar;
pub(super) use vars::Substitution;

/// The words of sugar.
pub(super) static SUGAR: [Sugar; 4] = [repeat::REPEAT, residual::RESIDUAL, parallel::PARALLEL, use_block::USE];

/// Expands `layers` of the document `root`, which holds no variable any more. Mistakes go to `report`.
pub(super) fn layers(
    root: &Node,
    blocks: &Blocks,
    vars: Substitution,
    input: Option<&InputSpec>,
    report: &mut Diagnostics,
) -> Expanded {
    expander::expand(root, &SUGAR, blocks, vars, input, report)
}
