//! The ring in which the loss and the number of hits of each step wait to be read.

use super::mean_loss::{Spread, WORKGROUP, mean};
use crate::graph::{Builder, Grid, HELD, Kernel, KernelCx, Op, RING_DIMS, RefCx, ShapeError, Value};
use crate::ops::loss::classes::check_classes;
use crate::ops::registry::Registry;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["record"]);
}

/// Up to so many scores, the same workgroup also judges the samples. Beyond that, a dispatch of its own judges them.
const SCORES: usize = 1 << 14;

/// What training records of a step. Inputs values, ring f32 [`RING_DIMS`], which is a state, and where samples have
/// classes output `[N, C]` and labels i32 `[N]`. Output the scalar loss.
/// Writes `ring[slot] = (loss, number of hits)`, and into the pair behind the slots whether updates are held back. A hit is a sample whose first largest score is at the label; without
/// labels there are none. A single score stands for two classes: class 1 where it is above 0.
#[derive(Debug)]
pub struct Record {
    /// The weight of the one loss `[N]` whose mean is the output. None
    /// where `values` is the scalar loss already, the sum of several.
    pub weight: Option<f64>,
}

impl Op for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        if let [_, _, output, labels] = inputs {
            check_classes(output, labels, "accuracy")?;
        }
        let values = if self.weight.is_some() { TensorType::batch(&[]) } else { TensorType::f32(&[]) };
        assert_eq!(*inputs[0], values, "a loss a sample, or their sum");
        assert_eq!(*inputs[1], TensorType::f32(&RING_DIMS), "the ring has a pair a slot, and more");
        Ok(vec![TensorType::f32(&[])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let dtotal = douts[0];
        let dvalues = match self.weight {
            Some(weight) => dtotal.map(|dtotal| b.one(Spread { weight }, &[dtotal])),
            None => dtotal,
        };
        let mut gradients = vec![None; inputs.len()];
        gradients[0] = dvalues;
        gradients
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = match cx.inputs.get(2).map(|output| output.channels()) {
            None => Kernel::new("loss", "record_loss"),
            Some(classes) if cx.batch * classes > SCORES => {
                let hits = cx.scratch(cx.batch);
                let correct = Kernel::new("loss", "correct").read("output", cx.input(2)).read("labels", cx.input(3));
                cx.push(correct.write("hit", hits.clone()).set("C", classes).grid(Grid::per_sample(1)));
                Kernel::new("loss", "record_hits").read("hits_in", hits)
            }
            Some(classes) => {
                let kernel = Kernel::new("loss", "record").read("output", cx.input(2)).read("labels", cx.input(3));
                kernel.set("C", classes)
            }
        };
        let kernel = kernel.read("values", cx.input(0)).write("total", cx.output(0)).read_write("ring", cx.input(1));
        let kernel = kernel.set_f("SCALE", self.weight.unwrap_or(1.0)).set("MEAN", usize::from(self.weight.is_some()));
        let kernel = kernel.set("HELD", HELD);
        cx.push(kernel.grid(Grid::fixed(1).group(WORKGROUP)));
    }

    /// Output 0 is the loss, output 1 the new values of the ring.
    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let total = self.weight.map_or(cx.inputs[0].data[0], |weight| mean(cx, weight));
        if output == 0 {
            return vec![total; indices.len()];
        }
        let hit = |n: usize| {
            let (scores, labels) = (&cx.inputs[2], &cx.inputs[3].data);
            let classes = scores.shape[1];
            let row = &scores.data[n * classes..][..classes];
            let first = usize::from(classes == 1 && row[0] > 0.0);
            (1..classes).fold(first, |best, c| if row[c] > row[best] { c } else { best }) as f64 == labels[n]
        };
        let judged = cx.inputs.len() > 2;
        let hits = (0..cx.n).filter(|&n| judged && hit(n)).count() as f64;
        let mut ring = cx.inputs[1].data.clone();
        ring[2 * cx.step.slot as usize..][..2].copy_from_slice(&[total, hits]);
        let bad = f64::from(u8::from(!(total as f32).is_finite()));
        let earlier = if cx.step.accumulate == 1 { ring[HELD + 1] } else { 0.0 };
        (ring[HELD], ring[HELD + 1]) = (bad.max(ring[HELD]), bad.max(earlier));
        indices.iter().map(|&i| ring[i]).collect()
    }

    fn assigns(&self) -> &'static [usize] {
        &[1]
    }
}
