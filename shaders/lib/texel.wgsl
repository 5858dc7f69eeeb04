// Operands copied to textures (src/graph/kernel.rs, Access::Texture): four elements a texel, 2,048 texels a row, behind a first row
// of zeros, which reads of padding are sent to. Software adapters read a texture several times faster than a buffer.

const ZERO: u32 = 0u;
const FIRST: u32 = 2048u; // the texel of the first four elements

fn texel(i: u32) -> vec2<u32> {
    return vec2<u32>(i % 2048u, i / 2048u);
}
