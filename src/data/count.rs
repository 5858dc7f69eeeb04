//! What the samples of a part are.

use super::dataset::{BOXES, Column, IMAGE, LABEL, VALUES};
use super::mask::MASK;
use super::picture;
use crate::error::Result;
use serde_json::{Map, Value as Json, json};

/// The sizes of at most so many pictures are looked up.
const LOOKED_AT: usize = 1000;

/// What a part holds.
pub struct Part {
    /// How many samples there are.
    pub samples: usize,
    /// What they hold.
    pub counts: Counts,
    /// Height and width of the smallest and of the largest picture, by area.
    pub sizes: Option<[[usize; 2]; 2]>,
}

/// What is counted.
pub enum Counts {
    /// Samples of each class.
    Samples(Vec<u64>),
    /// Pixels of each class, and of none.
    Pixels(Vec<u64>, u64),
    /// Objects.
    Objects(Objects),
    /// Smallest value, mean and largest of each target.
    Values(Vec<[f64; 3]>),
    /// Nothing that is known here.
    Nothing,
}

/// Objects of a part.
pub struct Objects {
    /// Those of each class.
    pub classes: Vec<u64>,
    /// Those that do not count.
    pub ignored: u64,
    /// Those of each picture, ascending.
    pub each: Vec<usize>,
    /// √area of each in pixels of its picture, ascending.
    pub sides: Vec<f64>,
}

/// Counts what the samples at some positions hold.
///
/// # Errors
/// A file that has changed since it was opened.
pub fn part(set: &[Column], positions: &[u32], classes: usize) -> Result<Part> {
    let counts = if let Some(boxes) = column(set, BOXES) {
        let mut found = Objects { classes: vec![0; classes], ignored: 0, each: Vec::new(), sides: Vec::new() };
        for &position in positions {
            let Some(own) = boxes.truth(position)?.objects else { continue };
            found.each.push(own.list.len());
            for object in &own.list {
                found.classes[object.class] += 1;
                found.ignored += u64::from(object.ignored);
                found.sides.push(object.area.max(0.0).sqrt());
            }
        }
        found.each.sort_unstable();
        found.sides.sort_by(f64::total_cmp);
        Counts::Objects(found)
    } else if let Some(labels) = column(set, LABEL) {
        let mut all = vec![0; classes];
        for class in labels.store.read(positions)?.to_f64() {
            all[class as usize] += 1;
        }
        Counts::Samples(all)
    } else if let Some(masks) = column(set, MASK) {
        let (mut all, mut none) = (vec![0; classes], 0);
        for &position in positions {
            for class in masks.store.one(position)?.data.to_f64() {
                match all.get_mut(class as usize) {
                    Some(count) => *count += 1,
                    None => none += 1,
                }
            }
        }
        Counts::Pixels(all, none)
    } else if let Some(values) = column(set, VALUES) {
        let width = values.store.dims().iter().product::<usize>().max(1);
        let mut all = vec![[f64::INFINITY, 0.0, f64::NEG_INFINITY]; width];
        for (i, x) in values.store.read(positions)?.to_f64().into_iter().enumerate() {
            let own = &mut all[i % width];
            *own = [own[0].min(x), own[1] + x / positions.len() as f64, own[2].max(x)];
        }
        Counts::Values(all)
    } else {
        Counts::Nothing
    };
    Ok(Part { samples: positions.len(), counts, sizes: sizes(set, positions)? })
}

/// The sizes of the smallest and of the largest picture.
fn sizes(set: &[Column], positions: &[u32]) -> Result<Option<[[usize; 2]; 2]>> {
    let mut all = Vec::new();
    for &position in positions.iter().step_by(positions.len().div_ceil(LOOKED_AT).max(1)) {
        if let Some(objects) =
            column(set, BOXES).map(|boxes| boxes.truth(position)).transpose()?.and_then(|t| t.objects)
        {
            all.push(objects.size);
        } else if let Some(file) = column(set, IMAGE).and_then(|images| images.file(position)) {
            let (h, w) = picture::size(file)?;
            all.push([h, w]);
        }
    }
    let area = |size: &&[usize; 2]| size[0] * size[1];
    Ok(all.iter().min_by_key(area).zip(all.iter().max_by_key(area)).map(|(a, b)| [*a, *b]))
}

