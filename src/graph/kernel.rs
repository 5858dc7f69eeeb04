//! Dispatches as plain data, without wgpu types.

use super::Value;
use crate::tensor::TensorType;
use std::collections::HashMap;

/// Which kernels suit an adapter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// For adapters that compute on the CPU (lavapipe, WARP, SwiftShader).
    /// Loads decide their speed, and barriers are expensive.
    Software,
    /// For GPUs: tiles in workgroup memory, many workgroups.
    Gpu,
}

/// What an adapter can do, as far as planning depends on it.
#[derive(Clone, PartialEq, Debug)]
pub struct Caps {
    /// The adapter's name.
    pub name: String,
    /// Whether it computes on the CPU (lavapipe, WARP, SwiftShader).
    pub software: bool,
    /// Bytes of the largest binding it allows.
    pub max_binding: u64,
    /// Bytes of the largest buffer it allows.
    pub max_buffer: u64,
    /// Most workgroups in one dimension of a grid.
    pub max_groups: u32,
    /// Most invocations of one workgroup.
    pub max_invocations: u32,
    /// Most storage buffers of one dispatch.
    pub max_storage_buffers: u32,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Lanes of every subgroup, if the adapter has subgroup operations and a fixed size of subgroups; else 0.
    pub subgroup: u32,
    /// Whether a vec4 in a storage buffer is moved as two words of
    /// 64 bits (`gpu/words.rs`). On lavapipe that halves the steps.
    pub words: bool,
    /// Which kernels suit it.
    pub family: Family,
}

impl Default for Caps {
    /// WebGPU's default limits, which every adapter has.
    fn default() -> Caps {
        Caps {
            name: "WebGPU defaults".into(),
            software: false,
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_groups: 65_535,
            max_invocations: 256,
            max_storage_buffers: 8,
            workgroup_memory: 16 << 10,
            subgroup: 0,
            words: false,
            family: Family::Gpu,
        }
    }
}

/// How a dispatch uses an operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`; every element of the range is written.
    Write,
    /// `var<storage, read_write>`; elements are read and written.
    ReadWrite,
    /// `texture_storage_2d<rgba32float, read>`: a copy of the range, made before the dispatch. A texel has four
    /// elements, a row [`TEXTURE_WIDTH`] texels, and the first row is zeros (`lib/texel.wgsl`). Software adapters read
    /// textures several times faster than buffers.
    Texture,
}

/// Texels of a row of the textures that operands are copied to.
pub const TEXTURE_WIDTH: usize = 2048;

/// Families of persistent tensors. Each is a list of flat buffers, in which entries are aligned to 256 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Arena {
    /// Trainable parameters. Gradients and optimizer state have the same layout.
    Weights,
    /// Parameters that are not trained.
    Frozen,
    /// Running statistics.
    State,
    /// Gradients of the trainable parameters.
    Gradients,
    /// Gradients summed over the batches of one update.
    Accumulated,
    /// The optimizer's state. Each moment has an arena of its own.
    Optimizer(usize),
    /// Data set, epoch orders, ring of losses. They do not belong to the model.
    Data,
}

/// What an operand is bound to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A value of the graph.
    Value(Value),
    /// Elements `start .. start + len` of a value that may lie in several windows: rows of a large parameter.
    Range {
        /// The value.
        value: Value,
        /// First element.
        start: usize,
        /// Count of elements.
        len: usize,
    },
    /// A whole window of a flat arena.
    Window {
        /// Which arena.
        arena: Arena,
        /// Which of its buffers.
        window: usize,
    },
    /// Workspace that lives as long as the node: the number that [`KernelCx::scratch`] gave it.
    Scratch(usize),
    /// Workspace that several nodes share, from the first to the last of them: see [`KernelCx::share`].
    Shared(usize),
}

/// One operand of a kernel, by its name in the WGSL.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Operand {
    /// Name of the WGSL variable.
    pub name: &'static str,
    /// How it is used.
    pub access: Access,
    /// What is bound.
    pub target: Target,
}

/// How many workgroups of `group` invocations a kernel needs. There are
/// `per_sample · N + fixed` items. Each `chunk` of them takes `times` workgroups.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Grid {
    /// Items of each sample.
    pub per_sample: u64,
    /// Items that do not depend on N.
    pub fixed: u64,
    /// Items of one chunk. One workgroup has as many items as invocations, except with [`Grid::tiles`].
    pub chunk: u64,
    /// Workgroups that share a chunk.
    pub times: u64,
    /// Invocations of one workgroup (the WGSL's `WG`).
    pub group: u32,
}

impl Grid {
    /// `items` invocations for every sample.
    pub fn per_sample(items: usize) -> Grid {
        Grid { per_sample: items as u64, fixed: 0, chunk: 64, times: 1, group: 64 }
    }

