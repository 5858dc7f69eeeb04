//! Subgroups of software adapters: their lanes share operands.

use crate::graph::{Caps, Family};

/// Sizes of subgroups that the kernels for software adapters are made for: vectors of 128, 256 and 512 bits.
const SIZES: [u32; 3] = [4, 8, 16];

/// Whether kernels read operands from textures (`shaders/lib/texel.wgsl`):
/// on software adapters with subgroups of 4, 8 or 16 lanes, such as lavapipe.
pub fn reads_textures(caps: &Caps) -> bool {
    caps.family == Family::Software && SIZES.contains(&caps.subgroup)
}

/// Lanes of a subgroup, the constant `LANES` of the WGSL of kernels for software adapters. 8 if those do not suit.
pub fn lanes(caps: &Caps) -> usize {
    if reads_textures(caps) { caps.subgroup as usize } else { 8 }
}
