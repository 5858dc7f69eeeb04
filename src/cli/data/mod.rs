//! `pumice data`: what a data set holds, what is left out of it, and a sheet of samples with their targets.

mod crops;
mod draw;

use super::args::SpecArgs;
use super::outcome::Outcome;
use super::{numbers, output, progress};
use crate::data::count::{self, Counts, Part};
use crate::data::{Dataset, Splits, Want, order};
use crate::error::{Error, Result};
use crate::host::free_memory;
use crate::model::Model;
use crate::report::table::{Align, Table};
use crate::task;
use crate::train::problem;
use serde_json::{Map, Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// So many regions of a picture are read, where no layer says how many.
const PROPOSED: usize = 2000;

/// What is left out is named so often.
const SHOWN: usize = 20;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// A folder or file with data of the spec's kind, instead of the spec's own.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Draw samples with their targets into a PNG file.
    #[arg(long, value_name = "FILE")]
    draw: Option<PathBuf>,
    /// Cut the regions of `data.proposals` out of their pictures and write them into a new folder, warped to the spec's input: into class folders, and
    /// in DIR/boxes those near an object, with its box.
    #[arg(long, value_name = "DIR")]
    crops: Option<PathBuf>,
    /// Stop at the first thing that would be left out.
    #[arg(long)]
    strict: bool,
}

