// Operands that were copied into textures (src/graph/kernel.rs, Access::Texture). A texel
// holds four elements, a row 2,048 texels. The first row is all zeros, and reads of
// padding go there. Software adapters read a texture several times faster than a buffer.

const ZERO: u32 = 0u;
const FIRST: u32 = 2048u; // the texel of the first four elements

fn texel(i: u32) -> vec2<u32> {
    return vec2<u32>(i % 2048u, i / 2048u);
}
