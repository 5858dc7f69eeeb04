//! The executor: a device, the store of persistent tensors, and the programs bound to it.
//!
//! A bound program is a list of (pipeline, bind group, grid). Each step encodes it into compute passes. After binding
//! nothing is created, except a command encoder for every submission, which WebGPU uses up.

use super::device::Device;
use super::pipeline::{Pipeline, compiled};
use super::shader;
use crate::compile::layout::Layout;
use crate::compile::program::{Buffer, Copy, Dispatch, PipelineKey, Program, Range};
use crate::error::{Error, Result};
use crate::graph::{Arena, Grid, Segment, Step, TEXTURE_WIDTH};
use crate::host::Instant;
use crate::tensor::Data;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many submissions may be under way before the host waits.
const IN_FLIGHT: usize = 4;

/// So many bytes may be written before they are handed to the adapter.
const MOST_WAITING: u64 = 64 << 20;

pub(super) struct Recorded {
    pipeline: usize,
    bind_group: wgpu::BindGroup,
    copies: Vec<Copy>,
    grid: Grid,
    fold: Option<u32>,
    pub(super) segment: Segment,
}

/// A program that is bound to a session: its pool of buffers and its recorded dispatches.
pub struct Bound {
    program: Program,
    slots: Vec<wgpu::Buffer>,
    textures: Vec<wgpu::Texture>,
    pub(super) steps: Vec<Recorded>,
}

impl Bound {
    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }
}

