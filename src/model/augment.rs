//! The key `augment` of the section `data`: a list of random changes, each a word or an object whose `op` decides its keys.

use super::op_object::{Variant, find_op, op_object, with_op, word_or_object};
use super::{InputShape, InputSpec, LayerNode, TrainSpec};
use crate::ops::augment::change::Change;
use crate::ops::layer::knn::KnnKeys;
use crate::spec::{Content, Diagnostics, Field, Node, Place};
use serde_json::Value as Json;

/// A word that people know and that is not there.
const MIXUP: &str = "mixup";

/// A random change of the training pictures, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct AugmentNode {
    /// The change.
    pub change: Change,
    /// Its place in the spec.
    pub place: Place,
}

impl Field for AugmentNode {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<AugmentNode> {
        let object = op_object(node, "augment", report)?;
        if object.get("op").is_some_and(|op| matches!(&op.kind, Content::String(word) if word == MIXUP)) {
            let hint = "use \"cutout\", or `label_smoothing` of the loss cross_entropy";
            report.error(node, "mixup is not there: its targets lie between two classes, and losses take one", hint);
            return None;
        }
        let word = Change::WORDS[find_op(&object, "augment", Change::WORDS, report)?];
        let change = Change::read(word, &object, &["op"], report)?;
        Some(AugmentNode { change, place: node.place() })
    }

    fn write(&self) -> Json {
        with_op(self.change.word(), self.change.write())
    }

    fn schema() -> Json {
        let variants = Change::all().into_iter().map(|(word, doc, keys)| (word, doc.to_string(), keys));
        word_or_object(variants.collect::<Vec<Variant>>())
    }
}

/// Reports changes that the samples cannot take, and a word that stands there twice.
pub(super) fn check(
    list: &[AugmentNode],
    input: &InputSpec,
    layers: &[LayerNode],
    train: Option<&TrainSpec>,
    report: &mut Diagnostics,
) {
    let fitted = layers.last().is_some_and(|layer| layer.layer.downcast_ref::<KnnKeys>().is_some());
    let solved = train.is_some_and(|train| train.optimizer.at_once());
    for (k, AugmentNode { change, place }) in list.iter().enumerate() {
        let word = change.word();
        let picture = matches!(input.shape, InputShape::Image { .. });
        let mistake = if list[..k].iter().any(|earlier| earlier.change.word() == word) {
            Some((format!("`{word}` is there twice"), "name each change once"))
        } else if !picture {
            Some((format!("`{word}` changes pictures, and the samples are rows of numbers"), "remove `augment`"))
        } else if fitted || solved {
            Some((format!("`{word}` changes what training steps see, and there are no steps"), "remove `augment`"))
        } else if change.needs_colour() && input.channels() != 3 {
            Some((format!("`{word}` needs 3 channels, found {}", input.channels()), "remove it"))
        } else if change.colours() && ![1, 3].contains(&input.channels()) {
            Some((format!("`{word}` needs 1 or 3 channels, found {}", input.channels()), "remove it"))
        } else {
            None
        };
        if let Some((message, hint)) = mistake {
            report.error_at(place, message, hint);
        }
    }
}
