//! Named numbers that say how good a model is.

use serde_json::{Value as Json, json};

/// What a metric is called and how it is read.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MetricKind {
    /// The key in JSON. `train.early_stopping.metric` and `metrics.jsonl` put `val_` before it.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// How its values are written.
    pub unit: Unit,
    /// Which way it improves.
    pub better: Better,
    /// Whether the line of an epoch shows it. `eval` shows all.
    pub brief: bool,
}

/// How values of a metric are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// A share from 0 to 1, written in percent.
    Share,
    /// A plain number.
    Number,
    /// How many.
    Count,
}

/// Which way a metric improves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

impl Unit {
    /// A value in JSON. One that is not finite is null.
    pub fn json(self, value: f64) -> Json {
        match self {
            Unit::Count => json!(value as u64),
            _ => json!(value),
        }
    }

    /// A value in words.
    pub fn text(self, value: f64) -> String {
        match self {
            Unit::Share => format!("{:.2} %", 100.0 * value),
            // Large numbers have fewer digits behind the point: about seven in all.
            Unit::Number if value.abs() >= 1e9 => format!("{value:.3e}"),
            Unit::Number => {
                let digits = [(1e3, 4), (1e4, 3), (1e5, 2), (1e6, 1)].into_iter().find(|d| value.abs() < d.0);
                format!("{value:.0$}", digits.map_or(0, |d| d.1))
            }
            Unit::Count => format!("{value:.0}"),
        }
    }
}

impl MetricKind {
    /// A kind whose larger values are better.
    pub const fn higher(name: &'static str, title: &'static str, unit: Unit) -> MetricKind {
        MetricKind { name, title, unit, better: Better::Higher, brief: false }
    }

    /// A kind whose smaller values are better.
    pub const fn lower(name: &'static str, title: &'static str, unit: Unit) -> MetricKind {
        MetricKind { name, title, unit, better: Better::Lower, brief: false }
    }

    /// The same, shown in the line of an epoch.
    pub const fn brief(self) -> MetricKind {
        MetricKind { brief: true, ..self }
    }
}

/// The loss, which every task has.
pub const LOSS: MetricKind = MetricKind::lower("loss", "loss", Unit::Number).brief();

/// A metric with its value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Metric {
    /// What it is.
    pub kind: MetricKind,
    /// Its value; NaN where it is not defined.
    pub value: f64,
}

impl Metric {
    /// The value as a number of which more is better.
    pub fn score(&self) -> f64 {
        if self.kind.better == Better::Higher { self.value } else { -self.value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_no_digits_that_nobody_reads() {
        let numbers = [0.25, -12.5, 1234.5, 12549032.2, 3.25e12, f64::NAN];
        let texts = ["0.2500", "-12.5000", "1234.500", "12549032", "3.250e12", "NaN"];
        assert_eq!(numbers.map(|x| Unit::Number.text(x)), texts);
        assert_eq!((Unit::Share.text(0.5), Unit::Count.text(12.0)), ("50.00 %".into(), "12".into()));
    }
}
