//! The page of a run, put together: a plain one after each epoch, and the whole one once the network was judged.

use super::coefficients::{self, Equation, coefficient};
use super::curves::{self, capital};
use super::diary::best;
use super::history::History;
use super::html::{Section, details, escape, table};
use super::inside::{self, Inside};
use super::page::{Head, Ring, page};
use super::plot::number;
use super::spread::Spread;
use super::{network, numbers, weights};
use crate::compile::plan::{self, Plan};
use crate::data::tensors::Tensors;
use crate::data::{Split, file};
use crate::error::Result;
use crate::graph::Caps;
use crate::model::Model;
use crate::task::{self, Better, Detail, Evaluation, Metric, MetricKind, Task, Unit};
use crate::tensor::HostTensor;
use crate::train::Run;

/// The page's name in a run folder.
pub const PAGE: &str = "report.html";

/// What of a page does not change while a network is trained.
pub struct Book {
    model: Model,
    plan: Plan,
    task: Box<dyn Task>,
    network: Section,
}

/// What is known once a network was judged.
#[derive(Default)]
pub struct Judgement {
    /// The part of the data.
    pub split: Option<Split>,
    /// How good it is.
    pub evaluation: Option<Evaluation>,
    /// What the samples show.
    pub seen: Vec<Section>,
    /// What is inside.
    pub inside: Option<Inside>,
}

impl Book {
    /// Opens the page of a model.
    ///
    /// # Errors
    /// Layers whose shapes do not fit.
    pub fn new(model: &Model, caps: &Caps) -> Result<Book> {
        let plan = plan::plan(model, &model.train.clone().unwrap_or_default(), caps, None)?;
        let network = network::section(model, &plan);
        Ok(Book { model: model.clone(), task: task::of(model)?, plan, network })
    }

    /// Writes a page into a run folder.
    ///
    /// # Errors
    /// A full disk, and what else writing meets.
    pub fn write(run: &Run, html: &str) -> Result<()> {
        run.hold()?;
        file::replace(&run.dir().join(PAGE), html.as_bytes())
    }

    /// The page while training goes on, without anything that needs the adapter or the data.
    pub fn plain(&self, history: &History, filters: Option<&HostTensor>) -> String {
        let mut sections: Vec<Section> = curves::section(history, self.task.metrics()).into_iter().collect();
        sections.push(self.network.clone());
        sections.extend(filters.and_then(inside::filters));
        sections.extend(weights::section(history, None, None));
        sections.push(self.colophon(history));
        page(&self.head(history, &Judgement::default()), &sections)
    }

    /// The whole page.
    pub fn whole(
        &self,
        history: &History,
        judgement: Judgement,
        weights: &Tensors,
        filters: Option<&HostTensor>,
    ) -> String {
        let head = self.head(history, &judgement);
        let mut sections = Vec::new();
        if let (Some(evaluation), Some(split)) = (&judgement.evaluation, judgement.split) {
            sections.push(results(evaluation, split));
        }
        sections.extend(coefficients::equation(&self.model, weights).map(|found| equation(&found)));
        sections.extend(judgement.seen);
        sections.extend(curves::section(history, self.task.metrics()));
        sections.push(self.network.clone());
        sections.extend(filters.and_then(inside::filters));
        let dead = judgement.inside.as_ref().map(|inside| (inside.dead.as_slice(), inside.samples));
        let now = spreads(weights);
        let weights =
            weights::section(history, Some(&now).filter(|_| self.model.knn().is_none()).map(Vec::as_slice), dead);
        sections.extend(judgement.inside.into_iter().flat_map(|inside| inside.sections));
        sections.extend(weights);
        sections.push(self.colophon(history));
        page(&head, &sections)
    }

    fn head(&self, history: &History, judgement: &Judgement) -> Head {
        let kind = match self.task.name() {
            "multi_label" => "several labels",
            name => name,
        };
        let epochs = history.epochs.len();
        let steps = numbers::grouped(history.last_step());
        let adapter = history.starts.last().map_or("unknown".into(), |start| start.adapter.clone());
        let train = self.model.train.clone().unwrap_or_default();
        let mut facts = vec![
            ("parameters".to_string(), numbers::grouped(self.plan.params)),
            ("epochs".into(), format!("{epochs} of {}", train.epochs.0.max(epochs))),
            ("steps".into(), steps),
            ("time of the epochs".into(), time(history.seconds())),
            ("batch, seed".into(), format!("{}, {}", train.batch.0, train.seed)),
            ("adapter".into(), adapter),
        ];
        if let Some(data) = &self.model.data {
            facts.push(("data".into(), data.kind.to_string()));
        }
        Head {
            kicker: format!("Report of a run · {kind}"),
            title: self.model.name.clone(),
            stand: self.stand(judgement),
            ring: self.ring(history, judgement),
            facts,
        }
    }

    fn stand(&self, judgement: &Judgement) -> String {
        let input = self.model.input.dims();
        let dims: Vec<String> = input.iter().map(usize::to_string).collect();
        let what = if input.len() == 1 { "rows of" } else { "pictures of" };
        let unit = if input.len() == 1 { " features" } else { "" };
        let layers = self.model.layers.len();
        let plural = if layers == 1 { "layer" } else { "layers" };
        let judged = match (&judgement.evaluation, judgement.split) {
            (Some(evaluation), Some(split)) => {
                format!(
                    " It was judged on {} samples of the {} set.",
                    numbers::grouped(evaluation.samples),
                    split.word()
                )
            }
            _ => " Training goes on, or has not been judged yet.".into(),
        };
        format!("A network of {layers} {plural} for {what} {}{unit}.{judged}", dims.join(" × "))
    }

