//! Several runs side by side: what differs in their specs, how good each became, how long it took.

use super::curves::{capital, over_steps};
use super::diary::best;
use super::history::History;
use super::html::{Section, details, escape, table as html_table};
use super::page::{Head, page};
use super::plot::{Chart, Scale, Series};
use super::table::{Align, Table};
use super::{book, curve, numbers};
use crate::error::Result;
use crate::model::Model;
use crate::task::{self, Better, LOSS, MetricKind, Unit};
use crate::train::Run;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Differences that a terminal shows.
const SHOWN: usize = 40;
/// Characters of a value in a table.
const CELL: usize = 36;
/// Size of a curve in a terminal.
const CURVE: [usize; 2] = [60, 8];

/// A run that is compared.
pub struct Compared {
    /// What it is called: its folder.
    pub name: String,
    /// Its past.
    pub history: History,
    /// Its spec, by paths: `train.optimizer.lr`, `layers.conv2d_1.filters`.
    pub spec: BTreeMap<String, Json>,
    /// What its task shows in the line of an epoch.
    pub metrics: Vec<MetricKind>,
    /// Trainable numbers, where the weights are there.
    pub parameters: Option<u64>,
}

/// Keys that say nothing of a model.
const LEFT_OUT: [&str; 3] = ["$schema", "version", "name"];

impl Compared {
    /// Reads a run.
    ///
    /// # Errors
    /// A folder that is no run, or a file that cannot be read.
    pub fn open(dir: &Path) -> Result<Compared> {
        let run = Run::open(dir)?;
        let model = run.model()?;
        let brief = task::of(&model)?.metrics().iter().filter(|kind| kind.brief).copied();
        Ok(Compared {
            name: dir.display().to_string(),
            history: History::read(&run)?,
            spec: flat(&model),
            metrics: std::iter::once(LOSS).chain(brief).collect(),
            parameters: run.read_weights().ok().map(|weights| {
                let trained = weights.iter().filter(|(name, _)| !name.contains(".running_"));
                trained.map(|(_, tensor)| tensor.shape.iter().product::<usize>() as u64).sum()
            }),
        })
    }

    /// The best value of a validation metric, and its epoch, from 1.
    fn best(&self, kind: &MetricKind) -> Option<(f64, u64)> {
        let key = format!("val_{}", kind.name);
        let i = best(&self.history.epochs, &key, kind.better == Better::Higher)?;
        Some((self.history.epochs[i][key.as_str()].as_f64()?, self.history.epochs[i]["epoch"].as_u64()?))
    }

    fn to_json(&self) -> Json {
        let of = |kind: &MetricKind| {
            let value = self.best(kind).map(|(value, epoch)| json!({ "value": value, "epoch": epoch }));
            (format!("val_{}", kind.name), value.unwrap_or(Json::Null))
        };
        json!({
            "run": self.name, "epochs": self.history.epochs.len(), "steps": self.history.last_step(),
            "seconds": self.history.seconds(), "parameters": self.parameters,
            "train_loss": self.history.epochs.last().map_or(Json::Null, |epoch| epoch["train_loss"].clone()),
            "best": Json::Object(self.metrics.iter().map(of).collect()),
            "adapter": self.history.starts.last().map(|start| start.adapter.clone()),
        })
    }
}

/// A spec by paths. Layers go by their names, so that one more of them moves no other.
fn flat(model: &Model) -> BTreeMap<String, Json> {
    let mut all = BTreeMap::new();
    if let Json::Object(sections) = model.to_json() {
        for (key, value) in sections.into_iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str())) {
            walk(&key, value, &mut all);
        }
    }
    all
}

fn walk(path: &str, value: Json, all: &mut BTreeMap<String, Json>) {
    let named = |list: &Vec<Json>| !list.is_empty() && list.iter().all(|item| item["name"].is_string());
    match value {
        Json::Object(object) if !object.is_empty() => {
            object.into_iter().for_each(|(key, value)| walk(&format!("{path}.{key}"), value, all));
        }
        Json::Array(list) if named(&list) => {
            for item in list {
                let name = item["name"].as_str().unwrap_or_default().to_string();
                let Json::Object(mut object) = item else { continue };
                object.remove("name");
                walk(&format!("{path}.{name}"), Json::Object(object), all);
            }
        }
        other => drop(all.insert(path.to_string(), other)),
    }
}

/// The paths at which specs differ, with the value of each run; None where a run has none.
pub fn differences(runs: &[Compared]) -> Vec<(String, Vec<Option<Json>>)> {
    let mut paths: Vec<&String> = runs.iter().flat_map(|run| run.spec.keys()).collect();
    paths.sort();
    paths.dedup();
    let values = |path: &String| -> Vec<Option<Json>> { runs.iter().map(|run| run.spec.get(path).cloned()).collect() };
    let all = paths.into_iter().map(|path| (path.clone(), values(path)));
    let differ: Vec<(String, Vec<Option<Json>>)> =
        all.filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect();
    whole_layers(differ)
}

