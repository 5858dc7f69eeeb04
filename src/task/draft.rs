//! A first spec for somebody's own data: what is found there, and a small network that learns it.

use crate::data::clusters::clusters;
use crate::data::survey::{Look, Survey, TableColumn, survey};
use crate::error::{Error, Result};
use crate::model::{Model, schema};
use serde_json::{Value as Json, json};
use std::fs;
use std::path::{Path, PathBuf};

/// What can be learnt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aim {
    /// A class of each picture or row.
    Classify,
    /// A value of each row.
    Regress,
    /// A class of each pixel.
    Segment,
    /// Boxes around objects.
    Detect,
}

impl Aim {
    /// All of them.
    pub const ALL: [Aim; 4] = [Aim::Classify, Aim::Regress, Aim::Segment, Aim::Detect];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Aim::Classify => "classify",
            Aim::Regress => "regress",
            Aim::Segment => "segment",
            Aim::Detect => "detect",
        }
    }

    /// One line about it.
    pub fn about(self) -> &'static str {
        match self {
            Aim::Classify => "A class of each picture or row",
            Aim::Regress => "A value of each row",
            Aim::Segment => "A class of each pixel",
            Aim::Detect => "Boxes around objects",
        }
    }
}

/// A spec in its parts. Each is JSON; `about` is a comment.
pub struct Draft {
    /// What was found, as a line.
    pub about: String,
    input: Json,
    layers: Vec<Json>,
    /// Whether the layers use the block `pair` of two convolutions.
    pair: bool,
    loss: &'static str,
    data: Json,
    batch: usize,
    epochs: usize,
    optimizer: Json,
}

/// The spec for a folder of pictures in class folders, one with `images` and `masks`, one with boxes as VOC, COCO or YOLO
/// write them, or a CSV file; for the bundled digits without any. Without an aim it is what the data is for.
///
/// # Errors
/// Data that is none of these or serves another aim.
pub fn draft(data: Option<&Path>, aim: Option<Aim>) -> Result<Draft> {
    let Some(path) = data else {
        return match aim {
            None | Some(Aim::Classify) => Ok(digits()),
            Some(task) => {
                let what = format!("the bundled digits have nothing to {}", task.word());
                Err(Error::usage(what, "name data with --data"))
            }
        };
    };
    let place = std::path::absolute(path).map_err(|e| Error::read(path, e))?;
    let place = place.to_str().ok_or_else(|| Error::file(path, "its name is not UTF-8", "rename it"))?;
    let found = survey(path)?;
    let fits = |own: Aim| match aim {
        Some(task) if task != own => {
            let what = format!("the data is for --task {}, not {}", own.word(), task.word());
            Err(Error::file(path, what, "leave --task out, or name other data"))
        }
        _ => Ok(()),
    };
    match found {
        Survey::Classes { names, pictures, look } => {
            fits(Aim::Classify).map(|()| classes(place, &names, pictures, look))
        }
        Survey::Masks { pictures, binary, classes, look } => {
            fits(Aim::Segment).map(|()| masks(place, pictures, (binary, classes), look))
        }
        Survey::Objects { kind, pictures, classes, validation, size, boxes, look } => {
            let about = format!("objects of {} classes in {pictures} pictures for training", classes.len());
            let mut data = json!({ "kind": kind, "path": place, "classes": classes.len() });
            if !validation {
                data["validation"] = json!(0.1);
            }
            fits(Aim::Detect).map(|()| Draft { about, ..detector(data, pictures, size, &boxes, look) })
        }
        Survey::Table { rows, columns, .. } => table(path, place, rows, &columns, aim),
    }
}

fn digits() -> Draft {
    let look = Look { side: 28, colour: false };
    Draft {
        about: "ten classes of handwritten digits, which come with the program".into(),
        data: json!({ "kind": "bundled", "validation": 0.1 }),
        epochs: 5,
        ..pictures(look, 32, 8000)
    }
}

/// Samples of a step, and epochs, for so many samples.
fn pace(samples: usize) -> (usize, usize) {
    match samples {
        0..200 => (8, 40),
        200..2000 => (16, 20),
        _ => (32, 10),
    }
}

