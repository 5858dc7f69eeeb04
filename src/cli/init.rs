//! `pumice init`: a first spec for somebody's own data.

use super::outcome::Outcome;
use super::output;
use crate::error::Error;
use crate::task::draft::{Aim, draft};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The folder for the spec. It is made if it is not there.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// What is to be learnt [default: what the data is for].
    #[arg(long, value_name = "TASK", value_parser = aim())]
    task: Option<Aim>,
    /// The data: a folder of pictures in class folders, one with `images` and `masks`, one with boxes as VOC, COCO or YOLO write them, or a CSV
    /// file [default: the bundled digits].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// An aim by its word.
fn aim() -> impl TypedValueParser<Value = Aim> {
    let value = |aim: Aim| PossibleValue::new(aim.word()).help(aim.about());
    let named = |word: String| Aim::ALL.into_iter().find(|aim| aim.word() == word);
    PossibleValuesParser::new(Aim::ALL.map(value)).map(move |word| named(word).expect("one of the words"))
}

/// Writes DIR/model.json and, for editors, DIR/schema.json. Nothing is replaced.
pub fn run(args: &Args, json: bool) -> Outcome {
    let there = args.dir.join("model.json");
    if there.exists() {
        // Said before the data is read, which may take long.
        return Err(Error::file(&there, "it is there already", "remove it, or name another folder"));
    }
    let draft = draft(args.data.as_deref(), args.task)?;
    let file = draft.write(&args.dir)?;
    if json {
        output::print_json(&json!({ "spec": file.display().to_string(), "about": draft.about }))?;
    } else {
        output::print(&format!("{}: {}\ntry: pumice train {}\n", file.display(), draft.about, file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
