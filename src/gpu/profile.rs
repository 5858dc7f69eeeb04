//! The time of single dispatches. Benchmarks repeat chosen ones
//! within one submission; profiles measure every dispatch of a step.

use super::session::{Bound, Session};
use crate::error::Result;
use crate::graph::{Segment, Step};
use crate::host::{Instant, later};
use std::time::Duration;

/// Timestamps of one query set: the limit of WebGPU.
const QUERIES: usize = 4096;
/// Bytes of a timestamp.
const STAMP: u64 = 8;

/// The clock that a profile's times were taken with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The adapter's timestamps, around each dispatch of one submission.
    Adapter,
    /// The host's clock around a submission and a wait for each dispatch. So their time is included.
    Host,
}

/// When one dispatch ran.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Span {
    /// Index into the program's dispatches.
    pub dispatch: usize,
    /// Seconds since the step began.
    pub start: f64,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Session {
    /// Runs the dispatches of a program with these indices `times` times in one submission, and waits. Returns the time
    /// from the submission to the end, without encoding.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub async fn time(&mut self, bound: &Bound, dispatches: &[usize], times: usize, step: &Step) -> Result<Duration> {
        self.finish().await?;
        self.write_step(bound, step);
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let steps = (0..times).flat_map(|_| dispatches.iter().map(|&i| &bound.steps[i]));
        self.encode(&mut encoder, bound, steps, step.n as usize);
        let commands = encoder.finish();
        let start = Instant::now();
        let index = self.device.queue.submit([commands]);
        self.wait(index).await?;
        Ok(start.elapsed())
    }

    /// The clock that [`Session::profile`] uses on this device.
    pub fn clock(&self) -> Clock {
        let wanted = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS;
        if self.device.device.features().contains(wanted) { Clock::Adapter } else { Clock::Host }
    }

    /// Runs segments of a program as [`Session::run`] does, but with a
    /// clock around every dispatch, and waits. The bits are the same.
    ///
    /// # Errors
    /// What the driver reports, or a time-out.
    pub async fn profile(&mut self, bound: &Bound, segments: &[Segment], step: &Step) -> Result<Vec<Span>> {
        self.finish().await?;
        self.write_step(bound, step);
        let chosen = (0..bound.steps.len()).filter(|&i| segments.contains(&bound.steps[i].segment));
        let chosen: Vec<usize> = chosen.collect();
        match self.clock() {
            Clock::Adapter => self.stamped(bound, &chosen, step.n as usize).await,
            Clock::Host => self.one_by_one(bound, &chosen, step.n as usize).await,
        }
    }

    async fn one_by_one(&mut self, bound: &Bound, chosen: &[usize], n: usize) -> Result<Vec<Span>> {
        let begin = Instant::now();
        let mut spans = Vec::with_capacity(chosen.len());
        for &dispatch in chosen {
            let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            self.encode(&mut encoder, bound, std::iter::once(&bound.steps[dispatch]), n);
            let commands = encoder.finish();
            let start = begin.elapsed().as_secs_f64();
            let index = self.device.queue.submit([commands]);
            self.wait(index).await?;
            spans.push(Span { dispatch, start, seconds: begin.elapsed().as_secs_f64() - start });
        }
        Ok(spans)
    }

    async fn stamped(&mut self, bound: &Bound, chosen: &[usize], n: usize) -> Result<Vec<Span>> {
        let device = self.device.device.clone();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let bytes = (2 * chosen.len().max(1)) as u64 * STAMP;
        let buffer =
            |usage| wgpu::BufferDescriptor { label: Some("stamps"), size: bytes, usage, mapped_at_creation: false };
        let resolved = device.create_buffer(&buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC));
        let staging = device.create_buffer(&buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST));
        for (k, list) in chosen.chunks(QUERIES / 2).enumerate() {
            let count = 2 * list.len() as u32;
            let desc = wgpu::QuerySetDescriptor { label: Some("stamps"), ty: wgpu::QueryType::Timestamp, count };
            let set = device.create_query_set(&desc);
            for (i, &dispatch) in list.iter().enumerate() {
                encoder.write_timestamp(&set, 2 * i as u32);
                self.encode(&mut encoder, bound, std::iter::once(&bound.steps[dispatch]), n);
                encoder.write_timestamp(&set, 2 * i as u32 + 1);
            }
            encoder.resolve_query_set(&set, 0..count, &resolved, (k * QUERIES) as u64 * STAMP);
        }
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        let submission = self.submit(encoder).await?;
        let failed = |e: &dyn std::fmt::Display| {
            self.device.error(format!("reading timestamps failed: {e}"), "leave out --profile")
        };
        let (sender, mapped) = later();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| drop(sender.send(result)));
        self.wait(submission).await?;
        // Whether it worked is seen when the range is asked for.
        mapped.get().await;
        let view = staging.slice(..).get_mapped_range().map_err(|e| failed(&e))?;
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&view);
        let (period, first) = (f64::from(self.device.queue.get_timestamp_period()) * 1e-9, stamps[0]);
        let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 * period;
        let span = |(&dispatch, pair): (&usize, &[u64])| Span {
            dispatch,
            start: seconds(first, pair[0]),
            seconds: seconds(pair[0], pair[1]),
        };
        Ok(chosen.iter().zip(stamps.chunks(2)).map(span).collect())
    }
}
