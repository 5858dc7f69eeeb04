//! Whether a spec is the spec of a run, so that training may continue.

use crate::error::{Error, Result};
use crate::model::Model;
use crate::train::Run;
use serde_json::{Map, Value as Json};

/// Fails unless a spec is that of the run; only `train.epochs` may differ. `"auto"` takes what the run measured, and
/// classes and features have the names that they had in the run.
///
/// # Errors
/// A run without a readable spec, or the first value that differs.
pub fn check(model: &mut Model, run: &Run) -> Result<()> {
    let saved = run.model()?;
    if model.is_measured() {
        model.input.normalize = saved.input.normalize.clone();
    }
    if let (Some(data), Some(saved)) = (&mut model.data, &saved.data) {
        data.class_names = data.class_names.take().or_else(|| saved.class_names.clone());
        if let (None, Some(names)) = (data.reader.features(), saved.reader.features())
            && let Some(reader) = data.reader.with_features(names)
        {
            data.reader = reader;
        }
    }
    let (mut here, mut there) = (model.to_json(), saved.to_json());
    for spec in [&mut here, &mut there] {
        if let Some(train) = spec.get_mut("train").and_then(Json::as_object_mut) {
            train.remove("epochs");
        }
    }
    let Some((path, here, there)) = difference("", &here, &there) else { return Ok(()) };
    let what = format!("{path} is {} in the spec and {} in the run {}", short(here), short(there), run.dir().display());
    let hint = format!("resume with the spec of the run, {}, or train into a new folder", run.spec_path().display());
    Err(Error::usage(what, hint))
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