impl Counts {
    /// What is counted by class.
    pub fn names(&self) -> Option<&'static str> {
        match self {
            Counts::Samples(_) => Some("samples"),
            Counts::Pixels(..) => Some("pixels"),
            Counts::Objects(_) => Some("objects"),
            Counts::Values(_) | Counts::Nothing => None,
        }
    }

    /// Those of a class.
    pub fn of(&self, class: usize) -> u64 {
        match self {
            Counts::Samples(all) | Counts::Pixels(all, _) => all.get(class).copied().unwrap_or(0),
            Counts::Objects(all) => all.classes.get(class).copied().unwrap_or(0),
            Counts::Values(_) | Counts::Nothing => 0,
        }
    }
}

impl Objects {
    /// Pictures without any.
    pub fn empty(&self) -> usize {
        self.each.iter().filter(|count| **count == 0).count()
    }

    /// Smallest, middle and largest of ascending numbers.
    fn three<T: Copy>(all: &[T]) -> Option<[T; 3]> {
        Some([*all.first()?, all[all.len() / 2], *all.last()?])
    }
}

impl Part {
    /// What is worth a line.
    pub fn about(&self) -> String {
        let mut words = Vec::new();
        if let Some([small, large]) = self.sizes {
            words.push(match small == large {
                true => format!("{} x {} (width x height)", small[1], small[0]),
                false => format!("{} x {} to {} x {} (width x height)", small[1], small[0], large[1], large[0]),
            });
        }
        match &self.counts {
            Counts::Objects(found) => {
                if let Some([least, middle, most]) = Objects::three(&found.each) {
                    words.push(format!("{least} to {most} objects a picture, mostly {middle}"));
                }
                if let Some([least, middle, most]) = Objects::three(&found.sides) {
                    words.push(format!("sides of {least:.0} to {most:.0} pixels, mostly {middle:.0}"));
                }
                if found.empty() > 0 {
                    words.push(format!("{} pictures without objects", found.empty()));
                }
                if found.ignored > 0 {
                    words.push(format!("{} objects that do not count (difficult, crowds)", found.ignored));
                }
            }
            Counts::Pixels(_, none) if *none > 0 => words.push(format!("{none} pixels of no class")),
            _ => {}
        }
        words.join("; ")
    }

    /// The same for programs.
    pub fn json(&self, classes: &[String]) -> Json {
        let mut all = json!({ "samples": self.samples });
        if let Some([small, large]) = self.sizes {
            all["sizes"] = json!({ "smallest": small, "largest": large });
        }
        if let Some(unit) = self.counts.names() {
            let counts = classes.iter().enumerate().map(|(class, name)| (name.clone(), json!(self.counts.of(class))));
            all[unit] = Json::Object(counts.collect::<Map<String, Json>>());
        }
        match &self.counts {
            Counts::Objects(found) => {
                let three = |all: Option<[f64; 3]>| all.map(|[a, b, c]| json!({ "min": a, "median": b, "max": c }));
                all["objects_per_picture"] =
                    json!(three(Objects::three(&found.each).map(|all| all.map(|count| count as f64))));
                all["object_side"] = json!(three(Objects::three(&found.sides)));
                all["without_objects"] = json!(found.empty());
                all["ignored"] = json!(found.ignored);
            }
            Counts::Pixels(_, none) => all["pixels_of_no_class"] = json!(none),
            Counts::Values(values) => {
                let one = |[a, b, c]: &[f64; 3]| json!({ "min": a, "mean": b, "max": c });
                all["values"] = values.iter().map(one).collect();
            }
            _ => {}
        }
        all
    }
}

/// A column by its name.
pub fn column<'a>(set: &'a [Column], field: &str) -> Option<&'a Column> {
    set.iter().find(|column| column.field == field)
}
