//! The weights: how they are spread after each epoch, and which units never answer.

use super::history::{History, WeightLine};
use super::html::{Section, details, escape, short, table};
use super::plot::number;
use super::spread::Spread;
use std::fmt::Write;

/// Tensors that are drawn at most.
const DRAWN: usize = 12;
/// Epochs of a drawing at most.
const RIDGES: usize = 14;
/// Width, height of a ridge, distance between two.
const SIZE: [f64; 3] = [260.0, 44.0, 11.0];

/// A layer some of whose units are 0 for every sample that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dead {
    /// The layer.
    pub layer: String,
    /// The indices of its dead units.
    pub units: Vec<usize>,
    /// How many units it has.
    pub of: usize,
}

/// The weights after each epoch as ridges, and a table of the last. `now` are those without a history. `dead` comes with
/// the number of samples that were looked at; None where nobody has looked.
pub fn section(history: &History, now: Option<&[(String, Spread)]>, dead: Option<(&[Dead], usize)>) -> Option<Section> {
    let only;
    let lines: &[WeightLine] = match (&history.weights[..], now) {
        ([], Some(tensors)) => {
            only = [WeightLine { epoch: 0, step: 0, tensors: tensors.to_vec() }];
            &only
        }
        (lines, _) => lines,
    };
    let last = lines.last()?;
    let weights: Vec<&str> =
        last.tensors.iter().map(|(name, _)| name.as_str()).filter(|name| name.ends_with(".weight")).collect();
    // Of many, the first and the last tell the most; then evenly those between.
    let shown: Vec<&str> = match weights.len() {
        n if n <= DRAWN => weights.clone(),
        n => (0..DRAWN).map(|i| weights[i * (n - 1) / (DRAWN - 1)]).collect(),
    };
    let figures: String = shown.iter().map(|name| ridges(name, lines)).collect();
    let more = match weights.len() - shown.len() {
        0 => String::new(),
        more => format!(" {more} more are in the table."),
    };
    let lede = match lines.len() {
        1 => format!("How the numbers of each tensor are spread.{more}"),
        _ => format!("Each ridge is the histogram after an epoch; the last one is in front, in colour.{more}"),
    };
    let rows: Vec<Vec<String>> = last.tensors.iter().map(row).collect();
    let head = ["tensor", "numbers", "mean", "deviation", "smallest", "largest"].map(String::from);
    let table = details("The tensors as a table", &table("Spread of the parameters", &head, &rows));
    let dead = dead.map_or(String::new(), |(dead, samples)| dead_units(dead, samples));
    let html = format!("{dead}<div class=\"grid small\">{figures}</div>{table}");
    Some(Section::new("The weights", lede, html))
}

fn row((name, spread): &(String, Spread)) -> Vec<String> {
    let count = spread.count() as f64;
    let mean = spread.sum / count;
    let deviation = (spread.squares / count - mean * mean).max(0.0).sqrt();
    [mean, deviation, spread.min, spread.max].into_iter().map(number).fold(
        vec![escape(name), spread.count().to_string()],
        |mut row, cell| {
            row.push(cell);
            row
        },
    )
}

fn dead_units(dead: &[Dead], samples: usize) -> String {
    if dead.is_empty() {
        return format!("<p class=\"note\">Every unit behind a relu answers to at least one of {samples} samples.</p>");
    }
    let one = |layer: &Dead| {
        let shown: Vec<String> = layer.units.iter().take(24).map(usize::to_string).collect();
        let more = if layer.units.len() > 24 { ", …" } else { "" };
        vec![
            escape(&layer.layer),
            format!("{} of {}", layer.units.len(), layer.of),
            // In lines of a few.
            shown.chunks(12).map(|line| line.join(", ")).collect::<Vec<String>>().join(",<br/>") + more,
        ]
    };
    let rows: Vec<Vec<String>> = dead.iter().map(one).collect();
    let head = ["layer", "dead", "units, counted from 0"].map(String::from);
    format!(
        "<p class=\"note\">Some units are 0 for all of {samples} samples: they compute nothing. A lower learning rate, \
         leaky_relu or batch_norm helps.</p>{}",
        table("Dead units", &head, &rows)
    )
}

