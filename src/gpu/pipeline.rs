//! Compute pipelines: from a key to what the driver has compiled.

use super::device::Device;
use super::{shader, words};
use crate::compile::program::PipelineKey;
use crate::error::Result;
use crate::graph::Family;

pub(super) struct Pipeline {
    pub(super) key: PipelineKey,
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bindings: Vec<shader::BindingInfo>,
}

/// Compiles pipelines, in no order. On all cores, by threads of their own.
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn compiled(device: &Device, keys: Vec<PipelineKey>) -> Result<Vec<Pipeline>> {
    let (device, count) = (device.clone(), keys.len());
    // Outside of a browser a driver answers at once: these threads never wait for it.
    let one = move |i: usize| pollster::block_on(pipeline(&device, &keys[i]));
    crate::host::in_background("pumice-compile", count, one).await.into_iter().collect()
}

/// Compiles pipelines, one after the other.
#[cfg(target_arch = "wasm32")]
pub(super) async fn compiled(device: &Device, keys: Vec<PipelineKey>) -> Result<Vec<Pipeline>> {
    let mut made = Vec::with_capacity(keys.len());
    for key in &keys {
        made.push(pipeline(device, key).await?);
    }
    Ok(made)
}

/// Compiles one pipeline.
async fn pipeline(device: &Device, key: &PipelineKey) -> Result<Pipeline> {
    let source = shader::expand(key);
    let caps = device.caps();
    // Kernels for GPUs are not rewritten, even where tests run them on a software adapter.
    let source = if caps.words && caps.family == Family::Software { words::rewrite(&source) } else { source };
    let name = key.to_string();
    let refuse = |e: String| device.error(format!("shader {name} does not compile: {e}"), "report this with the spec");
    let bindings = shader::reflect(&source, key.entry).map_err(refuse)?;
    let scope = device.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let source = wgpu::ShaderSource::Wgsl(source.into());
    let module = device.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(&name), source });
    let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&name),
        layout: None,
        module: &module,
        entry_point: Some(key.entry),
        // No clearing of workgroup memory: kernels write each of its cells before they read it.
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    let popped = scope.pop();
    match popped.await {
        Some(e) => Err(refuse(e.to_string())),
        None => Ok(Pipeline { key: key.clone(), pipeline, bindings }),
    }
}
