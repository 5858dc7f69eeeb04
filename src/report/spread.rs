//! How the numbers of a tensor are spread.

use serde_json::{Value as Json, json};

/// Bins of a histogram.
pub const BINS: usize = 30;
/// Of larger tensors about so many numbers are looked at, evenly.
const MOST: usize = 1 << 20;

/// How the numbers of a tensor are spread. Those that are not finite count nowhere.
#[derive(Clone, PartialEq, Debug)]
pub struct Spread {
    /// The smallest number.
    pub min: f64,
    /// The largest number.
    pub max: f64,
    /// Σ x.
    pub sum: f64,
    /// Σ x².
    pub squares: f64,
    /// How many lie in each of [`BINS`] equal bins from `min` to `max`.
    pub counts: Vec<u64>,
}

impl Spread {
    /// Of so many numbers that it takes no time; None if none is finite.
    pub fn of(values: &[f32]) -> Option<Spread> {
        let step = values.len().div_ceil(MOST).max(1);
        let fine = || values.iter().step_by(step).filter(|x| x.is_finite()).map(|&x| f64::from(x));
        let (min, max) = fine().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if min > max {
            return None;
        }
        let mut spread = Spread { min, max, sum: 0.0, squares: 0.0, counts: vec![0; BINS] };
        let scale = if max > min { BINS as f64 / (max - min) } else { 0.0 };
        for x in fine() {
            spread.sum += x;
            spread.squares += x * x;
            spread.counts[(((x - min) * scale) as usize).min(BINS - 1)] += 1;
        }
        Some(spread)
    }

    /// How many numbers it is of.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// As the line of a file has it.
    pub fn to_json(&self) -> Json {
        json!({ "min": self.min, "max": self.max, "sum": self.sum, "squares": self.squares, "counts": self.counts })
    }

    /// From a line of a file; None if it is none.
    pub fn from_json(json: &Json) -> Option<Spread> {
        let number = |key: &str| json[key].as_f64();
        let counts: Vec<u64> = json["counts"].as_array()?.iter().filter_map(Json::as_u64).collect();
        let spread = Spread {
            min: number("min")?,
            max: number("max")?,
            sum: number("sum")?,
            squares: number("squares")?,
            counts,
        };
        (!spread.counts.is_empty()).then_some(spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_in_equal_bins() {
        assert_eq!(Spread::of(&[f32::NAN]), None);
        let values: Vec<f32> = (0..=30).map(|i| i as f32).chain([f32::INFINITY]).collect();
        let spread = Spread::of(&values).unwrap();
        assert_eq!((spread.min, spread.max, spread.sum, spread.count()), (0.0, 30.0, 465.0, 31));
        assert_eq!((spread.counts[0], spread.counts[29], spread.squares), (1, 2, 9455.0));
        assert_eq!(Spread::from_json(&spread.to_json()), Some(spread));
        assert_eq!(Spread::of(&[2.0, 2.0]).unwrap().counts[0], 2);
    }
}
