//! The executor: a device, the store of persistent tensors, and programs bound to it.
//!
//! A bound program is a list of (pipeline, bind group, grid), encoded again each step into one compute pass. Nothing is created
//! after binding but the command encoder that WebGPU uses up with every submission.

use super::device::Device;
use super::shader;
use crate::compile::layout::Layout;
use crate::compile::program::{Buffer, Dispatch, PipelineKey, Port, Program, Range};
use crate::error::Result;
use crate::graph::{Arena, Grid, Segment, Step};
use crate::tensor::{DType, Data, HostTensor};
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Submissions that may be under way before the host waits.
const IN_FLIGHT: usize = 4;
/// The longest wait for one submission: a step of a large network on a software adapter takes minutes.
const TIMEOUT: Duration = Duration::from_secs(1800);

struct Pipeline {
    key: PipelineKey,
    pipeline: wgpu::ComputePipeline,
    bindings: Vec<shader::BindingInfo>,
}

pub(super) struct Recorded {
    pipeline: usize,
    bind_group: wgpu::BindGroup,
    grid: Grid,
    pub(super) segment: Segment,
}

/// A program bound to a session: its pool of buffers and its recorded dispatches.
pub struct Bound {
    program: Program,
    slots: Vec<wgpu::Buffer>,
    pub(super) steps: Vec<Recorded>,
}

impl Bound {
    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }
}

/// A read that was asked for and may not have come yet.
pub struct Pending {
    staging: wgpu::Buffer,
    size: u64,
    done: mpsc::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

/// The executor.
pub struct Session {
    pub(super) device: Device,
    layout: Layout,
    store: HashMap<(Arena, usize), wgpu::Buffer>,
    step: wgpu::Buffer,
    pipelines: Vec<Pipeline>,
    staging: Vec<wgpu::Buffer>,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    created: usize,
    allocated: u64,
    data_bytes: u64,
    compile_time: Duration,
}

impl Session {
    /// A session without any tensor.
    pub fn new(device: Device) -> Session {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let size = Step::BYTES as u64;
        let step = device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("step"),
            size,
            usage,
            mapped_at_creation: false,
        });
        Session {
            device,
            layout: Layout::default(),
            store: HashMap::new(),
            step,
            pipelines: Vec::new(),
            staging: Vec::new(),
            in_flight: VecDeque::new(),
            created: 1,
            allocated: size,
            data_bytes: 0,
            compile_time: Duration::ZERO,
        }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many wgpu objects were created so far, command encoders apart.
    pub fn created(&self) -> usize {
        self.created
    }

    /// Bytes of all buffers created for programs and the model's persistent tensors so far, the uniform of the step included;
    /// the data set, its orders, the ring of losses and staging for reads apart.
    pub fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Bytes of the data set, its orders and the ring of losses.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Pipelines compiled so far, and the time that took.
    pub fn compiled(&self) -> (usize, Duration) {
        (self.pipelines.len(), self.compile_time)
    }

    fn buffer(&mut self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let scope = self.device.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let desc = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let buffer = self.device.device.create_buffer(&desc);
        if let Some(e) = pollster::block_on(scope.pop()) {
            let hint = "use a smaller batch or network (`pumice plan` says what fits), or another device";
            return Err(self.device.error(format!("out of memory for {label} ({size} bytes): {e}"), hint));
        }
        self.device.check()?;
        self.created += 1;
        Ok(buffer)
    }

    /// Drops all persistent tensors, for another model on the same device. Compiled pipelines stay.
    pub fn clear(&mut self) {
        self.layout = Layout::default();
        self.store.clear();
        self.data_bytes = 0;
        self.allocated = Step::BYTES as u64;
    }

