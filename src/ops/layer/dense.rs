//! Dense layer: y[n, u] = act(b\[u\] + Σ x[n, i] · w[u, i]). Weights
//! over the adapter's binding limit are taken in windows of units.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::layer::activation::{self, Activation, ActivationGrad, ActivationOp};
use crate::ops::matmul::{Forward, Geometry, GradInput, GradWeight};
use crate::ops::plumbing::bias_add::{BiasAdd, BiasAddGradBias, push_grad_bias};
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::tile::{chunk, grouped, lanes_of, tile};
use crate::spec::{Content, Count, Diagnostics, Field, Node, spec_struct};
use crate::tensor::TensorType;
use serde_json::{Value as Json, json};
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<DenseKeys>("dense", "Multiplies each sample's numbers with a learnt matrix.");
    registry.ops(&["dense", "dense_grad_input", "dense_grad_weight"]);
}

/// The `units` key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// A number.
    Count(Count),
    /// One unit for each class of the data.
    Classes,
}

impl Units {
    /// The number of units. `classes` is needed where the key says "classes".
    pub fn count(self, classes: Option<usize>) -> Result<usize, ShapeError> {
        match (self, classes) {
            (Units::Count(count), _) => Ok(count.get()),
            (Units::Classes, Some(classes)) => Ok(classes),
            (Units::Classes, None) => {
                let what = "\"units\": \"classes\" needs the count of classes, which is not known";
                Err(ShapeError::new(what, "set \"data\": { \"classes\": … }, or write the number of units"))
            }
        }
    }
}

impl Field for Units {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Units> {
        match node.kind {
            Content::String(_) => report.word(node, &["classes"]).map(|_| Units::Classes),
            Content::Number(_) => Count::read(node, report).map(Units::Count),
            _ => {
                report.expected(node, "a whole number or \"classes\"");
                None
            }
        }
    }

    fn write(&self) -> Json {
        match self {
            Units::Count(count) => count.write(),
            Units::Classes => json!("classes"),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [Count::schema(), { "const": "classes" }] })
    }
}

spec_struct! {
    /// The layer `dense`.
    pub struct DenseKeys {
        /// Outputs: a number, or "classes" for one a class of the data.
        pub units: Units,
        /// Whether each unit adds a number of its own.
        pub bias: bool = true,
    }
}

impl Layer for DenseKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let x = cx.b.ty(inputs[0]);
        let [features] = x.dims[..] else {
            let what = format!("dense takes one row of numbers a sample, [N, features], and its input is {x}");
            return Err(ShapeError::new(what, "put { \"op\": \"flatten\" } before it"));
        };
        let units = self.units.count(cx.classes)?;
        let (w, bias) = cx.weight_and_bias(&[units, features], features, units, self.bias)?;
        let y = cx.b.op(Dense { bias: false, activation: None }, &[inputs[0], w])?[0];
        match bias {
            Some(bias) => Ok(cx.b.op(BiasAdd::default(), &[y, bias])?[0]),
            None => Ok(y),
        }
    }

    fn counts_classes(&self) -> bool {
        self.units == Units::Classes
    }

    fn flow(&self, _: &[Flow], _: usize) -> Option<Flow> {
        match self.units {
            Units::Count(units) => Some(Flow::Vector(units.get())),
            Units::Classes => None,
        }
    }
}

/// Rows (samples or units) and inputs of a tile of dx, and of a tile of dw.
fn gradient_tile(lanes: usize) -> [usize; 2] {
    [8, if lanes == 4 { 2 } else { 8 }]
}

/// Inputs x `[N, in]`, w `[units, in]`, with `bias` b `[units]`. Output y `[N, units]`.
#[derive(Clone, Debug)]
pub struct Dense {
    /// Whether the third input is a bias (by fusion).
    pub bias: bool,
    /// The activation, applied to the sum (by fusion).
    pub activation: Option<Activation>,
}

impl Dense {
    /// Σ x · w + b of one element of y.
    fn sum(&self, cx: &RefCx, index: usize) -> f64 {
        let (x, w) = (&cx.inputs[0], &cx.inputs[1]);
        let (units, features) = (w.shape[0], w.shape[1]);
        let (n, u) = (index / units, index % units);
        let (row, weights) = (&x.data[n * features..][..features], &w.data[u * features..][..features]);
        let bias = if self.bias { cx.inputs[2].data[u] } else { 0.0 };
        bias + row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>()
    }
}