    /// `items` invocations, whatever N is.
    pub fn fixed(items: usize) -> Grid {
        Grid { per_sample: 0, fixed: items as u64, chunk: 64, times: 1, group: 64 }
    }

    /// The same with another size of workgroups.
    pub fn group(mut self, size: u32) -> Grid {
        self.group = size;
        self.chunk = u64::from(size);
        self
    }

    /// For tiles of a matrix with `rows` rows a sample: each `chunk`
    /// of rows takes `times` workgroups of `size` invocations.
    pub fn tiles(rows: usize, chunk: usize, times: usize, size: u32) -> Grid {
        Grid { per_sample: rows as u64, fixed: 0, chunk: chunk as u64, times: times as u64, group: size }
    }

    /// Workgroups for a batch of `n`.
    fn total(&self, n: usize) -> u64 {
        let items = self.per_sample * n as u64 + self.fixed;
        (items.div_ceil(self.chunk) * self.times).max(1)
    }

    /// Workgroups of a row, where the grid for the planned `batch` has more than `max_groups` and is folded into two dimensions: a constant of
    /// the WGSL (`FOLD`), so that it is the same for every batch. None where one dimension is enough.
    pub fn fold(&self, batch: usize, max_groups: u32) -> Option<u32> {
        let total = self.total(batch);
        let rows = total.div_ceil(u64::from(max_groups));
        assert!(rows <= u64::from(max_groups), "a grid of {total} workgroups passes two dimensions of {max_groups}");
        (rows > 1).then(|| total.div_ceil(rows) as u32)
    }

    /// Workgroups in x and y for a batch of `n`, in rows of `fold`. Kernels guard their index.
    pub fn workgroups(&self, n: usize, fold: Option<u32>) -> [u32; 3] {
        let total = self.total(n);
        let row = fold.map_or(total, u64::from);
        [total.min(row) as u32, total.div_ceil(row) as u32, 1]
    }
}

/// One dispatch as data: shader, entry point, constants, operands by name, and grid.
#[derive(Clone, PartialEq, Debug)]
pub struct Kernel {
    /// Stem of the WGSL file in `shaders/`.
    pub shader: &'static str,
    /// Entry point.
    pub entry: &'static str,
    /// Compile-time constants: each sets an `override` of the WGSL.
    pub constants: Vec<(&'static str, f64)>,
    /// Operands. `step` is always bound and not listed.
    pub operands: Vec<Operand>,
    /// Size of the grid.
    pub grid: Grid,
}

impl Kernel {
    /// A kernel with one invocation, unless [`Kernel::grid`] says otherwise.
    pub fn new(shader: &'static str, entry: &'static str) -> Kernel {
        Kernel { shader, entry, constants: Vec::new(), operands: Vec::new(), grid: Grid::fixed(1) }
    }

    fn operand(mut self, name: &'static str, access: Access, target: Target) -> Kernel {
        self.operands.push(Operand { name, access, target });
        self
    }

    /// Binds an operand that is read.
    pub fn read(self, name: &'static str, target: Target) -> Kernel {
        self.operand(name, Access::Read, target)
    }

    /// Binds an operand of which every element is written.
    pub fn write(self, name: &'static str, target: Target) -> Kernel {
        self.operand(name, Access::Write, target)
    }

    /// Binds an operand that is read and written.
    pub fn read_write(self, name: &'static str, target: Target) -> Kernel {
        self.operand(name, Access::ReadWrite, target)
    }

    /// Binds an operand that is read from a copy in a texture; see [`Access::Texture`].
    pub fn texture(self, name: &'static str, target: Target) -> Kernel {
        self.operand(name, Access::Texture, target)
    }

    /// Sets an integer constant (`override NAME: u32`).
    pub fn set(self, name: &'static str, value: usize) -> Kernel {
        self.set_f(name, value as f64)
    }

    /// Sets a signed or float constant.
    pub fn set_f(mut self, name: &'static str, value: f64) -> Kernel {
        self.constants.push((name, value));
        self
    }

    /// Sets how many f32 an `F` of the WGSL has, 1 or 4 (`shaders/lib/lanes.wgsl`).
    pub fn lanes(self, lanes: usize) -> Kernel {
        self.set("L", lanes)
    }

    /// Sets the grid.
    pub fn grid(mut self, grid: Grid) -> Kernel {
        self.grid = grid;
        self
    }
}

/// Work that several nodes have in common. It is done once for all of them.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The kernel, without its output.
    pub kernel: Kernel,
    /// 32-bit elements of the output.
    pub len: usize,
    /// The first and the last node that read the output.
    pub nodes: [usize; 2],
}

/// All shared work of a graph, in the order of the first nodes that ask for it.
#[derive(Default)]
pub(crate) struct SharedWork {
    pub(crate) all: Vec<Shared>,
    /// Positions in `all` by what the kernel's first operand is bound to. A graph may share a kernel a layer, so a
    /// search through all of them would take long.
    by_operand: HashMap<Option<Target>, Vec<usize>>,
}

