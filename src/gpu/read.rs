//! Reading back values of a program and persistent tensors. They go through staging buffers, which are used again.

use super::session::{Bound, Session, TIMEOUT};
use crate::compile::layout::Layout;
use crate::compile::program::{Buffer, Port, Range};
use crate::error::Result;
use crate::graph::Arena;
use crate::tensor::{DType, Data, HostTensor};
use std::sync::mpsc;
use std::time::Instant;

/// A read that was started and may not have arrived yet.
pub struct Pending {
    staging: wgpu::Buffer,
    size: u64,
    done: mpsc::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

impl Session {
    /// Reads a kept value of a program, from a batch of `n`.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub fn read_output(&mut self, bound: &Bound, name: &str, n: usize) -> Result<HostTensor> {
        let port =
            bound.program().outputs.get(name).unwrap_or_else(|| panic!("the program keeps no value {name}")).clone();
        self.read_port(bound, &port, n)
    }

    /// Reads a port of a program, from a batch of `n`.
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

    /// Reads a persistent tensor, or what belongs to it in another arena of the same layout.
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

    /// Starts a read of a buffer, after all that was submitted so far. Meanwhile the host goes on.
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
            // The receiver is gone only if the read was given up.
            let _ = send.send(result);
        });
        Ok(Pending { staging, size: range.size, done })
    }

    /// Creates the staging buffers that training reads through: for
    /// the ring of losses and for the largest tensor of a checkpoint.
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

fn decode(dtype: DType, bytes: &[u8]) -> Data {
    match dtype {
        DType::F32 => Data::F32(bytemuck::pod_collect_to_vec(bytes)),
        DType::I32 => Data::I32(bytemuck::pod_collect_to_vec(bytes)),
        DType::U32 => Data::U32(bytemuck::pod_collect_to_vec(bytes)),
        DType::U8 => Data::U8(bytes.to_vec()),
    }
}
