//! `pumice augment`: a sheet of what the steps of a training will see.

use super::args::SpecArgs;
use super::outcome::Outcome;
use super::{output, progress};
use crate::compile::augment::Changes;
use crate::data::{Split, palette};
use crate::error::{Error, Result};
use crate::graph::Step;
use crate::model::Model;
use crate::report::sheet::Sheet;
use crate::show::seen::Seen;
use crate::train::{Opening, Problem};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Samples on the sheet at most: a row each.
const ROWS: usize = 8;
/// Pictures of a sample: the plain one, then those of the first steps.
const COLUMNS: usize = 8;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Where to write the sheet, as PNG.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A folder with data of the spec's kind, instead of the spec's own.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Draws the first training samples: the plain picture, then changed ones, with masks and boxes laid over them.
pub fn run(args: &Args, json: bool) -> Outcome {
    let mut model = args.spec.load()?;
    if Changes::of(&model).is_none() {
        let hint = "list changes, such as \"augment\": [\"flip\", \"crop\"]";
        return Err(Error::file(&model.source.file, "`data.augment` is empty: steps see the plain pictures", hint));
    }
    let seed = model.train.as_ref().map_or(0, |train| train.seed);
    let only = Some(Split::Train);
    let opening =
        Opening { folder: args.data.as_deref(), only, seed, progress: Some(progress::reading), ..Opening::default() };
    let problem = Problem::open(&mut model, opening)?;
    output::opened(&problem);
    let sheet = draw(&model, &problem, seed)?;
    palette::picture(&args.out, sheet.pixels(), [sheet.height(), sheet.width()])?;
    let file = args.out.display().to_string();
    let rows = problem.train.len().min(ROWS);
    if json {
        output::print_json(&json!({ "file": file, "samples": rows, "columns": COLUMNS }))?;
    } else {
        output::print(&format!("{file}: {rows} samples, each plain and as {} steps see it\n", COLUMNS - 1))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole sheet.
fn draw(model: &Model, problem: &Problem, seed: u64) -> Result<Sheet> {
    let changes = Changes::of(model).expect("there are changes");
    let positions = &problem.train[..problem.train.len().min(ROWS)];
    let dims = problem.samples().dims();
    let mut sheet = Sheet::new([dims[0], dims[1]], COLUMNS, positions.len());
    for (place, &position) in positions.iter().enumerate() {
        let plain = Seen::read(model, problem, position)?;
        sheet.put(|y, x| plain.colour(y, x));
        for number in 1..COLUMNS {
            let step = Step { step: number as u32 - 1, seed: seed as u32, ..Step::of(1) };
            let seen = plain.changed(&changes, &step, place);
            sheet.put(|y, x| seen.colour(y, x));
        }
    }
    Ok(sheet)
}