/// What [`super::Op::kernels`] reads, and fills with dispatches.
pub struct KernelCx<'a> {
    /// Types of the inputs.
    pub inputs: Vec<&'a TensorType>,
    /// Types of the outputs.
    pub outputs: Vec<&'a TensorType>,
    /// The adapter.
    pub caps: &'a Caps,
    /// The planned batch: the largest N.
    pub batch: usize,
    /// The node's salt for random numbers.
    pub salt: u32,
    /// Elements of each buffer (window) of the Weights arena.
    pub windows: &'a [usize],
    pub(crate) input_values: &'a [Value],
    pub(crate) output_values: Vec<Value>,
    pub(crate) scratch: Vec<usize>,
    pub(crate) kernels: Vec<Kernel>,
    pub(crate) why: Option<&'static str>,
    pub(crate) shared: &'a mut SharedWork,
    pub(crate) node: usize,
}

impl KernelCx<'_> {
    /// Input `i`, whole.
    pub fn input(&self, i: usize) -> Target {
        Target::Value(self.input_values[i])
    }

    /// Output `i`, whole.
    pub fn output(&self, i: usize) -> Target {
        Target::Value(self.output_values[i])
    }

    /// Elements of input `i`.
    pub fn input_range(&self, i: usize, start: usize, len: usize) -> Target {
        Target::Range { value: self.input_values[i], start, len }
    }

    /// Elements of output `i`.
    pub fn output_range(&self, i: usize, start: usize, len: usize) -> Target {
        Target::Range { value: self.output_values[i], start, len }
    }

    /// Space for `len` 32-bit elements that lives as long as this node.
    pub fn scratch(&mut self, len: usize) -> Target {
        self.scratch.push(len);
        Target::Scratch(self.scratch.len() - 1)
    }

    /// What `kernel` writes to its operand `output`: `len` 32-bit elements, which depend only on values of the graph.
    /// If another node asks for the same, it gets what the first one computed.
    pub fn share(&mut self, kernel: Kernel, output: &'static str, len: usize) -> Target {
        let SharedWork { all, by_operand } = &mut *self.shared;
        let same = by_operand.entry(kernel.operands.first().map(|operand| operand.target.clone())).or_default();
        if let Some(&i) = same.iter().find(|&&i| all[i].kernel == kernel) {
            all[i].nodes[1] = self.node;
            return Target::Shared(i);
        }
        let target = Target::Shared(all.len());
        same.push(all.len());
        self.kernels.push(kernel.clone().write(output, target.clone()));
        all.push(Shared { kernel, len, nodes: [self.node; 2] });
        target
    }

    /// Adds a dispatch.
    pub fn push(&mut self, kernel: Kernel) {
        self.kernels.push(kernel);
    }

    /// Says why these kernels were chosen, where there was a choice; `pumice plan --kernels` tells it.
    pub fn because(&mut self, why: &'static str) {
        self.why = Some(why);
    }

    /// The ranges of rows in which a tensor `[rows, row]` is bound. One range, unless it exceeds the binding limit.
    pub fn row_windows(&self, rows: usize, row: usize) -> Vec<std::ops::Range<usize>> {
        row_windows(rows, row, self.caps.max_binding)
    }
}

/// The ranges of rows in which a tensor of `rows` rows of `row` 32-bit elements is stored and bound. One range, unless
/// it exceeds the binding limit; else windows with equal numbers of rows, which start on 256-byte boundaries.
pub fn row_windows(rows: usize, row: usize, max_binding: u64) -> Vec<std::ops::Range<usize>> {
    let limit = (max_binding / 4) as usize;
    if rows * row <= limit {
        return std::iter::once(0..rows).collect();
    }
    let fit = limit / row.max(1);
    let step = if fit >= 64 { fit / 64 * 64 } else { fit.max(1) };
    (0..rows).step_by(step).map(|r| r..(r + step).min(rows)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_grid_has_every_workgroup_for_any_batch() {
        let most = 65_535;
        assert_eq!(Grid::per_sample(64 * 65_535).fold(1, most), None);
        for (items, batch) in [(64 * 65_536, 1), (1_000_000, 32), (64 * 40_000, 3)] {
            let grid = Grid::per_sample(items);
            let fold = grid.fold(batch, most);
            let row = u64::from(fold.expect("it has more workgroups than a row"));
            for n in 1..=batch {
                let [x, y, z] = grid.workgroups(n, fold);
                let (x, y) = (u64::from(x), u64::from(y));
                assert!(x <= u64::from(most) && z == 1);
                // Numbers are y · row + x: rows are whole where there are several.
                assert!(y == 1 || x == row, "{items} x {n}");
                assert!(((y - 1) * row + x) * 64 >= (items * n) as u64, "{items} x {n}");
            }
        }
    }
}
