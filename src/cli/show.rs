//! `pumice show`: what a network sees, as pictures.

use super::args::DeviceArgs;
use super::outcome::Outcome;
use super::{output, progress};
use crate::data::{Split, tensors};
use crate::error::{Error, Result, printable, shown};
use crate::show::samples::first_of_classes;
use crate::show::{Method, Picture, Request, Sample, Shown, Viewer, embedding, method};
use crate::train::{Opening, Problem, problem};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value as Json, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Pictures of the data set that are looked at where no file is named.
const PICTURES: usize = 8;

#[derive(clap::Args)]
pub struct Args {
    /// The run folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// What to draw.
    #[arg(long, value_name = "WHAT", value_parser = what())]
    what: Method,
    /// The layer, by its name in `pumice plan`.
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// A picture of any size; several are drawn one by one [default: the first of each class, at most 8, of the test set;
    /// without one, of the validation or the training set].
    #[arg(long = "image", value_name = "FILE")]
    images: Vec<PathBuf>,
    /// The class, by its name or index; for `maximise` with --layer the channel [default: what the network predicts].
    #[arg(long, value_name = "C")]
    class: Option<String>,
    /// A folder with data of the spec's kind, instead of the spec's own.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The folder for the pictures. Files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
}

/// A method by its word.
fn what() -> impl TypedValueParser<Value = Method> {
    let value = |method: Method| PossibleValue::new(method.word()).help(method.about().shows);
    let named = |word: String| Method::ALL.into_iter().find(|method| method.word() == word);
    PossibleValuesParser::new(Method::ALL.map(value)).map(move |word| named(word).expect("one of the words"))
}

/// What `--help` says below the arguments.
pub fn help() -> String {
    let numbers = |method: Method| format!("  {:<11} {}\n", method.word(), method.about().numbers);
    let list: String = Method::ALL.map(numbers).concat();
    format!(
        "Examples:\n  pumice show runs/first --what grad_cam --out pictures\n  \
         pumice show runs/first --what features --layer conv2d_1 --image digit.png --out pictures\n\n\
         With --json the numbers behind the pictures are written too, to OUT/WHAT.safetensors. PICTURE is the name of a\n\
         picture's file without its ending, or PART-N for number N of a part of the data set, such as test-0:\n{list}"
    )
}

/// Draws, and writes the files.
pub async fn run(args: &Args, json: bool) -> Outcome {
    refuse(args)?;
    let device = args.device.open().await?;
    let mut viewer = Viewer::open(&args.run, &device).await?;
    let mut request = Request { layer: args.layer.clone(), class: args.class.clone(), samples: Vec::new() };
    let found = match args.what {
        Method::Embedding => {
            let (problem, split) = problem(args, &viewer)?;
            embedding::embedding(&mut viewer, &request, &problem, problem.positions(split)).await?
        }
        what => {
            if what.takes_pictures() {
                request.samples = samples(args, &viewer)?;
            }
            method::show(&mut viewer, what, &request).await?
        }
    };
    let written = write(args, &found, json)?;
    if json {
        output::print_json(&written)?;
    } else {
        found.pictures.iter().try_for_each(|picture| output::print(&line(&path(args, picture), picture)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails for a flag that the method has no use for.
fn refuse(args: &Args) -> Result<()> {
    let word = args.what.word();
    let flags = [
        ("--image", !args.images.is_empty() && !args.what.takes_pictures(), "looks at no single picture"),
        ("--class", args.class.is_some() && !args.what.takes_class(), "asks about no class"),
        ("--layer", args.layer.is_some() && !args.what.takes_layer(), "goes through the whole network"),
    ];
    match flags.into_iter().find(|(_, wrong, _)| *wrong) {
        Some((flag, _, why)) => Err(Error::usage(format!("{flag} has no effect: {word} {why}"), "leave it out")),
        None => Ok(()),
    }
}

/// The pictures that are named, or the first ones of each class.
fn samples(args: &Args, viewer: &Viewer) -> Result<Vec<Sample>> {
    let model = viewer.model();
    if args.images.is_empty() {
        let (problem, split) = problem(args, viewer)?;
        let positions = problem.positions(split);
        let sample =
            |place: usize| Sample::of_problem(model, &problem, format!("{}-{place}", split.word()), positions[place]);
        return first_of_classes(&problem, positions, PICTURES)?.into_iter().map(sample).collect();
    }
    let mut seen = HashSet::new();
    let open = |file: &PathBuf| {
        let mut sample = Sample::open(model, viewer.size(), file)?;
        let stem = sample.name.clone();
        let mut number = 2;
        while !seen.insert(sample.name.clone()) {
            sample.name = format!("{stem}-{number}");
            number += 1;
        }
        Ok(sample)
    };
    args.images.iter().map(open).collect()
}

/// The data set, and the part of it that is judged.
fn problem(args: &Args, viewer: &Viewer) -> Result<(Problem, Split)> {
    let mut model = viewer.model().clone();
    let data = args.data.as_deref();
    let seed = model.train.as_ref().map_or(0, |train| train.seed);
    let whole = data.is_some_and(|dir| problem::judges_whole(&model, dir));
    let there = if whole || problem::has(&model, data, Split::Test) { Split::Test } else { Split::Train };
    let opening =
        Opening { folder: data, only: Some(there), seed, progress: Some(progress::reading), ..Opening::default() };
    let problem = Problem::open(&mut model, opening)?;
    output::opened(&problem);
    let split = problem.judged_split();
    Ok((problem, split))
}

fn path(args: &Args, picture: &Picture) -> PathBuf {
    args.out.join(format!("{}.png", picture.name))
}

/// Writes the pictures, and with `json` their numbers; what is to be said of them.
fn write(args: &Args, found: &Shown, json: bool) -> Result<Json> {
    std::fs::create_dir_all(&args.out).map_err(|e| Error::write(&args.out, e))?;
    let mut pictures = Vec::with_capacity(found.pictures.len());
    for picture in &found.pictures {
        let file = path(args, picture);
        picture.canvas.write(&file)?;
        let mut about = Map::from_iter([("file".to_string(), json!(file.display().to_string()))]);
        about.extend(picture.about.clone());
        pictures.push(Json::Object(about));
    }
    let numbers = args.out.join(format!("{}.safetensors", args.what.word()));
    if json {
        tensors::write_tensors(&numbers, &found.numbers)?;
    }
    Ok(json!({ "what": args.what.word(), "pictures": pictures, "numbers": numbers.display().to_string() }))
}

/// A picture in words.
fn line(file: &Path, picture: &Picture) -> String {
    let text = |key: &str| picture.about.get(key).and_then(Json::as_str).map(str::to_string);
    let number = |key: &str| picture.about.get(key).and_then(Json::as_f64);
    let layer = text("layer").map(|layer| format!("layer {layer}"));
    let class = text("class_name").map(|class| format!("class {class}"));
    let probability = number("probability").map(|p| format!("probability {p:.3}"));
    let divergence = number("divergence").map(|d| format!("KL divergence {d:.3}"));
    let parts: Vec<String> = [layer, class, probability, divergence].into_iter().flatten().collect();
    let said = if parts.is_empty() { String::new() } else { format!(": {}", printable(&parts.join(", "))) };
    format!("{}{said}\n", shown(file))
}
