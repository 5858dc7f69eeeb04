//! Subgroups of software adapters: their lanes share operands.

use crate::graph::{Caps, Family};

/// The kernels for software adapters are made for subgroups of so many lanes. It is the constant `LANES` of their WGSL.
pub const SUBGROUP: usize = 8;

/// Whether kernels read operands from textures (`shaders/lib/texel.wgsl`):
/// on software adapters with subgroups of 8 lanes, such as lavapipe.
pub fn reads_textures(caps: &Caps) -> bool {
    caps.family == Family::Software && caps.subgroup as usize == SUBGROUP
}
