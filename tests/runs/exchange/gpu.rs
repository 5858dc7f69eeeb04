//! Exported models run by ONNX Runtime (PyPI: onnx, onnxruntime, safetensors), against Pumice's own answers. `PUMICE_PYTHON`
//! names the Python that has these packages; without them it is said that the test is SKIPPED.

mod import;

use crate::common;
use pumice::block_on;
use pumice::compile::build::{BuildOptions, Feed, build};
use pumice::data::tensors::{Tensors, read_tensors, write_tensors};
use pumice::exchange::turn::permuted;
use pumice::gpu::device::Limits;
use pumice::graph::{Graph, NodeKind};
use pumice::model::{self, Model};
use pumice::spec::Source;
use pumice::tensor::HostTensor;
use pumice::train::{Network, Run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Numbers from -1 to 1 by a hash, evenly spread (splitmix64).
fn noise(seed: u64, len: usize) -> Vec<f32> {
    let one = |i: u64| {
        let mut x = (seed << 32).wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len as u64).map(one).collect()
}

/// Weights none of which has its first value: filters as wide as He et al. (2015) have them, all else around its usual
/// value.
fn weights(graph: &Graph) -> Tensors {
    let tensor = |(seed, node): (usize, &pumice::graph::Node)| {
        let dims = &node.outputs[0].dims;
        let fan: usize = dims.iter().skip(1).product();
        let value = |x: f32| match node.name.rsplit('.').next() {
            Some("running_var") => 1.0 + 0.5 * x,
            Some("weight") if dims.len() == 1 => 1.0 + 0.3 * x,
            Some("weight") => x * (6.0 / fan as f32).sqrt(),
            _ => 0.2 * x,
        };
        let data = noise(seed as u64, node.outputs[0].items()).into_iter().map(value).collect();
        (node.name.clone(), HostTensor::f32(dims, data))
    };
    let saved = |node: &pumice::graph::Node| {
        matches!(node.kind, NodeKind::Parameter { .. } | NodeKind::State { saved: true, .. })
    };
    graph.nodes.iter().enumerate().filter(|(_, node)| saved(node)).map(tensor).collect()
}

fn graph(model: &Model) -> Graph {
    build(model, &BuildOptions { training: false, random: false, loss: false, feed: Feed::Host })
        .unwrap_or_else(|e| panic!("{e}"))
}

/// A tensor of NHWC as NCHW; others as they are.
fn turned(tensor: &HostTensor) -> HostTensor {
    match tensor.shape[..] {
        [n, h, w, c] => HostTensor::f32(&[n, c, h, w], permuted(tensor.as_f32(), &tensor.shape, &[0, 3, 1, 2])),
        _ => tensor.clone(),
    }
}

/// Writes a run of a model with random weights, exports it with the program, and keeps two pictures and Pumice's answers.
fn exported(dir: &Path, name: &str, text: &str, file: PathBuf, set: &[(&str, &str)]) -> bool {
    let Some(session) = common::session(Limits::Raised, |_| {}) else { return false };
    let set: Vec<_> = set.iter().map(|(path, value)| (path.to_string(), value.to_string())).collect();
    let model = model::load(Source { file, text: text.into() }, &set).unwrap_or_else(|e| panic!("{name}: {e}"));
    let weights = weights(&graph(&model));
    let folder = dir.join(name);
    let run = Run::create(&folder, &model).unwrap_or_else(|e| panic!("{name}: {e}"));
    run.write_weights(&weights).unwrap_or_else(|e| panic!("{name}: {e}"));
    drop(run);
    let out = dir.join(format!("{name}.onnx"));
    let line = format!("export {} --format onnx --out {}", folder.display(), out.display());
    program(&line.split(' ').collect::<Vec<_>>());
    let shape: Vec<usize> = [2].into_iter().chain(model.input.dims()).collect();
    let bytes: Vec<u8> = noise(7, shape.iter().product()).iter().map(|x| (127.5 * (x + 1.0)) as u8).collect();
    let input = HostTensor::f32(&shape, bytes.iter().map(|&b| f32::from(b) / 255.0).collect());
    let pictures = HostTensor::u8(&shape, bytes);
    // Prediction computes no auxiliary heads, so that a network takes no weights of theirs.
    let mut used = weights.clone();
    used.retain(|name, _| !name.starts_with("aux"));
    let network = Network::new(session, &model, None, 2, (Path::new("memory"), &used));
    let found = block_on(async { network.await?.outputs(&pictures).await }).unwrap_or_else(|e| panic!("{name}: {e}"));
    let head = format!("output/{}", model.layers.last().expect("a model has layers").name);
    let kept = Tensors::from([("input".to_string(), turned(&input)), (head, turned(&found))]);
    write_tensors(&dir.join(format!("{name}.safetensors")), &kept).unwrap_or_else(|e| panic!("{name}: {e}"));
    true
}

/// Runs the program, which must succeed.
fn program(args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).output().expect("the program starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a script of `tests/exchange` on a folder. Its failure is the test's. False, with a printed SKIPPED, without Python
/// or its packages.
fn scripted(script: &str, dir: &Path) -> bool {
    let python = std::env::var("PUMICE_PYTHON").unwrap_or("python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchange").join(script);
    match Command::new(&python).arg(script).arg(dir).output() {
        Ok(output) if output.status.code() == Some(77) => {
            println!("SKIPPED: {}", String::from_utf8_lossy(&output.stdout));
            false
        }
        Ok(output) => {
            let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert!(output.status.success(), "{}", said.join("\n"));
            println!("{}", said[0]);
            true
        }
        Err(e) => {
            println!("SKIPPED: {python} does not start: {e}");
            false
        }
    }
}

/// Every layer, in an order that also joins pictures to vectors and back.
const ALL: &str = r#"{
    "version": 1, "input": { "height": 12, "width": 10, "channels": 3, "normalize": { "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25] } },
    "layers": [
        { "op": "conv2d", "filters": 8, "kernel": [3, 4], "padding": "same", "dilation": 2, "activation": "gelu", "name": "a" },
        { "op": "conv2d", "filters": 12, "kernel": 3, "groups": 4, "bias": false, "norm": "batch", "activation": "silu" },
        { "op": "conv2d", "filters": 12, "kernel": 3, "stride": 2, "padding": "same", "norm": "batch", "activation": "prelu" },
        { "op": "pad2d", "padding": [1, 0, 2, 1], "mode": "reflect" }, { "op": "crop2d", "crop": [0, 1, 1, 1] },
        { "op": "pad2d", "padding": 1 }, { "op": "pad2d", "padding": 1, "mode": "replicate" },
        { "op": "local_response_norm", "size": 5, "alpha": 0.5, "beta": 0.6, "k": 2 },
        { "op": "layer_norm", "activation": "hard_swish", "name": "b" },
        { "op": "max_pool2d", "size": 2, "stride": 1, "padding": 1, "dilation": [2, 1] },
        { "op": "max_pool2d", "size": 3, "stride": 2, "padding": 1, "ceil_mode": true },
        { "op": "avg_pool2d", "size": 2, "stride": 1, "padding": 1, "count_include_pad": true },
        { "op": "avg_pool2d", "size": 3, "stride": 2, "padding": 1, "ceil_mode": true, "count_include_pad": true },
        { "op": "avg_pool2d", "size": 2, "stride": 2, "padding": 0, "ceil_mode": true, "name": "c" },
        { "op": "upsample2d", "scale": [2, 3], "mode": "bilinear", "activation": "elu" },
        { "op": "conv_transpose2d", "filters": 6, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1, "activation": "relu6" },
        { "op": "conv_transpose2d", "filters": 8, "kernel": 4, "stride": 3, "groups": 2, "norm": "batch", "activation": "tanh" },
        { "op": "max_pool2d", "size": [4, 6], "name": "d" },
        { "op": "upsample2d", "scale": 2, "activation": { "kind": "leaky_relu", "slope": 0.2 } },
        { "op": "conv2d", "filters": 8, "kernel": 2, "padding": "same", "activation": { "kind": "thresholded_relu", "alpha": 0.1 }, "name": "e" },
        { "op": "global_avg_pool2d", "activation": "sigmoid", "name": "gate" },
        { "op": "mul", "from": ["e", "gate"], "name": "gated" }, { "op": "add", "from": ["gated", "e"], "name": "f" },
        { "op": "concat", "from": ["f", "e"] }, { "op": "flatten", "name": "flat" },
        { "op": "dropout", "rate": 0.5, "activation": "hard_sigmoid", "name": "dropped" },
        { "op": "dense", "units": 24, "activation": "softplus", "name": "g" },
        { "op": "dense", "units": 24, "from": "dropped", "activation": "softsign", "name": "h" },
        { "op": "add", "from": ["g", "h"] }, { "op": "batch_norm", "activation": "log_softmax" }, { "op": "layer_norm" },
        { "op": "reshape", "shape": [2, 3, 4] }, { "op": "reshape", "shape": [3, 2, 4] },
        { "op": "conv2d", "filters": 5, "kernel": 2 }, { "op": "flatten", "name": "flat2" },
        { "op": "concat", "from": ["flat2", "g"] }, { "op": "dense", "units": 7 },
        { "op": "activation", "kind": "softmax", "name": "scores" }
    ]
}"#;

#[test]
fn onnx_runtime_gives_pumices_answers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path();
    let shelf = |name: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("assets/models/{name}.json"));
    let size = [("input.height", "64"), ("input.width", "96")];
    let large = [("input.height", "224"), ("input.width", "224")];
    let grey = [size[0], size[1], ("input.normalize", r#"{"mean":[0.3],"std":[0.4]}"#)];
    let models: [(&str, &[(&str, &str)]); 5] =
        [("resnet18", &size), ("vgg16", &size), ("googlenet", &large), ("mobilenet_v1", &size), ("unet", &grey)];
    for (name, set) in models {
        let text = std::fs::read_to_string(shelf(name)).expect("a model of the shelf");
        if !exported(dir, name, &text, shelf(name), set) {
            return;
        }
    }
    for (name, _) in models {
        import::reimported(dir, name);
    }
    scripted("onnx_runs.py", dir);
}

#[test]
fn every_layer_can_be_exported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if exported(folder.path(), "all", ALL, PathBuf::from("all.json"), &[]) {
        import::reimported(folder.path(), "all");
        scripted("onnx_runs.py", folder.path());
    }
}

/// Compares what a network says of pictures with what PyTorch says. False without an adapter.
fn scores_agree(dir: &Path, name: &str, model: &Model, weights: &Tensors) -> bool {
    let scores = read_tensors(&dir.join(format!("{name}.scores.safetensors"))).unwrap_or_else(|e| panic!("{e}"));
    let (input, want) = (&scores["input"], scores["scores"].as_f32());
    let pixels = HostTensor::u8(&input.shape, input.as_f32().iter().map(|&x| x as u8).collect());
    let Some(session) = common::session(Limits::Raised, |_| {}) else { return false };
    let mut used = weights.clone();
    used.retain(|name, _| !name.starts_with("aux"));
    let network = Network::new(session, model, None, input.shape[0], (Path::new("memory"), &used));
    let found = block_on(async { network.await?.outputs(&pixels).await }).unwrap_or_else(|e| panic!("{name}: {e}"));
    let most = want.iter().fold(1f32, |most, x| most.max(x.abs()));
    let error = found.as_f32().iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / most;
    println!("{name}: {error:.2e} of {most}");
    assert!(found.as_f32().len() == want.len() && error <= 1e-4, "{name}: {error:.2e}");
    true
}

/// Weights that a script made with torchvision, taken in by the program: as `.safetensors` and as `.pth`, and back out.
#[test]
fn weights_of_torchvision_give_its_scores() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path();
    if !scripted("torch_weights.py", dir) {
        return;
    }
    let classifiers = ["resnet18", "vgg16", "squeezenet", "mobilenet_v2", "googlenet_bn"];
    for name in classifiers.into_iter().chain(["ssd300_vgg16", "mask_rcnn_resnet50_fpn"]) {
        let shelf = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("assets/models/{name}.json"));
        // The auxiliary heads of GoogLeNet are made for the whole size.
        let set: &[(&str, &str)] = match name {
            "googlenet_bn" => &[("input.height", "224"), ("input.width", "224")],
            "ssd300_vgg16" | "mask_rcnn_resnet50_fpn" => &[("vars.classes", "90")],
            _ => &[("input.height", "64"), ("input.width", "64")],
        };
        let mut taken = Vec::new();
        for ending in ["safetensors", "pth"] {
            let out = dir.join(format!("{name}.{ending}.imported"));
            let (from, spec, out) = (dir.join(format!("{name}.{ending}")), shelf.display(), out.display());
            let set: String = set.iter().map(|(path, value)| format!(" --set {path}={value}")).collect();
            let line = format!("import {} --spec {spec} --out {out}{set}", from.display());
            program(&line.split(' ').collect::<Vec<_>>());
            taken.push(read_tensors(&dir.join(format!("{name}.{ending}.imported"))).unwrap_or_else(|e| panic!("{e}")));
        }
        assert!(taken[0] == taken[1], "{name}: both files hold the same weights");
        let set: Vec<_> = set.iter().map(|(path, value)| (path.to_string(), value.to_string())).collect();
        let model = model::load(Source::open(&shelf).expect("a spec"), &set).unwrap_or_else(|e| panic!("{e}"));
        // What Mask R-CNN says depends on which of nearly equal regions are proposed.
        if name != "mask_rcnn_resnet50_fpn" && !scores_agree(dir, name, &model, &taken[0]) {
            return;
        }
        let run = Run::create(dir.join(format!("{name}.run")), &model).unwrap_or_else(|e| panic!("{e}"));
        run.write_weights(&taken[0]).unwrap_or_else(|e| panic!("{e}"));
        drop(run);
        let out = dir.join(format!("{name}.back"));
        let line =
            format!("export {} --format pytorch --out {}", dir.join(format!("{name}.run")).display(), out.display());
        program(&line.split(' ').collect::<Vec<_>>());
        let mut first = read_tensors(&dir.join(format!("{name}.safetensors"))).unwrap_or_else(|e| panic!("{e}"));
        first.retain(|name, _| !name.ends_with("num_batches_tracked"));
        assert!(read_tensors(&out).unwrap_or_else(|e| panic!("{e}")) == first, "{name}: there and back");
    }
}
