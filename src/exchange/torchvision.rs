//! The names that torchvision (0.15 and later) gives the tensors of its models, in the order of definition here.
//!
//! A head that says offsets and scores with one convolution is two there: `OFFSETS+SCORES`.

/// Tensors of a module: its weight, perhaps its bias; of a norm the statistics, too.
fn module(names: &mut Vec<String>, module: &str, parts: &[&str]) {
    names.extend(parts.iter().map(|part| format!("{module}.{part}")));
}

const BIASED: &[&str] = &["weight", "bias"];
const PLAIN: &[&str] = &["weight"];
const NORM: &[&str] = &["weight", "bias", "running_mean", "running_var"];

/// The names, for a model of the shelf by its name. None for a model that torchvision has not.
pub fn names(model: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    match model {
        "alexnet" => sequence(&mut names, &[0, 3, 6, 8, 10], &[1, 4, 6]),
        "vgg16" => sequence(&mut names, &vgg([2, 2, 3, 3, 3]), &[0, 3, 6]),
        "vgg19" => sequence(&mut names, &vgg([2, 2, 4, 4, 4]), &[0, 3, 6]),
        "resnet18" => resnet(&mut names, [2, 2, 2, 2], 2),
        "resnet34" => resnet(&mut names, [3, 4, 6, 3], 2),
        "resnet50" => resnet(&mut names, [3, 4, 6, 3], 3),
        "resnet101" => resnet(&mut names, [3, 4, 23, 3], 3),
        "resnet152" => resnet(&mut names, [3, 8, 36, 3], 3),
        "squeezenet" => squeezenet(&mut names),
        "mobilenet_v2" => mobilenet_v2(&mut names),
        "googlenet_bn" => googlenet(&mut names),
        "ssd300_vgg16" => ssd(&mut names),
        "faster_rcnn_resnet50_fpn" => pyramid(&mut names),
        "mask_rcnn_resnet50_fpn" => {
            pyramid(&mut names);
            (0..4).for_each(|i| module(&mut names, &format!("roi_heads.mask_head.{i}.0"), BIASED));
            module(&mut names, "roi_heads.mask_predictor.conv5_mask", BIASED);
            module(&mut names, "roi_heads.mask_predictor.mask_fcn_logits", BIASED);
        }
        _ => return None,
    }
    Some(names)
}

/// Layers of `features` and `classifier` at these places.
fn sequence(names: &mut Vec<String>, features: &[usize], classifier: &[usize]) {
    features.iter().for_each(|i| module(names, &format!("features.{i}"), BIASED));
    classifier.iter().for_each(|i| module(names, &format!("classifier.{i}"), BIASED));
}

/// The places of VGG's convolutions: a relu stands behind each, a pool behind each stage.
fn vgg(stages: [usize; 5]) -> Vec<usize> {
    let mut at = 0;
    let mut places = Vec::new();
    for convolutions in stages {
        for _ in 0..convolutions {
            places.push(at);
            at += 2;
        }
        at += 1;
    }
    places
}

/// ResNet's stages with these many blocks, each of `depth` convolutions.
fn resnet(names: &mut Vec<String>, stages: [usize; 4], depth: usize) {
    module(names, "conv1", PLAIN);
    module(names, "bn1", NORM);
    for (stage, blocks) in stages.into_iter().enumerate() {
        for block in 0..blocks {
            let name = format!("layer{}.{block}", stage + 1);
            for i in 1..=depth {
                module(names, &format!("{name}.conv{i}"), PLAIN);
                module(names, &format!("{name}.bn{i}"), NORM);
            }
            // A block whose input has another shape than its output projects it.
            if block == 0 && (stage > 0 || depth == 3) {
                module(names, &format!("{name}.downsample.0"), PLAIN);
                module(names, &format!("{name}.downsample.1"), NORM);
            }
        }
    }
    module(names, "fc", BIASED);
}

