//! A program: buffers, pipelines and dispatches as plain data. Nothing else is handed to the GPU side.

use crate::graph::{Access, Arena, Grid, Segment, TEXTURE_WIDTH};
use crate::tensor::TensorType;
use std::collections::BTreeMap;
use std::fmt;

/// A buffer of a program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Buffer {
    /// One of the program's own pool: activations and workspace.
    Slot(usize),
    /// A window of a persistent arena.
    Store(Arena, usize),
    /// One of the program's textures, to which operands are copied.
    Texture(usize),
}

/// A range of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The buffer.
    pub buffer: Buffer,
    /// First byte, a multiple of 256.
    pub offset: u64,
    /// Bytes, a multiple of 4.
    pub size: u64,
}

/// What a pipeline is compiled from. Equal keys share one pipeline.
#[derive(Clone, PartialEq, Debug)]
pub struct PipelineKey {
    /// Stem of the WGSL file.
    pub shader: &'static str,
    /// Entry point.
    pub entry: &'static str,
    /// Constants, including the workgroup size `WG`.
    pub constants: Vec<(&'static str, f64)>,
}

/// A copy of a range into a texture, from the texture's second row on; see [`Access::Texture`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Copy {
    /// What is copied.
    pub from: Range,
    /// Index into [`Program::textures`].
    pub texture: usize,
}

/// One dispatch.
#[derive(Clone, PartialEq, Debug)]
pub struct Dispatch {
    /// Copies that must be made before it.
    pub copies: Vec<Copy>,
    /// Index into [`Program::pipelines`].
    pub pipeline: usize,
    /// Operands by their WGSL name. `step` is always bound and not listed.
    pub bindings: Vec<(&'static str, Range)>,
    /// How each operand is used, in the same order.
    pub access: Vec<Access>,
    /// Size of the grid, as a function of N.
    pub grid: Grid,
    /// [`Grid::fold`] for the planned batch.
    pub fold: Option<u32>,
    /// When it runs.
    pub segment: Segment,
    /// Name of the node, for errors and profiles.
    pub label: String,
    /// Why its kernel was chosen, where there was a choice.
    pub why: Option<&'static str>,
}

/// A tensor that the host may write before a step or read after one.
#[derive(Clone, PartialEq, Debug)]
pub struct Port {
    /// Where it is.
    pub range: Range,
    /// Its type.
    pub ty: TensorType,
}

/// A compiled program.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Program {
    /// The largest N.
    pub batch: usize,
    /// Bytes of each pool buffer.
    pub slots: Vec<u64>,
    /// For each pool buffer, whether only workspace lies in it.
    pub workspace: Vec<bool>,
    /// Rows of each texture, of [`TEXTURE_WIDTH`] texels of 16 bytes.
    pub textures: Vec<usize>,
    /// Distinct pipelines.
    pub pipelines: Vec<PipelineKey>,
    /// Dispatches in order.
    pub dispatches: Vec<Dispatch>,
    /// Inputs by name.
    pub inputs: BTreeMap<String, Port>,
    /// Kept values by name. Only those that lie in the pool.
    pub outputs: BTreeMap<String, Port>,
    /// Arenas it needs.
    pub arenas: Vec<Arena>,
}

impl Dispatch {
    /// Names of the operands and how they are used.
    pub fn operands(&self) -> Vec<(&'static str, Access)> {
        self.bindings.iter().zip(&self.access).map(|(b, &a)| (b.0, a)).collect()
    }
}

impl Program {
    /// Reads another arena of the same layout in place of one that it only reads.
    pub fn redirect(&mut self, from: Arena, to: Arena) {
        let change = |range: &mut Range| match &mut range.buffer {
            Buffer::Store(arena, _) if *arena == from => *arena = to,
            _ => {}
        };
        for dispatch in &mut self.dispatches {
            dispatch.bindings.iter_mut().for_each(|(_, range)| change(range));
            dispatch.copies.iter_mut().for_each(|copy| change(&mut copy.from));
        }
        self.inputs.values_mut().chain(self.outputs.values_mut()).for_each(|port| change(&mut port.range));
        self.arenas.iter_mut().filter(|arena| **arena == from).for_each(|arena| *arena = to);
    }

    /// Bytes of its textures.
    pub fn texture_bytes(&self) -> u64 {
        self.textures.iter().map(|&rows| (rows * TEXTURE_WIDTH * 16) as u64).sum()
    }

    /// The dispatches of a segment.
    pub fn segment(&self, segment: Segment) -> impl Iterator<Item = &Dispatch> {
        self.dispatches.iter().filter(move |d| d.segment == segment)
    }
}

impl fmt::Display for PipelineKey {
    /// `shader.entry`, with `/4` where F is a vec4.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = if self.constants.contains(&("L", 4.0)) { "/4" } else { "" };
        write!(f, "{}.{}{lanes}", self.shader, self.entry)
    }
}

impl fmt::Display for Program {
    /// One line for each buffer and each dispatch, for golden tests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, bytes) in self.slots.iter().enumerate() {
            writeln!(f, "slot {i}: {bytes} bytes{}", if self.workspace[i] { ", workspace" } else { "" })?;
        }
        for (i, rows) in self.textures.iter().enumerate() {
            writeln!(f, "texture {i}: {rows} rows")?;
        }
        for d in &self.dispatches {
            for copy in &d.copies {
                writeln!(f, "{:?} {}: copy {} to texture{}", d.segment, d.label, place(&copy.from), copy.texture)?;
            }
            let key = &self.pipelines[d.pipeline];
            let operands: Vec<String> = d.bindings.iter().map(|(name, r)| format!("{name}={}", place(r))).collect();
            let groups = d.grid.workgroups(self.batch, d.fold);
            let line = format!("{key} {}", operands.join(" "));
            writeln!(f, "{:?} {}: {line} groups={}x{}", d.segment, d.label, groups[0], groups[1])?;
        }
        Ok(())
    }
}

fn place(range: &Range) -> String {
    match range.buffer {
        Buffer::Slot(i) => format!("slot{i}"),
        Buffer::Texture(i) => format!("texture{i}"),
        Buffer::Store(arena, window) => format!("{arena:?}.{window}+{}", range.offset),
    }
}