/// A network for pictures of one class each. They are brought to a side of at most `most`.
fn pictures(look: Look, most: usize, samples: usize) -> Draft {
    let side = [28, 32, 64, 128].into_iter().rev().find(|&side| side <= look.side.min(most)).unwrap_or(28);
    let convolution = |filters: usize| json!({ "op": "conv2d", "filters": filters, "kernel": 3, "bias": false, "norm": "batch", "activation": "relu" });
    let pool = json!({ "op": "max_pool2d", "size": 2 });
    let mut layers = Vec::new();
    for filters in [16, 32, 64, 128].into_iter().take(if side > 32 { 4 } else { 3 }) {
        layers.extend([convolution(filters), pool.clone()]);
    }
    layers.extend([
        json!({ "op": "global_avg_pool2d" }),
        json!({ "op": "dropout", "rate": 0.2 }),
        json!({ "op": "dense", "units": "classes", "name": "scores" }),
    ]);
    let (batch, epochs) = pace(samples);
    Draft {
        about: String::new(),
        input: json!({ "height": side, "width": side, "channels": if look.colour { 3 } else { 1 }, "normalize": "auto" }),
        layers,
        pair: false,
        loss: "cross_entropy",
        data: Json::Null,
        batch,
        epochs,
        optimizer: adam(0.003),
    }
}

fn classes(place: &str, names: &[String], count: usize, look: Look) -> Draft {
    Draft {
        about: format!("{} classes of pictures, {count} for training", names.len()),
        data: json!({ "kind": "folder", "path": place, "validation": 0.1 }),
        ..pictures(look, 128, count)
    }
}

/// A small U-Net (Ronneberger, Fischer and Brox 2015).
fn masks(place: &str, count: usize, (binary, classes): (bool, usize), look: Look) -> Draft {
    let side = [64, 128, 256].into_iter().rev().find(|&side| side <= look.side).unwrap_or(64);
    let pair = |filters: usize, name: &str| json!({ "op": "use", "block": "pair", "name": name, "with": { "filters": filters } });
    let pool = json!({ "op": "max_pool2d", "size": 2 });
    let mut layers = Vec::new();
    for (filters, name) in [(16, "down1"), (32, "down2"), (64, "down3")] {
        layers.extend([pair(filters, name), pool.clone()]);
    }
    layers.push(pair(128, "bottom"));
    for (filters, level) in [(64, 3), (32, 2), (16, 1)] {
        let larger = format!("larger{level}");
        layers.extend([
            json!({ "op": "conv_transpose2d", "name": larger, "filters": filters, "kernel": 2, "stride": 2 }),
            json!({ "op": "concat", "from": [format!("down{level}"), larger] }),
            pair(filters, &format!("up{level}")),
        ]);
    }
    layers.push(json!({ "op": "conv2d", "filters": classes, "kernel": 1, "name": "scores" }));
    Draft {
        about: format!("{classes} classes of pixels, {count} pictures for training"),
        input: json!({ "height": side, "width": side, "channels": if look.colour { 3 } else { 1 }, "normalize": "auto" }),
        layers,
        pair: true,
        loss: "cross_entropy",
        data: json!({ "kind": "masks", "path": place, "binary": binary, "validation": 0.1 }),
        batch: 4,
        epochs: 20,
        optimizer: adam(0.002),
    }
}

/// A small SSD (Liu et al. 2016), as `ssd_small` of the shelf is. Its boxes are typical for the data.
fn detector(mut data: Json, count: usize, [h, w]: [usize; 2], objects: &[[f64; 2]], look: Look) -> Draft {
    /// Boxes that are sought, and whose grid they belong to by the root of their area in cells of the grid.
    const BOXES: usize = 9;
    const CELLS: f64 = 5.0;
    let long = if h.max(w) >= 256 { 320 } else { 160 };
    let (height, width) = match w as f64 / h as f64 {
        1.2.. => (long * 3 / 4, long),
        0.83..1.2 => (long * 4 / 5, long * 4 / 5),
        _ => (long, long * 3 / 4),
    };
    let sides: Vec<[f64; 2]> = objects.iter().map(|[w, h]| [w * width as f64, h * height as f64]).collect();
    // More of them would take long, and change little.
    let some: Vec<[f64; 2]> = sides.iter().step_by(sides.len().div_ceil(5000)).copied().collect();
    let mut grids: Vec<(usize, Vec<[f64; 2]>)> = [8, 16, 32].map(|step| (step, Vec::new())).into();
    for own in clusters(&some, BOXES, 1).boxes {
        let cells = |step: usize| (own[0] * own[1]).sqrt() / step as f64;
        let level = grids.iter().position(|(step, _)| cells(*step) < CELLS).unwrap_or(2);
        grids[level].1.push(own.map(|side| side.round().max(1.0)));
    }
    let last = grids.iter().rposition(|(_, boxes)| !boxes.is_empty()).unwrap_or(2);
    grids.truncate(last + 1);
    let convolution = |filters: usize, stride: usize| json!({ "op": "conv2d", "filters": filters, "kernel": 3, "stride": stride, "bias": false, "norm": "batch", "activation": "relu" });
    let mut layers = vec![convolution(16, 2), convolution(32, 2), convolution(32, 1)];
    for (step, _) in &grids {
        let filters = if *step == 8 { 64 } else { 128 };
        let mut end = convolution(filters, 1);
        end["name"] = json!(format!("p{step}"));
        layers.extend([convolution(filters, 2), end]);
    }
    grids.retain(|(_, boxes)| !boxes.is_empty());
    let from: Vec<String> = grids.iter().map(|(step, _)| format!("p{step}")).collect();
    let boxes: Vec<&Vec<[f64; 2]>> = grids.iter().map(|(_, boxes)| boxes).collect();
    layers.push(json!({ "op": "anchors", "name": "head", "kind": "ssd", "from": from, "boxes": boxes }));
    data["augment"] = json!([{ "op": "flip" }, { "op": "crop", "area": 0.5, "p": 0.5 }]);
    let channels = if look.colour { 3 } else { 1 };
    Draft {
        about: String::new(),
        input: json!({ "height": height, "width": width, "channels": channels, "normalize": "auto" }),
        layers,
        pair: false,
        loss: "ssd",
        data,
        batch: 8,
        epochs: 2 * pace(count).1,
        optimizer: adam(0.002),
    }
}

