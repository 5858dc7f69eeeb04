//! How a time is taken: after a warm-up, in samples long enough for the clock, as a median with its spread.

use crate::error::Result;
use crate::host::Instant;
use std::time::Duration;

/// Shortest sample. A submission and a wait cost some 0.1 ms, which then hardly counts.
const SAMPLE: Duration = Duration::from_millis(20);
/// How many rounds of measurements there are; each round measures every kernel and step. Other programs slow the
/// machine for seconds at a time. Rounds spread that over all figures, which are compared with each other.
pub const ROUNDS: usize = 3;
/// Samples of a measurement.
const SAMPLES: usize = 5;
/// How many samples are enough once a measurement has taken [`LONG`].
const FEWEST: usize = 3;
/// A measurement that takes longer than this has taken long.
const LONG: Duration = Duration::from_secs(10);
/// Most repetitions in one sample.
const MOST: usize = 4096;

/// Seconds of one repetition.
#[derive(Clone, PartialEq, Debug)]
pub struct Times {
    /// The middle one of all samples.
    pub median: f64,
    /// The shortest sample.
    pub least: f64,
    /// The longest sample.
    pub most: f64,
    /// All samples, sorted.
    sorted: Vec<f64>,
}

impl Times {
    fn of(mut list: Vec<f64>) -> Times {
        list.sort_by(f64::total_cmp);
        // At least a nanosecond, the finest step of a clock: rates divide by this time.
        let at = |i: usize| list[i].max(1e-9);
        Times { median: at(list.len() / 2), least: at(0), most: at(list.len() - 1), sorted: list }
    }

    /// These samples together with those of a later measurement of the same thing.
    pub fn joined(self, later: Times) -> Times {
        Times::of([self.sorted, later.sorted].concat())
    }

    /// How many samples.
    pub fn samples(&self) -> usize {
        self.sorted.len()
    }

    /// Adds the times to a JSON object, in milliseconds: the median under `key`, the others with a suffix.
    pub fn add_to(&self, object: &mut serde_json::Value, key: &str) {
        for (suffix, seconds) in [("", self.median), ("_min", self.least), ("_max", self.most)] {
            object[format!("{key}{suffix}")] = serde_json::json!(seconds * 1e3);
        }
    }
}

/// Measures `run`, which repeats its work as often as it is told, and returns how long that took.
///
/// # Errors
/// Those of `run`.
pub async fn measure(run: &mut impl AsyncFnMut(usize) -> Result<Duration>) -> Result<Times> {
    let begin = Instant::now();
    run(1).await?;
    let mut times = 1;
    loop {
        let took = run(times).await?;
        if took >= SAMPLE || times >= MOST {
            break;
        }
        let wanted = SAMPLE.as_secs_f64() * 1.2 / took.as_secs_f64().max(1e-7);
        // The first runs are slow, so they say little. At most 16 times as
        // many repetitions as before keep a sample from getting far too long.
        times = ((times as f64 * wanted).ceil() as usize).clamp(times + 1, 16 * times).min(MOST);
    }
    let mut list = Vec::with_capacity(SAMPLES);
    while list.len() < SAMPLES && (list.len() < FEWEST || begin.elapsed() < LONG) {
        list.push(run(times).await?.as_secs_f64() / times as f64);
    }
    Ok(Times::of(list))
}

/// Does [`measure`] several rounds, one after the other, until it has taken long.
///
/// # Errors
/// Those of `run`.
pub async fn measure_longer(run: &mut impl AsyncFnMut(usize) -> Result<Duration>) -> Result<Times> {
    let begin = Instant::now();
    let mut times = measure(run).await?;
    for _ in 1..ROUNDS {
        if begin.elapsed() < LONG {
            times = times.joined(measure(run).await?);
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_long_enough_and_the_median_is_of_one_repetition() {
        let mut asked = Vec::new();
        let each = Duration::from_micros(90);
        let times = pollster::block_on(measure(&mut async |n| {
            asked.push(n);
            Ok(each * n as u32)
        }))
        .unwrap();
        assert!((times.median - 9e-5).abs() < 1e-12 && times.least <= times.median && times.median <= times.most);
        let last = *asked.last().unwrap();
        assert!((200..=400).contains(&last), "{asked:?}");
        assert_eq!(asked.iter().filter(|&&n| n == last).count(), SAMPLES + 1);
    }

    #[test]
    fn the_middle_sample_counts() {
        let times = Times::of(vec![5.0, 1.0, 2.0, 9.0, 3.0]);
        assert_eq!((times.median, times.least, times.most, times.samples()), (3.0, 1.0, 9.0, 5));
        let times = times.joined(Times::of(vec![7.0, 8.0]));
        assert_eq!((times.median, times.least, times.most, times.samples()), (5.0, 1.0, 9.0, 7));
    }
}