/// A convolution and its batch norm, modules of their own.
fn normed(names: &mut Vec<String>, convolution: &str, norm: &str) {
    module(names, convolution, PLAIN);
    module(names, norm, NORM);
}

/// MobileNetV2: the stem, 17 blocks, and the last convolution.
fn mobilenet_v2(names: &mut Vec<String>) {
    normed(names, "features.0.0", "features.0.1");
    for block in 1..=17 {
        let name = format!("features.{block}.conv");
        // The first block does not widen its input.
        let inner = if block == 1 { 1 } else { 2 };
        for i in 0..inner {
            normed(names, &format!("{name}.{i}.0"), &format!("{name}.{i}.1"));
        }
        normed(names, &format!("{name}.{inner}"), &format!("{name}.{}", inner + 1));
    }
    normed(names, "features.18.0", "features.18.1");
    module(names, "classifier.1", BIASED);
}

/// GoogLeNet with batch norm and auxiliary heads.
fn googlenet(names: &mut Vec<String>) {
    let conv = |names: &mut Vec<String>, name: &str| normed(names, &format!("{name}.conv"), &format!("{name}.bn"));
    ["conv1", "conv2", "conv3"].iter().for_each(|name| conv(names, name));
    for module in ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"] {
        for branch in ["branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1"] {
            conv(names, &format!("inception{module}.{branch}"));
        }
    }
    for head in ["aux1", "aux2"] {
        conv(names, &format!("{head}.conv"));
        ["fc1", "fc2"].iter().for_each(|name| module(names, &format!("{head}.{name}"), BIASED));
    }
    module(names, "fc", BIASED);
}

/// SqueezeNet 1.1.
fn squeezenet(names: &mut Vec<String>) {
    module(names, "features.0", BIASED);
    for fire in [3, 4, 6, 7, 9, 10, 11, 12] {
        for part in ["squeeze", "expand1x1", "expand3x3"] {
            module(names, &format!("features.{fire}.{part}"), BIASED);
        }
    }
    module(names, "classifier.1", BIASED);
}

/// Offsets and scores of boxes.
fn boxes(names: &mut Vec<String>, offsets: &str, scores: &str) {
    names.extend(BIASED.iter().map(|part| format!("{offsets}.{part}+{scores}.{part}")));
}

/// SSD300 on VGG-16.
fn ssd(names: &mut Vec<String>) {
    let stages = vgg([2, 2, 3, 3, 3]);
    stages[..10].iter().for_each(|i| module(names, &format!("backbone.features.{i}"), BIASED));
    ["0.1", "0.3", "0.5", "0.7.1", "0.7.3"].iter().for_each(|i| module(names, &format!("backbone.extra.{i}"), BIASED));
    for extra in 1..=4 {
        [0, 2].iter().for_each(|i| module(names, &format!("backbone.extra.{extra}.{i}"), BIASED));
    }
    names.push("backbone.scale_weight".into());
    for level in 0..6 {
        let list = |head: &str| format!("head.{head}_head.module_list.{level}");
        boxes(names, &list("regression"), &list("classification"));
    }
}

/// Faster R-CNN on ResNet-50 with a feature pyramid.
fn pyramid(names: &mut Vec<String>) {
    let mut backbone = Vec::new();
    resnet(&mut backbone, [3, 4, 6, 3], 3);
    backbone.retain(|name| !name.starts_with("fc."));
    names.extend(backbone.iter().map(|name| format!("backbone.body.{name}")));
    (0..4).rev().for_each(|i| module(names, &format!("backbone.fpn.inner_blocks.{i}.0"), BIASED));
    (0..4).for_each(|i| module(names, &format!("backbone.fpn.layer_blocks.{i}.0"), BIASED));
    module(names, "rpn.head.conv.0.0", BIASED);
    boxes(names, "rpn.head.bbox_pred", "rpn.head.cls_logits");
    for layer in ["box_head.fc6", "box_head.fc7", "box_predictor.cls_score", "box_predictor.bbox_pred"] {
        module(names, &format!("roi_heads.{layer}"), BIASED);
    }
}
