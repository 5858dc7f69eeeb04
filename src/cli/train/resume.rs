//! Whether a spec is the spec of a run, so that training may continue.

use crate::cli::output;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::train::{Run, problem};
use serde_json::{Map, Value as Json};
use std::path::Path;

/// Without `--data`, a run that goes on takes the data that it began with, wherever the spec says other data is.
///
/// # Errors
/// A run without a readable spec.
pub fn keep_data(model: &mut Model, run: &Run) -> Result<()> {
    let saved = run.model()?;
    let Some((saved, path)) = saved.data.as_ref().and_then(|data| data.path.as_ref().map(|path| (data, path))) else {
        return Ok(());
    };
    let file = model.source.file.clone();
    let Some(data) = model.data.as_mut().filter(|data| data.kind == saved.kind) else { return Ok(()) };
    let own = problem::folder(data, &file, None).and_then(|own| std::path::absolute(own).ok());
    if own.as_deref() != Some(Path::new(path)) {
        output::note(&format!("data: {path}, with which the run began; --data names another place"));
        data.path = Some(path.clone());
    }
    Ok(())
}

/// Fails unless a spec is that of the run; only `train.epochs` may differ, and with `--data` the place of the data.
/// `"auto"` takes what the run measured, and classes and features have the names that they had in the run.
///
/// # Errors
/// A run without a readable spec, or the first value that differs.
pub fn check(model: &mut Model, run: &Run, moved: bool) -> Result<()> {
    let saved = run.model()?;
    // Without the key, tables and pictures of 16 bits are measured.
    if model.is_measured() || model.input.normalize.is_none() {
        model.input.normalize = saved.input.normalize.clone();
    }
    if let (Some(data), Some(saved)) = (&mut model.data, &saved.data) {
        data.class_names = data.class_names.take().or_else(|| saved.class_names.clone());
        if let (None, Some(names)) = (data.reader.features(), saved.reader.features())
            && let Some(reader) = data.reader.with_features(names)
        {
            data.reader = reader;
        }
        if let (None, Some(categories)) = (data.reader.categories(), saved.reader.categories())
            && let Some(reader) = data.reader.with_categories(categories)
        {
            data.reader = reader;
        }
        data.brightness = data.brightness.take().or_else(|| saved.brightness.clone());
    }
    let (mut here, mut there) = (model.to_json(), saved.to_json());
    for spec in [&mut here, &mut there] {
        let mut remove = |section: &str, key: &str| {
            spec.get_mut(section).and_then(Json::as_object_mut).map(|section| section.remove(key));
        };
        remove("train", "epochs");
        if moved {
            remove("data", "path");
        }
    }
    if let Some((path, here, there)) = difference("", &here, &there) {
        let (here, there) = (short(here), short(there));
        let what = format!("{path} is {here} in the spec and {there} in the run {}", run.dir().display());
        let spec = run.spec_path();
        let hint = format!("resume with the spec of the run, {}, or train into a new folder", spec.display());
        return Err(Error::usage(what, hint));
    }
    if let (Some(here), Some(there)) = (&model.train, &saved.train)
        && here.epochs != there.epochs
        && here.schedule.depends_on_total()
    {
        let (here, there) = (here.epochs.0, there.epochs.0);
        output::note(&format!(
            "{here} epochs instead of {there}: the schedule runs over all epochs, so it is stretched, and the learning rate \
             jumps now; the result is not that of a run over {here} epochs"
        ));
    }
    Ok(())
}

/// The first place where two values differ, and both values there.
fn difference<'a>(path: &str, a: &'a Json, b: &'a Json) -> Option<(String, Option<&'a Json>, Option<&'a Json>)> {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => {
            let child = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
            let either = |key: &String| pair(&child(key), a.get(key), b.get(key));
            let only_b = |b: &'a Map<String, Json>| b.keys().filter(|key| !a.contains_key(*key));
            a.keys().chain(only_b(b)).find_map(either)
        }
        (Json::Array(a), Json::Array(b)) => {
            (0..a.len().max(b.len())).find_map(|i| pair(&format!("{path}[{i}]"), a.get(i), b.get(i)))
        }
        _ => (a != b).then(|| (path.to_string(), Some(a), Some(b))),
    }
}

fn pair<'a>(
    path: &str,
    a: Option<&'a Json>,
    b: Option<&'a Json>,
) -> Option<(String, Option<&'a Json>, Option<&'a Json>)> {
    match (a, b) {
        (Some(a), Some(b)) => difference(path, a, b),
        _ => Some((path.to_string(), a, b)),
    }
}

fn short(value: Option<&Json>) -> String {
    let Some(value) = value else { return "missing".into() };
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(60).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named() {
        let a = json!({ "x": 1, "layers": [{ "op": "dense", "units": 10 }] });
        let b = json!({ "x": 1, "layers": [{ "op": "dense", "units": 12 }] });
        assert_eq!(difference("", &a, &a), None);
        let (path, here, there) = difference("", &a, &b).unwrap();
        assert_eq!((path.as_str(), short(here), short(there)), ("layers[0].units", "10".into(), "12".into()));
        let short_list = json!({ "x": 1, "layers": [] });
        let (path, here, _) = difference("", &short_list, &b).unwrap();
        assert_eq!((path.as_str(), short(here)), ("layers[0]", "missing".into()));
        assert_eq!(difference("", &json!({ "x": 1 }), &b).unwrap().0, "layers");
    }
}
