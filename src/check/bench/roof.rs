//! The adapter's roofs: multiply-adds in registers, and loads from a buffer that is larger
//! than all caches (Williams, Waterman and Patterson, "Roofline: an insightful visual
//! performance model", 2009). Several variants of either kernel run. The best one counts.

use super::measure::measure;
use crate::compile::layout::Layout;
use crate::compile::program::{Buffer, Dispatch, PipelineKey, Program, Range};
use crate::error::Result;
use crate::gpu::Session;
use crate::graph::{Access, Caps, Grid, Segment, Step};
use serde_json::{Value as Json, json};

/// Bytes of the buffer that is loaded, unless the adapter binds
/// less. It is larger than the caches of today's processors.
const STREAM: u64 = 128 << 20;
/// For each variant of `alu`: how many vec4 sums an invocation has.
const ACCUMULATORS: [usize; 4] = [2, 3, 4, 8];
/// For each variant of `load`: how many vec4s an invocation loads.
const LOADS: [usize; 3] = [4, 16, 64];
const ITERATIONS: usize = 200;
/// Multiply-adds of one chain in one iteration: the loop that is unrolled in the WGSL.
const UNROLLED: usize = 16;

/// The most that the adapter can do.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Roof {
    /// Multiply-adds in registers, in GFLOP/s.
    pub alu_gflops: f64,
    /// Loads from storage buffers, in 10⁹ bytes a second.
    pub load_gbps: f64,
    /// How many vec4 sums an invocation had when `alu_gflops` was reached.
    pub accumulators: usize,
    /// Bytes of the buffer that was loaded.
    pub load_bytes: u64,
}

/// Which roof limits a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// Arithmetic.
    Alu,
    /// Loads and stores.
    Load,
}

impl Limit {
    /// Its name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Alu => "alu",
            Limit::Load => "load",
        }
    }
}

impl Roof {
    /// The share of its roof that a kernel reaches, and which roof that is: the one that keeps it from being faster.
    /// The kernel does `flops` FLOPs on `bytes` bytes in `seconds`.
    pub fn share(&self, flops: f64, bytes: f64, seconds: f64) -> (f64, Limit) {
        let (alu, load) = (flops / (self.alu_gflops * 1e9), bytes / (self.load_gbps * 1e9));
        if alu >= load { (alu / seconds, Limit::Alu) } else { (load / seconds, Limit::Load) }
    }

    /// Whether another measurement in the same run differs by more
    /// than a tenth. Then something else used the machine in between.
    pub fn drifted(&self, other: &Roof) -> bool {
        let far = |a: f64, b: f64| (a / b - 1.0).abs() > 0.1;
        far(other.alu_gflops, self.alu_gflops) || far(other.load_gbps, self.load_gbps)
    }

    /// The object `roof` of `bench --json`.
    pub fn to_json(&self) -> Json {
        json!({
            "alu_gflops": self.alu_gflops, "load_gbps": self.load_gbps, "accumulators": self.accumulators, "load_bytes": self.load_bytes,
        })
    }
}

/// Invocations of `alu`: hundreds of workgroups on a software adapter, enough to fill the largest GPU elsewhere.
fn chains(caps: &Caps) -> usize {
    if caps.software { 1 << 12 } else { 1 << 20 }
}

/// The program of both kernels: one dispatch for each of `ACCUMULATORS`, then one for each of `LOADS`.
pub fn program(caps: &Caps) -> Program {
    // A multiple of what any variant loads in one go.
    let vectors = (STREAM.min(caps.max_binding).min(caps.max_buffer) / 16) as usize / 4096 * 4096;
    let chains = chains(caps);
    let slots = vec![chains as u64 * 16, vectors as u64 * 16, 16];
    let range = |slot: usize| Range { buffer: Buffer::Slot(slot), offset: 0, size: slots[slot] };
    let mut program = Program { batch: 1, workspace: vec![true; 3], ..Program::default() };
    let mut add =
        |entry, total: usize, constants: &[(&'static str, usize)], operands: &[(&'static str, Access, usize)]| {
            let grid = Grid::fixed(total);
            let mut constants: Vec<_> = constants.iter().map(|&(name, value)| (name, value as f64)).collect();
            let fold = grid.fold(1, caps.max_groups);
            constants.extend([("TOTAL", total as f64), ("WG", f64::from(grid.group))]);
            constants.extend(fold.map(|row| ("FOLD", f64::from(row))));
            program.dispatches.push(Dispatch {
                copies: Vec::new(),
                pipeline: program.pipelines.len(),
                bindings: operands.iter().map(|o| (o.0, range(o.2))).collect(),
                access: operands.iter().map(|o| o.1).collect(),
                grid,
                fold,
                segment: Segment::Forward,
                label: format!("bench/{entry}"),
                why: None,
            });
            program.pipelines.push(PipelineKey { shader: "bench", entry, constants });
        };
    for count in ACCUMULATORS {
        add("alu", chains, &[("ACC", count), ("ITERATIONS", ITERATIONS)], &[("chains4", Access::ReadWrite, 0)]);
    }
    for count in LOADS {
        let operands = [("data4", Access::Read, 1), ("sum4", Access::Write, 2)];
        add("load", vectors / count, &[("LOADS", count)], &operands);
    }
    program.slots = slots;
    program
}

/// Measures both roofs.
///
/// # Errors
/// Too little memory, or what the adapter reports.
pub async fn measure_roof(session: &mut Session) -> Result<Roof> {
    let program = program(session.device().caps());
    let (chains, load_bytes) = (program.dispatches[0].grid.fixed as usize, program.slots[1]);
    let bound = session.bind(program, &Layout::default()).await?;
    let mut seconds = Vec::new();
    for dispatch in 0..ACCUMULATORS.len() + LOADS.len() {
        let times = measure(&mut async |times| session.time(&bound, &[dispatch], times, &Step::of(1)).await).await?;
        // The shortest sample, not the median: a roof is what the adapter can do when nothing disturbs it.
        seconds.push(times.least);
    }
    let (alu, load) = seconds.split_at(ACCUMULATORS.len());
    let operations = |count: usize| (chains * ITERATIONS * UNROLLED * count * 8) as f64;
    let rates = ACCUMULATORS.iter().zip(alu).map(|(&count, seconds)| (operations(count) / seconds / 1e9, count));
    let (alu_gflops, accumulators) = rates.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there are variants");
    let fastest = load.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(Roof { alu_gflops, load_gbps: load_bytes as f64 / fastest / 1e9, accumulators, load_bytes })
}
