//! Charts as SVG: lines over steps or epochs, points, bars. Colours are classes of the page's style sheet; lines differ
//! by their dashes too.

use super::html::escape;
use std::fmt::Write;

/// Size of a chart, and what is kept free: left, top, right, bottom.
const SIZE: [f64; 2] = [380.0, 260.0];
const FREE: [f64; 4] = [46.0, 14.0, 20.0, 34.0];
/// Lines with at most so many points show them as circles.
const FEW: usize = 40;

/// A line of a chart.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Series {
    /// What it is; plain text.
    pub name: String,
    /// Points from left to right. What is not finite is a gap.
    pub points: Vec<[f64; 2]>,
    /// Whether it is noise behind the others: a thin grey line.
    pub noise: bool,
}

/// The style of a series, of those in the style sheet. 2 is noise.
fn style(series: &Series, index: usize) -> usize {
    const OTHERS: [usize; 5] = [0, 1, 3, 4, 5];
    if series.noise { 2 } else { OTHERS[index % OTHERS.len()] }
}

/// How the numbers of the vertical axis are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scale {
    /// As they are.
    #[default]
    Plain,
    /// Shares, in percent.
    Share,
    /// From 0 on.
    Zero,
    /// By their powers of ten. What is not above 0 is left out.
    Log,
}

/// A chart of lines.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Chart {
    /// What it shows; plain text.
    pub title: String,
    /// What goes to the right.
    pub across: String,
    /// Its lines; the first is drawn in the accent colour.
    pub series: Vec<Series>,
    /// The vertical axis.
    pub scale: Scale,
    /// The ends of both axes, where they do not follow from the points.
    pub range: Option<[[f64; 2]; 2]>,
    /// A point that is marked, and what is said of it.
    pub mark: Option<([f64; 2], String)>,
}

/// Where the numbers lie.
struct Frame {
    x: [f64; 2],
    y: [f64; 2],
    log: bool,
}

impl Frame {
    fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let share = |v: f64, [a, b]: [f64; 2]| if b > a { (v - a) / (b - a) } else { 0.5 };
        let [wide, high] = [SIZE[0] - FREE[0] - FREE[2], SIZE[1] - FREE[1] - FREE[3]];
        let up = if self.log { share(y.log10(), self.y.map(f64::log10)) } else { share(y, self.y) };
        [FREE[0] + wide * share(x, self.x), FREE[1] + high * (1.0 - up)]
    }
}

/// Round numbers from one to another, about `count`.
pub fn ticks([low, high]: [f64; 2], count: usize) -> Vec<f64> {
    let range = high - low;
    if !range.is_finite() || range <= 0.0 {
        return vec![low];
    }
    let rough = range / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough * 0.999).unwrap_or(rough);
    let first = (low / step - 1e-9).ceil() as i64;
    (first..).map(|i| i as f64 * step).take_while(|x| *x <= high + step * 1e-9).take(50).collect()
}

/// A number in few digits.
pub fn number(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        return "–".into();
    }
    if size == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e9).contains(&size) {
        return format!("{x:.1e}");
    }
    for (least, unit) in [(1e6, "M"), (1e4, "k")] {
        if size >= least {
            let scaled = if unit == "M" { x / 1e6 } else { x / 1e3 };
            return format!("{}{unit}", trimmed(format!("{scaled:.1}")));
        }
    }
    let digits = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
    trimmed(format!("{x:.digits$}"))
}

fn trimmed(text: String) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

