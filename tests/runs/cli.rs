//! The program as a user calls it: what it prints and writes, its exit codes, and what it says about bad input.

mod corners;
mod errors;
mod gpu;

use pumice::data::tensors::{Tensors, read_tensors, write_tensors};
use pumice::gpu::device::Limits;
use pumice::tensor::{Data, HostTensor};
use serde_json::Value as Json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How a call ended.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// The output on stdout as one JSON value.
    fn json(&self) -> Json {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }

    /// Asserts success. Returns what is on stdout.
    fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Asserts failure with this exit code, an `error:` line, no panic, and all these words on stderr.
    fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.lines().any(|l| l.starts_with("error: ")), "{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in: {}", self.stderr);
        }
    }
}

fn program(dir: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pumice"));
    // Mesa's layer for choosing devices writes to stderr where there is no desktop.
    command.args(args.split_whitespace()).current_dir(dir).env("NODEVICE_SELECT", "1");
    command
}

fn finish(mut command: Command) -> Ended {
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("no signal ends it");
    Ended { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Calls the program in a folder. `args` are split at spaces.
fn pumice(dir: &Path, args: &str) -> Ended {
    finish(program(dir, args))
}

/// A folder with a small network `net.json` and its data in `digits`: 45 training and 18 test images of 8 x 8, 3 classes.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("digits")).unwrap();
    write_split(dir.path(), "train", 45);
    write_split(dir.path(), "t10k", 18);
    fs::write(dir.path().join("net.json"), net()).unwrap();
    dir
}

fn net() -> String {
    r#"{ "version": 1, "input": { "height": 8, "width": 8, "channels": 1, "normalize": "auto" },
  "layers": [
    { "op": "conv2d", "filters": 5, "kernel": 3, "norm": "batch", "activation": "relu", "name": "stem" },
    { "op": "max_pool2d", "size": 2 }, { "op": "flatten" }, { "op": "dropout" },
    { "op": "dense", "units": "classes" }
  ],
  "loss": "cross_entropy",
  "data": { "kind": "idx", "path": "digits", "validation": 0.2 },
  "train": { "seed": 3, "batch": 8, "epochs": 3, "optimizer": "adam", "schedule": "cosine" } }"#
        .to_string()
}

/// Noise images with a bright row, whose position is the class.
fn write_split(dir: &Path, stem: &str, count: usize) {
    let labels: Vec<u8> = (0..count).map(|i| (i % 3) as u8).collect();
    let pixel = |i: usize| {
        let noise = (i * 2654435761 % 97) as u8;
        if i % 64 / 8 == 1 + 2 * (i / 64 % 3) { 255 - noise } else { noise }
    };
    let pixels: Vec<u8> = (0..count * 64).map(pixel).collect();
    write_idx(dir, &format!("{stem}-images-idx3-ubyte"), &[count as u32, 8, 8], &pixels);
    write_idx(dir, &format!("{stem}-labels-idx1-ubyte"), &[count as u32], &labels);
}

fn write_idx(dir: &Path, name: &str, dims: &[u32], bytes: &[u8]) {
    let sizes = dims.iter().flat_map(|d| d.to_be_bytes());
    let all: Vec<u8> = [0, 0, 8, dims.len() as u8].into_iter().chain(sizes).chain(bytes.iter().copied()).collect();
    fs::write(dir.join("digits").join(name), all).unwrap();
}

/// The network, with one text replaced by another.
fn change(dir: &Path, from: &str, to: &str) {
    let text = net();
    assert!(text.contains(from), "{from}");
    fs::write(dir.join("net.json"), text.replace(from, to)).unwrap();
}

fn models() -> Vec<PathBuf> {
    let folders = [
        concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/bench"),
    ];
    let all = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    all.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "json")).collect()
}

