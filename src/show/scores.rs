//! Which class a picture is asked about, and what its score is: a logit y_c, or a mean of logits.

use crate::error::{Error, Result};
use crate::graph::Decode;
use crate::model::Model;
use crate::spec::suggest;
use crate::task::Task;
use std::sync::Arc;

/// What a model's scores stand for.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// One of several classes, by softmax over the last dimension.
    OneOf,
    /// One of two classes, by σ of a single score.
    Binary,
    /// Each class for itself, by σ.
    Each,
    /// Numbers, which are no classes.
    Values,
    /// Objects: rows of numbers, one a box.
    Objects(Arc<dyn Decode>),
}

/// What the scores of a model are.
#[derive(Clone, Debug)]
pub struct Scores {
    /// What they stand for.
    pub meaning: Meaning,
    /// Their dimensions: `[K]`, `[h, w, K]`, or `[boxes, numbers]`.
    pub dims: Vec<usize>,
    /// Names of the classes, if they have some.
    pub names: Vec<String>,
}

/// A class of one sample.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Its index.
    pub class: usize,
    /// Its name; without one, its index.
    pub name: String,
    /// The score is Σ seed · scores.
    pub seed: Vec<f32>,
    /// The score y_c, before softmax or σ.
    pub score: f64,
    /// Its probability; for values the value.
    pub probability: f64,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The probabilities of one row of scores.
