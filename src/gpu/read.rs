//! Reading back values of a program and persistent tensors. They go through staging buffers, which are used again.

use super::session::{Bound, Session};
use super::wait::Waiting;
use crate::compile::layout::Layout;
use crate::compile::program::{Buffer, Port, Range};
use crate::error::Result;
use crate::graph::Arena;
use crate::host::{self, Later};
use crate::tensor::{DType, Data, HostTensor};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A read that was started and may not have arrived yet.
pub struct Pending {
    staging: wgpu::Buffer,
    size: u64,
    waiting: Waiting,
    mapped: Later<std::result::Result<(), wgpu::BufferAsyncError>>,
    arrived: Arc<AtomicBool>,
}

impl Pending {
    /// Whether it has arrived: [`Session::take`] then returns at once.
    pub fn arrived(&self) -> bool {
        self.arrived.load(Ordering::Acquire)
    }
}

impl Session {
    /// Reads a kept value of a program, from a batch of `n`.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub async fn read_output(&mut self, bound: &Bound, name: &str, n: usize) -> Result<HostTensor> {
        let port =
            bound.program().outputs.get(name).unwrap_or_else(|| panic!("the program keeps no value {name}")).clone();
        self.read_port(bound, &port, n).await
    }

    /// Reads a port of a program, from a batch of `n`.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub async fn read_port(&mut self, bound: &Bound, port: &Port, n: usize) -> Result<HostTensor> {
        let bytes = port.ty.len(n) * port.ty.dtype.size();
        let range = Range { size: port.ty.bytes(n) as u64, ..port.range };
        let pending = self.start_read(Some(bound), &range).await?;
        let raw = self.take(pending).await?;
        Ok(HostTensor::new(&port.ty.shape(n), decode(port.ty.dtype, &raw[..bytes])))
    }

    /// Reads a persistent tensor, or what belongs to it in another arena of the same layout.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub async fn read_tensor(&mut self, name: &str, arena: Option<Arena>) -> Result<HostTensor> {
        let entry = self.layout.entries[name].clone();
        let size = entry.ty.dtype.size();
        let mut raw = Vec::with_capacity(entry.ty.items() * size);
        for part in &entry.parts {
            let bytes = (part.len * size) as u64;
            let buffer = Buffer::Store(arena.unwrap_or(entry.arena), part.window);
            let range = Range { buffer, offset: part.offset, size: bytes.next_multiple_of(4) };
            let pending = self.start_read(None, &range).await?;
            raw.extend_from_slice(&self.take(pending).await?[..bytes as usize]);
        }
        Ok(HostTensor::new(&entry.ty.dims, decode(entry.ty.dtype, &raw)))
    }

    /// Starts a read of a buffer, after all that was submitted so far. Meanwhile the host goes on.
    ///
    /// # Errors
    /// Out of memory for a staging buffer, or what the driver reports.
    pub async fn start_read(&mut self, bound: Option<&Bound>, range: &Range) -> Result<Pending> {
        let fits = (0..self.staging.len()).filter(|&i| self.staging[i].size() >= range.size);
        let fit = fits.min_by_key(|&i| self.staging[i].size());
        let staging = match fit {
            Some(i) => self.staging.swap_remove(i),
            None => {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                self.buffer("staging", range.size.next_power_of_two(), usage).await?
            }
        };
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(self.place(bound, range), range.offset, &staging, 0, range.size);
        let submission = self.submit(encoder).await?;
        let (sender, mapped) = host::later();
        let arrived = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&arrived);
        staging.slice(..range.size).map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is gone only if the read was given up.
            let _ = sender.send(result);
            flag.store(true, Ordering::Release);
        });
        let waiting = self.device.waiting(submission);
        Ok(Pending { staging, size: range.size, waiting, mapped, arrived })
    }

    /// Creates the staging buffers that training reads through: for
    /// the ring of losses and for the largest tensor of a checkpoint.
    ///
    /// # Errors
    /// Out of memory.
    pub async fn reserve_staging(&mut self, layout: &Layout) -> Result<()> {
        let parts = layout.entries.values().filter(|e| e.saved).flat_map(|e| &e.parts);
        let largest = parts.map(|p| p.len as u64 * 4).max().unwrap_or(4).next_power_of_two();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        for size in [4096, 4096, 4096, 4096, largest] {
            let buffer = self.buffer("staging", size, usage).await?;
            self.staging.push(buffer);
        }
        Ok(())
    }

    /// Waits for a read and returns its bytes.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub async fn take(&mut self, pending: Pending) -> Result<Vec<u8>> {
        let lost = |why: String| self.device.error(format!("reading back failed: {why}"), "go on with --resume");
        self.device.waited(pending.waiting).await?;
        match pending.mapped.get().await {
            Some(Ok(())) => {}
            Some(Err(e)) => return Err(lost(e.to_string())),
            None => return Err(lost("the driver does not answer".into())),
        }
        let view = pending.staging.slice(..pending.size).get_mapped_range();
        let bytes = view.map(|v| v.to_vec()).map_err(|e| lost(e.to_string()))?;
        pending.staging.unmap();
        self.staging.push(pending.staging);
        Ok(bytes)
    }
}

fn decode(dtype: DType, bytes: &[u8]) -> Data {
    match dtype {
        DType::F32 => Data::F32(bytemuck::pod_collect_to_vec(bytes)),
        DType::I32 => Data::I32(bytemuck::pod_collect_to_vec(bytes)),
        DType::U32 => Data::U32(bytemuck::pod_collect_to_vec(bytes)),
        DType::U8 => Data::U8(bytes.to_vec()),
        DType::F64 => Data::F64(bytemuck::pod_collect_to_vec(bytes)),
    }
}