#[test]
fn help_and_version_succeed_and_wrong_flags_are_code_2() {
    let dir = folder();
    assert!(pumice(dir.path(), "--version").ok().starts_with("pumice "));
    assert!(pumice(dir.path(), "train --help").ok().contains("--resume"));
    pumice(dir.path(), "trian net.json").fails(2, &["trian", "train"]);
    pumice(dir.path(), "train net.json --epochs 0").fails(2, &["--epochs", "whole number from 1"]);
    pumice(dir.path(), "check net.json --set train.batch").fails(2, &["--set", "PATH=VALUE"]);
    pumice(dir.path(), "check net.json --set train.bacth=4").fails(2, &["train.bacth", "did you mean `batch`?"]);
    pumice(dir.path(), "check nothing.json").fails(2, &["error: nothing.json: ", "check that the file exists"]);
    pumice(dir.path(), "shader conv2").fails(2, &["no shader `conv2`", "did you mean `conv2d`?"]);
    assert!(pumice(dir.path(), "shader conv2d").ok().contains("@compute"));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = program(Path::new("."), "schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn check_says_ok_or_every_mistake() {
    let dir = folder();
    assert_eq!(pumice(dir.path(), "check net.json").ok(), "ok\n");
    change(dir.path(), r#""filters": 5, "kernel": 3"#, r#""filtres": 5, "kernel": "x""#);
    let found = pumice(dir.path(), "check net.json");
    found.fails(2, &["error: net.json:3:23: layers[0].filtres: unknown key `filtres`; did you mean `filters`?"]);
    assert_eq!(found.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 3, "{}", found.stderr);
    let json = pumice(dir.path(), "check net.json --json");
    let report: Json = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &report["ok"], &report["errors"][0]["line"]), (2, &Json::from(false), &Json::from(3)));
    change(dir.path(), r#""size": 2"#, r#""size": 20"#);
    pumice(dir.path(), "check net.json")
        .fails(2, &["net.json:4:5: layers[1]: ", "max_pool2d_1", "stem", "[N, 8, 8, 5]"]);
    // Classes that only the data could tell.
    change(dir.path(), "\"digits\"", "\"nowhere\"");
    pumice(dir.path(), "check net.json").fails(2, &["nowhere: no such folder"]);
}

#[test]
fn expanding_an_expanded_spec_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(models().len() >= 6);
    for model in models() {
        let once = pumice(dir.path(), &format!("expand {}", model.display())).ok();
        fs::write(dir.path().join("once.json"), &once).unwrap();
        assert_eq!(pumice(dir.path(), "expand once.json").ok(), once);
        assert_eq!(pumice(dir.path(), &format!("check {}", model.display())).ok(), "ok\n");
    }
}

#[test]
fn the_schema_is_the_file_in_assets() {
    let file = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/schema.json")).unwrap();
    let hint = "write it anew: pumice schema > assets/schema.json";
    assert!(pumice(Path::new("."), "schema").ok() == file, "{hint}");
}

#[test]
fn plan_prints_the_keys_of_the_contract() {
    let dir = folder();
    let plan = pumice(dir.path(), "plan net.json --batch 4 --memory 1 --json").json();
    let layer = &plan["layers"][0];
    assert_eq!((&layer["name"], &layer["op"]), (&Json::from("stem"), &Json::from("conv2d")));
    assert_eq!(layer["output"], serde_json::json!([4, 8, 8, 5]));
    // Weights and biases, gamma and beta. Running statistics are not trained.
    assert_eq!(layer["params"], 5 * 9 + 5 + 10);
    assert_eq!(plan["params"], 60 + 80 * 3 + 3);
    let parts = ["weights", "gradients", "optimizer", "activations", "workspace"];
    let sum: u64 = parts.iter().map(|part| plan["bytes"][part].as_u64().unwrap()).sum();
    assert_eq!(plan["bytes"]["total"], sum);
    assert!(plan["flops_forward"].as_u64().unwrap() > 0 && plan["dispatches_per_step"].as_u64().unwrap() > 0);
    assert!(plan["fits"] == true && plan["largest_batch"].as_u64().unwrap() > 1000);
    let tight = pumice(dir.path(), "plan net.json --memory 0.00001 --json").json();
    assert_eq!((&tight["fits"], &tight["largest_batch"]), (&Json::from(false), &Json::from(0)));
    assert!(pumice(dir.path(), "plan net.json --memory 1").ok().contains("It fits into 1.0 GiB"));
}

