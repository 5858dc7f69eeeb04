//! Every model of `assets/models`, including those of the benchmarks. Without an adapter: it can be read and planned,
//! and has the published number of parameters. On the adapter: all of its nodes, forward and backward, against their
//! references; finite differences for the smallest; and five steps on one batch. Models for pictures of 224 x 224 run
//! there with `PUMICE_TEST_ALL=1` (`make test-all`).

mod common;
#[path = "models/gpu.rs"]
mod gpu;

use pumice::compile::plan;
use pumice::graph::Caps;
use pumice::model::{self, Model, TrainSpec};
use pumice::spec::Source;
use pumice::train::problem;
use std::path::{Path, PathBuf};

/// Numbers of trainable parameters, as published. For CIFAR-10: kuangliu/pytorch-cifar (VGG-16), and the tables of He
/// et al. with projections (ResNet-20). For 224 x 224: torchvision's table of models; for GoogLeNet, which torchvision
/// has in another form, Caffe's bvlc_googlenet with both auxiliary heads; for MobileNet keras.applications ("trainable
/// params").
const PUBLISHED: [(&str, u64); 14] = [
    ("alexnet", 61_100_840),
    ("googlenet", 13_378_280),
    ("mobilenet_v1", 4_231_976),
    ("resnet18", 11_689_512),
    ("resnet34", 21_797_672),
    ("resnet50", 25_557_032),
    ("resnet101", 44_549_160),
    ("resnet152", 60_192_808),
    ("resnet20_cifar10", 272_474),
    ("squeezenet", 1_235_496),
    ("vgg16", 138_357_544),
    ("vgg19", 143_667_240),
    ("vgg16_cifar10", 14_728_266),
    // Not published: six convolutions without bias, their batch norms, two dense layers.
    (
        "vgg_small_cifar10",
        9 * (3 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128) + 4 * (32 + 64 + 128) + 2049 * 256 + 257 * 10,
    ),
];

fn models() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/models");
    let folders = [folder.join("bench"), folder];
    let entries = folders.iter().flat_map(|f| std::fs::read_dir(f).expect("the folder is part of the project"));
    let mut list: Vec<PathBuf> =
        entries.map(|e| e.expect("a readable folder").path()).filter(|p| p.is_file()).collect();
    list.sort();
    assert!(list.len() >= 23, "only {} models", list.len());
    list
}

/// The model, its section `train` with this batch, and its number of classes.
fn load(path: &Path, batch: usize) -> (Model, TrainSpec, Option<usize>) {
    let model = model::load(Source::open(path).expect("a readable file"), &[]).unwrap_or_else(|e| panic!("{e}"));
    let mut train = model.train.clone().unwrap_or_default();
    train.batch.0 = batch;
    let classes = problem::classes(&model, None).unwrap_or_else(|e| panic!("{e}"));
    (model, train, classes)
}

#[test]
fn every_model_can_be_planned() {
    let mut found = Vec::new();
    for path in models() {
        let (model, train, classes) = load(&path, 1);
        let plan = plan::plan(&model, &train, classes, &Caps::default(), None);
        let plan = plan.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let stem = path.file_stem().expect("a file name").to_string_lossy().into_owned();
        assert_eq!(model.name, stem, "the name in {}", path.display());
        if let Some((name, params)) = PUBLISHED.iter().find(|(name, _)| *name == stem) {
            assert_eq!(plan.params, *params, "{name}");
            found.push(*name);
        }
    }
    assert_eq!(found.len(), PUBLISHED.len(), "only {found:?}");
}

/// Models whose length people compare must be written in few lines.
#[test]
fn large_models_fit_a_screen() {
    for name in ["resnet50", "resnet152", "googlenet"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("assets/models/{name}.json"));
        let lines = std::fs::read_to_string(path).expect("a readable file").lines().count();
        assert!(lines < 80, "{name} has {lines} lines");
    }
}
