//! Models that are fitted by storing samples: what their spec may say, and what training writes into it.

use super::{LayerNode, LossNode, Model, TrainSpec};
use crate::ops::layer::knn::{Choices, Distance, KnnKeys};
use crate::spec::{Count, Diagnostics, Node};

impl Model {
    /// Writes into the spec what was chosen: `k` neighbours, the metric, and how many samples are stored.
    pub fn settle_knn(&mut self, k: usize, metric: Distance, samples: usize) {
        let Some((_, keys)) = self.knn() else { return };
        let (k, metric) = (Choices(vec![Count(k)]), Choices(vec![metric]));
        let keys = KnnKeys { k, metric, samples: Some(Count(samples)), ..keys.clone() };
        let last = self.layers.last_mut().expect("it has a layer knn");
        last.layer = Box::new(keys);
    }
}

/// Reports what a model with a layer `knn` cannot have: layers that must learn, a loss, an optimizer.
pub(super) fn check(
    root: &Node,
    layers: &[LayerNode],
    loss: &[LossNode],
    train: Option<&TrainSpec>,
    report: &mut Diagnostics,
) {
    let Some(knn) = layers.iter().find(|l| l.layer.downcast_ref::<KnnKeys>().is_some()) else { return };
    let others = layers.iter().filter(|l| l.name != knn.name);
    if let Some(other) = others.clone().find(|l| l.op != "flatten").or(layers.last().filter(|l| l.name != knn.name)) {
        let what = format!("layer `{}` beside `{}`: knn compares the inputs themselves", other.name, knn.name);
        report.error_at(&other.place, what, "let knn be the only layer, behind `flatten` at most");
    }
    if let Some(loss) = loss.first() {
        let what = format!("a loss, and layer `{}` is fitted by storing samples", knn.name);
        report.error_at(&loss.place, what, "leave `loss` out");
    }
    if let Some(node) =
        root.get("train").filter(|_| train.is_some_and(|t| t.optimizer != TrainSpec::default().optimizer))
    {
        let what = format!("an optimizer, and layer `{}` is fitted by storing samples", knn.name);
        report.error(node.get("optimizer").unwrap_or(node), what, "leave `optimizer` out");
    }
}
