//! Without an adapter: every pipeline of every row and model expands to WGSL that naga accepts and translates for Vulkan, Metal and
//! DX12, and binds what its kernel says.

use pumice::check::bench;
use pumice::check::cases::cases;
use pumice::compile::build::{BuildOptions, Feed};
use pumice::compile::layout::Layout;
use pumice::compile::program::{PipelineKey, Program};
use pumice::compile::{lower, training_graph, unfused_training_graph, update_of};
use pumice::gpu::{shader, words};
use pumice::graph::{Builder, Caps, Family, Graph};
use pumice::ops::plumbing::statistics::Statistics;
use pumice::tensor::{DType, TensorType};

fn lowered(graph: &Graph, caps: &Caps, batch: usize) -> Program {
    let mut layout = Layout::default();
    layout.add(graph, caps).expect("rows are small");
    lower::lower(graph, &layout, caps, lower::LowerOptions { batch, reuse: true }).expect("rows are small")
}

fn programs() -> Vec<(String, Program)> {
    let mut list = vec![("roofs of `pumice bench`".to_string(), bench::roof_program(&Caps::default()))];
    let mut b = Builder::default();
    let x = b.state("x", TensorType::f32(&[7]), 0.0, false);
    let found = b.must(Statistics { bins: 5 }, &[x]);
    b.graph.keep = vec![("extreme".into(), found[0]), ("counts".into(), found[1])];
    list.push(("statistics of a tap".into(), lowered(&b.graph, &Caps::default(), 1)));
    for case in cases().unwrap_or_else(|e| panic!("{e}")) {
        let feeds = [Feed::Host, Feed::Resident { count: 3, order: "order", positions: 3, stored: DType::U8 }];
        for feed in feeds {
            let options = BuildOptions { training: case.training, random: true, loss: true, feed };
            let update = update_of(&case.train);
            for build in [training_graph, unfused_training_graph] {
                // Rows whose targets are values have no resident data set.
                let wanted: &[&str] = if options.feed == Feed::Host { &["input"] } else { &[] };
                let Ok(graph) = build(&case.model, &options, wanted, Some(&update)) else { continue };
                for (family, subgroup) in [
                    (Family::Gpu, 0),
                    (Family::Software, 0),
                    (Family::Software, 8),
                    (Family::Software, 4),
                    (Family::Software, 16),
                ] {
                    let caps = Caps { family, subgroup, ..Caps::default() };
                    list.push((case.name.clone(), lowered(&graph, &caps, case.train.batch.0)));
                }
            }
        }
    }
    list
}

fn module_of(key: &PipelineKey, source: &str) -> (naga::Module, naga::valid::ModuleInfo) {
    let name = key.to_string();
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
    // Only the kernels for software adapters ask for more than WebGPU's core.
    let lanes = ["conv2d_image", "conv2d_rows", "conv2d_rows_weight"].contains(&key.shader);
    let capabilities = if lanes { naga::valid::Capabilities::SUBGROUP } else { naga::valid::Capabilities::empty() };
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let info = validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
    (module, info)
}

fn translate(key: &PipelineKey, module: &naga::Module, info: &naga::valid::ModuleInfo) {
    let name = key.to_string();
    let stage = naga::ShaderStage::Compute;
    let spirv = naga::back::spv::PipelineOptions { entry_point: key.entry.into(), shader_stage: stage };
    let options = naga::back::spv::Options { lang_version: (1, 3), ..Default::default() };
    naga::back::spv::write_vec(module, info, &options, Some(&spirv))
        .unwrap_or_else(|e| panic!("{name} to SPIR-V: {e}"));
    let options = naga::back::msl::Options { lang_version: (2, 4), ..Default::default() };
    naga::back::msl::write_string(module, info, &options, &naga::back::msl::PipelineOptions::default())
        .unwrap_or_else(|e| panic!("{name} to MSL: {e}"));
    let shader_model = naga::back::hlsl::ShaderModel::V6_0;
    let options = naga::back::hlsl::Options { fake_missing_bindings: true, shader_model, ..Default::default() };
    let pipeline = naga::back::hlsl::PipelineOptions { entry_point: Some((stage, key.entry.into())) };
    let mut text = String::new();
    naga::back::hlsl::Writer::new(&mut text, &options, &pipeline)
        .write(module, info, None)
        .unwrap_or_else(|e| panic!("{name} to HLSL: {e}"));
    assert!(!text.is_empty());
}

