//! Reads the spec while it is typed, on a thread of its own, and plans it. Only the newest text counts: whoever types
//! never waits for the plan of a text that is gone.

use pumice::compile::bytes::Bytes;
use pumice::compile::plan;
use pumice::graph::Caps;
use pumice::spec::Source;
use pumice::train::problem;
use pumice::{Error, Result};
use std::sync::mpsc::{self, Receiver, Sender};

/// A mistake, at a place of the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Line, from 1; 0 if the whole text is meant.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub text: String,
}

/// A layer of the network.
#[derive(Clone, PartialEq, Debug)]
pub struct Circle {
    /// Its name.
    pub name: String,
    /// Its op.
    pub op: String,
    /// Where its inputs come from: places in the list, None for the network's input.
    pub from: Vec<Option<usize>>,
    /// The shape of its output, without the batch.
    pub shape: Vec<usize>,
    /// Trainable numbers.
    pub params: u64,
    /// FLOPs of the forward pass for the batch.
    pub flops: u64,
    /// Its line in the text, from 1.
    pub line: usize,
}

/// What a sound spec says.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Planned {
    /// The model's name.
    pub name: String,
    /// The shape of the input.
    pub input: Vec<usize>,
    /// The layers in the order of the file.
    pub circles: Vec<Circle>,
    /// Trainable numbers.
    pub params: u64,
    /// FLOPs of the forward pass for the batch.
    pub flops: u64,
    /// The batch.
    pub batch: usize,
    /// Bytes of the buffers.
    pub bytes: Bytes,
}

/// The answer about one text.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The version that was asked about.
    pub version: u64,
    /// The plan, or what is wrong.
    pub found: std::result::Result<Planned, Vec<Mistake>>,
}

/// Reads and plans a text.
pub fn check(source: Source) -> std::result::Result<Planned, Vec<Mistake>> {
    planned(source, &Caps::default(), None).map(|(planned, _)| planned).map_err(|e| match e {
        Error::Spec(list) => list
            .iter()
            .map(|d| {
                let hint = if d.hint.is_empty() { String::new() } else { format!("; {}", d.hint) };
                Mistake { line: d.line, column: d.column, text: format!("{}{hint}", d.message) }
            })
            .collect(),
        other => vec![Mistake { line: 0, column: 0, text: other.to_string() }],
    })
}

/// The plan for an adapter, and whether it fits into so much memory.
///
/// # Errors
/// What is wrong with the text, or data that is not there.
pub fn planned(source: Source, caps: &Caps, memory: Option<u64>) -> Result<(Planned, Option<bool>)> {
    let mut model = pumice::model::load(source, &[])?;
    problem::count_classes(&mut model, None)?;
    let train = model.train.clone().unwrap_or_default();
    let plan = plan::plan(&model, &train, caps, memory)?;
    let place = |name: &String| model.layers.iter().position(|layer| layer.name == *name);
    let circle = |layer: &pumice::model::LayerNode| {
        let row = plan.rows.iter().find(|row| row.name == layer.name);
        Circle {
            name: layer.name.clone(),
            op: layer.op.to_string(),
            from: layer.from.iter().map(place).collect(),
            shape: row.map_or(Vec::new(), |row| row.output.iter().skip(1).copied().collect()),
            params: row.map_or(0, |row| row.params),
            flops: row.map_or(0, |row| row.flops),
            line: layer.place.line,
        }
    };
    let fits = plan.fits();
    let planned = Planned {
        name: model.name.clone(),
        input: model.input.dims(),
        circles: model.layers.iter().map(circle).collect(),
        params: plan.params,
        flops: plan.flops_forward,
        batch: plan.batch,
        bytes: plan.bytes,
    };
    Ok((planned, fits))
}

/// The window's end of the thread.
pub struct Checker {
    texts: Sender<(u64, Source)>,
    found: Receiver<Checked>,
}

impl Checker {
    /// Starts the thread. `wake` is called with each answer.
    pub fn start(wake: impl Fn() + Send + 'static) -> Checker {
        let (texts, received) = mpsc::channel::<(u64, Source)>();
        let (answers, found) = mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(mut newest) = received.recv() {
                while let Ok(newer) = received.try_recv() {
                    newest = newer;
                }
                let checked = Checked { version: newest.0, found: check(newest.1) };
                if answers.send(checked).is_err() {
                    return;
                }
                wake();
            }
        });
        Checker { texts, found }
    }

    /// Asks about a text.
    pub fn ask(&self, version: u64, source: Source) {
        let _ = self.texts.send((version, source));
    }

    /// The newest answer, if one has come.
    pub fn answer(&self) -> Option<Checked> {
        self.found.try_iter().last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn source(text: &str) -> Source {
        Source { file: PathBuf::new(), text: text.into() }
    }

    /// Counted by hand: 6·(5·5+1) + 16·(5·5·6+1) + 120·(400+1) + 84·(120+1) + 10·(84+1).
    #[test]
    fn lenet_has_61706_parameters() {
        let text = include_str!("../../assets/models/lenet5_mnist.json");
        let planned = check(source(text)).expect("a sound spec");
        assert_eq!(planned.params, 61706);
        assert_eq!(planned.circles.len(), 8);
        assert_eq!(planned.circles[0].shape, [28, 28, 6]);
        assert_eq!(planned.circles[1].from, [Some(0)]);
    }

    #[test]
    fn a_mistake_has_its_place() {
        let text = include_str!("../../assets/models/lenet5_mnist.json")
            .replace("\"kernel\": 5, \"padding\": \"same\"", "\"kernl\": 5");
        let mistakes = check(source(&text)).expect_err("a misspelt key");
        let line = text.lines().position(|line| line.contains("kernl")).expect("the line") + 1;
        assert!(mistakes.iter().any(|m| m.line == line && m.text.contains("kernel")), "{mistakes:?}");
    }
}
