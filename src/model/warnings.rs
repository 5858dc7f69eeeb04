//! What a spec may say, and hardly anybody means.

use super::Model;
use crate::error::Diagnostic;
use crate::spec::Place;

/// Learning rates above which an optimizer hardly ever learns. The rates that are usual lie a hundred times lower.
const MOST: [(&str, f64); 5] = [("sgd", 10.0), ("adam", 0.3), ("adamw", 0.3), ("rmsprop", 0.3), ("adagrad", 3.0)];

impl Model {
    /// What the spec says that is no mistake in its form, and yet not likely to be meant: with its place and what to do.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        self.twice().into_iter().chain(self.rate()).collect()
    }

    /// A warning at a place of the spec.
    pub fn warning(&self, place: &Place, message: String, hint: String) -> Diagnostic {
        let Place { line, column, path } = place.clone();
        Diagnostic { file: self.source.file.clone(), line, column, path, message, hint }
    }

    /// Layers that end with an activation which their loss applies again.
    fn twice(&self) -> Vec<Diagnostic> {
        let of = |term: &super::LossNode| {
            let layer = self.layers.iter().find(|layer| layer.name == term.of)?;
            let word =
                layer.output_activation().map(|kind| kind.word()).filter(|word| term.loss.applies() == Some(*word))?;
            let message =
                format!("loss `{}` applies {word} itself, and layer `{}` has applied it already", term.op, layer.name);
            let hint = format!(
                "remove the {word} from the spec: the loss is then right, and `predict` still tells probabilities"
            );
            Some(self.warning(&layer.place, message, hint))
        };
        self.loss.iter().filter_map(of).collect()
    }

    /// A learning rate with which nothing is learnt.
    fn rate(&self) -> Option<Diagnostic> {
        let optimizer = &self.train.as_ref()?.optimizer;
        if optimizer.at_once() {
            return None;
        }
        let lr = optimizer.optimizer.lr();
        let most = MOST.iter().find(|(op, _)| *op == optimizer.op).map_or(f64::INFINITY, |(_, most)| *most);
        let message = match lr {
            0.0 => "with a learning rate of 0 nothing is learnt".to_string(),
            _ if lr > most => format!("a learning rate of {lr} is far more than {} usually bears", optimizer.op),
            _ => return None,
        };
        Some(self.warning(&optimizer.lr, message, format!("try {}", most / 100.0)))
    }
}