impl Op for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let (x, w) = (inputs[0], inputs[1]);
        if w.dims.len() != 2 || x.dims != [w.dims[1]] {
            let what = format!("dense with weights {w} does not take {x}");
            return Err(ShapeError::new(what, "share weights only between layers of the same units and features"));
        }
        Ok(vec![TensorType::batch(&w.dims[..1])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        assert!(!self.bias && self.activation.is_none(), "gradients come before fusing");
        let Some(dy) = douts[0] else { return vec![None; 2] };
        // dw before dx: if nothing else reads x, its memory is free before dx is computed.
        let dw = b.one(DenseGradWeight { bias: false }, &[dy, inputs[0]]);
        let dx = b.one(DenseGradInput { activation: None }, &[dy, inputs[1]]);
        vec![Some(dx), Some(dw)]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (units, features) = (cx.inputs[1].dims[0], cx.inputs[1].dims[1]);
        let lanes = lanes_of(features);
        for window in cx.row_windows(units, features) {
            let w = cx.input_range(1, window.start * features, window.len() * features);
            let job = Forward {
                geometry: Geometry::dense(features, units),
                span: window.clone(),
                x: cx.input(0),
                w: w.clone(),
                b: self.bias.then(|| cx.input(2)),
                scaled: false,
                y: cx.output(0),
                activation: self.activation,
            };
            if job.push(cx) {
                continue;
            }
            let [tn, tu] = tile(cx.batch, window.len(), [8, 8], cx.caps);
            // The grid is fixed for the planned batch, because a tile covers
            // several samples. In a short batch some invocations are idle.
            let items = window.len().div_ceil(tu) * cx.batch.div_ceil(tn);
            let kernel = Kernel::new("dense", "forward")
                .lanes(lanes)
                .read("x", cx.input(0))
                .read("w", w.clone())
                .read("b", if self.bias { cx.input(2) } else { w })
                .write("y", cx.output(0))
                .set("IN", features / lanes)
                .set("UNITS", units)
                .set("FIRST", window.start)
                .set("COUNT", window.len())
                .set("BIAS", usize::from(self.bias))
                .set("TN", tn)
                .set("TU", tu)
                .set("CHUNK", chunk(1, features / lanes))
                .grid(grouped(Grid::fixed(items), cx.batch, cx.caps));
            cx.push(self.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel)));
        }
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let activate = |x: f64| self.activation.map_or(x, |a| a.eval(x));
        indices.iter().map(|&i| activate(self.sum(cx, i))).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| indices.iter().map(|&i| self.sum(cx, i)).collect()))
    }

    fn flops(&self, inputs: &[&TensorType], _: &[&TensorType]) -> u64 {
        2 * inputs[1].items() as u64
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        if self.activation.is_some() || position != 0 {
            return None;
        }
        if next.is::<BiasAdd>() && !self.bias {
            return Some(Arc::new(Dense { bias: true, ..self.clone() }));
        }
        let activation = next.downcast_ref::<ActivationOp>()?.activation;
        Some(Arc::new(Dense { activation: Some(activation), ..self.clone() }))
    }
}

/// Inputs dy `[N, units]`, w `[units, in]`, with `activation` y_in `[N, in]`. Output dx `[N, in]`: dx[n, i] = Σ dy[n,
/// u] · w[u, i], times the activation's derivative.
#[derive(Debug)]
pub struct DenseGradInput {
    /// The activation that made x, if absorbed; then y_in = x (by fusion).
    pub activation: Option<Activation>,
}

impl DenseGradInput {
    /// Σ dy · w of one element of dx.
    fn sum(&self, cx: &RefCx, i: usize) -> f64 {
        let (dy, w) = (&cx.inputs[0].data, &cx.inputs[1].data);
        let (units, features) = (cx.inputs[1].shape[0], cx.inputs[1].shape[1]);
        (0..units).map(|u| dy[i / features * units + u] * w[u * features + i % features]).sum()
    }
}

