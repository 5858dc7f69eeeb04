//! Subgroups of software adapters: their lanes share operands.

use crate::graph::{Caps, Family};

/// Lanes of the subgroups that the kernels for software adapters are made for, which is a constant of their WGSL (`LANES`).
pub const SUBGROUP: usize = 8;

/// Whether kernels read operands from textures (`shaders/lib/texel.wgsl`): software adapters of subgroups of 8, as lavapipe is.
pub fn reads_textures(caps: &Caps) -> bool {
    caps.family == Family::Software && caps.subgroup as usize == SUBGROUP
}
