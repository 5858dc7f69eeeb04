//! What losses and metrics of classes ask of their inputs.

use crate::graph::ShapeError;
use crate::ops::layer::softmax::MAX_CLASSES;
use crate::tensor::{DType, TensorType};

/// Checks that a loss or metric, called `of` in messages, gets scores `[N, C]` and labels i32 `[N]`.
///
/// # Errors
/// Other shapes, or more classes than the kernels can loop over.
pub fn check_classes(scores: &TensorType, labels: &TensorType, of: &str) -> Result<(), ShapeError> {
    if !scores.batched || scores.dims.len() != 1 || scores.dtype != DType::F32 {
        let hint = "end with a dense layer, or add a flatten layer";
        return Err(ShapeError::new(format!("{of} needs an output of shape [N, classes], found {scores}"), hint));
    }
    if *labels != TensorType::batch(&[]).with(DType::I32) {
        let what = format!("{of} needs one class index a sample, [N] i32, found targets of shape {labels}");
        return Err(ShapeError::new(what, "use mse for targets that are numbers"));
    }
    if scores.channels() > MAX_CLASSES {
        let hint = format!("use at most {}", MAX_CLASSES);
        return Err(ShapeError::new(format!("{of} over {} classes", scores.channels()), hint));
    }
    Ok(())
}

/// One sample's label. A label that is no class is moved to the nearest one, as in the kernels.
pub fn label(labels: &[f64], n: usize, classes: usize) -> usize {
    labels[n].clamp(0.0, (classes - 1) as f64) as usize
}
