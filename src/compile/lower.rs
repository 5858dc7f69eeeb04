//! From nodes to dispatches: the ops describe their kernels, the planner places their operands.

use super::layout::Layout;
use super::memory::{self, Slots, Views};
use super::program::{Buffer, Dispatch, PipelineKey, Port, Program, Range};
use super::stage;
use crate::error::{Error, Result};
use crate::graph::{
    AGAIN, Arena, Caps, Graph, Kernel, KernelCx, Node, NodeKind, Segment, Shared, SharedWork, Target, Value, name_salt,
};
use crate::tensor::TensorType;
use std::collections::{BTreeSet, HashMap};

/// How a program is laid out.
#[derive(Clone, Copy, Debug)]
pub struct LowerOptions {
    /// The largest N.
    pub batch: usize,
    /// Whether values share buffers. If not, every value of the graph can be read after the step.
    pub reuse: bool,
}

/// Lowers a graph whose persistent tensors are in `layout`.
///
/// # Errors
/// A value over the adapter's binding limit.
pub fn lower(graph: &Graph, layout: &Layout, caps: &Caps, options: LowerOptions) -> Result<Program> {
    check_sizes(graph, caps, options.batch)?;
    let windows: Vec<usize> = layout.windows(Arena::Weights).iter().map(|b| (b / 4) as usize).collect();
    let mut kernels: Vec<(Vec<Kernel>, Option<&'static str>)> = Vec::with_capacity(graph.nodes.len());
    let mut scratch: Vec<Vec<usize>> = Vec::with_capacity(graph.nodes.len());
    let mut shared = SharedWork::default();
    for (i, node) in graph.nodes.iter().enumerate() {
        let mut cx = KernelCx {
            inputs: node.inputs.iter().map(|&v| graph.ty(v)).collect(),
            outputs: node.outputs.iter().collect(),
            caps,
            batch: options.batch,
            salt: name_salt(node.name.strip_suffix(AGAIN).unwrap_or(&node.name)),
            windows: &windows,
            input_values: &node.inputs,
            output_values: (0..node.outputs.len()).map(|out| Value { node: i, out }).collect(),
            scratch: Vec::new(),
            kernels: Vec::new(),
            why: None,
            shared: &mut shared,
            node: i,
        };
        if let Some(op) = node.op() {
            op.kernels(&mut cx);
        }
        kernels.push((cx.kernels, cx.why));
        scratch.push(cx.scratch);
    }
    let stored = stored_values(graph);
    let (views, shared) = (Views::of(graph), shared.all);
    let in_store = |v| stored.contains_key(&v);
    let slots = memory::assign(graph, &views, options.batch, &in_store, &scratch, &shared, options.reuse);
    let mut lowering = Lowering {
        graph,
        views,
        layout,
        slots,
        stored,
        scratch,
        shared,
        batch: options.batch,
        pipelines: HashMap::new(),
        program: Program::default(),
    };
    for (i, (list, why)) in kernels.into_iter().enumerate() {
        for kernel in list {
            lowering.dispatch(i, kernel, why, caps)?;
        }
    }
    lowering.finish()
}

/// Values that lie in the store, with the name of their entry in
/// the layout: sources, and the gradients of trainable parameters.
fn stored_values(graph: &Graph) -> HashMap<Value, (String, Option<Arena>)> {
    let mut stored = HashMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        if matches!(node.kind, NodeKind::Parameter { .. } | NodeKind::State { .. }) {
            stored.insert(Value { node: i, out: 0 }, (node.name.clone(), None));
        }
    }
    for g in &graph.gradients {
        if matches!(graph.nodes[g.of].kind, NodeKind::Parameter { .. }) {
            stored.insert(g.value, (graph.nodes[g.of].name.clone(), Some(Arena::Gradients)));
        }
    }
    stored
}

/// The types of the batched values of a graph, with their nodes.
fn batched(graph: &Graph) -> impl Iterator<Item = (&Node, &TensorType)> {
    let stored = |node: &&Node| matches!(node.kind, NodeKind::Parameter { .. } | NodeKind::State { .. });
    let nodes = graph.nodes.iter().filter(move |node| !stored(node));
    nodes.flat_map(|node| node.outputs.iter().filter(|ty| ty.batched).map(move |ty| (node, ty)))
}