/// The column that is to be predicted: one that is called so, else the last.
fn target(columns: &[TableColumn]) -> Option<usize> {
    const NAMES: [&str; 4] = ["target", "label", "class", "y"];
    let called = columns.iter().position(|column| NAMES.contains(&column.name.to_lowercase().as_str()));
    called.or(columns.len().checked_sub(1))
}

/// A table: its last column is predicted from the others. Words become categories where there are few of them; columns
/// that tell nothing, or another word in each row, are left out.
fn table(path: &Path, place: &str, rows: usize, columns: &[TableColumn], task: Option<Aim>) -> Result<Draft> {
    let Some(target) = target(columns).map(|i| &columns[i]).filter(|_| columns.len() > 1) else {
        return Err(Error::file(
            path,
            "a table of one column",
            "give it a column to predict, and others to predict it from",
        ));
    };
    let classify = match task {
        None => target.classes,
        Some(Aim::Classify) => true,
        Some(Aim::Regress) if target.numeric => false,
        Some(Aim::Regress) => {
            let what = format!("column `{}` holds words, and they have no values to predict", target.name);
            return Err(Error::file(path, what, "leave --task out, or make another column the last one"));
        }
        Some(task) => {
            return Err(Error::file(path, format!("a table has nothing to {}", task.word()), "name other data"));
        }
    };
    let others = || columns.iter().filter(|column| column.name != target.name && column.values > 1);
    let numbers: Vec<&TableColumn> = others().filter(|column| column.numeric).collect();
    let words: Vec<&TableColumn> = others().filter(|column| !column.numeric && !column.names.is_empty()).collect();
    let features: Vec<&TableColumn> = numbers.iter().chain(&words).copied().collect();
    let width = numbers.len() + words.iter().map(|column| column.names.len()).sum::<usize>();
    if features.is_empty() {
        return Err(Error::file(
            path,
            "no column tells anything about the last one",
            "add columns of numbers, or of few words",
        ));
    }
    let names = |list: &[&TableColumn]| -> Vec<String> { list.iter().map(|column| column.name.clone()).collect() };
    let mut data =
        json!({ "kind": "csv", "path": place, "target": target.name, "features": names(&features), "validation": 0.1 });
    if !words.is_empty() {
        data["categorical"] = json!(names(&words));
        data["categories"] = words.iter().map(|column| json!(column.names)).collect();
    }
    match features.iter().any(|column| column.missing > 0) {
        _ if target.missing > 0 => data["missing"] = json!("drop"),
        true => data["missing"] = json!("mean"),
        false => {}
    }
    let dense = |units: usize| json!({ "op": "dense", "units": units, "activation": "relu" });
    let last = if classify { json!("classes") } else { json!(1) };
    let output = json!({ "op": "dense", "units": last, "name": "scores" });
    // Targets are not scaled. Layers behind one another do not reach large ones with any one rate; a linear model does.
    let large = !classify && target.scale > 10.0;
    let (batch, epochs) = pace(rows);
    let what = if classify { format!("{} classes", target.values) } else { "a value".into() };
    Ok(Draft {
        about: format!("{what} of column `{}`, from {} others of {rows} rows", target.name, features.len()),
        input: json!({ "features": width }),
        layers: if large { vec![output] } else { vec![dense(32), dense(16), output] },
        pair: false,
        loss: if classify { "cross_entropy" } else { "mse" },
        data,
        batch,
        epochs: 2 * epochs,
        optimizer: match large {
            // Below 1 / (features + 1) the steps cannot grow, whatever the size of the targets.
            true => json!({ "op": "sgd", "lr": rounded(0.5 / (width + 1) as f64), "momentum": 0.9 }),
            false => adam(0.01),
        },
    })
}