/// The executor.
pub struct Session {
    pub(super) device: Device,
    pub(super) layout: Layout,
    store: HashMap<(Arena, usize), wgpu::Buffer>,
    step: wgpu::Buffer,
    pipelines: Vec<Pipeline>,
    pub(super) staging: Vec<wgpu::Buffer>,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    last: Option<wgpu::SubmissionIndex>,
    created: usize,
    allocated: u64,
    data_bytes: u64,
    /// What was allocated for programs and the model when the driver refused more.
    refused: Option<u64>,
    compile_time: Duration,
    /// Bytes that were written and wait for a submission in buffers of the driver's.
    waiting: AtomicU64,
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
            last: None,
            created: 1,
            allocated: size,
            data_bytes: 0,
            refused: None,
            compile_time: Duration::ZERO,
            waiting: AtomicU64::new(0),
        }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many wgpu objects were created so far, without command encoders.
    pub fn created(&self) -> usize {
        self.created
    }

    /// Bytes of all buffers created so far for programs and the model's persistent tensors, with the uniform of the
    /// step. Without the data set, its orders, the ring of losses, and staging buffers.
    pub fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Bytes of the data set, its orders and the ring of losses.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// [`Session::allocated`] at the moment when the driver had no more memory; None if that has not happened.
    pub fn refused(&self) -> Option<u64> {
        self.refused
    }

    /// How many pipelines were compiled so far, and how long that took.
    pub fn compiled(&self) -> (usize, Duration) {
        (self.pipelines.len(), self.compile_time)
    }

    pub(super) async fn buffer(&mut self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let scope = self.device.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let desc = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let buffer = self.device.device.create_buffer(&desc);
        let popped = scope.pop();
        if let Some(e) = popped.await {
            return Err(self.out_of_memory(format!("{label} ({size} bytes): {e}")));
        }
        if self.device.refuses(self.allocated + self.data_bytes + size) {
            return Err(self.out_of_memory(format!("{label} ({size} bytes)")));
        }
        self.device.check()?;
        self.created += 1;
        Ok(buffer)
    }

    /// A texture for copies of operands. WebGPU clears it, and nothing writes its first row, which stays zero.
    async fn texture(&mut self, label: &str, rows: usize) -> Result<wgpu::Texture> {
        let scope = self.device.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let texture = self.device.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d { width: TEXTURE_WIDTH as u32, height: rows as u32, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba32Float,
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let popped = scope.pop();
        if let Some(e) = popped.await {
            return Err(self.out_of_memory(format!("{label} ({rows} rows): {e}")));
        }
        self.device.check()?;
        self.created += 1;
        Ok(texture)
    }

    fn out_of_memory(&mut self, what: String) -> Error {
        self.refused = Some(self.allocated);
        let hint = "use a smaller batch or network (`pumice plan` says what fits), or another device";
        self.device.error(format!("out of memory for {what}"), hint)
    }

    /// Drops all persistent tensors, so that the device can take another model. Compiled pipelines stay.
    pub fn clear(&mut self) {
        self.layout = Layout::default();
        self.store.clear();
        (self.data_bytes, self.refused) = (0, None);
        self.allocated = Step::BYTES as u64;
    }

    /// Binds a program: allocates what does not exist yet, compiles its pipelines, makes its bind groups. `layout` must
    /// hold the persistent tensors of this program and of all programs bound before.
    ///
    /// # Errors
    /// Out of memory, or a shader that the driver refuses.
    pub async fn bind(&mut self, program: Program, layout: &Layout) -> Result<Bound> {
        self.layout = layout.clone();
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let entries = layout.entries.values().map(|e| e.arena);
        let arenas: Vec<Arena> = program.arenas.iter().copied().chain(entries).collect();
        for arena in arenas {
            for (window, &size) in layout.windows(arena).iter().enumerate() {
                if !self.store.contains_key(&(arena, window)) {
                    let buffer = self.buffer(&format!("{arena:?} {window}"), size, storage).await?;
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
            slots.push(self.buffer(&format!("slot {i}"), size, storage).await?);
            self.allocated += size;
        }
        let mut textures = Vec::with_capacity(program.textures.len());
        for (i, &rows) in program.textures.iter().enumerate() {
            textures.push(self.texture(&format!("texture {i}"), rows).await?);
        }
        self.allocated += program.texture_bytes();
        let views: Vec<wgpu::TextureView> = textures.iter().map(|t| t.create_view(&Default::default())).collect();
        let indices = self.compile(&program.pipelines).await?;
        let mut steps = Vec::with_capacity(program.dispatches.len());
        for dispatch in &program.dispatches {
            let pipeline = indices[dispatch.pipeline];
            let bind_group = self.bind_group(pipeline, dispatch, &slots, &views);
            let copies = dispatch.copies.clone();
            let (grid, fold, segment) = (dispatch.grid, dispatch.fold, dispatch.segment);
            steps.push(Recorded { pipeline, bind_group, copies, grid, fold, segment });
        }
        self.device.check()?;
        Ok(Bound { program, slots, textures, steps })
    }

    /// The pipelines of these keys. Those that do not exist yet are compiled, on all cores.
    async fn compile(&mut self, keys: &[PipelineKey]) -> Result<Vec<usize>> {
        let start = Instant::now();
        let missing = keys.iter().filter(|k| !self.pipelines.iter().any(|p| p.key == **k)).cloned().collect();
        let made = compiled(&self.device, missing).await?;
        self.created += 2 * made.len();
        self.pipelines.extend(made);
        self.compile_time += start.elapsed();
        let index = |key: &PipelineKey| self.pipelines.iter().position(|p| p.key == *key).expect("it was compiled");
        Ok(keys.iter().map(index).collect())
    }

    fn bind_group(
        &mut self,
        pipeline: usize,
        dispatch: &Dispatch,
        slots: &[wgpu::Buffer],
        textures: &[wgpu::TextureView],
    ) -> wgpu::BindGroup {
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
                Buffer::Texture(i) => return wgpu::BindingResource::TextureView(&textures[i]),
            };
            let size = std::num::NonZeroU64::new(range.size);
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: range.offset, size })
        };
        let entry =
            |info: &shader::BindingInfo| wgpu::BindGroupEntry { binding: info.binding, resource: resource(info) };
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
    pub async fn run(&mut self, bound: &Bound, segments: &[Segment], step: &Step) -> Result<()> {
        self.write_step(bound, step);
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let steps = bound.steps.iter().filter(|r| segments.contains(&r.segment));
        self.encode(&mut encoder, bound, steps, step.n as usize);
        self.submit(encoder).await.map(drop)
    }

    /// Writes the step's uniform.
    pub(super) fn write_step(&self, bound: &Bound, step: &Step) {
        let (n, batch) = (step.n as usize, bound.program.batch);
        assert!(n <= batch, "a batch of {n} in a program for {batch}");
        self.device.queue.write_buffer(&self.step, 0, bytemuck::cast_slice(&step.words()));
    }

    /// Encodes dispatches one after the other, with the copies they
    /// need. They share one pass, unless copies come between them.
    pub(super) fn encode<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        bound: &Bound,
        steps: impl Iterator<Item = &'a Recorded>,
        n: usize,
    ) {
        let mut steps = steps.peekable();
        while let Some(first) = steps.peek() {
            for copy in &first.copies {
                self.copy(encoder, bound, copy);
            }
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let mut current = usize::MAX;
            let mut copied = true;
            while let Some(recorded) = steps.next_if(|r| std::mem::take(&mut copied) || r.copies.is_empty()) {
                if recorded.pipeline != current {
                    pass.set_pipeline(&self.pipelines[recorded.pipeline].pipeline);
                    current = recorded.pipeline;
                }
                pass.set_bind_group(0, &recorded.bind_group, &[]);
                let [x, y, z] = recorded.grid.workgroups(n, recorded.fold);
                pass.dispatch_workgroups(x, y, z);
            }
        }
    }

    /// Copies a range into a texture, from its second row on: first whole rows, then the rest.
    fn copy(&self, encoder: &mut wgpu::CommandEncoder, bound: &Bound, copy: &Copy) {
        let buffer = self.place(Some(bound), &copy.from);
        let texels = copy.from.size.div_ceil(16) as u32;
        let width = TEXTURE_WIDTH as u32;
        let (rows, rest) = (texels / width, texels % width);
        let mut part = |row: u32, width: u32, height: u32| {
            let offset = copy.from.offset + u64::from(row) * TEXTURE_WIDTH as u64 * 16;
            let bytes_per_row = Some(TEXTURE_WIDTH as u32 * 16);
            let layout = wgpu::TexelCopyBufferLayout { offset, bytes_per_row, rows_per_image: None };
            let origin = wgpu::Origin3d { x: 0, y: 1 + row, z: 0 };
            let place = wgpu::TexelCopyTextureInfo { origin, ..bound.textures[copy.texture].as_image_copy() };
            let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
            encoder.copy_buffer_to_texture(wgpu::TexelCopyBufferInfo { buffer, layout }, place, size);
        };
        if rows > 0 {
            part(0, width, rows);
        }
        if rest > 0 {
            part(rows, rest, 1);
        }
    }

    pub(super) async fn submit(&mut self, encoder: wgpu::CommandEncoder) -> Result<wgpu::SubmissionIndex> {
        let index = self.device.queue.submit([encoder.finish()]);
        self.last = Some(index.clone());
        self.in_flight.push_back(index.clone());
        while self.in_flight.len() > IN_FLIGHT {
            if let Some(oldest) = self.in_flight.pop_front() {
                self.wait(oldest).await?;
            }
        }
        self.device.check()?;
        Ok(index)
    }

    pub(super) async fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        self.device.waited(self.device.waiting(submission)).await
    }

    /// Waits until everything submitted has run.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub async fn finish(&mut self) -> Result<()> {
        self.in_flight.clear();
        match self.last.take() {
            Some(last) => self.wait(last).await,
            None => self.device.check(),
        }
    }

    pub(super) fn place<'a>(&'a self, bound: Option<&'a Bound>, range: &Range) -> &'a wgpu::Buffer {
        match range.buffer {
            Buffer::Slot(i) => &bound.expect("a pool buffer belongs to a program").slots[i],
            Buffer::Store(arena, window) => &self.store[&(arena, window)],
            Buffer::Texture(_) => panic!("the host reads and writes buffers, not their copies"),
        }
    }

    /// Writes a program's input before a step: `data` holds the elements of n samples.
    pub fn write_input(&self, bound: &Bound, name: &str, data: &Data) {
        let port = bound.program.inputs.get(name).unwrap_or_else(|| panic!("the program has no input {name}"));
        assert_eq!(port.ty.dtype, data.dtype(), "input {name}");
        let mut bytes = data.bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        assert!(bytes.len() as u64 <= port.range.size, "input {name} is longer than the planned batch");
        self.device.queue.write_buffer(self.place(Some(bound), &port.range), port.range.offset, &bytes);
    }

    /// Fills a program's whole pool with NaN, so that an element which nobody writes is noticed.
    pub fn poison(&self, bound: &Bound) {
        for (buffer, &size) in bound.slots.iter().zip(&bound.program.slots) {
            let words = vec![f32::NAN; (size / 4) as usize];
            self.device.queue.write_buffer(buffer, 0, bytemuck::cast_slice(&words));
        }
    }

    /// Writes a persistent tensor, or what belongs to it in another
    /// arena of the same layout, such as an optimizer's moment.
    pub fn write_tensor(&self, name: &str, arena: Option<Arena>, data: &Data) {
        let entry = &self.layout.entries[name];
        assert_eq!((entry.ty.dtype, entry.ty.items()), (data.dtype(), data.len()), "tensor {name}");
        let size = data.dtype().size();
        for part in &entry.parts {
            let mut bytes = data.bytes()[part.start * size..(part.start + part.len) * size].to_vec();
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let buffer = &self.store[&(arena.unwrap_or(entry.arena), part.window)];
            self.device.queue.write_buffer(buffer, part.offset, &bytes);
            // Or all of a large model would lie in memory once more.
            if self.waiting.fetch_add(bytes.len() as u64, Ordering::Relaxed) > MOST_WAITING {
                self.device.queue.submit([]);
                self.waiting.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Writes the first elements of a persistent tensor that lies in one window. The others stay as they are.
    pub fn write_start(&self, name: &str, data: &Data) {
        let entry = &self.layout.entries[name];
        assert!(entry.ty.dtype == data.dtype() && data.len() <= entry.parts[0].len, "the start of tensor {name}");
        let mut bytes = data.bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let part = &entry.parts[0];
        self.device.queue.write_buffer(&self.store[&(entry.arena, part.window)], part.offset, &bytes);
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
}