impl Op for DenseGradInput {
    fn name(&self) -> &'static str {
        "dense_grad_input"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0].dims, inputs[1].dims[..1]);
        Ok(vec![TensorType::batch(&inputs[1].dims[1..])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (units, features) = (cx.inputs[1].dims[0], cx.inputs[1].dims[1]);
        let lanes = lanes_of(features);
        let inputs = features / lanes;
        let [tn, ti] = tile(cx.batch, inputs, gradient_tile(lanes), cx.caps);
        let items = inputs.div_ceil(ti) * cx.batch.div_ceil(tn);
        let before = self.activation.map(|activation| (activation, cx.input(2)));
        for window in cx.row_windows(units, features) {
            let w = cx.input_range(1, window.start * features, window.len() * features);
            let first = window.start == 0;
            let job = GradInput {
                geometry: Geometry::dense(features, units),
                span: window.clone(),
                dy: cx.input(0),
                w: w.clone(),
                dx: cx.output(0),
                add: !first,
                before: before.clone().filter(|_| window.end == units),
            };
            if job.push(cx) {
                continue;
            }
            let kernel = Kernel::new("dense", "grad_input").lanes(lanes).read("dy", cx.input(0)).read("w", w.clone());
            let kernel = activation::scale(kernel, "y_in", job.before.as_ref(), &w);
            let name = "dx";
            let kernel = if first { kernel.write(name, cx.output(0)) } else { kernel.read_write(name, cx.output(0)) };
            let kernel = kernel
                .set("IN", inputs)
                .set("UNITS", units)
                .set("FIRST", window.start)
                .set("COUNT", window.len())
                .set("ADD", usize::from(!first))
                .set("TN", tn)
                .set("TI", ti)
                .set("CHUNK", chunk(1, window.len()))
                .grid(grouped(Grid::fixed(items), cx.batch, cx.caps));
            cx.push(kernel);
        }
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.sum(cx, i) * activation::factor(self.activation, cx, i)).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| indices.iter().map(|&i| self.sum(cx, i)).collect()))
    }

    fn flops(&self, inputs: &[&TensorType], _: &[&TensorType]) -> u64 {
        2 * inputs[1].items() as u64
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let activation = ActivationGrad::of(next, position).filter(|_| self.activation.is_none())?;
        Some(Arc::new(DenseGradInput { activation: Some(activation) }))
    }
}

/// Inputs dy `[N, units]`, x `[N, in]`; output dw `[units, in]`: dw[u, i] = Σ dy[n, u] · x[n, i].
#[derive(Debug)]
pub struct DenseGradWeight {
    /// Whether the second output is db `[units]`, the sums of dy (by fusion).
    pub bias: bool,
}

impl Op for DenseGradWeight {
    fn name(&self) -> &'static str {
        "dense_grad_weight"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let db = self.bias.then(|| TensorType::f32(&[inputs[0].items()]));
        Ok(std::iter::once(TensorType::f32(&[inputs[0].items(), inputs[1].items()])).chain(db).collect())
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (units, features) = (cx.inputs[0].items(), cx.inputs[1].items());
        let lanes = lanes_of(features);
        let inputs = features / lanes;
        let windows = cx.row_windows(units, features);
        // If there is only one window, the kernel that multiplies it may also sum dy.
        let mut db = self.bias.then(|| cx.output(1));
        for window in windows.iter().cloned() {
            let dw = cx.output_range(0, window.start * features, window.len() * features);
            let job = GradWeight {
                geometry: Geometry::dense(features, units),
                span: window.clone(),
                dy: cx.input(0),
                x: cx.input(1),
                dw: dw.clone(),
                db: db.clone().filter(|_| windows.len() == 1),
            };
            if job.push(cx) {
                db = db.filter(|_| windows.len() > 1);
                continue;
            }
            let [tu, ti] = tile(window.len(), inputs, gradient_tile(lanes), cx.caps);
            let kernel = Kernel::new("dense", "grad_weight")
                .lanes(lanes)
                .read("dy", cx.input(0))
                .read("x_in", cx.input(1))
                .write("dw", dw)
                .set("IN", inputs)
                .set("UNITS", units)
                .set("FIRST", window.start)
                .set("COUNT", window.len())
                .set("TU", tu)
                .set("TI", ti)
                .set("CHUNK", chunk(1, cx.batch))
                .grid(grouped(Grid::fixed(window.len().div_ceil(tu) * inputs.div_ceil(ti)), cx.batch, cx.caps));
            cx.push(kernel);
        }
        if let Some(db) = db {
            push_grad_bias(cx, 1, units, db);
        }
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let (dy, x) = (&cx.inputs[0], &cx.inputs[1]);
        let (units, features) = (dy.shape[1], x.shape[1]);
        if output == 1 {
            return indices.iter().map(|&u| dy.data[u..].iter().step_by(units).sum()).collect();
        }
        let product = |i: usize, n: usize| dy.data[n * units + i / features] * x.data[n * features + i % features];
        indices.iter().map(|&i| (0..cx.n).map(|n| product(i, n)).sum()).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| self.reference(cx, output, indices)))
    }

    fn flops(&self, inputs: &[&TensorType], _: &[&TensorType]) -> u64 {
        2 * (inputs[0].items() * inputs[1].items()) as u64
    }

    fn join(&self, other: &dyn Op) -> Option<Arc<dyn Op>> {
        let fits = !self.bias && other.is::<BiasAddGradBias>();
        fits.then(|| Arc::new(DenseGradWeight { bias: true }) as Arc<dyn Op>)
    }
}