impl Chart {
    fn frame(&self) -> Option<Frame> {
        let log = self.scale == Scale::Log;
        let fine = |p: &&[f64; 2]| p.iter().all(|v| v.is_finite()) && (!log || p[1] > 0.0);
        let points: Vec<&[f64; 2]> = self.series.iter().flat_map(|s| &s.points).filter(fine).collect();
        points.first()?;
        let ends = |k: usize| {
            let all = || points.iter().map(move |p| p[k]);
            [all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max)]
        };
        let ([x, y], given) = match self.range {
            Some(range) => (range, true),
            None => ([ends(0), ends(1)], false),
        };
        // A flat line lies in the middle.
        let wider =
            |[a, b]: [f64; 2]| if b > a { [a, b] } else { [a - a.abs() * 0.1 - 1e-3, b + b.abs() * 0.1 + 1e-3] };
        let y = match log {
            true => [10f64.powf(y[0].log10().floor()), 10f64.powf((y[1].log10() + 1e-9).ceil())],
            false if given => y,
            false => {
                let [a, b] = wider(y);
                let room = (b - a) * 0.06;
                // Where all numbers are near 0, the axis begins there.
                let zero = a >= 0.0 && (a < 0.35 * b || self.scale == Scale::Zero);
                let low = if zero { 0.0 } else { a - room };
                [low, if self.scale == Scale::Share { (b + room).min(1.0) } else { b + room }]
            }
        };
        // Steps and epochs are counted from 0.
        let x = if !given && x[0] > 0.0 && x[0] < 0.6 * x[1] { [0.0, x[1]] } else { x };
        Some(Frame { x: if x[1] > x[0] { x } else { [x[0] - 1.0, x[1] + 1.0] }, y, log })
    }

    fn label(&self, y: f64) -> String {
        match self.scale {
            Scale::Share => format!("{} %", number(100.0 * y)),
            _ => number(y),
        }
    }

    /// The chart as a figure, with a legend where there are several lines. Without a single number, None.
    pub fn figure(&self) -> Option<String> {
        let frame = self.frame()?;
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
            SIZE[0],
            SIZE[1],
            escape(&self.described())
        );
        self.axes(&frame, &mut svg);
        // The first line lies on top.
        for (i, series) in self.series.iter().enumerate().rev() {
            line(&frame, series, style(series, i), &mut svg);
        }
        if let Some((point, text)) = self.mark.as_ref().filter(|(point, _)| point.iter().all(|v| v.is_finite())) {
            let [x, y] = frame.at(*point);
            let (anchor, dx) = if x > SIZE[0] / 2.0 { ("end", -10.0) } else { ("start", 10.0) };
            let dy = if y < 50.0 { 18.0 } else { -10.0 };
            write!(
                svg,
                "<circle class=\"mark\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\"/><text class=\"said\" x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"{anchor}\">{}</text>",
                x + dx,
                y + dy,
                escape(text)
            )
            .expect("text takes everything");
        }
        svg.push_str("</svg>");
        let legend = if self.series.len() > 1 { self.legend() } else { String::new() };
        Some(format!("<figure><figcaption>{}</figcaption>{legend}{svg}</figure>", escape(&self.title)))
    }

    /// The chart in words, for whoever does not see it.
    fn described(&self) -> String {
        let one = |series: &Series| {
            let mut fine = series.points.iter().filter(|p| p[1].is_finite());
            let (first, last) = (fine.clone().next(), fine.next_back());
            let said = |p: Option<&[f64; 2]>| p.map_or("nothing".into(), |p| self.label(p[1]));
            format!("{}: from {} to {}", series.name, said(first), said(last))
        };
        let all: Vec<String> = self.series.iter().map(one).collect();
        format!("{}, over {}. {}", self.title, self.across, all.join("; "))
    }

    fn legend(&self) -> String {
        let one = |(i, series): (usize, &Series)| {
            let last =
                series.points.iter().rev().find(|p| p[1].is_finite()).map_or(String::new(), |p| self.label(p[1]));
            format!(
                "<li><svg viewBox=\"0 0 28 8\" aria-hidden=\"true\"><path class=\"line s{}\" d=\"M0 4H28\"/></svg>{} \
                 <b>{last}</b></li>",
                style(series, i),
                escape(&series.name)
            )
        };
        let all: String = self.series.iter().enumerate().map(one).collect();
        format!("<ul class=\"legend\">{all}</ul>")
    }

    fn axes(&self, frame: &Frame, svg: &mut String) {
        let [right, bottom] = [SIZE[0] - FREE[2], SIZE[1] - FREE[3]];
        let levels = match frame.log {
            true => {
                let [a, b] = frame.y.map(|y| y.log10().round() as i32);
                (a..=b).step_by(((b - a) / 5 + 1) as usize).map(|p| 10f64.powi(p)).collect()
            }
            false => ticks(frame.y, 4),
        };
        for y in levels {
            let [_, at] = frame.at([frame.x[0], y]);
            write!(
                svg,
                "<path class=\"level\" d=\"M{} {at:.1}H{right}\"/><text class=\"tick\" x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>",
                FREE[0],
                FREE[0] - 6.0,
                at + 3.5,
                self.label(y)
            )
            .expect("text takes everything");
        }
        for x in ticks(frame.x, 5) {
            let [at, _] = frame.at([x, frame.y[0]]);
            write!(
                svg,
                "<text class=\"tick\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 15.0,
                number(x)
            )
            .expect("text takes everything");
        }
        write!(
            svg,
            "<path class=\"axis\" d=\"M{} {bottom}H{right}\"/><text class=\"tick name\" x=\"{right}\" y=\"{}\" \
             text-anchor=\"end\">{}</text>",
            FREE[0],
            bottom + 29.0,
            escape(&self.across)
        )
        .expect("text takes everything");
    }
}

fn line(frame: &Frame, series: &Series, style: usize, svg: &mut String) {
    let mut path = String::new();
    let mut pen = 'M';
    for point in &series.points {
        let [x, y] = frame.at(*point);
        if !x.is_finite() || !y.is_finite() {
            pen = 'M';
            continue;
        }
        write!(path, "{pen}{x:.1} {y:.1}").expect("text takes everything");
        pen = 'L';
    }
    write!(svg, "<path class=\"line s{style}\" d=\"{path}\"/>").expect("text takes everything");
    if series.points.len() <= FEW {
        for [x, y] in series.points.iter().map(|p| frame.at(*p)).filter(|p| p.iter().all(|v| v.is_finite())) {
            write!(svg, "<circle class=\"dot s{style}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>")
                .expect("text takes everything");
        }
    }
}