/// The WGSL that lavapipe gets ([`words::rewrite`]), which needs
/// 64-bit integers: it is valid, and is translated for Vulkan.
fn rewritten(key: &PipelineKey, source: &str) {
    let name = format!("{key} in words");
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
    let capabilities = naga::valid::Capabilities::SHADER_INT64 | naga::valid::Capabilities::SUBGROUP;
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let info = validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(source)));
    let options = naga::back::spv::Options { lang_version: (1, 3), ..Default::default() };
    let pipeline =
        naga::back::spv::PipelineOptions { entry_point: key.entry.into(), shader_stage: naga::ShaderStage::Compute };
    naga::back::spv::write_vec(&module, &info, &options, Some(&pipeline))
        .unwrap_or_else(|e| panic!("{name} to SPIR-V: {e}"));
}

#[test]
fn every_pipeline_is_valid_for_every_backend_and_binds_what_its_kernel_says() {
    let mut seen: Vec<PipelineKey> = Vec::new();
    let mut wrong = Vec::new();
    for (row, program) in programs() {
        for dispatch in &program.dispatches {
            let key = &program.pipelines[dispatch.pipeline];
            if seen.contains(key) {
                continue;
            }
            seen.push(key.clone());
            let source = shader::expand(key);
            let (module, info) = module_of(key, &source);
            let entry = module.entry_points.iter().find(|e| e.name == key.entry);
            let group =
                entry.unwrap_or_else(|| panic!("{row}: no entry point {}.{}", key.shader, key.entry)).workgroup_size;
            assert_eq!(
                group.iter().product::<u32>(),
                dispatch.grid.group,
                "{}.{}: workgroup size",
                key.shader,
                key.entry
            );
            let bindings = shader::reflect(&source, key.entry).expect("it was valid above");
            let storage = bindings.iter().filter(|b| b.access.is_some()).count();
            assert!(storage <= 8, "{}.{} binds {storage} storage buffers", key.shader, key.entry);
            if let Err(e) = shader::check_operands(&bindings, &dispatch.operands()) {
                wrong.push(format!("{row}: {}.{}: {e}", key.shader, key.entry));
            }
            translate(key, &module, &info);
            rewritten(key, &words::rewrite(&source));
        }
    }
    println!("{} distinct pipelines", seen.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused: Vec<String> = entry_points()
        .into_iter()
        .filter(|(s, e)| !seen.iter().any(|k| k.shader == *s && k.entry == *e))
        .map(|(s, e)| format!("{s}.{e}"))
        .collect();
    assert!(unused.is_empty(), "no row reaches these entry points: {unused:?}");
}

/// An entry point that uses `F` is valid with one lane and with four. No shader is written for one of them alone.
#[test]
fn every_entry_point_is_valid_with_one_lane_and_with_four() {
    let with = |shader: &'static str, constants| PipelineKey { shader, entry: "", constants };
    let has_lanes = |shader| shader::expand(&with(shader, Vec::new())).contains("alias F = ");
    let mut checked = 0;
    for (shader, entry) in entry_points().into_iter().filter(|(shader, _)| has_lanes(shader)) {
        for lanes in [1.0, 4.0] {
            let key = PipelineKey { entry, ..with(shader, vec![("L", lanes)]) };
            module_of(&key, &shader::expand(&key));
            checked += 1;
        }
    }
    assert!(checked >= 100, "only {checked} of the entry points speak of F");
}

/// naga's DX12 backend knows the count of workgroups in an entry point alone, and Invocation is handed on.
#[test]
fn no_shader_asks_for_the_count_of_workgroups() {
    for (file, text) in shader::FILES {
        assert!(!text.contains("num_workgroups"), "{file}.wgsl: use FOLD of lib/step.wgsl");
    }
}

/// Every entry point of every file, by the text.
fn entry_points() -> Vec<(&'static str, &'static str)> {
    let mut list = Vec::new();
    for (file, text) in shader::FILES.iter().filter(|f| !f.0.starts_with("lib/")) {
        let mut after_compute = false;
        for line in text.lines() {
            after_compute |= line.trim_start().starts_with("@compute");
            if let (true, Some(rest)) = (after_compute, line.trim_start().strip_prefix("fn ")) {
                let name = rest.split('(').next().unwrap_or(rest);
                list.push((*file, name));
                after_compute = false;
            }
        }
    }
    list
}
