//! Whether a model suits its data, as far as that is known without samples, or from their shape.

use crate::compile::build::{self, BuildOptions, Feed};
use crate::data::{Dataset, INSTANCES, LABEL, VALUES};
use crate::error::{Error, Result};
use crate::model::{DataSpec, LossNode, Model};
use crate::spec::list;
use crate::task::Task;
use crate::tensor::TensorType;
/// How many classes the scores can tell apart; labels must be below that. If several losses judge, the smallest number.
/// A single score of a loss that takes values or classes stands for two classes.
pub(super) fn outputs(model: &Model, task: &dyn Task) -> Result<Option<usize>> {
    let options = BuildOptions { training: false, random: false, loss: false, feed: Feed::Host };
    let graph = build::build(model, &options)?;
    if let Some(decoder) = &graph.decoder {
        return Ok(Some(decoder.classes()));
    }
    let output = |name: &str| graph.layers.iter().find(|l| l.name == name).and_then(|l| l.output);
    let mut least = model.knn().and_then(|(layer, _)| output(&layer.name)).map(|value| graph.ty(value).channels());
    for loss in &model.loss {
        let Some(ty) = output(&loss.of).map(|value| graph.ty(value)) else { continue };
        if let Some(count) = task.classes(model, loss, ty)? {
            least = Some(least.map_or(count, |n| n.min(count)));
            continue;
        }
        if ty.dims.len() != 1 {
            check_target(model, loss, ty, "end with a dense layer, or add a flatten layer")?;
            continue;
        }
        let binary = !loss.loss.needs_label() && model.target_field() == LABEL;
        if binary && ty.channels() != 1 {
            let what = format!("loss `{}` of {} scores cannot judge classes", loss.op, ty.channels());
            let hint = "end with one unit, where classes 0 and 1 are told apart, or use cross_entropy";
            return Err(model.mistake(&loss.place, what, hint));
        }
        check_target(model, loss, ty, "use a loss that is compared with what the data has")?;
        let count = if binary { 2 } else { ty.channels() };
        least = Some(least.map_or(count, |n| n.min(count)));
    }
    Ok(least)
}

/// Fails for a loss that would compare its output with targets which the samples have not.
fn check_target(model: &Model, loss: &LossNode, output: &TensorType, hint: &str) -> Result<()> {
    let fields: Vec<&str> = loss.loss.targets(output).iter().map(|target| target.field).collect();
    let instances = model.data.as_ref().is_some_and(|data| data.reader.targets().contains(&INSTANCES));
    if fields.is_empty() || fields.contains(&model.target_field()) || (instances && fields.contains(&INSTANCES)) {
        return Ok(());
    }
    let (op, of) = (loss.op, &loss.of);
    let what = format!("loss `{op}` of layer `{of}` {output} needs a target {}, and the data set has none", fields[0]);
    Err(model.mistake(&loss.place, what, hint))
}

/// Fails if the samples have not a value for each of the model's outputs.
pub(super) fn check_values(set: &Dataset, outputs: Option<usize>) -> Result<()> {
    let width = set.column(VALUES).map(|values| values.dims().iter().product::<usize>());
    match (width, outputs) {
        (Some(width), Some(outputs)) if width != outputs => {
            let what = format!("the data set has {width} values a sample, the model {outputs} outputs");
            Err(Error::usage(what, "give the last layer a unit for each value"))
        }
        _ => Ok(()),
    }
}

/// Fails for a loss that needs values where the data set has only classes, and for a layer knn where it has none.
fn check_losses(model: &Model, data: &DataSpec) -> Result<()> {
    let targets = data.reader.targets();
    if let Some((layer, _)) = model.knn().filter(|_| !targets.contains(&LABEL)) {
        let what =
            format!("layer `{}` stores a class for each sample, and the data set has {}", layer.name, list(targets));
        return Err(model.mistake(&layer.place, what, "use data with a class for each sample"));
    }
    if *targets != [LABEL] {
        return Ok(());
    }
    let Some(loss) = model.loss.iter().find(|loss| !loss.loss.takes_label()) else { return Ok(()) };
    let what = format!("loss `{}` needs values as targets, and the data set has classes", loss.op);
    Err(model.mistake(&loss.place, what, "use cross_entropy or hinge"))
}

/// Fails if losses and keys of the section `data` do not suit such data. Nothing is opened.
///
/// # Errors
/// What does not suit, and where.
pub fn suits(model: &Model) -> Result<()> {
    let Some(data) = &model.data else { return Ok(()) };
    check_losses(model, data)?;
    if let Some((layer, _)) = model.given_rois().filter(|_| data.reader.proposals().is_none()) {
        let name = &layer.name;
        let what = format!("layer `{name}` takes regions that somebody else proposed, and `data` names none");
        let hint = "name a CSV table of them with `data.proposals` (kinds voc, coco and yolo), or let layers `anchors` and `proposals` propose them";
        return Err(model.mistake(&layer.place, what, hint));
    }
    let what = "data.weighted is true, and the samples have no classes to be drawn by";
    match data.weighted && model.target_field() != LABEL {
        true => Err(Error::file(&model.source.file, what, "remove it, or learn one class a sample")),
        false => Ok(()),
    }
}
