//! Other shapes of the same elements: flatten as a layer, reshape as an op.

use super::{Layer, LayerCx, Registry};
use crate::graph::{Builder, KernelCx, Op, RefCx, ShapeError, Value};
use crate::spec::{SpecStruct, spec_struct};
use crate::tensor::TensorType;
use serde_json::{Map, Value as Json};
use std::any::Any;

pub(super) fn register(registry: &mut Registry) {
    registry.layer::<Flatten>("flatten", "Joins height, width and channels, in that order, to one dimension.");
    registry.ops(&["reshape"]);
}

spec_struct! {
    /// The layer `flatten`.
    pub struct Flatten {}
}

impl Layer for Flatten {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let items = cx.b.ty(inputs[0]).items();
        Ok(cx.b.op(Reshape { dims: vec![items] }, inputs)?[0])
    }

    fn write(&self) -> Map<String, Json> {
        SpecStruct::write(self)
    }

    fn clone_box(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }
}

/// Input x; output the same elements in the same order with other dimensions behind N: a view, without a kernel.
#[derive(Debug)]
pub struct Reshape {
    /// Dimensions of the output without N.
    pub dims: Vec<usize>,
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let y = TensorType { dims: self.dims.clone(), ..inputs[0].clone() };
        if y.items() != inputs[0].items() {
            let what = format!("{} cannot be reshaped to {y}", inputs[0]);
            return Err(ShapeError::new(what, "the product of the dimensions must stay the same"));
        }
        Ok(vec![y])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let dims = b.ty(inputs[0]).dims.clone();
        vec![douts[0].map(|dy| b.one(Reshape { dims }, &[dy]))]
    }

    fn kernels(&self, _: &mut KernelCx) {}

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| cx.inputs[0].data[i]).collect()
    }

    fn alias(&self) -> Option<usize> {
        Some(0)
    }

    fn any(&self) -> &dyn Any {
        self
    }
}
