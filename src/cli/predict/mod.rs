//! `pumice predict`: classes and probabilities of pictures or of rows of tables; or values for such rows; or objects.

mod sources;
mod table;

use super::args::{DeviceArgs, count, share};
use super::outcome::{Outcome, fail};
use super::output;
use crate::data::fit::Fit;
use crate::data::picture;
use crate::data::proposals::{Place, Proposals};
use crate::data::tensors::Tensors;
use crate::error::{Error, Result, printable, shown};
use crate::gpu::Session;
use crate::host;
use crate::model::Model;
use crate::spec::Count;
use crate::task::{self, Prediction, Wanted};
use crate::tensor::HostTensor;
use crate::train::answer::{self, Input, Outputs, Read, mistake, object};
use crate::train::network::no_regions;
use crate::train::{Network, Run, problem};
use serde_json::{Map, Value as Json};
use sources::Sources;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use table::Table;

#[derive(clap::Args)]
pub struct Args {
    /// The run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// PNG, JPEG, BMP, WebP, TIFF, GIF or PPM files of any size; for a model of a table, CSV files with its feature columns.
    /// Also folders of such files, patterns such as "pictures/*.jpg", and - for standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How many classes to show a sample, the likeliest first.
    #[arg(long, value_name = "K", default_value = "3", value_parser = count)]
    top: Count,
    /// Of objects in pictures, those with at least this score, from 0 to 1.
    #[arg(long, value_name = "S", default_value_t = Wanted::SCORE, value_parser = share)]
    score: f64,
    /// For a model that judges regions that somebody else proposed: a CSV table of them, with columns file, x1, y1, x2, y2 in pixels
    /// of the picture and, if there is one, score.
    #[arg(long, value_name = "F.csv")]
    proposals: Option<PathBuf>,
    /// Swap light and dark in every picture first, where the training pictures are the other way round.
    #[arg(long)]
    invert: bool,
    /// The folder for pictures with what was found: masks (RUN/predict by default), or boxes of objects.
    #[arg(long, value_name = "DIR")]
    draw: Option<PathBuf>,
    /// Also write a table: a line for each sample, or for each object or class in a picture. Nothing else is printed then.
    #[arg(long, value_name = "F.csv")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Predicts all files that can be read, and then reports the others.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let run = Run::open(&args.run)?;
    let mut model = run.model()?;
    problem::count_classes(&mut model, None)?;
    let input = Input::of(&model, &run)?;
    if args.invert && !input.pictures() {
        return Err(Error::usage("--invert is for pictures, and the model takes a table", "leave it out"));
    }
    let mut sources = Sources::of(&args.files, input.pictures())?;
    if args.draw.is_some() || task::of(&model)?.draws() {
        names_differ(&sources.files)?;
    }
    let regions = match (model.given_rois(), &args.proposals) {
        (None, None) => None,
        (None, Some(_)) => {
            let what = "--proposals is for models with a layer `given_rois`, and this one finds regions itself";
            return Err(Error::usage(what, "leave it out"));
        }
        (Some(_), None) => return Err(no_regions()),
        (Some((_, count)), Some(table)) => Some(regions(table, &model, count, &sources.files, &mut sources.wrong)?),
    };
    let weights = run.read_weights()?;
    let mut table = args.out.as_deref().map(Table::create).transpose()?;
    let (mut found, mut wrong) = (Vec::new(), std::mem::take(&mut sources.wrong));
    let mut tell = |answer: Answered| -> Result<()> {
        let Answered { file, row, prediction, drawn } = answer;
        let file = sources.name(file);
        if let Some(table) = &mut table {
            table.write(file, row, &prediction)?;
        }
        if json {
            found.push(object(&file.display().to_string(), row, &prediction, drawn));
        } else if args.out.is_none() {
            output::print(&line(file, row, &prediction, &drawn))?;
        }
        Ok(())
    };
    let read = |file: &Path| {
        let read = input.read(file, args.invert)?;
        let Some(regions) = &regions else { return Ok((read, &[][..])) };
        let none =
            || Error::file(file, "the table of --proposals has no row for it", "add its regions, or leave it out");
        Ok((read, regions.get(file).ok_or_else(none)?.as_slice()))
    };
    predict(args, (&run, weights), (&model, input.pictures()), &sources.files, &read, &mut wrong, &mut tell).await?;
    if let Some(mut table) = table {
        table.end()?;
    }
    let wrong: Vec<Error> = wrong.into_iter().map(|e| renamed(e, &sources)).collect();
    let mut answer = Map::new();
    answer.insert("predictions".into(), found.into());
    if json && !wrong.is_empty() {
        answer.insert("errors".into(), wrong.iter().map(mistake).collect());
    }
    if json {
        output::print_json(&Json::Object(answer))?;
    }
    Ok(wrong.iter().map(fail).fold(ExitCode::SUCCESS, |_, code| code))
}

/// An error that calls a file as the user did.
fn renamed(e: Error, sources: &Sources) -> Error {
    match e {
        Error::File { file, what, hint } => Error::File { file: sources.name(&file).into(), what, hint },
        other => other,
    }
}

/// What the network says about one sample.
struct Answered<'a> {
    file: &'a Path,
    /// Its number, where a file has several.
    row: Option<usize>,
    prediction: Prediction,
    /// What was drawn.
    drawn: Map<String, Json>,
}

/// So many warnings are shown one by one.
const WARNINGS: usize = 3;

/// Files that are decoded together, while the adapter computes those before.
const TOGETHER: usize = 64;