    /// The most telling number.
    fn ring(&self, history: &History, judgement: &Judgement) -> Option<Ring> {
        let first = self.task.metrics().first()?;
        if let (Some(evaluation), Some(split)) = (&judgement.evaluation, judgement.split) {
            let Metric { kind, value } = *evaluation.metrics.first()?;
            return Some(ring(&kind, value, split.word()));
        }
        let key = format!("val_{}", first.name);
        if let Some(i) = best(&history.epochs, &key, first.better == Better::Higher) {
            return Some(ring(first, history.epochs[i][key.as_str()].as_f64()?, "validation"));
        }
        let loss = history.epochs.last()?["train_loss"].as_f64()?;
        Some(Ring { value: number(loss), label: "training loss".into(), share: None })
    }

    /// How to do it again.
    fn colophon(&self, history: &History) -> Section {
        let commands: String = history
            .starts
            .iter()
            .map(|start| {
                let about = format!("from step {} on {}, {}", start.step, start.adapter, start.version);
                format!("<h3>{}</h3><pre>{}</pre>", escape(&capital(&about)), escape(&start.command))
            })
            .collect();
        let spec = details("The spec, with every default", &format!("<pre>{}</pre>", escape(&self.model.to_text())));
        Section::new("To do it again", "The commands, and the whole spec.", format!("{commands}{spec}"))
    }
}

fn ring(kind: &MetricKind, value: f64, of: &str) -> Ring {
    let share = (kind.unit == Unit::Share).then_some(value);
    let text = if share.is_some() { format!("{:.1} %", 100.0 * value) } else { number(value) };
    Ring { value: text, label: format!("{}, {of}", kind.title), share }
}

/// Seconds in words.
pub fn time(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
        s => format!("{:.0} h {:.0} min", (s / 3600.0).floor(), s % 3600.0 / 60.0),
    }
}

fn results(evaluation: &Evaluation, split: Split) -> Section {
    let tile = |title: &str, value: &str| format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(title), escape(value));
    let own = |metric: Metric| {
        let value = if metric.value.is_finite() { metric.kind.unit.text(metric.value) } else { "–".into() };
        tile(metric.kind.title, &value)
    };
    let mut tiles: String = evaluation.all().map(own).collect();
    for detail in &evaluation.details {
        if let Detail::Each { key: "topk", kinds, rows, .. } = detail {
            // Of few classes, the right one is always among the first.
            for (name, values) in rows.iter().filter(|_| classes(evaluation) > 5) {
                let values = kinds.iter().zip(values).map(|(kind, &value)| kind.unit.text(value));
                tiles +=
                    &tile(&format!("right class among the first {name}"), &values.collect::<Vec<String>>().join(", "));
            }
        }
    }
    let lede = format!("Judged on {} samples of the {} set.", numbers::grouped(evaluation.samples), split.word());
    Section::new("How good it is", lede, format!("<dl class=\"tiles\">{tiles}</dl>"))
}

/// How many classes were told apart.
fn classes(evaluation: &Evaluation) -> usize {
    let counts = evaluation.details.iter().find_map(|detail| match detail {
        Detail::Confusion(counts) => Some(counts.len()),
        Detail::Each { .. } => None,
    });
    counts.unwrap_or(usize::MAX)
}

/// The spread of each tensor of numbers.
fn spreads(weights: &Tensors) -> Vec<(String, Spread)> {
    let float = weights.iter().filter(|(_, tensor)| matches!(tensor.data, crate::tensor::Data::F32(_)));
    let running = |name: &str| name.ends_with(".running_mean") || name.ends_with(".running_var");
    let plain = float.filter(|(name, _)| !running(name));
    plain.filter_map(|(name, tensor)| Some((name.clone(), Spread::of(tensor.as_f32())?))).collect()
}

/// The equation of a linear model, in the units of its table.
fn equation(found: &Equation) -> Section {
    const TERMS: usize = 14;
    let line = |o: usize| {
        let name = if found.outputs.len() == 1 { "y" } else { &found.outputs[o] };
        let intercept = number(found.intercepts[o]).replace('-', "−");
        let mut text = format!("{} = {intercept}", escape(name));
        for (feature, own) in found.features.iter().zip(&found.coefficients).take(TERMS) {
            let sign = if own[o] < 0.0 { "−" } else { "+" };
            text += &format!(" {sign} {}\u{2009}·\u{2009}<i>{}</i>", number(own[o].abs()), escape(feature));
        }
        let more = if found.features.len() > TERMS { " + …" } else { "" };
        format!("<p class=\"equation\">{text}{more}</p>")
    };
    let lines: String = (0..found.outputs.len()).map(line).collect();
    let head: Vec<String> = std::iter::once("feature".to_string())
        .chain(found.outputs.iter().map(|name| escape(name)))
        .chain(["per deviation".to_string()])
        .collect();
    let row = |((feature, own), most): ((&String, &Vec<f64>), &f64)| {
        let own = own.iter().map(|&x| coefficient(x));
        std::iter::once(escape(feature)).chain(own).chain([coefficient(*most)]).collect()
    };
    let rows = found.features.iter().zip(&found.coefficients).zip(&found.per_deviation).map(row);
    let mut rows: Vec<Vec<String>> = rows.collect();
    let intercepts = found.intercepts.iter().map(|&x| coefficient(x));
    rows.push(std::iter::once("intercept".to_string()).chain(intercepts).chain([String::new()]).collect());
    let lede = "The model is linear; this is all that it has learnt, in the units of the table. The last column says what a \
                step of one standard deviation does.";
    Section::new("The equation", lede, format!("{lines}{}", table("Coefficients", &head, &rows)))
}