/// Of a layer that some runs have and others have not, its op is enough.
fn whole_layers(list: Vec<(String, Vec<Option<Json>>)>) -> Vec<(String, Vec<Option<Json>>)> {
    let layer =
        |path: &str| path.starts_with("layers.").then(|| path.rsplit_once('.').map(|(head, _)| head.to_string()));
    let absent: Vec<String> = list
        .iter()
        .filter(|(path, values)| path.ends_with(".op") && values.iter().any(Option::is_none))
        .filter_map(|(path, _)| layer(path).flatten())
        .collect();
    let kept = |path: &str| {
        path.ends_with(".op")
            || !absent.iter().any(|head| path.strip_prefix(head.as_str()).is_some_and(|rest| rest.starts_with('.')))
    };
    list.into_iter().filter(|(path, _)| kept(path)).collect()
}

fn cell(value: &Option<Json>) -> String {
    match value {
        None => "–".into(),
        Some(Json::String(text)) => super::html::short(text, CELL),
        Some(value) => super::html::short(&value.to_string(), CELL),
    }
}

/// All metrics that any of the runs has, each once.
fn metrics(runs: &[Compared]) -> Vec<MetricKind> {
    let mut all: Vec<MetricKind> = Vec::new();
    for kind in runs.iter().flat_map(|run| &run.metrics) {
        let there = runs.iter().any(|run| run.best(kind).is_some());
        if there && all.iter().all(|own| own.name != kind.name) {
            all.push(*kind);
        }
    }
    all
}

/// A row a run: the heads and the cells, plain text.
fn rows(runs: &[Compared]) -> (Vec<String>, Vec<Vec<String>>) {
    let metrics = metrics(runs);
    let heads = ["run", "parameters", "epochs", "steps", "time", "training loss"].map(String::from).into_iter();
    let heads = heads.chain(metrics.iter().map(|kind| format!("best {}", kind.title))).collect();
    let row = |run: &Compared| {
        let loss = run.history.epochs.last().and_then(|epoch| epoch["train_loss"].as_f64());
        let best = metrics.iter().map(|kind| {
            run.best(kind).map_or("–".into(), |(value, epoch)| format!("{} (epoch {epoch})", kind.unit.text(value)))
        });
        let first = [
            run.name.clone(),
            run.parameters.map_or("–".into(), numbers::grouped),
            run.history.epochs.len().to_string(),
            numbers::grouped(run.history.last_step()),
            book::time(run.history.seconds()),
            loss.map_or("–".into(), |loss| Unit::Number.text(loss)),
        ];
        first.into_iter().chain(best).collect()
    };
    (heads, runs.iter().map(row).collect())
}

/// For terminals: a table of the runs, one of what differs in their specs, and a curve of each.
pub fn text(runs: &[Compared]) -> String {
    let (heads, rows) = rows(runs);
    let align = |i: usize| if i == 0 { Align::Left } else { Align::Right };
    let columns: Vec<(&str, Align)> = heads.iter().enumerate().map(|(i, head)| (head.as_str(), align(i))).collect();
    let mut table = Table::new(&columns);
    rows.into_iter().for_each(|row| table.row(row));
    let mut out = format!("{table}\n");
    let all = differences(runs);
    if all.is_empty() {
        out += "their specs are the same\n";
    } else {
        let columns = std::iter::once(("in the spec", Align::Left));
        let columns: Vec<(&str, Align)> =
            columns.chain(runs.iter().map(|run| (run.name.as_str(), Align::Left))).collect();
        let mut table = Table::new(&columns);
        all.iter()
            .take(SHOWN)
            .for_each(|(path, values)| table.row(std::iter::once(path.clone()).chain(values.iter().map(cell))));
        out += &table.to_string();
        if all.len() > SHOWN {
            out += &format!("({} more; --json has all)\n", all.len() - SHOWN);
        }
    }
    for run in runs {
        let (what, points) = course(&run.history);
        let curve = curve::curve(&points, CURVE[0], CURVE[1]);
        if !curve.is_empty() {
            out += &format!("\n{}: {what}\n{curve}", run.name);
        }
    }
    out
}

/// The losses of a run: of its steps; without these, of its epochs.
pub fn course(history: &History) -> (&'static str, Vec<f64>) {
    match history.steps.len() {
        0 | 1 => {
            let losses = history.epochs.iter().filter_map(|epoch| epoch["train_loss"].as_f64());
            ("training loss of the epochs", losses.collect())
        }
        _ => ("training loss over the steps", history.steps.iter().map(|line| line.loss).collect()),
    }
}

/// As `compare --json` prints it.
pub fn to_json(runs: &[Compared]) -> Json {
    let differences: Map<String, Json> =
        differences(runs).into_iter().map(|(path, values)| (path, json!(values))).collect();
    json!({ "runs": runs.iter().map(Compared::to_json).collect::<Vec<Json>>(), "differences": differences })
}

