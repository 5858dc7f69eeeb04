//! Copies of operands in textures: which texture each goes to, and which copies can be used again.
//!
//! A few textures serve the whole program. Each copy goes to the texture that has been idle longest. If a texture still
//! holds the range, it is used again: so dx and dw of a convolution share their copy of dy.

use super::program::{Buffer, Copy, Program, Range};
use crate::graph::{Access, TEXTURE_WIDTH};

/// Textures of a program. A dispatch reads at most two. The third
/// keeps what the next dispatch has in common with this one.
const TEXTURES: usize = 3;

#[derive(Default)]
struct Texture {
    rows: usize,
    holds: Option<Range>,
    used: usize,
}

/// Assigns textures and copies to the texture operands of a program, in the order in which it runs.
pub fn stage(program: &mut Program) {
    let mut textures: Vec<Texture> = Vec::new();
    let mut segment = None;
    for (i, d) in program.dispatches.iter_mut().enumerate() {
        if segment != Some(d.segment) {
            // Segments may run separately, so no copy serves two of them.
            textures.iter_mut().for_each(|t| t.holds = None);
            segment = Some(d.segment);
        }
        for (binding, access) in d.bindings.iter_mut().zip(&d.access) {
            if *access == Access::Texture {
                let from = binding.1;
                let texture = hold(&mut textures, from, i + 1, &mut d.copies);
                binding.1 = Range { buffer: Buffer::Texture(texture), ..from };
            }
        }
        let written = |t: &Texture| {
            let writes =
                d.bindings.iter().zip(&d.access).filter(|(_, a)| matches!(a, Access::Write | Access::ReadWrite));
            t.holds.is_some_and(|held| writes.into_iter().any(|(b, _)| overlap(&held, &b.1)))
        };
        for t in &mut textures {
            if written(t) {
                t.holds = None;
            }
        }
    }
    program.textures = textures.into_iter().map(|t| t.rows).collect();
}

/// The texture that holds a range at time `now`. If none does, a copy is added.
fn hold(textures: &mut Vec<Texture>, from: Range, now: usize, copies: &mut Vec<Copy>) -> usize {
    let kept = textures.iter().position(|t| t.holds == Some(from));
    let index = kept.unwrap_or_else(|| {
        if textures.len() < TEXTURES {
            textures.push(Texture::default());
            return textures.len() - 1;
        }
        (0..TEXTURES).min_by_key(|&i| textures[i].used).expect("there are some")
    });
    let texture = &mut textures[index];
    if kept.is_none() {
        copies.push(Copy { from, texture: index });
        texture.rows = texture.rows.max(1 + (from.size as usize).div_ceil(16 * TEXTURE_WIDTH));
        texture.holds = Some(from);
    }
    texture.used = now;
    index
}

fn overlap(a: &Range, b: &Range) -> bool {
    a.buffer == b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::program::Dispatch;
    use crate::graph::{Grid, Segment};

    fn dispatch(segment: Segment, reads: &[usize], write: usize) -> Dispatch {
        let range = |i: usize| Range { buffer: Buffer::Slot(i), offset: 0, size: 100_000 };
        let reads = reads.iter().map(|&i| ("x", range(i), Access::Texture));
        let all: Vec<_> = reads.chain([("y", range(write), Access::Write)]).collect();
        Dispatch {
            copies: Vec::new(),
            pipeline: 0,
            bindings: all.iter().map(|o| (o.0, o.1)).collect(),
            access: all.iter().map(|o| o.2).collect(),
            grid: Grid::fixed(1),
            fold: None,
            segment,
            label: String::new(),
            why: None,
        }
    }

    #[test]
    fn a_copy_serves_until_its_source_is_written_or_the_segment_ends() {
        let (f, b) = (Segment::Forward, Segment::Backward);
        let list = [dispatch(f, &[0, 1], 2), dispatch(f, &[0, 3], 1), dispatch(f, &[0, 1], 4), dispatch(b, &[0, 1], 5)];
        let mut program = Program { dispatches: list.to_vec(), ..Program::default() };
        stage(&mut program);
        let copied: Vec<Vec<Buffer>> =
            program.dispatches.iter().map(|d| d.copies.iter().map(|c| c.from.buffer).collect()).collect();
        let slots = |list: &[usize]| list.iter().map(|&i| Buffer::Slot(i)).collect::<Vec<Buffer>>();
        assert_eq!(copied, [slots(&[0, 1]), slots(&[3]), slots(&[1]), slots(&[0, 1])]);
        assert_eq!(program.textures, [5, 5, 5], "100,000 bytes are 4 rows behind the row of zeros");
    }
}