#[test]
fn plan_says_which_kernels_a_step_takes_and_why() {
    let dir = folder();
    for variant in ["gpu", "software"] {
        let mut command = program(dir.path(), "plan net.json --batch 4 --kernels --json");
        command.env("PUMICE_VARIANT", variant);
        let plan = finish(command).json();
        let rows = plan["kernels"].as_array().expect("a list");
        let dispatches = rows.iter().map(|row| row["dispatches"].as_u64().expect("a number")).sum::<u64>();
        assert_eq!(plan["dispatches_per_step"], dispatches, "{variant}");
        // A training step goes forward, backward and updates; each product says its family.
        for segment in ["forward", "backward", "update"] {
            assert!(rows.iter().any(|row| row["segment"] == segment), "{variant}: {segment}");
        }
        let products = rows.iter().filter_map(|row| Some((row["kernel"].as_str()?, row["why"].as_str()?)));
        let tiled = |(kernel, why): (&str, &str)| kernel.contains("tiled") == why.starts_with("tiled: ");
        let products: Vec<_> = products.filter(|(kernel, _)| kernel.starts_with("conv2d")).collect();
        assert!(!products.is_empty() && products.iter().all(|&product| tiled(product)), "{variant}: {products:?}");
        if variant == "software" {
            assert!(products.iter().all(|(_, why)| !why.starts_with("tiled")), "{products:?}");
        }
    }
    let text = pumice(dir.path(), "plan net.json --kernels").ok();
    assert!(text.contains("dispatches  why") && text.contains("stem/"), "{text}");
    assert!(!pumice(dir.path(), "plan net.json").ok().contains("why"));
}

#[test]
fn without_an_adapter_what_needs_none_works_and_the_rest_says_how_to_get_one() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let dir = folder();
    fs::create_dir(dir.path().join("run")).unwrap();
    fs::write(dir.path().join("run/spec.json"), net().replace("digits", "../digits").replace("\"auto\"", "null"))
        .unwrap();
    let weight = HostTensor::f32(&[1], vec![0.0]);
    let tensors = Tensors::from([("input".to_string(), weight)]);
    write_tensors(&dir.path().join("run/weights.safetensors"), &tensors).unwrap();
    picture(dir.path());
    let blind = |args: &str| {
        let mut command = program(dir.path(), args);
        command.env("VK_DRIVER_FILES", "/nonexistent.json").env("VK_ICD_FILENAMES", "/nonexistent.json");
        finish(command)
    };
    for works in ["check net.json", "expand net.json", "plan net.json"] {
        blind(works).ok();
    }
    let devices = blind("devices --json");
    assert_eq!(
        (devices.json(), devices.stderr.contains("mesa-vulkan-drivers")),
        (serde_json::json!({ "devices": [] }), true)
    );
    let files = "--weights run/weights.safetensors --batch run/weights.safetensors";
    for needs in [
        "train net.json --out new",
        "eval run",
        "predict run one.png",
        "verify net.json",
        &format!("trace net.json {files} --out new"),
    ] {
        blind(needs).fails(1, &["no adapter", "install", "mesa-vulkan-drivers"]);
    }
    assert!(!dir.path().join("new").exists());
}

fn picture(dir: &Path) {
    image::GrayImage::from_fn(30, 20, |x, y| image::Luma([(x * y % 256) as u8])).save(dir.join("one.png")).unwrap();
}

/// Training must refuse the data with these words, and leave no folder.
fn refuses(dir: &Path, words: &[&str]) {
    pumice(dir, "train net.json --out new").fails(2, words);
    assert!(!dir.join("new").exists());
}

