//! Without an adapter: every gradient of every row of the case table, computed
//! by the graph in f64, against central differences of the forward pass in f64.

use pumice::check::cases::{Case, cases};
use pumice::check::targets;
use pumice::check::verify::sample;
use pumice::compile::autodiff::autodiff;
use pumice::compile::build::{BuildOptions, Feed};
use pumice::compile::unfused_training_graph;
use pumice::graph::{Builder, Fill, Graph, NodeKind, RefTensor, Step, walk};
use pumice::ops::layer::dense::Dense;
use pumice::ops::loss::elementwise_loss::{Criterion, ElementwiseLoss};
use pumice::ops::plumbing::mean_loss::MeanLoss;
use pumice::tensor::{DType, TensorType};
use std::collections::HashMap;

/// First values of inputs, parameters and states: random, so with probability one not at a kink.
fn sources(graph: &Graph, step: &Step) -> HashMap<usize, RefTensor> {
    let mut map = HashMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        if matches!(node.kind, NodeKind::Op(_)) {
            continue;
        }
        let ty = &node.outputs[0];
        let shape = ty.shape(step.n as usize);
        let len = shape.iter().product();
        let noise = Fill::Normal(1.0).values(len, 11, &node.name);
        let data: Vec<f64> = match (&node.kind, ty.dtype) {
            (NodeKind::Input, _) if targets::named(graph, &node.name, ty, &noise).is_some() => {
                targets::named(graph, &node.name, ty, &noise).map(|data| data.to_f64()).unwrap_or_default()
            }
            (_, DType::I32) => {
                let classes = targets::classes(graph, &node.name).expect("a reader of targets knows their classes");
                targets::random(classes, ty, &noise).into_iter().map(f64::from).collect()
            }
            // Variances and similar numbers must stay positive.
            (NodeKind::State { .. }, _) => noise.iter().map(|x| 1.0 + 0.2 * f64::from(x.tanh())).collect(),
            _ => noise.iter().map(|&x| f64::from(x)).collect(),
        };
        map.insert(i, RefTensor::new(shape, data));
    }
    map
}

fn check(case: &Case, wrong: &mut Vec<String>) -> usize {
    let options = BuildOptions { training: case.training, random: true, loss: true, feed: Feed::Host };
    let graph = unfused_training_graph(&case.model, &options, &["input"], None)
        .unwrap_or_else(|e| panic!("{}: {e}", case.name));
    compare(&case.name, &graph, case.train.batch.0, wrong)
}

/// Compares up to 12 elements of every gradient of a graph. Returns how many it compared.
fn compare(case: &str, graph: &Graph, batch: usize, wrong: &mut Vec<String>) -> usize {
    let loss = graph.loss.expect("every row has a loss");
    let forward = Graph { nodes: graph.nodes[..=loss.node].to_vec(), ..Graph::default() };
    let step = Step { seed: 3, ..Step::of(batch) };
    let mut sources = sources(graph, &step);
    let all = walk::walk(graph, &step, |i| sources[&i].clone());
    let mut compared = 0;
    for gradient in &graph.gradients {
        let name = &graph.nodes[gradient.of].name;
        let analytic = &all[gradient.value.node][gradient.value.out].data;
        let scale = analytic.iter().fold(0.0f64, |m, g| m.max(g.abs())).max(1e-4);
        for index in sample(analytic.len(), 12) {
            let delta = 1e-5;
            let old = sources[&gradient.of].data[index];
            let mut at = |x: f64| {
                sources.get_mut(&gradient.of).expect("a source").data[index] = x;
                walk::walk_again(&forward, &step, &all[..forward.nodes.len()], |i| sources[&i].clone())[loss.node]
                    [loss.out]
                    .data[0]
            };
            let difference = (at(old + delta) - at(old - delta)) / (2.0 * delta);
            at(old);
            compared += 1;
            if (difference - analytic[index]).abs() > 1e-6 * scale + 1e-9 {
                wrong.push(format!("{case}: d{name}[{index}] is {}, differences say {difference}", analytic[index]));
            }
        }
    }
    compared
}

#[test]
fn gradients_equal_finite_differences() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for case in cases().unwrap_or_else(|e| panic!("{e}")).iter().filter(|c| !c.large && !c.model.loss.is_empty()) {
        compared += check(case, &mut wrong);
    }
    assert!(compared > 500, "only {compared} gradients were compared");
    assert!(wrong.is_empty(), "{} of {compared} gradients are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Two layers share a weight, and one of them comes after a frozen weight.
/// The gradients of both uses add up; the frozen weight gets none.
#[test]
fn shared_and_frozen_parameters() {
    let mut b = Builder::default();
    let x = b.input("input", TensorType::batch(&[4]));
    let target = b.input("target", TensorType::batch(&[4]));
    let shared = b.parameter("shared", &[4, 4], Fill::Normal(0.5), true);
    let frozen = b.parameter("frozen", &[4, 4], Fill::Normal(0.5), false);
    assert_eq!(shared, b.parameter("shared", &[4, 4], Fill::Normal(0.5), true), "one name is one tensor");
    let dense = || Dense { bias: false, activation: None };
    let mut y = b.one(dense(), &[x, shared]);
    y = b.one(dense(), &[y, frozen]);
    y = b.one(dense(), &[y, shared]);
    let each = b.one(ElementwiseLoss { criterion: Criterion::Mse }, &[y, target]);
    b.graph.loss = Some(b.one(MeanLoss { weight: 1.0 }, &[each]));
    let graph = autodiff(std::mem::take(&mut b.graph), &["input"]);
    let names: Vec<&str> = graph.gradients.iter().map(|g| graph.nodes[g.of].name.as_str()).collect();
    assert_eq!(names, ["input", "shared"]);
    let mut wrong = Vec::new();
    assert!(compare("shared", &graph, 3, &mut wrong) > 20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