/// As a page.
pub fn html(runs: &[Compared]) -> String {
    let (heads, rows) = rows(runs);
    let escaped = |row: &Vec<String>| row.iter().map(|cell| escape(cell)).collect::<Vec<String>>();
    let rows: Vec<Vec<String>> = rows.iter().map(escaped).collect();
    let mut sections = vec![Section::new("The runs", "", html_table("A row a run", &escaped(&heads), &rows))];
    let all = differences(runs);
    let row = |(path, values): &(String, Vec<Option<Json>>)| {
        std::iter::once(escape(path)).chain(values.iter().map(|value| escape(&cell(value)))).collect()
    };
    let differ: Vec<Vec<String>> = all.iter().map(row).collect();
    let heads: Vec<String> = std::iter::once("key".into()).chain(runs.iter().map(|run| escape(&run.name))).collect();
    let differ = match differ.len() {
        0 => "<p class=\"note\">Their specs are the same.</p>".into(),
        n if n <= SHOWN => html_table("Keys of the spec", &heads, &differ),
        _ => details("All keys", &html_table("Keys of the spec", &heads, &differ)),
    };
    sections.push(Section::new("What differs", "Every key of the spec at which the runs are not the same.", differ));
    let chart = |title: &str, scale: Scale, of: &dyn Fn(&Compared) -> Vec<[f64; 2]>| Chart {
        title: title.into(),
        across: "step".into(),
        scale,
        series: runs.iter().map(|run| Series { name: run.name.clone(), points: of(run), noise: false }).collect(),
        ..Chart::default()
    };
    let steps = |run: &Compared| run.history.steps.iter().map(|line| [line.step as f64, line.loss]).collect();
    let mut charts = vec![
        chart("Training loss, every few steps", Scale::Plain, &steps),
        chart("Training loss", Scale::Plain, &|run| over_steps(&run.history.epochs, "train_loss")),
    ];
    for kind in metrics(runs) {
        let scale = if kind.unit == Unit::Share { Scale::Share } else { Scale::Plain };
        let key = format!("val_{}", kind.name);
        let title = format!("Validation {}", kind.title);
        charts.push(chart(&capital(&title), scale, &|run| over_steps(&run.history.epochs, &key)));
    }
    let rates = |run: &Compared| run.history.steps.iter().map(|line| [line.step as f64, line.lr]).collect();
    charts.push(chart("Learning rate", Scale::Plain, &rates));
    let figures: String = charts.iter().filter_map(Chart::figure).collect();
    let lede = "One line a run; the first is drawn in colour, and all differ by their dashes.";
    sections.push(Section::new("Side by side", lede, format!("<div class=\"grid\">{figures}</div>")));
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let head = Head {
        kicker: "Comparison".into(),
        title: if names.len() <= 3 { names.join(" · ") } else { format!("{} runs", names.len()) },
        stand: "What was different, and what became of it.".into(),
        ..Head::default()
    };
    page(&head, &sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, spec: Json, epochs: Vec<Json>) -> Compared {
        let mut flat = BTreeMap::new();
        walk("", spec, &mut flat);
        let spec = flat.into_iter().map(|(path, value)| (path.trim_start_matches('.').to_string(), value)).collect();
        let history = History { epochs, ..History::default() };
        let metrics = vec![LOSS, MetricKind::higher("accuracy", "accuracy", Unit::Share).brief()];
        Compared { name: name.into(), history, spec, metrics, parameters: Some(10) }
    }

    fn two() -> Vec<Compared> {
        let epoch = |n: u64, accuracy: f64| {
            let losses = json!({ "epoch": n, "step": 10 * n, "train_loss": 1.0, "val_loss": 2.0, "seconds": 30.0 });
            let mut line = losses;
            line["val_accuracy"] = json!(accuracy);
            line
        };
        let dense = |name: &str, units: u64| json!({ "op": "dense", "name": name, "units": units, "bias": true });
        let a = json!({ "train": { "seed": 1, "lr": 0.1 }, "layers": [dense("a", 5), dense("b", 3)] });
        let b = json!({ "train": { "seed": 1, "lr": 0.2 }, "layers": [dense("a", 6), dense("new", 4), dense("b", 3)] });
        vec![
            run("runs/a", a, vec![epoch(1, 0.5), epoch(2, 0.75)]),
            run("runs/<b>", b, vec![epoch(1, 0.9), epoch(2, 0.8)]),
        ]
    }

    #[test]
    fn only_what_differs_is_named_and_a_new_layer_once() {
        let found = differences(&two());
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["layers.a.units", "layers.new.op", "train.lr"]);
        assert_eq!(found[1].1, [None, Some(json!("dense"))]);
    }

    #[test]
    fn text_json_and_page_agree() {
        let runs = two();
        let text = text(&runs);
        for word in ["75.00 % (epoch 2)", "90.00 % (epoch 1)", "train.lr", "1 min 0 s", "20"] {
            assert!(text.contains(word), "{word} is not in {text}");
        }
        let json = to_json(&runs);
        assert_eq!(json["runs"][1]["best"]["val_accuracy"], json!({ "value": 0.9, "epoch": 1 }));
        assert_eq!(json["differences"]["train.lr"], json!([0.1, 0.2]));
        let html = html(&runs);
        assert!(html.contains("runs/&lt;b&gt;") && !html.contains("runs/<b>") && html.contains("75.00 % (epoch 2)"));
        assert!(super::text(&[two().remove(0), two().remove(0)]).contains("their specs are the same"));
    }
}