/// Points of two numbers, and the line where both are equal. `None` without points.
pub fn scatter(title: &str, across: &str, up: &str, points: &[[f64; 2]]) -> Option<String> {
    let fine: Vec<[f64; 2]> = points.iter().copied().filter(|p| p.iter().all(|v| v.is_finite())).collect();
    let all = || fine.iter().flatten().copied();
    let ends = [all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max)];
    if fine.is_empty() {
        return None;
    }
    let chart = Chart {
        title: format!("{title}: {up} over {across}"),
        across: across.into(),
        range: Some([ends, if ends[1] > ends[0] { ends } else { [ends[0] - 1.0, ends[1] + 1.0] }]),
        series: vec![Series { name: "equal".into(), points: vec![[ends[0]; 2], [ends[1]; 2]], noise: true }],
        ..Chart::default()
    };
    let frame = chart.frame()?;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        SIZE[0],
        SIZE[1],
        escape(&format!("{title}: {} points, {up} over {across}", fine.len()))
    );
    chart.axes(&frame, &mut svg);
    let [[x1, y1], [x2, y2]] = [frame.at([ends[0]; 2]), frame.at([ends[1]; 2])];
    write!(svg, "<path class=\"line s1\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>").expect("text takes everything");
    for point in &fine {
        let [x, y] = frame.at(*point);
        write!(svg, "<circle class=\"point\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>").expect("text takes everything");
    }
    Some(format!("<figure><figcaption>{}</figcaption>{svg}</svg></figure>", escape(&chart.title)))
}

/// Bars of equal width from `low` to `high`.
pub fn bars(title: &str, across: &str, [low, high]: [f64; 2], counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let chart = Chart {
        title: title.into(),
        across: across.into(),
        range: Some([[low, high], [0.0, most * 1.05]]),
        series: vec![Series { name: title.into(), points: vec![[low, 0.0], [high, most]], noise: false }],
        ..Chart::default()
    };
    let Some(frame) = chart.frame() else { return String::new() };
    let label = format!("{title}: {} numbers from {} to {}", counts.iter().sum::<u64>(), number(low), number(high));
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        SIZE[0],
        SIZE[1],
        escape(&label)
    );
    chart.axes(&frame, &mut svg);
    let step = (high - low) / counts.len().max(1) as f64;
    for (i, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let [x, y] = frame.at([low + step * i as f64, count as f64]);
        let [right, bottom] = frame.at([low + step * (i + 1) as f64, 0.0]);
        write!(
            svg,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            x + 0.5,
            (right - x - 1.0).max(0.5),
            (bottom - y).max(0.5)
        )
        .expect("text takes everything");
    }
    format!("<figure><figcaption>{}</figcaption>{svg}</svg></figure>", escape(title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ticks_are_round() {
        assert_eq!([0.0, 0.5, 12.3456, 12_000.0, 3.4e6].map(number), ["0", "0.5", "12.3", "12k", "3.4M"]);
        assert_eq!([1e-4, -0.25, 1000.0].map(number), ["1.0e-4", "-0.25", "1000"]);
        assert_eq!(ticks([0.0, 10.0], 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks([0.93, 0.98], 4).len(), 3);
        assert_eq!(ticks([1.0, 1.0], 4), [1.0]);
    }

    #[test]
    fn a_chart_draws_what_is_finite_and_breaks_where_it_is_not() {
        let series = |name: &str, y: &[f64]| {
            let points = y.iter().enumerate().map(|(i, &y)| [i as f64, y]).collect();
            Series { name: name.into(), points, noise: false }
        };
        let mut chart = Chart { title: "a <loss>".into(), across: "epoch".into(), ..Chart::default() };
        assert_eq!(chart.figure(), None);
        chart.series = vec![series("x", &[1.0, f64::NAN, 3.0, 2.0]), series("y", &[f64::INFINITY])];
        let figure = chart.figure().unwrap();
        assert!(figure.contains("a &lt;loss&gt;") && !figure.contains("NaN") && !figure.contains("inf"), "{figure}");
        assert_eq!(figure.matches("class=\"dot s0\"").count(), 3);
        let path = figure.split("class=\"line s0\" d=\"").last().unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        let log = Chart { scale: Scale::Log, series: vec![series("x", &[0.0, 0.1, 10.0])], ..Chart::default() };
        assert!(!log.figure().unwrap().contains("NaN"));
        let flat = Chart { series: vec![series("x", &[0.0, 0.0])], ..Chart::default() };
        assert!(!flat.figure().unwrap().contains("NaN"));
    }

    #[test]
    fn points_and_bars() {
        assert_eq!(scatter("t", "a", "b", &[[f64::NAN, 1.0]]), None);
        let one = scatter("t", "a", "b", &[[1.0, 1.0]]).unwrap();
        assert!(one.contains("class=\"point\"") && !one.contains("NaN"), "{one}");
        assert_eq!(bars("t", "x", [0.0, 1.0], &[0, 3, 1]).matches("class=\"bar\"").count(), 2);
        assert!(!bars("t", "x", [1.0, 1.0], &[2]).contains("NaN"));
    }
}
