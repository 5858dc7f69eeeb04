//! Models that are fitted by storing samples: what their spec may say, and what training settles in it.

use super::{DataKind, LayerNode, LossNode, Model, TrainSpec};
use crate::ops::knn::{Choices, KnnKeys, Metric};
use crate::spec::{Count, Node, Report};
use crate::tensor::{DType, TensorType};

impl Model {
    /// The layer that stores samples, and its keys.
    pub fn knn(&self) -> Option<(&LayerNode, &KnnKeys)> {
        let last = self.layers.last()?;
        last.layer.knn().map(|keys| (last, keys))
    }

    /// Writes down what was chosen: `k` neighbours, the metric, and how many samples are stored.
    pub fn settle_knn(&mut self, k: usize, metric: Metric, samples: usize) {
        let Some((_, keys)) = self.knn() else { return };
        let (k, metric) = (Choices(vec![Count(k)]), Choices(vec![metric]));
        let keys = KnnKeys { k, metric, samples: Some(Count(samples)), ..keys.clone() };
        let last = self.layers.last_mut().expect("it has a layer knn");
        last.layer = Box::new(keys);
    }

    /// The type of a batch of inputs: f32, but for stored images that nothing normalises, whose bytes are compared as they are.
    pub fn input_type(&self) -> TensorType {
        let csv = self.data.as_ref().is_some_and(|data| data.kind == DataKind::Csv);
        let bytes = self.knn().is_some() && self.input.normalize.is_none() && !csv;
        TensorType::batch(&self.input.dims()).with(if bytes { DType::U8 } else { DType::F32 })
    }
}

/// Reports what a model with a layer `knn` cannot have: layers that would have to learn, a loss, an optimizer.
pub(super) fn check(
    root: &Node,
    layers: &[LayerNode],
    loss: &[LossNode],
    train: Option<&TrainSpec>,
    report: &mut Report,
) {
    let Some(knn) = layers.iter().find(|l| l.layer.knn().is_some()) else { return };
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
