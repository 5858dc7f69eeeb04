//! prelu (He et al. 2015): leaky_relu with a learned slope. The layer learns one number, as by default in PyTorch.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::Registry;
use crate::ops::tile::lanes_of;
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["prelu", "prelu_grad"]);
}

/// Most partial sums of dweight.
const PARTS: usize = 4096;
/// Elements, in F, that are worth a partial sum.
const TERMS: usize = 64;

/// Inputs x `[N, …]`, weight `[1]`; output y = x where positive, else weight · x.
#[derive(Debug)]
pub struct Prelu;

impl Op for Prelu {
    fn name(&self) -> &'static str {
        "prelu"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None; 2] };
        b.must(PreluGrad, &[inputs[0], inputs[1], dy]).into_iter().map(Some).collect()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / lanes;
        cx.push(
            Kernel::new("prelu", "forward")
                .lanes(lanes)
                .read("x", cx.input(0))
                .read("weight", cx.input(1))
                .write("y", cx.output(0))
                .set("ITEMS", items)
                .grid(Grid::per_sample(items)),
        );
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (x, weight) = (&cx.inputs[0].data, cx.inputs[1].data[0]);
        indices.iter().map(|&i| if x[i] > 0.0 { x[i] } else { weight * x[i] }).collect()
    }
}

/// Inputs x `[N, …]`, weight `[1]`, dy of x's type. Outputs dx of x's type, dweight `[1]` = Σ dy · x over the x that
/// are not positive. The sum has two stages, so that its order is fixed.
#[derive(Debug)]
pub struct PreluGrad;

impl Op for PreluGrad {
    fn name(&self) -> &'static str {
        "prelu_grad"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0], inputs[2], "a gradient has its value's type");
        Ok(vec![inputs[0].clone(), inputs[1].clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].items());
        let items = cx.inputs[0].items() / lanes;
        // A multiple of eight, because eight partial sums share a stretch of memory.
        let parts = (items * cx.batch).div_ceil(TERMS).next_multiple_of(8).min(PARTS);
        let scratch = cx.scratch(parts);
        cx.push(
            Kernel::new("prelu", "grad_partial")
                .lanes(lanes)
                .read("x", cx.input(0))
                .read("weight", cx.input(1))
                .read("dy", cx.input(2))
                .write("dx", cx.output(0))
                .write("parts", scratch.clone())
                .set("ITEMS", items)
                .set("PARTS", parts)
                .grid(Grid::fixed(parts)),
        );
        cx.push(
            Kernel::new("prelu", "grad_weight")
                .read("parts_in", scratch)
                .write("dweight", cx.output(1))
                .set("PARTS", parts),
        );
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let (x, weight, dy) = (&cx.inputs[0].data, cx.inputs[1].data[0], &cx.inputs[2].data);
        if output == 0 {
            return indices.iter().map(|&i| if x[i] > 0.0 { dy[i] } else { weight * dy[i] }).collect();
        }
        vec![x.iter().zip(dy).filter(|(x, _)| **x <= 0.0).map(|(x, dy)| x * dy).sum()]
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        if output == 0 {
            return Some(self.reference(cx, 0, indices).iter().map(|dx| dx.abs()).collect());
        }
        let (x, dy) = (&cx.inputs[0].data, &cx.inputs[2].data);
        Some(vec![x.iter().zip(dy).filter(|(x, _)| **x <= 0.0).map(|(x, dy)| (x * dy).abs()).sum()])
    }
}
