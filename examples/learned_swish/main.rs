//! A layer from outside of Pumice: `learned_swish`, y = x · σ(slope · x) with one learned slope (Ramachandran, Zoph and
//! Le 2017). Its kernels are in `learned_swish.wgsl`. The example registers it, verifies it against its f64 reference
//! and finite differences, and trains with it.
//!
//!     cargo run --release --example learned_swish

use pumice::check::verify::{VerifyOptions, verify};
use pumice::gpu::Session;
use pumice::graph::{Builder, Fill, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use pumice::ops::flow::Flow;
use pumice::ops::tile::lanes_of;
use pumice::ops::{Layer, LayerCx, Registry};
use pumice::spec::{Positive, spec_struct};
use pumice::tensor::TensorType;
use pumice::{Control, Device, Model, Result, Split, Trainer};

fn register(registry: &mut Registry) {
    registry.layer::<LearnedSwishKeys>("learned_swish", "x · sigmoid(slope · x) with one learned slope.");
    registry.ops(&["learned_swish", "learned_swish_grad"]);
    registry.shader("learned_swish", include_str!("learned_swish.wgsl"));
}

spec_struct! {
    /// The layer `learned_swish`.
    pub struct LearnedSwishKeys {
        /// What the slope starts from.
        pub slope: Positive = Positive(1.0),
    }
}

impl Layer for LearnedSwishKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let slope = cx.parameter("slope", &[1], Fill::Constant(self.slope.get() as f32));
        Ok(cx.b.op(LearnedSwish, &[inputs[0], slope])?[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        Some(from[0])
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Inputs x `[N, …]`, slope `[1]`. Output y = x · σ(slope · x).
#[derive(Debug)]
struct LearnedSwish;

impl Op for LearnedSwish {
    fn name(&self) -> &'static str {
        "learned_swish"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None; 2] };
        b.must(LearnedSwishGrad, &[inputs[0], inputs[1], dy]).into_iter().map(Some).collect()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / lanes;
        let kernel = Kernel::new("learned_swish", "forward").lanes(lanes).set("ITEMS", items);
        let kernel = kernel.read("x", cx.input(0)).read("slope", cx.input(1)).write("y", cx.output(0));
        cx.push(kernel.grid(Grid::per_sample(items)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (x, slope) = (&cx.inputs[0].data, cx.inputs[1].data[0]);
        indices.iter().map(|&i| x[i] * sigmoid(slope * x[i])).collect()
    }
}

/// Inputs x `[N, …]`, slope `[1]`, dy of x's type. Outputs dx of x's type and dslope `[1]`.
#[derive(Debug)]
struct LearnedSwishGrad;

impl LearnedSwishGrad {
    /// The terms of dslope, one for each element.
    fn terms(cx: &RefCx) -> impl Iterator<Item = f64> {
        let slope = cx.inputs[1].data[0];
        let term = move |(x, dy): (&f64, &f64)| {
            let s = sigmoid(slope * x);
            dy * x * x * s * (1.0 - s)
        };
        cx.inputs[0].data.iter().zip(&cx.inputs[2].data).map(term)
    }
}

impl Op for LearnedSwishGrad {
    fn name(&self) -> &'static str {
        "learned_swish_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone(), inputs[1].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / lanes;
        // A part has at least 64 terms. There are few enough parts for one invocation to add them.
        let parts = (items * cx.batch).div_ceil(64).min(4096);
        let sums = cx.scratch(parts);
        let kernel = Kernel::new("learned_swish", "grad").lanes(lanes).set("ITEMS", items).set("PARTS", parts);
        let kernel = kernel.read("x", cx.input(0)).read("slope", cx.input(1)).read("dy", cx.input(2));
        let kernel = kernel.write("dx", cx.output(0)).write("parts", sums.clone());
        cx.push(kernel.grid(Grid::fixed(parts)));
        let kernel = Kernel::new("learned_swish", "grad_slope").set("PARTS", parts).read("parts_in", sums);
        cx.push(kernel.write("dslope", cx.output(1)));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        if output == 1 {
            return vec![LearnedSwishGrad::terms(cx).sum()];
        }
        let (x, slope, dy) = (&cx.inputs[0].data, cx.inputs[1].data[0], &cx.inputs[2].data);
        let one = |&i: &usize| {
            let s = sigmoid(slope * x[i]);
            dy[i] * (s + slope * x[i] * s * (1.0 - s))
        };
        indices.iter().map(one).collect()
    }

    /// The sum of the magnitudes of the terms. The error of the sum is judged by it.
    fn magnitude(&self, cx: &RefCx, output: usize, _: &[usize]) -> Option<Vec<f64>> {
        (output == 1).then(|| vec![LearnedSwishGrad::terms(cx).map(f64::abs).sum()])
    }
}

const SPEC: &str = r#"{
    "version": 1,
    "name": "learned_swish",
    "input": { "height": 28, "width": 28, "channels": 1, "normalize": { "mean": [0.1307], "std": [0.3081] } },
    "layers": [
        { "op": "conv2d", "filters": 6, "kernel": 5, "stride": 2 },
        { "op": "learned_swish", "name": "swish" },
        { "op": "flatten" },
        { "op": "dense", "units": "classes" },
    ],
    "loss": "cross_entropy",
    "data": { "kind": "bundled" },
    "train": { "batch": 32, "epochs": 1, "optimizer": { "op": "adam", "lr": 0.003 } },
}"#;

async fn run() -> Result<()> {
    let device = Device::open(None).await?;
    let mut trainer = Trainer::open(Model::parse(SPEC)?, &device).await?;

    let mut session = Session::new(device.clone());
    let options = VerifyOptions { numeric: true, ..VerifyOptions::default() };
    let train = trainer.model().train.clone().unwrap_or_default();
    let found = verify(&mut session, trainer.model(), &train, &options).await?;
    for node in
        found.nodes.iter().filter(|node| node.op.starts_with("learned_swish") || node.name.contains("swish.slope"))
    {
        println!("{}: largest error {:.1e}, {}", node.name, node.max_error, if node.ok { "ok" } else { "WRONG" });
    }
    assert!(found.ok(), "a kernel is not what its reference says");

    trainer.train(None, None, &mut |_| Control::Continue).await?;
    let evaluation = trainer.evaluate(Split::Test).await?;
    println!("test set: accuracy {:.2} %", 100.0 * evaluation.value("accuracy").unwrap_or(0.0));
    Ok(())
}

fn main() -> Result<()> {
    pumice::ops::extend(register);
    pumice::block_on(run())
}