fn adam(lr: f64) -> Json {
    json!({ "op": "adam", "lr": lr })
}

/// A number with one digit.
fn rounded(x: f64) -> f64 {
    format!("{x:.0e}").parse().unwrap_or(x)
}

impl Draft {
    /// Writes DIR/model.json and, for editors, DIR/schema.json. The folder is made if it is not there; nothing is replaced.
    /// Returns the spec's file.
    ///
    /// # Errors
    /// A spec that is there already, or a folder that cannot be written.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        let (file, beside) = (dir.join("model.json"), dir.join("schema.json"));
        if file.exists() {
            return Err(Error::file(&file, "it is there already", "remove it, or name another folder"));
        }
        let own = dir.canonicalize().ok();
        let name = own.as_deref().unwrap_or(dir).file_name().map(|name| name.to_string_lossy().into_owned());
        let text = self.text(&name.unwrap_or_else(|| "model".into()));
        // What is written is known to be right.
        Model::parse(text.clone())?;
        fs::create_dir_all(dir).map_err(|e| Error::write(dir, e))?;
        if !beside.exists() {
            fs::write(&beside, format!("{:#}\n", schema(&super::words()))).map_err(|e| Error::write(&beside, e))?;
        }
        fs::write(&file, text).map_err(|e| Error::write(&file, e))?;
        Ok(file)
    }

    /// The spec with a comment at each section.
    pub fn text(&self, name: &str) -> String {
        let block = r#"{
    "pair": {
      "layers": [
        { "op": "conv2d", "filters": "$filters", "kernel": 3, "bias": false, "norm": "batch", "activation": "relu" },
        { "op": "conv2d", "filters": "$filters", "kernel": 3, "bias": false, "norm": "batch", "activation": "relu" }
      ]
    }
  }"#;
        let blocks = if self.pair {
            format!("  // Layers that several places use.\n  \"blocks\": {block},\n")
        } else {
            String::new()
        };
        let boxes = self.layers.iter().any(|layer| layer["op"] == "anchors");
        let anchors = if boxes {
            "  // `boxes` are typical widths and heights in this data: `pumice anchors` says how many objects they reach.\n"
        } else {
            ""
        };
        let held = match self.data.get("validation") {
            Some(_) => "A tenth is held back: epochs are judged on it, so that overfitting shows.",
            None => "Epochs are judged on its own validation set, so that overfitting shows.",
        };
        let layers: Vec<String> = self.layers.iter().map(|layer| format!("    {}", spaced(layer))).collect();
        let normalize = if self.input.get("features").is_some() {
            "Features are shifted and scaled to mean 0 and deviation 1."
        } else {
            "Pictures are brought to this size. \"auto\" measures mean and deviation of the training pictures."
        };
        format!(
            r#"// {}
{{
  "$schema": "./schema.json",
  "version": 1,
  "name": {},
  // {normalize}
  "input": {},
{blocks}  // Each layer takes the output of the one before. `pumice plan` shows their sizes.
{anchors}  "layers": [
{}
  ],
  "loss": "{}",
  // {held}
  "data": {},
  "train": {{
    "seed": 1,
    "batch": {},
    "epochs": {},
    // `pumice lr` suggests a learning rate.
    "optimizer": {},
    "schedule": "cosine"
  }}
}}
"#,
            self.about,
            json!(name),
            spaced(&self.input),
            layers.join(",\n"),
            self.loss,
            spaced(&self.data),
            self.batch,
            self.epochs,
            spaced(&self.optimizer),
        )
    }
}

/// JSON on one line, with the blanks that people write.
fn spaced(value: &Json) -> String {
    match value {
        Json::Object(map) => {
            let members: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", json!(key), spaced(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Json::Array(list) => format!("[{}]", list.iter().map(spaced).collect::<Vec<String>>().join(", ")),
        other => other.to_string(),
    }
}