/// Reads the data as training does, and says what is there.
pub fn run(args: &Args, json: bool) -> Outcome {
    let model = args.spec.load()?;
    let splits = read(&model, args.data.as_deref(), args.draw.is_some(), args.strict)?;
    let data = model.data.as_ref().expect("it was read");
    let drawn = args.draw.as_deref().map(|file| draw::sheet(&model, &splits, file)).transpose()?;
    let cut = args.crops.as_deref().map(|dir| crops::write(&model, &splits, dir)).transpose()?;
    let classes = [&splits.train, &splits.validation, &splits.test].into_iter().flatten().map(|set| &set.classes);
    let classes = classes.max_by_key(|names| names.len()).cloned().unwrap_or_default();
    let parts = parts(&model, &splits);
    let parts: Vec<(&str, Part)> = parts
        .iter()
        .map(|(name, set, positions)| Ok((*name, count::part(&set.columns, positions, classes.len())?)))
        .collect::<Result<_>>()?;
    let path = problem::folder(data, &model.source.file, args.data.as_deref());
    let path = path.map(|path| path.display().to_string());
    if json {
        let all: Map<String, Json> = parts.iter().map(|(name, part)| (name.to_string(), part.json(&classes))).collect();
        let file = args.draw.as_ref().map(|file| file.display().to_string());
        output::print_json(&json!({
            "kind": data.kind, "path": path, "classes": classes, "parts": all, "left_out": splits.skipped,
            "warnings": splits.warnings.iter().map(ToString::to_string).collect::<Vec<String>>(),
            "crops": cut.as_ref().map(|cut| json!({ "classes": cut.crops, "boxes": cut.boxes })),
            "drawn": drawn.map(|samples| json!({ "file": file, "samples": samples })),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&text(data.kind, path.as_deref(), &parts, &classes))?;
    left_out(&splits.skipped)?;
    splits.warnings.iter().try_for_each(|warning| output::print(&format!("warning: {warning}\n")))?;
    if let (Some(dir), Some(cut)) = (&args.crops, &cut) {
        let text = format!("\n{}: {} crops in class folders, {} with a box\n", dir.display(), cut.crops, cut.boxes);
        output::print(&text)?;
    }
    if let (Some(file), Some(samples)) = (&args.draw, drawn) {
        output::print(&format!("\n{}: {samples} samples with their targets\n", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads all parts of a model's data, without a look at its layers.
///
/// # Errors
/// A section that is missing; what its reader finds wrong.
pub fn read(model: &Model, given: Option<&Path>, instances: bool, strict: bool) -> Result<Splits> {
    let hint = "add a section `data`, such as { \"kind\": \"bundled\" }";
    let missing = || Error::file(&model.source.file, "the spec has no section `data`", hint);
    let data = model.data.as_ref().ok_or_else(missing)?;
    let folder = problem::folder(data, &model.source.file, given);
    let mut want = Want {
        train: true,
        test: data.reader.has(folder.as_deref(), crate::data::Split::Test),
        target: model.target_field(),
        names: data.class_names.clone(),
        size: model.input.dims().try_into().ok(),
        instances,
        // Whoever takes all that there are says how many.
        proposals: model.given_rois().map(|(_, count)| count).or(data.reader.proposals().map(|_| PROPOSED)),
        strict,
        memory: free_memory().map(|bytes| bytes / 2),
        progress: Some(progress::reading),
        ..Want::default()
    };
    // A spec whose task is not clear yet has data all the same.
    if let Ok(task) = task::of(model) {
        task.want(&mut want);
    }
    data.reader.open(folder.as_deref(), &want)
}

/// The parts by name, each with the positions of its samples.
fn parts<'a>(model: &Model, splits: &'a Splits) -> Vec<(&'static str, &'a Dataset, Vec<u32>)> {
    let share = model.data.as_ref().map_or(0.0, |data| data.validation.0);
    let seed = model.train.as_ref().map_or(0, |train| train.seed);
    let mut parts = Vec::new();
    if let Some(set) = &splits.train {
        let (train, held_back) = order::split(set.len(), share, seed);
        parts.push(("train", set, train));
        if !held_back.is_empty() {
            let name = if splits.validation.is_some() { "validation (of train)" } else { "validation" };
            parts.push((name, set, held_back));
        }
    }
    for (name, set) in [("validation", &splits.validation), ("test", &splits.test)] {
        if let Some(set) = set {
            parts.push((name, set, (0..set.len() as u32).collect()));
        }
    }
    parts
}

/// The tables for people.
fn text(kind: &str, path: Option<&str>, parts: &[(&str, Part)], classes: &[String]) -> String {
    let mut text = format!("data of kind `{kind}`{}\n\n", path.map(|path| format!(" in {path}")).unwrap_or_default());
    let number = |n: u64| numbers::grouped(n);
    let mut table = Table::new(&[("part", Align::Left), ("samples", Align::Right), ("", Align::Left)]);
    for (name, part) in parts {
        table.row([name.to_string(), number(part.samples as u64), part.about()]);
    }
    text.push_str(&table.to_string());
    let counted: Vec<&(&str, Part)> = parts.iter().filter(|(_, part)| part.counts.names().is_some()).collect();
    if let Some(unit) = counted.first().and_then(|(_, part)| part.counts.names()) {
        let columns = counted.iter().map(|(name, _)| (*name, Align::Right));
        let first = format!("{unit} of class");
        let columns: Vec<(&str, Align)> = std::iter::once((first.as_str(), Align::Left)).chain(columns).collect();
        let mut table = Table::new(&columns);
        for (class, name) in classes.iter().enumerate() {
            let cells = counted.iter().map(|(_, part)| number(part.counts.of(class)));
            table.row(std::iter::once(name.clone()).chain(cells));
        }
        text.push_str(&format!("\n{table}"));
    }
    let values: Vec<(&str, &Vec<[f64; 3]>)> = parts
        .iter()
        .filter_map(|(name, part)| match &part.counts {
            Counts::Values(all) => Some((*name, all)),
            _ => None,
        })
        .collect();
    if !values.is_empty() {
        let columns = [("target", Align::Right), ("part", Align::Left)];
        let numbers = ["smallest", "mean", "largest"].map(|name| (name, Align::Right));
        let mut table = Table::new(&[&columns[..], &numbers].concat());
        for (name, all) in values {
            for (i, own) in all.iter().enumerate() {
                let cells = own.map(|x| format!("{x:.6}"));
                table.row([&[(i + 1).to_string(), name.to_string()][..], &cells].concat());
            }
        }
        text.push_str(&format!("\n{table}"));
    }
    text
}

/// Names what was left out.
fn left_out(all: &[String]) -> Result<()> {
    if all.is_empty() {
        return output::print("\nnothing was left out\n");
    }
    output::print(&format!("\nleft out: {}\n", numbers::grouped(all.len() as u64)))?;
    for one in all.iter().take(SHOWN) {
        output::print(&format!("  {one}\n"))?;
    }
    match all.len() > SHOWN {
        true => output::print(&format!("  … (--json names all {})\n", all.len())),
        false => Ok(()),
    }
}