/// No batch above this can be bound: a value would be over the adapter's limit. A smaller one may be too large as well,
/// for its workspace.
pub fn most_batch(graph: &Graph, caps: &Caps) -> usize {
    let limit = caps.max_binding.min(caps.max_buffer);
    let most = batched(graph).map(|(_, ty)| limit / (ty.bytes(1) as u64).max(1)).min();
    most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX))
}

fn check_sizes(graph: &Graph, caps: &Caps, batch: usize) -> Result<()> {
    for (node, ty) in batched(graph) {
        let bytes = ty.bytes(batch) as u64;
        if bytes > caps.max_binding.min(caps.max_buffer) {
            let most = caps.max_binding / (ty.bytes(1) as u64).max(1);
            let (name, limit) = (&node.name, caps.max_binding);
            let what = format!(
                "{name} {ty} takes {bytes} bytes for a batch of {batch}, over the adapter's binding limit of {limit}"
            );
            let hint = format!("use a batch of at most {most} with train.accumulate, or a smaller input");
            return Err(Error::gpu(&caps.name, what, hint));
        }
    }
    Ok(())
}

struct Lowering<'a> {
    graph: &'a Graph,
    views: Views,
    layout: &'a Layout,
    slots: Slots,
    stored: HashMap<Value, (String, Option<Arena>)>,
    scratch: Vec<Vec<usize>>,
    shared: Vec<Shared>,
    batch: usize,
    /// The program's pipelines so far, by what tells them apart.
    pipelines: HashMap<PipelineId, usize>,
    program: Program,
}

