//! Whether targets are what the losses can judge.

use crate::data::{Column, VALUES, store::Store};
use crate::error::Result;
use crate::model::Model;
use crate::tensor::{Data, HostTensor};

/// Fails for a value outside of 0 to 1 where a loss compares probabilities.
///
/// # Errors
/// The first such value.
pub(super) fn check(model: &Model, columns: &[Column]) -> Result<()> {
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
