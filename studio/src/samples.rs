//! What a part of the data holds: its samples with their targets, plain and as a step sees them, and what is counted.

use crate::session::{Desk, classes_of};
use crate::warnings::{Grounds, Warning, warnings};
use crate::worker::News;
use pumice::compile::augment::Changes;
use pumice::data::count::{self, Counts, Part};
use pumice::graph::Step;
use pumice::model::InputShape;
use pumice::report::look::album::Album;
use pumice::show::seen::Seen;
use pumice::{Data, HostTensor, Result, Split, Trainer};

/// Samples whose ground is looked at.
const GROUNDS: usize = 256;
/// Of more pictures with masks, the classes of each are not noted: it takes too long.
const MASKS: usize = 2000;
/// Pixels of the longer side of a sample, at least and at most.
const SIDES: [usize; 2] = [160, 256];

/// What a split holds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Counted {
    /// The split; None before anything was counted.
    pub split: Option<Split>,
    /// How many samples.
    pub samples: usize,
    /// What is counted by class: samples, pixels or objects; None for values.
    pub unit: Option<&'static str>,
    /// Class names.
    pub classes: Vec<String>,
    /// The number of each class.
    pub counts: Vec<u64>,
    /// Smallest value, mean and largest of each target.
    pub values: Vec<[f64; 3]>,
    /// A line about sizes and objects.
    pub about: String,
    /// The classes of each sample, ascending; empty where they are not known.
    pub of: Vec<Vec<u16>>,
    /// What is worth a look.
    pub warnings: Vec<Warning>,
    /// Whether steps of training see changed samples.
    pub changes: bool,
}

impl Counted {
    /// The samples of a class, or all.
    pub fn with(&self, class: Option<usize>) -> Vec<usize> {
        let own = |place: &usize| class.is_none_or(|class| self.of[*place].contains(&(class as u16)));
        match self.of.is_empty() {
            true => (0..self.samples).collect(),
            false => (0..self.of.len()).filter(own).collect(),
        }
    }
}

/// Samples that were asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Sheet {
    /// Their split.
    pub split: Split,
    /// The step that sees them so; None: plain.
    pub step: Option<u32>,
    /// The samples.
    pub all: Vec<Drawn>,
}

/// A sample with its targets.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Drawn {
    /// Its place in the split.
    pub index: usize,
    /// Bytes `[1, h, w, 3]` with masks and boxes laid over; None for rows of a table.
    pub picture: Option<HostTensor>,
    /// Class and corners of each box, as shares of the picture.
    pub boxes: Vec<(usize, [f32; 4])>,
    /// Its class, its values, or what is there.
    pub caption: String,
    /// Features and their values, of a row of a table.
    pub row: Vec<String>,
}

impl Desk {
    /// Tells what a split holds.
    pub(crate) fn count(&mut self, split: Split) -> Result<()> {
        let Some(trainer) = &self.trainer else { return Ok(()) };
        (self.tell)(News::Counted(Box::new(counted(trainer, split)?)));
        Ok(())
    }

    /// Sends samples with their targets.
    pub(crate) fn sheet(&mut self, split: Split, places: &[usize], step: Option<u32>) -> Result<()> {
        let Some(trainer) = &self.trainer else { return Ok(()) };
        let known = trainer.problem().positions(split).len();
        let places = places.iter().filter(|&&place| place < known);
        let all = places.map(|&place| drawn(trainer, split, place, step)).collect::<Result<Vec<Drawn>>>()?;
        (self.tell)(News::Sheet(Box::new(Sheet { split, step, all })));
        Ok(())
    }
}

fn counted(trainer: &Trainer, split: Split) -> Result<Counted> {
    let (model, problem) = (trainer.model(), trainer.problem());
    let classes = classes_of(trainer);
    let positions = problem.positions(split);
    let part = count::part(&problem.columns, positions, classes.len().max(problem.classes.len()))?;
    let counts: Vec<u64> = match part.counts.names() {
        Some(_) => (0..classes.len()).map(|class| part.counts.of(class)).collect(),
        None => Vec::new(),
    };
    let values = if let Counts::Values(all) = &part.counts { all.clone() } else { Vec::new() };
    let input = match model.input.shape {
        InputShape::Image { height, width, .. } => Some([height, width]),
        _ => None,
    };
    let grounds = match model.input.shape {
        InputShape::Image { channels: 1, .. } => {
            let train = grounds(trainer, Split::Train)?;
            Some([train, if split == Split::Train { train } else { grounds(trainer, split)? }])
        }
        _ => None,
    };
    Ok(Counted {
        split: Some(split),
        samples: positions.len(),
        unit: part.counts.names(),
        warnings: warnings(&counts, part.sizes, input, grounds),
        of: classes_of_each(trainer, split, &part)?,
        about: part.about(),
        classes,
        counts,
        values,
        changes: split == Split::Train && Changes::of(model).is_some(),
    })
}