    /// Binds a program: allocates what is not there yet, compiles its pipelines, makes its bind groups. `layout` must hold
    /// the persistent tensors of all programs bound before, and the program's own.
    ///
    /// # Errors
    /// Out of memory, or a shader that the driver refuses.
    pub fn bind(&mut self, program: Program, layout: &Layout) -> Result<Bound> {
        self.layout = layout.clone();
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let entries = layout.entries.values().map(|e| e.arena);
        let arenas: Vec<Arena> = program.arenas.iter().copied().chain(entries).collect();
        for arena in arenas {
            for (window, &size) in layout.windows(arena).iter().enumerate() {
                if !self.store.contains_key(&(arena, window)) {
                    let buffer = self.buffer(&format!("{arena:?} {window}"), size, storage)?;
                    match arena {
                        Arena::Data => self.data_bytes += size,
                        _ => self.allocated += size,
                    }
                    self.store.insert((arena, window), buffer);
                }
            }
        }
        let mut slots = Vec::with_capacity(program.slots.len());
        for (i, &size) in program.slots.iter().enumerate() {
            slots.push(self.buffer(&format!("slot {i}"), size, storage)?);
            self.allocated += size;
        }
        let start = Instant::now();
        let mut indices = Vec::with_capacity(program.pipelines.len());
        for key in &program.pipelines {
            indices.push(self.pipeline(key)?);
        }
        self.compile_time += start.elapsed();
        let mut steps = Vec::with_capacity(program.dispatches.len());
        for dispatch in &program.dispatches {
            let pipeline = indices[dispatch.pipeline];
            let bind_group = self.bind_group(pipeline, dispatch, &slots);
            steps.push(Recorded { pipeline, bind_group, grid: dispatch.grid, segment: dispatch.segment });
        }
        self.device.check()?;
        Ok(Bound { program, slots, steps })
    }

