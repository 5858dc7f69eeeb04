//! `pumice anchors`: typical boxes of a data set for the input of a spec, and how many objects the boxes of its layers
//! `anchors` reach.

use super::args::{self, SpecArgs};
use super::outcome::Outcome;
use super::{data, numbers, output};
use crate::compile::build::{self, BuildOptions, Feed};
use crate::data::clusters::{self, Clusters};
use crate::data::{BOXES, Splits};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::ops::layer::anchors::Geometry;
use crate::ops::loss::boxes::{corners, iou};
use crate::report::table::{Align, Table};
use crate::spec::Count;
use crate::train::problem;
use serde_json::{Map, Value as Json, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Typical boxes where neither the flag nor a layer says how many.
const COUNT: usize = 5;
/// Of more objects, so many that lie evenly over the data set are looked at.
const MOST: usize = 20_000;
/// A box reaches an object from this overlap on.
const REACHED: f64 = 0.5;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// A folder with data of the spec's kind, instead of the spec's own.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many boxes [default: as many as the layer `anchors` has, else 5].
    #[arg(long, value_name = "K", value_parser = args::count)]
    count: Option<Count>,
}

/// An object as the network sees it.
struct Seen {
    class: usize,
    /// x1, y1, x2, y2 as shares of the input.
    corners: [f64; 4],
}

/// A layer `anchors` of the spec: of each class and of all together, how many objects it reaches, and how many there are.
struct Reach {
    layer: String,
    boxes: usize,
    classes: Vec<[usize; 2]>,
}

/// Reads the training objects, finds typical boxes, and compares today's with them.
pub fn run(args: &Args, json: bool) -> Outcome {
    let mut model = args.spec.load()?;
    let splits = data::read(&model, args.data.as_deref(), false, false)?;
    let (names, objects) = objects(&model, &splits)?;
    problem::count_classes(&mut model, args.data.as_deref())?;
    let layers = layers(&model)?;
    let own: usize = layers.iter().flat_map(|(_, geometry)| &geometry.levels).map(|level| level.boxes.len()).sum();
    let count = args.count.map_or(if own > 0 { own } else { COUNT }, |count| count.0);
    let dims = model.input.dims();
    let [height, width] = [dims[0] as f64, dims[1] as f64];
    let sides: Vec<[f64; 2]> = objects
        .iter()
        .map(|own| [(own.corners[2] - own.corners[0]) * width, (own.corners[3] - own.corners[1]) * height])
        .collect();
    let found = clusters::clusters(&sides, count, 1);
    let reaches: Vec<Reach> =
        layers.iter().map(|(name, geometry)| Reach::of(name, geometry, &objects, names.len())).collect();
    match json {
        true => output::print_json(&as_json(&found, objects.len(), &reaches, &names))?,
        false => output::print(&text(&found, objects.len(), [dims[0], dims[1]], &reaches, &names))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the classes, and the objects of the training set.
fn objects(model: &Model, splits: &Splits) -> Result<(Vec<String>, Vec<Seen>)> {
    let set = splits.train.as_ref().expect("the training set was wanted");
    let no_boxes = || {
        let what = "this data has no boxes around objects";
        Error::file(&model.source.file, what, "use data of kind voc, coco, yolo or shapes")
    };
    let boxes = set.column(BOXES).ok_or_else(no_boxes)?;
    let mut all = Vec::new();
    for position in 0..set.len() as u32 {
        let rows = boxes.one(position)?.data.to_f64();
        // A box that a letterbox has made smaller than a number can tell has no shape.
        let real = rows.chunks_exact(5).filter(|row| row[0] >= 0.0 && row[3] > row[1] && row[4] > row[2]);
        all.extend(real.map(|row| Seen { class: row[0] as usize, corners: [row[1], row[2], row[3], row[4]] }));
    }
    if all.is_empty() {
        return Err(Error::usage("no object in the training set", "mark some"));
    }
    let step = all.len().div_ceil(MOST);
    Ok((set.classes.clone(), all.into_iter().step_by(step).collect()))
}

/// The layers `anchors` of a spec.
fn layers(model: &Model) -> Result<Vec<(String, Arc<Geometry>)>> {
    let options = BuildOptions { training: false, random: false, loss: false, feed: Feed::Host };
    let graph = build::build(model, &options)?;
    let geometry = |output| Geometry::of(&graph, output);
    let one = |layer: &crate::graph::LayerInfo| Some((layer.name.clone(), geometry(layer.output?)?));
    Ok(graph.layers.iter().filter_map(one).collect())
}

impl Reach {
    fn of(layer: &str, geometry: &Geometry, objects: &[Seen], classes: usize) -> Reach {
        let priors: Vec<[f64; 4]> = geometry.priors().iter().map(|prior| corners(prior.shape)).collect();
        let mut counts = vec![[0; 2]; classes];
        for object in objects {
            let reached = priors.iter().any(|prior| iou(*prior, object.corners) >= REACHED);
            counts[object.class][0] += usize::from(reached);
            counts[object.class][1] += 1;
        }
        Reach { layer: layer.into(), boxes: priors.len(), classes: counts }
    }

    /// Reached and all.
    fn all(&self) -> [usize; 2] {
        self.classes.iter().fold([0; 2], |sum, own| [sum[0] + own[0], sum[1] + own[1]])
    }
}

/// The share of what is reached; none of nothing.
fn share([reached, all]: [usize; 2]) -> Option<f64> {
    (all > 0).then(|| reached as f64 / all as f64)
}

fn text(found: &Clusters, objects: usize, [height, width]: [usize; 2], reaches: &[Reach], names: &[String]) -> String {
    let list: Vec<String> = found.boxes.iter().map(|[w, h]| format!("[{w:.0}, {h:.0}]")).collect();
    let grouped = numbers::grouped(objects as u64);
    let mut text = format!("{} boxes for {grouped} objects of an input of {width} x {height}", list.len());
    text.push_str(&format!(" (width x height):\n  {}\nmean overlap (IoU) {:.3}\n", list.join(", "), found.fit));
    for reach in reaches {
        let boxes = numbers::grouped(reach.boxes as u64);
        text.push_str(&format!("\nlayer `{}`, {boxes} boxes: objects with a box of IoU 0.5 or more\n", reach.layer));
        let mut table = Table::new(&[("class", Align::Left), ("objects", Align::Right), ("reached", Align::Right)]);
        let all = ("all", reach.all());
        for (name, own) in names.iter().map(String::as_str).zip(reach.classes.iter().copied()).chain([all]) {
            let share = share(own).map_or("-".into(), |share| format!("{:.1} %", 100.0 * share));
            table.row([name.to_string(), numbers::grouped(own[1] as u64), share]);
        }
        text.push_str(&table.to_string());
    }
    if reaches.is_empty() {
        text.push_str("\nthe spec has no layer `anchors`\n");
    }
    text
}

fn as_json(found: &Clusters, objects: usize, reaches: &[Reach], names: &[String]) -> Json {
    let one = |reach: &Reach| {
        let classes = names.iter().cloned().zip(reach.classes.iter().map(|own| json!(share(*own))));
        json!({
            "name": reach.layer, "boxes": reach.boxes, "reached": share(reach.all()),
            "classes": Json::Object(classes.collect::<Map<String, Json>>()),
        })
    };
    json!({
        "objects": objects, "boxes": found.boxes, "mean_iou": found.fit,
        "layers": reaches.iter().map(one).collect::<Vec<Json>>(),
    })
}