#[test]
fn bad_data_is_named_and_nothing_is_written() {
    let dir = folder();
    let dir = dir.path();
    let file = |name: &str| dir.join("digits").join(name);
    let images = fs::read(file("train-images-idx3-ubyte")).unwrap();
    fs::write(file("train-images-idx3-ubyte"), &images[..1000]).unwrap();
    refuses(dir, &["digits/train-images-idx3-ubyte: the file is cut off", "promises 2880 bytes, 984 are there"]);
    fs::write(file("train-images-idx3-ubyte"), b"GIF89a, say").unwrap();
    refuses(dir, &["not an IDX file: it starts with the bytes 47 49"]);
    fs::remove_file(file("train-images-idx3-ubyte")).unwrap();
    refuses(dir, &["the training images are missing; looked for train-images-idx3-ubyte"]);
    write_split(dir, "train", 45);
    write_idx(dir, "train-labels-idx1-ubyte", &[44], &[[0; 22], [1; 22]].concat());
    refuses(dir, &["45 images, but digits/train-labels-idx1-ubyte has 44 labels"]);
    // With and without the number of classes in the data section; and in the test set alone.
    write_idx(dir, "train-labels-idx1-ubyte", &[45], &[7; 45]);
    change(dir, "\"classes\" }\n", "5 }\n");
    refuses(dir, &["train-labels-idx1-ubyte: image 0 has label 7, but there are 5 classes"]);
    change(dir, "\"validation\"", "\"classes\": 6, \"validation\"");
    refuses(dir, &["image 0 has label 7, but there are 6 classes"]);
    write_split(dir, "train", 45);
    write_idx(dir, "t10k-labels-idx1-ubyte", &[18], &[3; 18]);
    fs::write(dir.join("net.json"), net()).unwrap();
    refuses(dir, &["t10k-labels-idx1-ubyte: image 0 has label 3, but there are 3 classes"]);
    fs::remove_file(file("t10k-labels-idx1-ubyte")).unwrap();
    refuses(dir, &["digits: the test labels are missing"]);
    write_split(dir, "t10k", 18);
    change(dir, "\"height\": 8", "\"height\": 9");
    refuses(dir, &["images are [8, 8, 1]", "the spec's input is [9, 8, 1]", "--data"]);
    for (section, text) in [("loss", "\"loss\": \"cross_entropy\",\n"), ("data", &*data_line())] {
        change(dir, text, "");
        refuses(dir, &[&format!("net.json: the spec has no section `{section}`"), "add one, such as"]);
        pumice(dir, "check net.json --set layers[4].units=3").ok();
    }
    pumice(dir, "train net.json --data nowhere --out new").fails(2, &["`data`"]);
    fs::write(dir.join("net.json"), net()).unwrap();
    pumice(dir, "train net.json --data nowhere --out new").fails(2, &["nowhere: no such folder", "--data"]);
    assert!(!dir.join("new").exists());
}

fn data_line() -> String {
    let text = net();
    let line = text.lines().find(|l| l.contains("\"data\"")).unwrap();
    format!("{line}\n")
}

#[test]
fn no_run_is_overwritten() {
    let dir = folder();
    fs::create_dir(dir.path().join("taken")).unwrap();
    fs::write(dir.path().join("taken/notes.txt"), "mine").unwrap();
    pumice(dir.path(), "train net.json --out taken").fails(2, &["taken is not empty", "--out"]);
    fs::write(dir.path().join("taken/spec.json"), net()).unwrap();
    pumice(dir.path(), "train net.json --out taken").fails(2, &["taken holds a run already", "--resume taken"]);
    pumice(dir.path(), "train net.json --resume digits").fails(2, &["digits: not a run folder"]);
    pumice(dir.path(), "train net.json --out net.json").fails(2, &["net.json is a file", "--out"]);
    pumice(dir.path(), "train net.json --resume taken --out other").fails(2, &["two folders"]);
    pumice(dir.path(), "eval taken").fails(2, &["taken: the run has no weights yet", "--resume"]);
    assert_eq!(fs::read(dir.path().join("taken/notes.txt")).unwrap(), b"mine");
}
