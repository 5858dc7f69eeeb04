//! The case table `assets/cases.json`. Its rows are written as model JSON. Tests verify every row, and benchmarks can
//! time them. Rows for benchmarks only, with sizes of real networks, are in a second table, `assets/bench.json`.

use crate::error::{Error, Result};
use crate::model::{self, Model, TrainSpec};
use crate::spec::{Diagnostics, Node, Source, SpecStruct};
use serde_json::{Value as Json, json};

/// The table, compiled into the program.
pub const TABLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/cases.json"));

/// The rows for benchmarks, compiled into the program.
pub const BENCH_TABLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/bench.json"));

/// A row: a small network that exercises an op.
#[derive(Debug)]
pub struct Case {
    /// Its name, unique in the table.
    pub name: String,
    /// The network. It has a loss, unless the row says `null`.
    pub model: Model,
    /// How it is trained: its batch, and the optimizer sgd.
    pub train: TrainSpec,
    /// Whether it runs in training mode. Otherwise ops take their form for inference, and gradients go through that.
    pub training: bool,
    /// Whether it is too large for finite differences in f64.
    pub large: bool,
    /// What the names of the ops that a benchmark times begin with. Empty: it times all ops.
    pub ops: Vec<String>,
}

/// Reads all rows that tests verify.
///
/// # Errors
/// A row that is no valid network. The error names the row where it would name the file.
pub fn cases() -> Result<Vec<Case>> {
    read(TABLE, "cases.json")
}

/// Reads the rows of benchmarks.
///
/// # Errors
/// As [`cases`].
pub fn bench_cases() -> Result<Vec<Case>> {
    read(BENCH_TABLE, "bench.json")
}

fn read(table: &str, file: &str) -> Result<Vec<Case>> {
    let wrong = |what: String| Error::usage(format!("assets/{file}: {what}"), "mend the table");
    let rows: Vec<Json> = serde_json::from_str(table).map_err(|e| wrong(e.to_string()))?;
    rows.into_iter().map(|row| case(row, file)).collect()
}

fn case(row: Json, file: &str) -> Result<Case> {
    let name = row["name"].as_str().unwrap_or("unnamed row").to_string();
    let loss = row.get("loss").cloned().unwrap_or(json!("mse"));
    let mut spec = json!({ "version": 1, "name": name, "input": row["input"], "layers": row["layers"] });
    if !row["data"].is_null() {
        spec["data"] = row["data"].clone();
    }
    if !row["augment"].is_null() {
        spec["data"] = json!({ "kind": "masks", "augment": row["augment"] });
    }
    if !loss.is_null() {
        spec["loss"] = loss;
    }
    let source = Source { file: format!("{file}[{name}]").into(), text: spec.to_string() };
    let mut train =
        json!({ "batch": row["batch"], "seed": 7, "optimizer": { "op": "sgd", "lr": 0.1, "momentum": 0.9 } });
    for (key, value) in row["train"].as_object().into_iter().flatten() {
        train[key] = value.clone();
    }
    let mut report = Diagnostics::new(&source);
    let train = <TrainSpec as SpecStruct>::read(&Node::from_json(&train, &Default::default()), &[], &mut report);
    let train = report.finish(train)?;
    let model = model::load(source, &[])?;
    let train = train.ok_or_else(|| Error::usage(format!("{file}[{name}]: no batch"), "add \"batch\""))?;
    let words = row["ops"].as_array().into_iter().flatten();
    let ops = words.filter_map(|op| op.as_str().map(str::to_string)).collect();
    let (training, large) = (row["training"] != json!(false), row["large"] == json!(true));
    Ok(Case { name, model, train, training, large, ops })
}
