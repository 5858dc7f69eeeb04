//! Models that are solved for at once: what their spec may say.

use super::{LayerNode, LossNode, OptimizerSpec, TrainSpec};
use crate::error::{Error, Result};
use crate::spec::{Diagnostics, Node, Place};

impl OptimizerSpec {
    /// Whether it solves for all parameters at once, without updates.
    pub fn at_once(&self) -> bool {
        self.optimizer.update(crate::graph::Arena::Gradients, 0.0).is_none()
    }

    /// Fails, for something that needs updates, if there are none.
    ///
    /// # Errors
    /// An optimizer that solves for all parameters at once.
    pub fn need_updates(&self) -> Result<()> {
        if !self.at_once() {
            return Ok(());
        }
        let what = format!("`{}` solves for all parameters at once: there are no updates to follow", self.op);
        Err(Error::usage(what, "choose another optimizer, such as --set train.optimizer=sgd"))
    }
}

/// Reports what `normal_equation` cannot solve: anything but one dense layer whose output is judged by mse.
pub(super) fn check(
    root: &Node,
    layers: &[LayerNode],
    loss: &[LossNode],
    train: Option<&TrainSpec>,
    report: &mut Diagnostics,
) {
    let Some(train) = train.filter(|t| t.optimizer.at_once()) else { return };
    let hint = "choose another optimizer, such as \"sgd\", or let one dense layer with the loss mse be the model, behind `flatten` at most";
    let mut refuse = |place: &Place, what: String| {
        report.error_at(place, format!("{what}, and `{}` has no solution for that", train.optimizer.op), hint);
    };
    let Some((last, before)) = layers.split_last() else { return };
    if let Some(other) = before.iter().find(|l| l.op != "flatten").or(Some(last).filter(|l| l.op != "dense")) {
        return refuse(&other.place, format!("layer `{}` is `{}`", other.name, other.op));
    }
    if let Some(activation) = last.activation {
        return refuse(&last.place, format!("layer `{}` has the activation `{}`", last.name, activation.kind.word()));
    }
    if !last.trainable {
        return refuse(&last.place, format!("layer `{}` is not trainable", last.name));
    }
    if let Some(term) = loss.iter().find(|term| term.op != "mse") {
        return refuse(&term.place, format!("the loss is `{}`", term.op));
    }
    if let Some(term) = loss.get(1).or(loss.iter().find(|term| term.of != last.name || term.weight == 0.0)) {
        return refuse(&term.place, "the loss is not that of the dense layer's output alone".into());
    }
    if let Some(l1) = root.get("train").and_then(|node| node.get("l1")).filter(|_| train.l1.get() > 0.0) {
        refuse(&l1.place(), "there is an L1 penalty".into());
    }
}
