//! Between a batch and the network: random changes of its pictures, and of the targets that move along.

use crate::graph::{Builder, Op, RefCx, RefTensor, ShapeError, Step, Value, name_salt};
use crate::model::{InputShape, LossNode, Model, Normalize};
use crate::ops::TargetType;
use crate::ops::augment::augment_boxes::AugmentBoxes;
use crate::ops::augment::augment_draw::AugmentDraw;
use crate::ops::augment::augment_image::{AugmentImage, Colours};
use crate::ops::augment::augment_mask::AugmentMask;
use crate::ops::augment::change::Change;
use crate::ops::augment::map::NUMBERS;

/// The class of pixels that come from outside of a picture, where the loss does not say which one does not count.
const OUTSIDE: i32 = 255;
/// What the nodes belong to.
const SCOPE: &str = "augment";

/// The changes that a spec lists. On the adapter they are nodes; here the same numbers can be had for a single sample.
pub struct Changes {
    draw: AugmentDraw,
    image: AugmentImage,
    /// Height and width of the pictures.
    size: [usize; 2],
    channels: usize,
    /// Whether targets move.
    moves: bool,
}

impl Changes {
    /// Those of a model. None where nothing changes.
    pub fn of(model: &Model) -> Option<Changes> {
        let nodes = model.data.iter().flat_map(|data| &data.augment);
        let list: Vec<Change> = nodes.map(|node| node.change.clone()).collect();
        let InputShape::Image { height, width, channels } = model.input.shape else { return None };
        if list.is_empty() {
            return None;
        }
        let colours = list.iter().any(Change::colours).then(|| match &model.input.normalize {
            Some(Normalize::Values { mean, std }) => Colours { mean: mean.clone(), std: std.clone() },
            // Training replaces "auto" by measured values. A plan needs only their number.
            _ => Colours { mean: vec![0.0], std: vec![1.0] },
        });
        let moves = list.iter().any(Change::moves);
        let size = [height, width];
        Some(Changes { draw: AugmentDraw::new(list, size), image: AugmentImage { colours }, size, channels, moves })
    }

    /// What an op of a sample computes, from one of its tensors and the numbers that number `sample` of the batch gets in
    /// this step.
    fn changed(&self, op: &dyn Op, dims: &[usize], plain: Vec<f64>, step: &Step, sample: usize) -> Vec<f64> {
        let salt = name_salt(&format!("{SCOPE}/{}", self.draw.name()));
        let numbers = self.draw.numbers(step, salt, sample);
        let indices: Vec<usize> = (0..plain.len()).collect();
        let inputs = [RefTensor::new([&[1], dims].concat(), plain), RefTensor::new(vec![1, NUMBERS], numbers.to_vec())];
        op.reference(&RefCx { inputs: &inputs, n: 1, step, salt: 0 }, 0, &indices)
    }

    /// A normalised picture `[h, w, c]`, as a step shows it to the network at place `sample` of the batch.
    pub fn picture(&self, plain: Vec<f64>, step: &Step, sample: usize) -> Vec<f64> {
        let [h, w] = self.size;
        self.changed(&self.image, &[h, w, self.channels], plain, step, sample)
    }

    /// The mask `[h, w]` of such a picture.
    pub fn mask(&self, plain: Vec<f64>, dims: &[usize], step: &Step, sample: usize) -> Vec<f64> {
        let op = AugmentMask { size: self.size, outside: OUTSIDE };
        self.changed(&op, dims, plain, step, sample)
    }

    /// The boxes `[boxes, 5]` of such a picture.
    pub fn boxes(&self, plain: Vec<f64>, step: &Step, sample: usize) -> Vec<f64> {
        let dims = [plain.len() / 5, 5];
        self.changed(&AugmentBoxes { size: self.size }, &dims, plain, step, sample)
    }
}

/// Inserts the changes of a batch of normalised pictures. Returns the changed pictures, and the numbers that were drawn.
pub(super) fn picture(b: &mut Builder, model: &Model, plain: Value) -> Option<(Value, Value)> {
    let Changes { draw, image, .. } = Changes::of(model)?;
    b.scope = SCOPE.into();
    let numbers = b.one(draw, &[]);
    Some((b.one(image, &[plain, numbers]), numbers))
}

/// The target of a loss, moved as its picture is. Classes and values of a whole picture stay.
///
/// # Errors
/// A target that cannot be moved.
pub(super) fn target(
    b: &mut Builder,
    model: &Model,
    choice: &TargetType,
    [plain, numbers]: [Value; 2],
    term: &LossNode,
) -> Result<Value, ShapeError> {
    let Some(Changes { size, moves: true, .. }) = Changes::of(model) else { return Ok(plain) };
    b.scope = SCOPE.into();
    match choice.field {
        "label" | "values" => Ok(plain),
        "mask" => {
            let outside = term.loss.ignore().unwrap_or(OUTSIDE);
            Ok(b.one(AugmentMask { size, outside }, &[plain, numbers]))
        }
        "boxes" | "proposals" => Ok(b.one(AugmentBoxes { size }, &[plain, numbers])),
        // Outside of the picture there is no object.
        "instances" => Ok(b.one(AugmentMask { size, outside: 0 }, &[plain, numbers])),
        other => {
            let what = format!("the changes of `data.augment` cannot move the target `{other}`");
            Err(ShapeError::new(what, "keep only brightness, contrast, saturation, hue and cutout"))
        }
    }
}