/// Predicts the samples of each file, and tells of each in their order. Files that cannot be read are left out.
async fn predict<'a>(
    args: &Args,
    (run, weights): (&Run, Tensors),
    (model, pictures): (&Model, bool),
    files: &'a [PathBuf],
    read: &Reader<'_>,
    wrong: &mut Vec<Error>,
    tell: &mut dyn FnMut(Answered<'a>) -> Result<()>,
) -> Result<()> {
    let draw = args.draw.clone().unwrap_or_else(|| run.dir().join("predict"));
    let batch = answer::batch(model);
    let together = batch.max(TOGETHER);
    let mut network: Option<Network> = None;
    let mut next = Some(decode(&files[..together.min(files.len())], read));
    let mut warned = 0;
    for (start, list) in (0..).step_by(together).zip(files.chunks(together)) {
        let mut samples = Vec::new();
        for (file, found) in list.iter().zip(next.take().into_iter().flatten()) {
            match found {
                Ok((Read { samples: found, warning }, regions)) => {
                    if let Some(what) = warning {
                        warned += 1;
                        if warned <= WARNINGS {
                            output::note(&format!("warning: {}: {what}", shown(file)));
                        }
                    }
                    samples.push((file.as_path(), found, regions));
                }
                Err(e) => wrong.push(e),
            }
        }
        let later = &files[(start + list.len()).min(files.len())..];
        let later = &later[..later.len().min(together)];
        if samples.is_empty() {
            next = Some(decode(later, read));
            continue;
        }
        if network.is_none() {
            let rows: usize = samples.iter().map(|(_, found, _)| found.shape[0]).sum();
            // A few files need no large batch. More of them fill it.
            let batch = if later.is_empty() { batch.min(rows) } else { batch };
            let session = Session::new(args.device.open().await?);
            network = Some(Network::new(session, model, None, batch, (&run.weights_path(), &weights)).await?);
        }
        let network = network.as_mut().expect("it was opened for the first samples");
        let all: Vec<&HostTensor> = samples.iter().map(|(_, found, _)| found).collect();
        let regions: Vec<&[f32]> = samples.iter().map(|(_, _, regions)| *regions).collect();
        let (decoded, scores) = std::thread::scope(|scope| {
            let decoded = scope.spawn(|| decode(later, read));
            let scores = pollster::block_on(answer::outputs(network, &all, &regions));
            (decoded.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), scores)
        });
        next = Some(decoded);
        let Outputs { dims, scores } = scores?;
        let rows = samples.iter().flat_map(|(file, found, _)| (1..=found.shape[0]).map(move |row| (*file, row)));
        for ((file, row), scores) in rows.zip(&scores) {
            let size = if pictures { Some(picture::size(file)?.into()) } else { None };
            let wanted = Wanted { top: args.top.0, size, score: args.score };
            let prediction = network.task().decode(scores, &dims, &wanted);
            let drawn = match args.draw.is_some() || network.task().draws() {
                true => prediction.draw(file, &draw)?,
                false => Map::new(),
            };
            // A picture is known by its file; a row of a table also by its number.
            tell(Answered { file, row: (!pictures).then_some(row), prediction, drawn })?;
        }
    }
    if warned > WARNINGS {
        output::note(&format!("warning: {warned} pictures in all are far from the training pictures in brightness"));
    }
    Ok(())
}

/// A file as samples for the model, with the regions that somebody else proposed in it.
type Regarded<'a> = (Read, &'a [f32]);

/// A function that reads a file.
type Reader<'a> = dyn Fn(&Path) -> Result<Regarded<'a>> + Sync + 'a;

/// The regions of pictures that a table has, as a model takes them. What of them is left out is added to `wrong`.
fn regions(
    table: &Path,
    model: &Model,
    count: usize,
    files: &[PathBuf],
    wrong: &mut Vec<Error>,
) -> Result<HashMap<PathBuf, Vec<f32>>> {
    let dims = model.input.dims();
    let fit = model.data.as_ref().map_or(Fit::Stretch, |data| data.reader.fit());
    let place = Place { count, fit, input: [dims[0], dims[1]] };
    // What is wrong with a picture is said when it is read.
    let sizes = files.iter().filter_map(|file| Some((file.as_path(), picture::size(file).ok()?.into())));
    let pictures: Vec<(&Path, [usize; 2])> = sizes.collect();
    let found = Proposals::read(table)?.join(&pictures, &place, false)?;
    wrong.extend(found.wrong);
    let named = pictures.iter().zip(found.rows).filter_map(|((file, _), rows)| Some((file.to_path_buf(), rows?)));
    Ok(named.collect())
}

/// Reads files on all cores, in their order.
fn decode<'a>(files: &[PathBuf], read: &Reader<'a>) -> Vec<Result<Regarded<'a>>> {
    let mut found: Vec<Option<Result<Regarded<'a>>>> = files.iter().map(|_| None).collect();
    host::on_all_cores(files.iter().zip(&mut found), |(file, place)| *place = Some(read(file)));
    found.into_iter().map(|found| found.expect("each was read")).collect()
}

/// Fails if what is drawn for one file would replace what is drawn for another.
fn names_differ(files: &[PathBuf]) -> Result<()> {
    let mut seen: HashMap<Option<&OsStr>, &Path> = HashMap::new();
    for file in files {
        if let Some(other) = seen.insert(file.file_stem(), file) {
            let what = format!("its mask would have the name of that of {}", other.display());
            return Err(Error::file(file, what, "predict them one after the other, each with a --draw of its own"));
        }
    }
    Ok(())
}

/// An answer in words.
fn line(file: &Path, row: Option<usize>, found: &Prediction, drawn: &Map<String, Json>) -> String {
    let row = row.map_or(String::new(), |row| format!(", row {row}"));
    let written = drawn.values().filter_map(Json::as_str).map(|path| format!(" → {path}")).collect::<String>();
    format!("{}{row}: {}{written}\n", shown(file), printable(&found.to_string()))
}