    fn pipeline(&mut self, key: &PipelineKey) -> Result<usize> {
        if let Some(i) = self.pipelines.iter().position(|p| p.key == *key) {
            return Ok(i);
        }
        let source = shader::expand(key);
        let name = format!("{}.{}", key.shader, key.entry);
        let refuse =
            |e: String| self.device.error(format!("shader {name} does not compile: {e}"), "report this with the spec");
        let bindings = shader::reflect(&source, key.entry).map_err(refuse)?;
        let device = &self.device.device;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let source = wgpu::ShaderSource::Wgsl(source.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(&name), source });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&name),
            layout: None,
            module: &module,
            entry_point: Some(key.entry),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        if let Some(e) = pollster::block_on(scope.pop()) {
            return Err(refuse(e.to_string()));
        }
        self.created += 2;
        self.pipelines.push(Pipeline { key: key.clone(), pipeline, bindings });
        Ok(self.pipelines.len() - 1)
    }

    fn bind_group(&mut self, pipeline: usize, dispatch: &Dispatch, slots: &[wgpu::Buffer]) -> wgpu::BindGroup {
        let Pipeline { pipeline, bindings, key } = &self.pipelines[pipeline];
        let resource = |info: &shader::BindingInfo| {
            if info.name == "step" {
                return self.step.as_entire_binding();
            }
            let bound = dispatch.bindings.iter().find(|b| b.0 == info.name);
            let range = bound.unwrap_or_else(|| panic!("{}.{}: `{}` is not bound", key.shader, key.entry, info.name)).1;
            let buffer = match range.buffer {
                Buffer::Slot(i) => &slots[i],
                Buffer::Store(arena, window) => &self.store[&(arena, window)],
            };
            let size = std::num::NonZeroU64::new(range.size);
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: range.offset, size })
        };
        let entry = |info| wgpu::BindGroupEntry { binding: info_binding(info), resource: resource(info) };
        let entries: Vec<wgpu::BindGroupEntry> = bindings.iter().map(entry).collect();
        let layout = pipeline.get_bind_group_layout(0);
        let desc = wgpu::BindGroupDescriptor { label: Some(&dispatch.label), layout: &layout, entries: &entries };
        let group = self.device.device.create_bind_group(&desc);
        self.created += 1;
        group
    }

    /// Runs segments of a program in one submission.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub fn run(&mut self, bound: &Bound, segments: &[Segment], step: &Step) -> Result<()> {
        self.write_step(bound, step);
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let steps = bound.steps.iter().filter(|r| segments.contains(&r.segment));
        self.encode(&mut encoder, steps, step.n as usize);
        self.submit(encoder)
    }

    /// Writes the step's uniform.
    pub(super) fn write_step(&self, bound: &Bound, step: &Step) {
        let (n, batch) = (step.n as usize, bound.program.batch);
        assert!(n <= batch, "a batch of {n} in a program for {batch}");
        self.device.queue.write_buffer(&self.step, 0, bytemuck::cast_slice(&step.words()));
    }

    /// Encodes dispatches one after the other into one pass.
    pub(super) fn encode<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        steps: impl Iterator<Item = &'a Recorded>,
        n: usize,
    ) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let max_groups = self.device.caps().max_groups;
        let mut current = usize::MAX;
        for recorded in steps {
            if recorded.pipeline != current {
                pass.set_pipeline(&self.pipelines[recorded.pipeline].pipeline);
                current = recorded.pipeline;
            }
            pass.set_bind_group(0, &recorded.bind_group, &[]);
            let [x, y, z] = recorded.grid.workgroups(n, max_groups);
            pass.dispatch_workgroups(x, y, z);
        }
    }

    pub(super) fn submit(&mut self, encoder: wgpu::CommandEncoder) -> Result<()> {
        let index = self.device.queue.submit([encoder.finish()]);
        self.in_flight.push_back(index);
        while self.in_flight.len() > IN_FLIGHT {
            let oldest = self.in_flight.pop_front();
            self.wait(oldest)?;
        }
        self.device.check()
    }

    pub(super) fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let poll = wgpu::PollType::Wait { submission_index, timeout: Some(TIMEOUT) };
        match self.device.device.poll(poll) {
            Ok(_) => self.device.check(),
            Err(e) => {
                self.device.check()?;
                let hint = "go on from the last checkpoint with --resume, with a smaller batch";
                Err(self.device.error(format!("the adapter does not answer: {e}"), hint))
            }
        }
    }

    /// Waits until everything submitted has run.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub fn finish(&mut self) -> Result<()> {
        self.in_flight.clear();
        self.wait(None)
    }

    fn place<'a>(&'a self, bound: Option<&'a Bound>, range: &Range) -> &'a wgpu::Buffer {
        match range.buffer {
            Buffer::Slot(i) => &bound.expect("a pool buffer belongs to a program").slots[i],
            Buffer::Store(arena, window) => &self.store[&(arena, window)],
        }
    }

    /// Writes a program's input before a step: `data` holds the elements of n samples.
    pub fn write_input(&self, bound: &Bound, name: &str, data: &Data) {
        let port = bound.program.inputs.get(name).unwrap_or_else(|| panic!("the program has no input {name}"));
        assert_eq!(port.ty.dtype, data.dtype(), "input {name}");
        let bytes = data.bytes();
        assert!(bytes.len() as u64 <= port.range.size, "input {name} is longer than the planned batch");
        self.device.queue.write_buffer(self.place(Some(bound), &port.range), port.range.offset, bytes);
    }

    /// Fills a program's whole pool with NaN, so that an element nobody writes shows.
    pub fn poison(&self, bound: &Bound) {
        for (buffer, &size) in bound.slots.iter().zip(&bound.program.slots) {
            let words = vec![f32::NAN; (size / 4) as usize];
            self.device.queue.write_buffer(buffer, 0, bytemuck::cast_slice(&words));
        }
    }

    /// Reads a kept value of a program, for a batch of `n`.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub fn read_output(&mut self, bound: &Bound, name: &str, n: usize) -> Result<HostTensor> {
        let port =
            bound.program.outputs.get(name).unwrap_or_else(|| panic!("the program keeps no value {name}")).clone();
        self.read_port(bound, &port, n)
    }

    /// Reads a port of a program, for a batch of `n`.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub fn read_port(&mut self, bound: &Bound, port: &Port, n: usize) -> Result<HostTensor> {
        let bytes = port.ty.len(n) * port.ty.dtype.size();
        let range = Range { size: port.ty.bytes(n) as u64, ..port.range };
        let pending = self.start_read(Some(bound), &range)?;
        let raw = self.take(pending)?;
        Ok(HostTensor::new(&port.ty.shape(n), decode(port.ty.dtype, &raw[..bytes])))
    }

    /// Writes a persistent tensor, or the tensor's counterpart in another arena of the same layout (an optimizer's moment).
    pub fn write_tensor(&self, name: &str, arena: Option<Arena>, data: &Data) {
        let entry = &self.layout.entries[name];
        assert_eq!((entry.ty.dtype, entry.ty.items()), (data.dtype(), data.len()), "tensor {name}");
        let size = data.dtype().size();
        for part in &entry.parts {
            let mut bytes = data.bytes()[part.start * size..(part.start + part.len) * size].to_vec();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let buffer = &self.store[&(arena.unwrap_or(entry.arena), part.window)];
            self.device.queue.write_buffer(buffer, part.offset, &bytes);
        }
    }

    /// Reads a persistent tensor, or its counterpart in another arena of the same layout.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub fn read_tensor(&mut self, name: &str, arena: Option<Arena>) -> Result<HostTensor> {
        let entry = self.layout.entries[name].clone();
        let size = entry.ty.dtype.size();
        let mut raw = Vec::with_capacity(entry.ty.items() * size);
        for part in &entry.parts {
            let bytes = (part.len * size) as u64;
            let buffer = Buffer::Store(arena.unwrap_or(entry.arena), part.window);
            let range = Range { buffer, offset: part.offset, size: bytes.next_multiple_of(4) };
            let pending = self.start_read(None, &range)?;
            raw.extend_from_slice(&self.take(pending)?[..bytes as usize]);
        }
        Ok(HostTensor::new(&entry.ty.dims, decode(entry.ty.dtype, &raw)))
    }

    /// Asks for bytes of a buffer behind all that was submitted; the host goes on meanwhile.
    ///
    /// # Errors
    /// Out of memory for a staging buffer, or what the driver reports.
    pub fn start_read(&mut self, bound: Option<&Bound>, range: &Range) -> Result<Pending> {
        let fits = (0..self.staging.len()).filter(|&i| self.staging[i].size() >= range.size);
        let fit = fits.min_by_key(|&i| self.staging[i].size());
        let staging = match fit {
            Some(i) => self.staging.swap_remove(i),
            None => {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                self.buffer("staging", range.size.next_power_of_two(), usage)?
            }
        };
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(self.place(bound, range), range.offset, &staging, 0, range.size);
        self.submit(encoder)?;
        let (send, done) = mpsc::channel();
        staging.slice(..range.size).map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is gone only when the read was given up.
            let _ = send.send(result);
        });
        Ok(Pending { staging, size: range.size, done })
    }

    /// Creates the staging buffers that training reads through: the ring of losses and the largest tensor of a checkpoint.
    ///
    /// # Errors
    /// Out of memory.
    pub fn reserve_staging(&mut self, layout: &Layout) -> Result<()> {
        let parts = layout.entries.values().filter(|e| e.saved).flat_map(|e| &e.parts);
        let largest = parts.map(|p| p.len as u64 * 4).max().unwrap_or(4).next_power_of_two();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        for size in [4096, 4096, largest] {
            let buffer = self.buffer("staging", size, usage)?;
            self.staging.push(buffer);
        }
        Ok(())
    }

    /// Elements of a persistent tensor.
    pub fn elements(&self, name: &str) -> usize {
        self.layout.entries[name].ty.items()
    }

    /// The range of a persistent tensor that lies in one window.
    pub fn tensor_range(&self, name: &str) -> Range {
        let entry = &self.layout.entries[name];
        let part = &entry.parts[0];
        let size = ((part.len * entry.ty.dtype.size()) as u64).next_multiple_of(4);
        Range { buffer: Buffer::Store(entry.arena, part.window), offset: part.offset, size }
    }

    /// Waits for a read and returns its bytes.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub fn take(&mut self, pending: Pending) -> Result<Vec<u8>> {
        let start = Instant::now();
        loop {
            match pending.done.try_recv() {
                Ok(Ok(())) => break,
                Ok(Err(e)) => {
                    return Err(self.device.error(format!("reading back failed: {e}"), "go on with --resume"));
                }
                Err(_) if start.elapsed() > TIMEOUT => {
                    return Err(self.device.error("reading back timed out", "go on with --resume"));
                }
                Err(_) => self.wait(None)?,
            }
        }
        let view = pending.staging.slice(..pending.size).get_mapped_range();
        let bytes = view
            .map(|v| v.to_vec())
            .map_err(|e| self.device.error(format!("reading back failed: {e}"), "go on with --resume"))?;
        pending.staging.unmap();
        self.staging.push(pending.staging);
        Ok(bytes)
    }
}

fn info_binding(info: &shader::BindingInfo) -> u32 {
    info.binding
}

fn decode(dtype: DType, bytes: &[u8]) -> Data {
    match dtype {
        DType::F32 => Data::F32(bytemuck::pod_collect_to_vec(bytes)),
        DType::I32 => Data::I32(bytemuck::pod_collect_to_vec(bytes)),
        DType::U32 => Data::U32(bytemuck::pod_collect_to_vec(bytes)),
        DType::U8 => Data::U8(bytes.to_vec()),
    }
}
