//! Where a loss that is not finite comes from.

use super::network::input_data;
use super::problem::Problem;
use super::targets::as_type;
use crate::compile::layout::Layout;
use crate::compile::lower::{self, LowerOptions};
use crate::compile::suspects::{self, Suspect};
use crate::error::{Error, Result};
use crate::gpu::Session;
use crate::graph::{Segment, Step};
use crate::model::Model;
use crate::task::Task;
use crate::tensor::{Data, HostTensor};

/// Numbers of data above this are named where a loss is not finite: the square of one is beyond f32.
const HUGE: f64 = 1e18;

/// What to do where training itself has left the range of numbers.
const DIVERGED: &str = "lower train.optimizer.lr, add train.schedule.warmup_steps or set train.clip_norm";

/// A batch that is run once more, with the parameters that it met before.
pub(super) struct Rerun<'a> {
    /// The model, its data and its task.
    pub model: &'a Model,
    /// Its samples.
    pub problem: &'a Problem,
    /// What is learnt.
    pub task: &'a dyn Task,
    /// The positions of the batch's samples.
    pub positions: Vec<u32>,
    /// The step as it was.
    pub step: Step,
}

impl Rerun<'_> {
    /// What is wrong with a loss that is not finite, and what to do. `when` says which one.
    pub(super) async fn explain(self, session: &mut Session, layout: &Layout, when: String) -> Error {
        let (what, hint) = match self.culprit(session, layout).await {
            Ok(Some((what, hint))) => (format!("{when}: {what}"), hint),
            // Whatever stands in the way of the reason, the fact itself is known.
            _ => (when, DIVERGED.into()),
        };
        Error::NotFinite { what, hint }
    }

    /// Runs a batch once more, and finds the first number that is not finite: where it is, and what to do.
    async fn culprit(&self, session: &mut Session, layout: &Layout) -> Result<Option<(String, String)>> {
        let n = self.positions.len();
        let (graph, suspects) = suspects::graph(self.model, self.task.field())?;
        let caps = session.device().caps().clone();
        let mut layout = layout.clone();
        layout.add(&graph, &caps)?;
        let program = lower::lower(&graph, &layout, &caps, LowerOptions { batch: n, reuse: true })?;
        let mut targets = None;
        let mut inputs = Vec::new();
        for (name, port) in &program.inputs {
            let column = match name.as_str() {
                "input" => self.problem.samples(),
                _ => &self.problem.target(name, self.task).store,
            };
            let found = column.read(&self.positions)?;
            inputs.push((
                name.clone(),
                match name.as_str() {
                    "input" => {
                        let shape = [&[n], column.dims()].concat();
                        input_data(&self.model.input, port.ty.dtype, &HostTensor::new(&shape, found))
                    }
                    _ => {
                        targets = Some(found.clone());
                        as_type(found, port.ty.dtype)
                    }
                },
            ));
        }
        let huge = targets.and_then(|targets| huge(&targets, n)).map(|(i, value)| (self.positions[i], value));
        let bound = session.bind(program, &layout).await?;
        inputs.iter().for_each(|(name, data)| session.write_input(&bound, name, data));
        session.run(&bound, &[Segment::Forward, Segment::Backward], &self.step).await?;
        let mut before = 0.0;
        for (i, suspect) in suspects.iter().enumerate() {
            let counts = session.read_output(&bound, &format!("{i}#counts"), 1).await?;
            let Data::U32(counts) = &counts.data else { panic!("counts are u32") };
            let extreme = session.read_output(&bound, &format!("{i}#extreme"), 1).await?.data.to_f64();
            let most = extreme[0].abs().max(extreme[1].abs());
            if counts[1] > 0 {
                return Ok(Some(self.accuse(suspect, counts[1], before, huge)));
            }
            before = if matches!(suspect, Suspect::Output(_)) { most } else { before };
        }
        Ok(None)
    }

    /// A culprit in words. `before` is the largest number of the layer's output before it; `huge` a sample's position,
    /// and its target.
    fn accuse(&self, suspect: &Suspect, count: u32, before: f64, huge: Option<(u32, f64)>) -> (String, String) {
        let numbers = if count == 1 { "a number".into() } else { format!("{count} numbers") };
        let losses: Vec<String> =
            self.model.loss.iter().map(|loss| format!("`{}` of layer `{}`", loss.op, loss.of)).collect();
        let losses = losses.join(", ");
        let what = match suspect {
            Suspect::Parameter(name, layer) => {
                format!("`{name}` of layer `{layer}` has {numbers} that are not finite since the update before")
            }
            Suspect::Output(layer) => {
                let most =
                    if before > 0.0 { format!("; the layers before it reach {before:.3e}") } else { String::new() };
                format!("layer `{layer}` is the first whose output is not finite ({numbers}){most}")
            }
            Suspect::Loss => match huge {
                Some((position, value)) => {
                    let what = format!(
                        "the loss {losses} is where it begins: sample {} of the data has the \
                         target {value:e}, and the output is finite",
                        position + 1
                    );
                    let hint =
                        "correct or remove that sample, or scale the targets; or set train.on_nonfinite to \"skip\"";
                    return (what, hint.into());
                }
                None => format!("the loss {losses} is where it begins: the output is finite, and reaches {before:.3e}"),
            },
            Suspect::Gradient(name, layer) => {
                format!("the gradient of `{name}` of layer `{layer}` has {numbers} that are not finite")
            }
        };
        (what, DIVERGED.into())
    }
}

/// The sample of a batch with the largest target, and that target, if it is huge.
fn huge(targets: &Data, n: usize) -> Option<(usize, f64)> {
    let all = targets.to_f64();
    let width = (all.len() / n.max(1)).max(1);
    let (i, value) = all.iter().copied().enumerate().max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))?;
    (value.abs() > HUGE).then_some((i / width, value))
}
