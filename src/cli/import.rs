//! `pumice import`: weights of other programs, and whole networks.

use super::args::assignment;
use super::outcome::Outcome;
use super::output;
use crate::data::{file, tensors};
use crate::error::{Error, Result};
use crate::exchange::torch::{self, Imported};
use crate::exchange::{onnx_import, pth, torch::Pair, torchvision};
use crate::model::{self, Model};
use crate::report::table::{Align, Table};
use crate::spec::Source;
use crate::tensor::HostTensor;
use crate::train::{Run, problem};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// A network with its weights: an .onnx file. Or weights of PyTorch: a .safetensors file, or a .pth file of torch.save.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The spec of the network that weights are from; an .onnx file needs none.
    #[arg(long, value_name = "SPEC")]
    spec: Option<PathBuf>,
    /// Override a value of the spec, such as vars.classes=10.
    #[arg(long, value_name = "PATH=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// Where to write the weights, as safetensors. Of an .onnx file: a new folder for model.json and weights.safetensors.
    #[arg(long, value_name = "PLACE")]
    out: PathBuf,
}

/// Writes the weights, all of them or nothing, and prints which tensor became which. A network becomes a folder.
pub fn run(args: &Args, json: bool) -> Outcome {
    if ending(&args.file) == "onnx" {
        return network(args, json);
    }
    let Some(spec) = &args.spec else {
        let hint = "give the spec of the network that the weights are from, with --spec";
        return Err(Error::file(&args.file, "weights alone do not say what network they are of", hint));
    };
    let mut model = model::load(Source::open(spec)?, &args.set)?;
    problem::count_classes(&mut model, None)?;
    let found = read(&args.file, &model)?;
    tensors::write_tensors(&args.out, &found.tensors)?;
    said(args, &found, json).map(|()| ExitCode::SUCCESS)
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// An ONNX file as a folder with a spec and its weights.
fn network(args: &Args, json: bool) -> Outcome {
    if args.spec.is_some() || !args.set.is_empty() {
        return Err(Error::usage("an .onnx file describes its network itself", "leave --spec and --set out"));
    }
    Run::check_new(&args.out)?;
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let found = onnx_import::import(&args.file, &file::read(&args.file)?, &name)?;
    std::fs::create_dir_all(&args.out).map_err(|e| Error::write(&args.out, e))?;
    let (spec, weights) = (args.out.join(Run::IMPORTED), args.out.join("weights.safetensors"));
    tensors::write_tensors(&weights, &found.weights)?;
    file::replace(&spec, found.spec.as_bytes())?;
    for note in &found.notes {
        output::note(note);
    }
    let (spec, weights) = (spec.display().to_string(), weights.display().to_string());
    if json {
        let names: Vec<&String> = found.weights.keys().collect();
        output::print_json(
            &json!({ "spec": spec, "weights": weights, "layers": found.layers, "tensors": names, "notes": found.notes }),
        )?;
    } else {
        output::print(&format!("{} layers in {spec}, {} tensors in {weights}\n", found.layers, found.weights.len()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The tensors of the file, as the model has them.
fn read(path: &Path, model: &Model) -> Result<Imported> {
    let names = torchvision::names(&model.name);
    match ending(path).as_str() {
        "safetensors" => {
            let all: Vec<(String, HostTensor)> = tensors::read_tensors(path)?.into_iter().collect();
            torch::import(model, (path, all), names.as_deref(), false)
        }
        "pth" | "pt" | "bin" => {
            torch::import(model, (path, pth::read(path, &file::read(path)?)?), names.as_deref(), true)
        }
        _ => {
            let what = "its name does not say what it is";
            Err(Error::file(path, what, "give a file that ends with .onnx, .safetensors or .pth"))
        }
    }
}

fn said(args: &Args, found: &Imported, json: bool) -> Result<()> {
    let file = args.out.display().to_string();
    if json {
        let pair =
            |pair: &Pair| json!({ "from": pair.there, "to": pair.here, "shape": pair.dims, "turned": pair.note });
        let all: Vec<Json> = found.pairs.iter().map(pair).collect();
        return output::print_json(&json!({ "file": file, "tensors": all, "left": found.left }));
    }
    let mut table =
        Table::new(&[("from", Align::Left), ("to", Align::Left), ("shape", Align::Left), ("turned from", Align::Left)]);
    for pair in &found.pairs {
        table.row([pair.there.clone(), pair.here.clone(), format!("{:?}", pair.dims), pair.note.clone()]);
    }
    output::print(&table.to_string())?;
    if !found.left.is_empty() {
        output::note(&format!("left out, of auxiliary heads that the spec has not: {}", found.left.join(", ")));
    }
    output::print(&format!("{} tensors in {file}\n", found.pairs.len()))
}
