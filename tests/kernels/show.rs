//! What `show` draws, against PyTorch (gradients, guided backpropagation, Grad-CAM), scikit-learn (PCA, t-SNE), and plain
//! f64 arithmetic on a trace. `fixtures/show/generate.py` made the tensors.

mod gpu;

use pumice::data::tensors::{Tensors, read_tensors};
use pumice::show::embedding::{pca, tsne};
use pumice::tensor::{Data, HostTensor};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/show").join(name)
}

fn tensors(name: &str) -> Tensors {
    read_tensors(&fixture(name)).unwrap_or_else(|e| panic!("{e}"))
}

/// Asserts that numbers differ by at most a share of the largest.
fn assert_close(found: &[f64], wanted: &[f64], share: f64, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        assert!((a - b).abs() <= share * scale, "{what}: number {i} is {a}, not {b}; the largest is {scale}");
    }
}

fn numbers(tensor: &HostTensor) -> Vec<f64> {
    tensor.data.to_f64()
}

#[test]
fn principal_components_equal_scikit_learn() {
    let expected = tensors("layout.safetensors");
    let found = pca::pca(&numbers(&expected["features"]), 12, 2);
    assert_close(&found.components, &numbers(&expected["components"]), 1e-5, "components");
    assert_close(&found.points, &numbers(&expected["points"]), 1e-5, "points");
    assert_close(&found.explained, &numbers(&expected["explained"]), 1e-5, "explained variance");
}

/// Layouts differ, and what they lose of the neighbourhoods hardly does.
#[test]
fn t_sne_loses_as_little_as_scikit_learn() {
    let expected = tensors("layout.safetensors");
    let features = numbers(&expected["features"]);
    let start = pca::pca(&features, 12, 2);
    let found = tsne::tsne(&features, 12, &start.points);
    let wanted = numbers(&expected["divergences"])[0];
    assert!((found.divergence - wanted).abs() < 0.03 * wanted, "{} instead of {wanted}", found.divergence);
    assert_eq!(found.perplexity, 30.0);
    // Neighbours are of one cluster, as the clusters are far apart.
    let Data::I32(labels) = &expected["labels"].data else { panic!("labels are i32") };
    let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
    let nearest = |i: usize| {
        let others = (0..labels.len()).filter(|&j| j != i);
        let by = |&a: &usize, &b: &usize| {
            distance(found.points[i], found.points[a]).total_cmp(&distance(found.points[i], found.points[b]))
        };
        others.min_by(by).expect("there are others")
    };
    let alike = (0..labels.len()).filter(|&i| labels[nearest(i)] == labels[i]).count();
    assert!(alike >= labels.len() * 95 / 100, "{alike} of {}", labels.len());
}

#[test]
fn few_samples_are_laid_out_too() {
    for n in [1, 3, 4, 7] {
        let samples: Vec<f64> = (0..n * 5).map(|i| (i as f64 * 1.3).sin()).collect();
        let start = pca::pca(&samples, 5, 2);
        let found = tsne::tsne(&samples, 5, &start.points);
        assert!(found.points.len() == n && found.points.iter().flatten().all(|x| x.is_finite()), "{n}");
    }
    // Equal samples have no direction, and no place of their own.
    let start = pca::pca(&[1.0; 60], 6, 2);
    assert!(tsne::tsne(&[1.0; 60], 6, &start.points).points.iter().flatten().all(|x| x.is_finite()));
}