/// The histograms of a tensor, the oldest at the back.
fn ridges(name: &str, lines: &[WeightLine]) -> String {
    let all: Vec<(u64, &Spread)> = lines
        .iter()
        .filter_map(|line| Some((line.epoch, &line.tensors.iter().find(|(own, _)| own == name)?.1)))
        .collect();
    let chosen: Vec<(u64, &Spread)> = match all.len() {
        n if n <= RIDGES => all,
        n => (0..RIDGES).map(|i| all[i * (n - 1) / (RIDGES - 1)]).collect(),
    };
    let low = chosen.iter().map(|(_, s)| s.min).fold(f64::INFINITY, f64::min);
    let high = chosen.iter().map(|(_, s)| s.max).fold(f64::NEG_INFINITY, f64::max);
    let range = if high > low { high - low } else { 1.0 };
    let [width, ridge, step] = SIZE;
    let height = ridge + step * (chosen.len() as f64 - 1.0) + 24.0;
    let density = |s: &Spread, count: u64| count as f64 / s.count().max(1) as f64 / ((s.max - s.min) / range).max(0.02);
    let most = chosen.iter().flat_map(|(_, s)| s.counts.iter().map(|&c| density(s, c))).fold(1e-12, f64::max);
    let mut svg = String::new();
    for (i, (epoch, spread)) in chosen.iter().enumerate() {
        let base = ridge + step * i as f64;
        let x = |v: f64| 2.0 + (width - 4.0) * (v - low) / range;
        let bin = (spread.max - spread.min) / spread.counts.len() as f64;
        let mut path = format!("M{:.1} {base:.1}", x(spread.min));
        for (k, &count) in spread.counts.iter().enumerate() {
            // Roots, so that rare values are seen too.
            let up = (density(spread, count) / most).sqrt() * (ridge - 4.0);
            let middle = spread.min + bin * (k as f64 + 0.5);
            write!(path, "L{:.1} {:.1}", x(middle), base - up).expect("text takes everything");
        }
        write!(path, "L{:.1} {base:.1}z", x(spread.max)).expect("text takes everything");
        let class = if i + 1 == chosen.len() { "ridge last" } else { "ridge" };
        let title = if *epoch > 0 { format!("<title>after epoch {epoch}</title>") } else { String::new() };
        write!(svg, "<path class=\"{class}\" d=\"{path}\">{title}</path>").expect("text takes everything");
    }
    let end = height - 8.0;
    write!(
        svg,
        "<text class=\"tick\" x=\"2\" y=\"{end}\">{}</text><text class=\"tick\" x=\"{}\" y=\"{end}\" \
         text-anchor=\"end\">{}</text>",
        number(low),
        width - 2.0,
        number(high)
    )
    .expect("text takes everything");
    let label = format!("{name}: from {} to {} after the last of {} epochs", number(low), number(high), lines.len());
    format!(
        "<figure><figcaption>{}</figcaption><svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{}\">{svg}</svg></figure>",
        escape(&short(name.trim_end_matches(".weight"), 30)),
        escape(&label)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ridges_and_dead_units() {
        assert_eq!(section(&History::default(), None, None), None);
        let tensors = vec![
            ("a<b>.weight".to_string(), Spread::of(&[1.0, 2.0, 2.5]).unwrap()),
            ("a<b>.bias".to_string(), Spread::of(&[0.0]).unwrap()),
        ];
        let weights = (1..=20).map(|epoch| WeightLine { epoch, step: epoch * 10, tensors: tensors.clone() }).collect();
        let history = History { weights, ..History::default() };
        let dead = [Dead { layer: "conv".into(), units: vec![3, 5], of: 8 }];
        let html = section(&history, None, Some((&dead, 100))).unwrap().html;
        assert_eq!(html.matches("class=\"ridge").count(), RIDGES);
        assert!(html.contains("a&lt;b&gt;") && html.contains("2 of 8") && html.contains("3, 5"), "{html}");
        assert!(!html.contains("NaN") && !html.contains("<b>"), "{html}");
        let now = section(&History::default(), Some(&tensors), Some((&[], 9))).unwrap();
        assert!(now.html.contains("at least one of 9 samples") && now.html.matches("class=\"ridge").count() == 1);
    }
}
