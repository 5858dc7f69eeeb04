//! `pumice models`: the shelf of specs that come with the program.

use super::outcome::Outcome;
use super::output;
use crate::error::{Error, Result};
use crate::model::schema;
use crate::report::table::{Align, Table};
use crate::spec::suggest;
use crate::task;
use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The model to print; without a name all are listed.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Copy it into a file, with a schema for editors beside it.
    #[arg(long, value_name = "FILE", requires = "name")]
    out: Option<PathBuf>,
}

/// Names and texts.
macro_rules! shelf {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/", $name, ".json")))),*]
    };
}

/// Every spec of `assets/models`. A test compares it with the folder.
const SHELF: &[(&str, &str)] = shelf![
    "alexnet",
    "cnn7_mnist",
    "diabetes_regression",
    "fast_rcnn_small",
    "fast_rcnn_vgg16",
    "faster_rcnn_resnet50_fpn",
    "faster_rcnn_small",
    "faster_rcnn_vgg16",
    "fcn8s_vgg16",
    "googlenet",
    "googlenet_bn",
    "iris_softmax",
    "knn_mnist",
    "lenet5_fashion",
    "lenet5_mnist",
    "linear_regression",
    "locate_shapes",
    "logistic_regression",
    "mask_rcnn_resnet50_fpn",
    "mask_rcnn_small",
    "mlp_mnist",
    "mobilenet_v1",
    "mobilenet_v2",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet20_cifar10",
    "resnet34",
    "resnet50",
    "softmax_regression_mnist",
    "squeezenet",
    "ssd300_vgg16",
    "ssd_small",
    "svm_mnist",
    "unet",
    "unet_nuclei",
    "vgg16",
    "vgg16_cifar10",
    "vgg19",
    "vgg_small_cifar10",
    "yolo_small",
    "yolo_v1",
    "yolov3",
    "yolov3_tiny",
];

/// What the comment that a spec begins with says first: as many of its sentences as make at least 20 characters.
fn about(text: &str) -> String {
    let comment: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//")).map(str::trim).collect();
    let comment = comment.join(" ");
    let mut said = String::new();
    for sentence in comment.split_inclusive(". ") {
        said.push_str(sentence);
        if said.len() >= 20 {
            break;
        }
    }
    said.trim().to_string()
}

/// Lists the shelf, prints a model or copies it.
pub fn run(args: &Args, json: bool) -> Outcome {
    let Some(name) = &args.name else {
        let list = SHELF.iter().map(|(name, text)| (*name, about(text)));
        if json {
            let list: Vec<Json> = list.map(|(name, about)| json!({ "name": name, "about": about })).collect();
            output::print_json(&json!({ "models": list }))?;
        } else {
            let mut table = Table::new(&[("model", Align::Left), ("about", Align::Left)]);
            list.for_each(|(name, about)| table.row([name.to_string(), about]));
            output::print(&table.to_string())?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let Some((_, text)) = SHELF.iter().find(|(own, _)| own == name) else {
        let words: Vec<&str> = SHELF.iter().map(|(name, _)| *name).collect();
        return Err(Error::usage(format!("there is no model `{name}`"), suggest(name, &words, "`", "the models are")));
    };
    match &args.out {
        None => output::print(text)?,
        Some(file) => copy(text, file)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a spec and, unless there is one, the schema beside it. What the spec says of files beside the shelf is told.
fn copy(text: &str, file: &Path) -> Result<()> {
    if file.exists() {
        return Err(Error::file(file, "it is there already", "remove it, or name another file"));
    }
    let schema_file = file.with_file_name("schema.json");
    if !schema_file.exists() {
        fs::write(&schema_file, format!("{:#}\n", schema(&task::words())))
            .map_err(|e| Error::write(&schema_file, e))?;
    }
    let text = text.replace("\"../schema.json\"", "\"./schema.json\"");
    fs::write(file, &text).map_err(|e| Error::write(file, e))?;
    if text.contains("\"../data/") {
        output::note("its data lies in the project's folder assets/data; name yours with --data or data.path");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shelf_is_the_folder_and_every_model_says_what_it_is() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models");
        let files = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
        let mut names: Vec<String> = files
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(SHELF.iter().map(|(name, _)| *name).collect::<Vec<&str>>(), names);
        for (name, text) in SHELF {
            assert!(about(text).len() >= 20, "{name} begins with a comment");
        }
    }
}