fn softmax(row: &[f32]) -> Vec<f64> {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = row.iter().map(|&x| f64::from(x - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|x| x / sum).collect()
}

/// The index of the largest number; of equal ones the first.
pub fn largest(values: impl IntoIterator<Item = f64>) -> usize {
    let fold = |best: (usize, f64), (i, x): (usize, f64)| if x > best.1 { (i, x) } else { best };
    values.into_iter().enumerate().fold((0, f64::NEG_INFINITY), fold).0
}

impl Scores {
    /// What the scores of a model of `dims` a sample are.
    pub fn of(model: &Model, task: &dyn Task, dims: &[usize], decoder: Option<Arc<dyn Decode>>) -> Scores {
        let last = dims.last().copied().unwrap_or(1);
        let meaning = match (decoder, task.name()) {
            (Some(decoder), _) => Meaning::Objects(decoder),
            (None, "multi_label") => Meaning::Each,
            (None, "classify" | "segment") if last == 1 => Meaning::Binary,
            (None, "classify" | "segment") => Meaning::OneOf,
            _ => Meaning::Values,
        };
        let names = model.data.as_ref().and_then(|data| data.class_names.clone()).unwrap_or_default();
        Scores { meaning, dims: dims.to_vec(), names }
    }

    /// How many classes there are, or values.
    pub fn count(&self) -> usize {
        match &self.meaning {
            Meaning::Binary => 2,
            Meaning::Objects(decoder) => decoder.classes(),
            _ => self.width(),
        }
    }

    fn width(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }

    /// The name of a class; without one, its index.
    pub fn name(&self, class: usize) -> String {
        self.names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// The class that a word means: an index, or a name.
    ///
    /// # Errors
    /// A word that is neither.
    pub fn class(&self, word: &str) -> Result<usize> {
        if let Some(class) = self.names.iter().position(|name| name == word) {
            return Ok(class);
        }
        let count = self.count();
        if let Some(class) = word.parse().ok().filter(|&class: &usize| class < count) {
            return Ok(class);
        }
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let hint = match names.is_empty() {
            true => format!("there are {count}: give an index from 0 to {}", count.saturating_sub(1)),
            false => suggest(word, &names, "`", "the classes are"),
        };
        Err(Error::usage(format!("the model has no class `{word}`"), hint))
    }

    /// The class that scores predict, `[K]` of one sample: the likeliest; of pixels, the most frequent one, but for class
    /// 0 if there is any other; of objects, that of the surest box; of values, the first.
    pub fn predicted(&self, scores: &[f32]) -> usize {
        match &self.meaning {
            Meaning::Values => 0,
            Meaning::Each => largest(scores.iter().map(|&x| f64::from(x))),
            Meaning::Objects(decoder) => {
                let all = decoder.decode(scores, 0.0);
                all.iter().max_by(|a, b| a.score.total_cmp(&b.score)).map_or(0, |best| best.class)
            }
            Meaning::OneOf | Meaning::Binary => {
                let mut counts = vec![0.0; self.count()];
                scores.chunks_exact(self.width()).for_each(|row| counts[self.pixel(row)] += 1.0);
                let others = largest(counts.iter().skip(1).copied()) + 1;
                let any = counts.get(others).is_some_and(|&n| n > 0.0);
                if self.dims.len() > 1 && any { others } else { largest(counts) }
            }
        }
    }

    /// The class of one row of scores.
    fn pixel(&self, row: &[f32]) -> usize {
        match row {
            &[one] => usize::from(one > 0.0),
            many => largest(many.iter().map(|&x| f64::from(x))),
        }
    }

    /// A class with the direction of its score. The score is its logit; with a single score, that of class 0 is its
    /// negative. Of pixels it is the mean over those that are of this class, or over all, if none is. Of objects it is
    /// the largest of all boxes.
    pub fn choose(&self, scores: &[f32], class: usize) -> Chosen {
        let mut seed = vec![0.0; scores.len()];
        let width = self.width();
        let (column, sign) = match &self.meaning {
            Meaning::Binary => (0, if class == 0 { -1.0 } else { 1.0 }),
            Meaning::Objects(decoder) => (width.saturating_sub(decoder.classes()) + class, 1.0),
            _ => (class, 1.0),
        };
        let rows: Vec<usize> = self.rows(scores, class, column);
        for &row in &rows {
            seed[row * width + column] = sign / rows.len() as f32;
        }
        let score = scores.iter().zip(&seed).map(|(&x, &s)| f64::from(x) * f64::from(s)).sum();
        let mut chosen = Chosen { class, name: self.name(class), seed, score, probability: 0.0 };
        chosen.probability = self.probability(scores, &chosen);
        chosen
    }

    /// Which rows of scores the score of a class is the mean of.
    fn rows(&self, scores: &[f32], class: usize, column: usize) -> Vec<usize> {
        let rows: Vec<&[f32]> = scores.chunks_exact(self.width()).collect();
        if rows.len() == 1 {
            return vec![0];
        }
        if let Meaning::Objects(_) = self.meaning {
            return vec![largest(rows.iter().map(|row| f64::from(row[column])))];
        }
        let classed = matches!(self.meaning, Meaning::OneOf | Meaning::Binary);
        let own: Vec<usize> = (0..rows.len()).filter(|&i| classed && self.pixel(rows[i]) == class).collect();
        if own.is_empty() { (0..rows.len()).collect() } else { own }
    }

    /// How likely a class is by the scores of a picture, perhaps of another one than it was chosen for: the mean over
    /// those rows that its seed names. Of values, the value itself.
    pub fn probability(&self, scores: &[f32], chosen: &Chosen) -> f64 {
        let width = self.width();
        if let Meaning::Objects(decoder) = &self.meaning {
            let all = decoder.decode(scores, 0.0);
            return all.iter().filter(|box_| box_.class == chosen.class).map(|box_| box_.score).fold(0.0, f64::max);
        }
        let (mut sum, mut count) = (0.0, 0.0);
        for (row, seed) in scores.chunks_exact(width).zip(chosen.seed.chunks_exact(width)) {
            if seed.iter().all(|&s| s == 0.0) {
                continue;
            }
            count += 1.0;
            sum += match &self.meaning {
                Meaning::OneOf => softmax(row)[chosen.class],
                Meaning::Binary if chosen.class == 0 => sigmoid(-f64::from(row[0])),
                Meaning::Binary => sigmoid(f64::from(row[0])),
                Meaning::Each => sigmoid(f64::from(row[chosen.class])),
                Meaning::Values | Meaning::Objects(_) => f64::from(row[chosen.class]),
            };
        }
        sum / count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(meaning: Meaning, dims: &[usize]) -> Scores {
        Scores { meaning, dims: dims.to_vec(), names: vec!["cat".into(), "dog".into()] }
    }

    #[test]
    fn a_class_is_chosen_by_index_or_name() {
        let three = scores(Meaning::OneOf, &[3]);
        assert_eq!([three.class("dog").ok(), three.class("2").ok()], [Some(1), Some(2)]);
        let wrong = three.class("3").expect_err("there are three").to_string();
        assert!(wrong.contains("no class `3`") && wrong.contains("cat"), "{wrong}");
    }

    #[test]
    fn the_score_is_a_logit_and_the_probability_its_softmax() {
        let three = scores(Meaning::OneOf, &[3]);
        let row = [0.0, 2.0, 1.0];
        assert_eq!(three.predicted(&row), 1);
        let chosen = three.choose(&row, 2);
        assert_eq!((chosen.seed.as_slice(), chosen.score), (&[0.0, 0.0, 1.0][..], 1.0));
        let e = std::f64::consts::E;
        assert!((chosen.probability - e / (1.0 + e + e * e)).abs() < 1e-12);
        let two = scores(Meaning::Binary, &[1]);
        let chosen = two.choose(&[-3.0], two.predicted(&[-3.0]));
        assert_eq!((chosen.class, chosen.seed[0], chosen.score), (0, -1.0, 3.0));
        assert!((chosen.probability - 1.0 / (1.0 + (-3f64).exp())).abs() < 1e-12);
    }

    #[test]
    fn of_pixels_those_of_the_class_count() {
        let pixels = scores(Meaning::OneOf, &[2, 2, 2]);
        let all = [3.0, 0.0, 3.0, 0.0, 3.0, 0.0, 0.0, 5.0];
        assert_eq!(pixels.predicted(&all), 1, "class 0 is the background");
        let chosen = pixels.choose(&all, 0);
        assert_eq!(chosen.seed, [1.0 / 3.0, 0.0, 1.0 / 3.0, 0.0, 1.0 / 3.0, 0.0, 0.0, 0.0]);
        assert!((chosen.score - 3.0).abs() < 1e-6);
    }
}