/// How many pictures have a dark and a light ground: of the pixels at their edges.
fn grounds(trainer: &Trainer, split: Split) -> Result<Grounds> {
    let problem = trainer.problem();
    let count = problem.positions(split).len();
    let mut found = Grounds::default();
    for place in (0..count).step_by(count.div_ceil(GROUNDS).max(1)) {
        let sample = problem.sample(split, place)?;
        let (&[_, h, w, _], Data::U8(bytes)) = (&sample.shape[..], &sample.data) else { return Ok(found) };
        let edge = |i: usize| i < w || i / w == h - 1 || i.is_multiple_of(w) || i % w == w - 1;
        let (mut sum, mut pixels) = (0.0, 0.0);
        for (_, &byte) in bytes.iter().enumerate().filter(|(i, _)| edge(*i)) {
            (sum, pixels) = (sum + f64::from(byte) / 255.0, pixels + 1.0);
        }
        found.add(sum / f64::max(pixels, 1.0));
    }
    Ok(found)
}

fn classes_of_each(trainer: &Trainer, split: Split, part: &Part) -> Result<Vec<Vec<u16>>> {
    let problem = trainer.problem();
    let positions = problem.positions(split);
    let slow = matches!(part.counts, Counts::Pixels(..)) && positions.len() > MASKS;
    if part.counts.names().is_none() || slow {
        return Ok(Vec::new());
    }
    let one = |&position: &u32| {
        let mut all: Vec<u16> = match &part.counts {
            Counts::Samples(_) => {
                pumice::show::samples::label(problem, position)?.into_iter().map(|class| class as u16).collect()
            }
            _ => {
                let seen = Seen::read(trainer.model(), problem, position)?;
                seen.objects().map(|(class, _)| class as u16).chain(seen.classes().map(|class| class as u16)).collect()
            }
        };
        all.sort_unstable();
        all.dedup();
        Ok(all)
    };
    positions.iter().map(one).collect()
}

fn drawn(trainer: &Trainer, split: Split, index: usize, step: Option<u32>) -> Result<Drawn> {
    let (model, problem) = (trainer.model(), trainer.problem());
    let positions = problem.positions(split);
    let position = positions[index];
    let plain = Seen::read(model, problem, position)?;
    let mut drawn = Drawn { index, caption: caption(trainer, &plain, position)?, ..Drawn::default() };
    if !plain.is_picture() {
        let album = Album { model, problem, positions };
        let name = |i: usize| problem.features.get(i).cloned().unwrap_or_else(|| format!("x{}", i + 1));
        drawn.row = album.row(index)?.into_iter().enumerate().map(|(i, x)| format!("{} {x}", name(i))).collect();
        return Ok(drawn);
    }
    let changes = step.and_then(|_| Changes::of(model));
    let seen = match (&changes, step) {
        (Some(changes), Some(step)) => {
            let seed = model.train.as_ref().map_or(0, |train| train.seed) as u32;
            plain.changed(changes, &Step { step, seed, ..Step::of(1) }, index)
        }
        _ => plain,
    };
    drawn.boxes = seen.objects().map(|(class, corners)| (class, corners.map(|x| x as f32))).collect();
    drawn.picture = Some(picture(&seen));
    Ok(drawn)
}

/// Small pictures are magnified by a whole factor, large ones made smaller.
fn picture(seen: &Seen) -> HostTensor {
    let [h, w] = seen.size();
    let longer = h.max(w).max(1);
    let wanted = if longer < SIDES[0] { longer * SIDES[0].div_ceil(longer) } else { longer.min(SIDES[1]) };
    let [height, width] = [h, w].map(|side| (side * wanted / longer).max(1));
    let middle = |i: usize, side: usize| (i as f64 + 0.5) / side as f64;
    let pixels = (0..height * width).flat_map(|i| seen.colour(middle(i / width, height), middle(i % width, width)));
    HostTensor::u8(&[1, height, width, 3], pixels.collect())
}

/// The class, the values, or how many objects of each class there are.
fn caption(trainer: &Trainer, seen: &Seen, position: u32) -> Result<String> {
    let problem = trainer.problem();
    let classes = classes_of(trainer);
    let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    if let Some(class) = pumice::show::samples::label(problem, position)? {
        return Ok(name(class));
    }
    if let Some(values) = count::column(&problem.columns, pumice::data::VALUES) {
        let all = values.store.one(position)?.data.to_f64();
        return Ok(all.iter().map(|x| format!("{x:.4}")).collect::<Vec<String>>().join(", "));
    }
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for (class, _) in seen.objects() {
        match counts.iter_mut().find(|(own, _)| *own == class) {
            Some((_, count)) => *count += 1,
            None => counts.push((class, 1)),
        }
    }
    counts.sort_unstable();
    let objects = counts.into_iter().map(|(class, count)| format!("{count} {}", name(class)));
    Ok(objects.chain(seen.classes().map(name)).collect::<Vec<String>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_its_own_samples() {
        let of = vec![vec![0], vec![1], vec![0, 1], vec![]];
        let counted = Counted { samples: 4, of, ..Counted::default() };
        assert_eq!(counted.with(Some(1)), [1, 2]);
        assert_eq!(counted.with(None), [0, 1, 2, 3]);
        let unknown = Counted { samples: 3, ..Counted::default() };
        assert_eq!(unknown.with(Some(1)), [0, 1, 2], "where nothing is known, nothing is hidden");
    }
}
