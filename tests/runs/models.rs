//! Every model of `assets/models`, including those of the benchmarks. Without an adapter: it can be read and planned,
//! and has the published number of parameters. On the adapter: all of its nodes, forward and backward, against their
//! references; finite differences for the smallest; and five steps on one batch. Models for pictures of 224 x 224 or more
//! run there with `PUMICE_TEST_ALL=1` (`make test-all`).

mod gpu;

use pumice::compile::build::{BuildOptions, Feed, build};
use pumice::compile::plan;
use pumice::graph::{Caps, NodeKind};
use pumice::model::{self, Model, TrainSpec};
use pumice::ops::layer::anchors::Geometry;
use pumice::spec::Source;
use pumice::train::problem;
use std::path::{Path, PathBuf};

/// Numbers of trainable parameters, as published. For CIFAR-10: kuangliu/pytorch-cifar (VGG-16), and the tables of He
/// et al. with projections (ResNet-20). For 224 x 224: torchvision's table of models, with both auxiliary heads
/// for googlenet_bn; for GoogLeNet, which torchvision has in another form, Caffe's bvlc_googlenet with both auxiliary heads; for MobileNet keras.applications ("trainable
/// params").
const PUBLISHED: [(&str, u64); 16] = [
    ("alexnet", 61_100_840),
    ("googlenet", 13_378_280),
    ("googlenet_bn", 13_004_888),
    ("mobilenet_v1", 4_231_976),
    ("mobilenet_v2", 3_504_872),
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

/// Models whose targets are masks, and their numbers of trained and of fixed parameters. Published: of U-Net in PyTorch
/// with one channel and two classes, and of FCN-8s the sum over the authors' `voc-fcn8s/train.prototxt`.
const MASKS: [(&str, u64, u64); 3] = [
    ("unet", 31_030_658, 0),
    ("fcn8s_vgg16", 134_362_751, 21 * 21 * (2 * 4 * 4 + 16 * 16)),
    // Not published: 18 convolutions and their batch norms, four transposed convolutions, the scores.
    ("unet_nuclei", 486_562, 0),
];

/// Detectors, and what finds one object: trained parameters, and boxes. Published: SSD300 for VOC (Liu et al. 2016; 8,732 in section 3), the sums over
/// yolov3.cfg and yolov3-tiny.cfg at 416 x 416, and over the layers of the first YOLO's figure 3.
const DETECTORS: [(&str, u64, usize); 14] = [
    ("ssd300_vgg16", 26_285_486, 8732),
    ("yolo_v1", 271_703_550, 0),
    ("yolov3", 61_949_149, 10_647),
    ("yolov3_tiny", 8_852_366, 2535),
    // torchvision's numbers with frozen batch norms; those of VGG-16 are sums over Girshick's train.prototxt, less the second score
    // of each of nine boxes.
    ("faster_rcnn_resnet50_fpn", 41_755_286, 0),
    ("mask_rcnn_resnet50_fpn", 44_401_393, 0),
    ("fast_rcnn_vgg16", 134_690_729, 0),
    ("faster_rcnn_vgg16", 137_078_239 - 9 * 513, 0),
    // Not published: convolutions without bias and their batch norms, the head of the boxes, two layers over regions of 7 x 7, and
    // for the background and three classes a score and four offsets each.
    ("fast_rcnn_small", RCNN_TRUNK - (9 * 64 + 1) * 64 + RCNN_HEAD, 0),
    ("faster_rcnn_small", RCNN_TRUNK + 65 * 30 + RCNN_HEAD, 0),
    ("mask_rcnn_small", RCNN_TRUNK + 65 * 20 + RCNN_HEAD + 9 * (32 * 32 + 32 * 32) + 4 * 32 * 32 + 3 * 32 + 33 * 4, 0),
    // Not published: convolutions without bias and their batch norms, and heads for three classes.
    ("ssd_small", 9 * 65_072 + 2 * 720 + 9 * (64 * 16 + 2 * 128 * 48) + 16 + 2 * 48, 4680),
    ("yolo_small", 9 * (48_688 + 96 * 48) + 128 * 32 + 2 * 672 + 129 * 32 + 49 * 8, 2400),
    // Not published: three convolutions without bias, a dense layer of 128 units without bias, their batch norms, two heads.
    ("locate_shapes", 9 * (3 * 16 + 16 * 32 + 32 * 64) + 64 * 64 * 128 + 2 * (16 + 32 + 64 + 128) + 129 * 7, 0),
];

/// What both small detectors of two stages begin with: six convolutions, and the hidden one of the boxes.
const RCNN_TRUNK: u64 =
    9 * (3 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 2 * 64 * 64) + 2 * (16 + 2 * 32 + 3 * 64) + (9 * 64 + 1) * 64;
/// And what they say of each region.
const RCNN_HEAD: u64 = (49 * 64 + 1) * 256 + 257 * 256 + 257 * 20;

/// Detectors that take seconds on a software adapter, though their pictures are large.
const SMALL: [&str; 4] = ["fast_rcnn_small", "faster_rcnn_small", "ssd_small", "yolo_small"];

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

/// The model, whose classes are counted, and its section `train` with this batch.
fn load(path: &Path, batch: usize) -> (Model, TrainSpec) {
    let mut model = model::load(Source::open(path).expect("a readable file"), &[]).unwrap_or_else(|e| panic!("{e}"));
    let mut train = model.train.clone().unwrap_or_default();
    train.batch.0 = batch;
    problem::count_classes(&mut model, None).unwrap_or_else(|e| panic!("{e}"));
    (model, train)
}

/// Names and sizes of all parameters, trained or not.
fn parameters(model: &Model) -> Vec<(String, u64)> {
    let options = BuildOptions { training: true, random: true, loss: false, feed: Feed::Host };
    let graph = build(model, &options).unwrap_or_else(|e| panic!("{e}"));
    let parameters = graph.nodes.iter().filter(|n| matches!(n.kind, NodeKind::Parameter { .. }));
    parameters.map(|n| (n.name.clone(), n.outputs[0].items() as u64)).collect()
}

/// Boxes of the layer `anchors` that a model ends with; 0 if it ends with another.
fn boxes_of(model: &Model) -> usize {
    let options = BuildOptions { training: true, random: true, loss: false, feed: Feed::Host };
    let graph = build(model, &options).unwrap_or_else(|e| panic!("{e}"));
    let output = graph.layers.last().and_then(|layer| layer.output);
    output.and_then(|output| Geometry::of(&graph, output)).map_or(0, |geometry| geometry.count())
}

#[test]
fn every_model_can_be_planned() {
    let mut found = Vec::new();
    for path in models() {
        let (model, train) = load(&path, 1);
        let plan = plan::plan(&model, &train, &Caps::default(), None);
        let plan = plan.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let stem = path.file_stem().expect("a file name").to_string_lossy().into_owned();
        assert_eq!(model.name, stem, "the name in {}", path.display());
        if let Some((name, params)) = PUBLISHED.iter().find(|(name, _)| *name == stem) {
            assert_eq!(plan.params, *params, "{name}");
            found.push(*name);
        }
        if let Some((name, params, fixed)) = MASKS.iter().find(|(name, ..)| *name == stem) {
            let all: u64 = parameters(&model).iter().map(|(_, items)| items).sum();
            assert_eq!((plan.params, all - plan.params), (*params, *fixed), "{name}");
            found.push(*name);
        }
        if let Some((name, params, boxes)) = DETECTORS.iter().find(|(name, ..)| *name == stem) {
            assert_eq!((plan.params, boxes_of(&model)), (*params, *boxes), "{name}");
            found.push(*name);
        }
    }
    assert_eq!(found.len(), PUBLISHED.len() + MASKS.len() + DETECTORS.len(), "only {found:?}");
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

/// The weights of a trained VGG-16 serve as the trunk of FCN-8s, by name.
#[test]
fn fcn8s_takes_the_convolutions_of_vgg16() {
    let of = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("assets/models/{name}.json"));
        parameters(&load(&path, 1).0)
    };
    let (vgg, fcn) = (of("vgg16"), of("fcn8s_vgg16"));
    let shared = vgg.iter().filter(|parameter| fcn.contains(parameter)).count();
    assert_eq!(shared, 2 * 13, "weight and bias of thirteen convolutions");
}