/// A [`PipelineKey`] that can be looked up: constants as bits.
type PipelineId = (&'static str, &'static str, Vec<(&'static str, u64)>);

impl Lowering<'_> {
    fn dispatch(&mut self, node: usize, kernel: Kernel, why: Option<&'static str>, caps: &Caps) -> Result<()> {
        for operand in &kernel.operands {
            self.check_binding(node, &operand.target, caps)?;
        }
        let mut constants = kernel.constants;
        constants.push(("WG", f64::from(kernel.grid.group)));
        let fold = kernel.grid.fold(self.batch, caps.max_groups);
        constants.extend(fold.map(|row| ("FOLD", f64::from(row))));
        constants.sort_by_key(|c| c.0);
        let bits = constants.iter().map(|&(name, x)| (name, x.to_bits())).collect();
        let pipelines = &mut self.program.pipelines;
        let pipeline = *self.pipelines.entry((kernel.shader, kernel.entry, bits)).or_insert_with(|| {
            pipelines.push(PipelineKey { shader: kernel.shader, entry: kernel.entry, constants });
            pipelines.len() - 1
        });
        let bindings = kernel.operands.iter().map(|o| (o.name, self.range(node, &o.target))).collect();
        let access = kernel.operands.iter().map(|o| o.access).collect();
        let (segment, label) = (self.graph.nodes[node].segment, self.graph.nodes[node].name.clone());
        let copies = Vec::new();
        self.program.dispatches.push(Dispatch {
            copies,
            pipeline,
            bindings,
            access,
            grid: kernel.grid,
            fold,
            segment,
            label,
            why,
        });
        Ok(())
    }

    /// Fails if an operand exceeds the binding limit: workspace, or a parameter that the op's kernels bind as a whole.
    fn check_binding(&self, node: usize, target: &Target, caps: &Caps) -> Result<()> {
        let stored = match *target {
            Target::Value(value) => self.stored.get(&self.views.root(value)),
            _ => None,
        };
        let entry = stored.map(|(name, _)| (name, &self.layout.entries[name]));
        let bytes = entry.map_or_else(|| self.range(node, target).size, |(_, entry)| entry.ty.bytes(0) as u64);
        if bytes <= caps.max_binding {
            return Ok(());
        }
        let what = match entry {
            Some((name, entry)) => format!("tensor {name} {}", entry.ty),
            None => format!("an operand of {}", self.graph.nodes[node].name),
        };
        let limit = caps.max_binding;
        let what = format!("{what} takes {bytes} bytes, over the adapter's binding limit of {limit}");
        Err(Error::gpu(&caps.name, what, "use a smaller layer, or an adapter with larger bindings"))
    }

    fn range(&self, node: usize, target: &Target) -> Range {
        match *target {
            Target::Value(value) => self.value(value),
            Target::Range { value, start, len } => self.part(value, start, len),
            Target::Window { arena, window } => {
                let size = self.layout.windows(arena)[window];
                Range { buffer: Buffer::Store(arena, window), offset: 0, size }
            }
            Target::Shared(i) => {
                let size = (self.shared[i].len as u64 * 4).max(4);
                Range { buffer: Buffer::Slot(self.slots.shared[i]), offset: 0, size }
            }
            Target::Scratch(i) => {
                let size = (self.scratch[node][i] as u64 * 4).max(4);
                Range { buffer: Buffer::Slot(self.slots.scratch[node][i]), offset: 0, size }
            }
        }
    }

    fn value(&self, value: Value) -> Range {
        let root = self.views.root(value);
        let ty = self.graph.ty(root);
        if self.stored.contains_key(&root) {
            return self.part(root, 0, ty.items());
        }
        let size = (ty.bytes(self.batch) as u64).max(4);
        Range { buffer: Buffer::Slot(self.slots.values[&root]), offset: 0, size }
    }

    fn part(&self, value: Value, start: usize, len: usize) -> Range {
        let Some((name, arena)) = self.stored.get(&value) else { return self.slot_part(value, start, len) };
        let entry = &self.layout.entries[name];
        let arena = arena.unwrap_or(entry.arena);
        let part = entry.parts.iter().find(|p| p.start == start && p.len == len);
        let part = part.unwrap_or_else(|| panic!("{name}: elements {start}+{len} are not one window"));
        let size = ((len * entry.ty.dtype.size()) as u64).next_multiple_of(4).max(4);
        Range { buffer: Buffer::Store(arena, part.window), offset: part.offset, size }
    }

    /// A range of a value in the pool. It is needed in one unusual
    /// case: a large gradient that is not the gradient of a parameter.
    fn slot_part(&self, value: Value, start: usize, len: usize) -> Range {
        let whole = self.value(value);
        assert_eq!(start * 4 % 256, 0, "a window of a pool value starts on 256 bytes");
        Range { buffer: whole.buffer, offset: whole.offset + start as u64 * 4, size: len as u64 * 4 }
    }

    fn finish(mut self) -> Result<Program> {
        let mut arenas = BTreeSet::new();
        for d in &self.program.dispatches {
            for (_, range) in &d.bindings {
                if let Buffer::Store(arena, _) = range.buffer {
                    arenas.insert(arena);
                }
            }
        }
        self.program.arenas = arenas.into_iter().collect();
        for (i, node) in self.graph.nodes.iter().enumerate() {
            let value = Value { node: i, out: 0 };
            if matches!(node.kind, NodeKind::Input) {
                let port = Port { range: self.value(value), ty: node.outputs[0].clone() };
                self.program.inputs.insert(node.name.clone(), port);
            }
        }
        for (name, value) in &self.graph.keep {
            if self.stored.contains_key(value) {
                // It lies in the store, perhaps in several windows, and is read by name.
                continue;
            }
            let port = Port { range: self.value(*value), ty: self.graph.ty(*value).clone() };
            self.program.outputs.insert(name.clone(), port);
        }
        self.program.batch = self.batch;
        self.program.slots = self.slots.bytes;
        self.program.workspace = self.slots.workspace;
        // Segments run one after the other. Values share slots in the
        // order of the nodes. So both orders must be the same.
        assert!(self.program.dispatches.is_sorted_by_key(|d| d.segment), "nodes stand in the order of their segments");
        stage::stage(&mut self.program);
        debug_assert!(self.program.dispatches.iter().all(|d| d.segment <= Segment::Update));
        Ok(self.program)
    }
}
