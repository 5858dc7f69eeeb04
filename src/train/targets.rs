//! Targets of the data set: whether the losses can judge them, and their type in a program.

use crate::data::{BOXES, Column, VALUES, store::Store};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::tensor::{DType, Data, HostTensor};

/// Fails for a value outside of 0 to 1 where a loss compares probabilities.
///
/// # Errors
/// The first such value.
pub(super) fn check(model: &Model, columns: &[Column]) -> Result<()> {
    if model.locates() {
        one_object(columns)?;
    }
    let Some(term) = model.loss.iter().find(|term| term.loss.applies() == Some("sigmoid")) else { return Ok(()) };
    let column = columns.iter().find(|column| column.field == VALUES);
    let Some(Store::Memory(HostTensor { data: Data::F32(values), .. })) = column.map(|column| &column.store) else {
        return Ok(());
    };
    let Some(index) = values.iter().position(|value| !(0.0..=1.0).contains(value)) else { return Ok(()) };
    let sample = index / column.map_or(1, |column| column.store.dims().iter().product::<usize>().max(1)) + 1;
    let what =
        format!("loss `{}` compares probabilities, and sample {sample} has the target {}", term.op, values[index]);
    Err(model.mistake(&term.place, what, "give targets from 0 to 1, or use mse"))
}

/// Fails for a picture that has no object, or several: a network that says where the one object is cannot learn from it.
fn one_object(columns: &[Column]) -> Result<()> {
    let Some(Store::Memory(tensor)) = columns.iter().find(|c| c.field == BOXES).map(|c| &c.store) else {
        return Ok(());
    };
    let rows = tensor.shape[1] * 5;
    let count = |sample: &[f32]| sample.chunks_exact(5).filter(|row| row[0] >= 0.0).count();
    let mut counts = tensor.as_f32().chunks_exact(rows).map(count);
    let Some(sample) = counts.position(|count| count != 1) else { return Ok(()) };
    let count = count(&tensor.as_f32()[sample * rows..][..rows]);
    let what = format!("{count} objects, and the losses learn what and where the one object of a picture is");
    let hint = "leave the picture out, or use a detector: a layer `anchors` and its loss";
    match columns.iter().find_map(|column| column.file(sample as u32)) {
        Some(file) => Err(Error::file(file, what, hint)),
        None => Err(Error::usage(format!("sample {}: {what}", sample + 1), hint)),
    }
}

/// Counts the classes of the training part in the column of targets, in samples or in pixels, and gives losses that are to
/// be balanced their weights, which are part of the spec from here on. The model tells `classes` classes apart.
///
/// # Errors
/// A file that has changed since it was opened.
pub(super) fn weigh(model: &mut Model, column: &Column, train: &[u32], classes: usize) -> Result<()> {
    if train.is_empty() || model.loss.iter().all(|term| term.loss.balanced(&[]).is_none()) {
        return Ok(());
    }
    let mut counts = vec![0; classes];
    for &position in train {
        for class in column.store.one(position)?.data.to_f64() {
            // What is no class of the model does not count.
            if let Some(count) = counts.get_mut(class as usize) {
                *count += 1;
            }
        }
    }
    for term in &mut model.loss {
        term.loss = term.loss.balanced(&counts).unwrap_or(term.loss.clone());
    }
    Ok(())
}

/// A target of the data set as a program of the host takes it.
pub(super) fn as_type(data: Data, dtype: DType) -> Data {
    match (data, dtype) {
        (Data::U8(classes), DType::I32) => Data::I32(classes.into_iter().map(i32::from).collect()),
        (Data::I32(classes), DType::F32) => Data::F32(classes.into_iter().map(|class| class as f32).collect()),
        (data, _) => data,
    }
}
