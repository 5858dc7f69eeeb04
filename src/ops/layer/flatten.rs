//! flatten and reshape: another shape for the same elements.

use crate::graph::{Builder, Op, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::spec::{Content, Count, Diagnostics, Field, Node, spec_struct};
use crate::tensor::TensorType;
use serde_json::{Value as Json, json};

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<Flatten>("flatten", "Joins height, width and channels, in that order, to one dimension.");
    registry.layer::<ReshapeKeys>("reshape", "Gives the same elements other dimensions.");
    registry.ops(&["reshape"]);
}

/// The `shape` key: `[h, w, c]` or `[n]`, without N. One entry may be None (-1 in JSON), and follows from the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Dims(pub Vec<Option<usize>>);

impl Field for Dims {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Dims> {
        let items = match &node.kind {
            Content::Array(items) if matches!(items.len(), 1 | 3) => items,
            _ => {
                report.expected(node, "[height, width, channels] or [features], one of them perhaps -1");
                return None;
            }
        };
        let one = |item: &Node| match item.kind {
            Content::Number(-1.0) => Some(None),
            _ => Count::read(item, report).map(|n| Some(n.get())),
        };
        let dims: Vec<Option<Option<usize>>> = items.iter().map(one).collect();
        let dims: Vec<Option<usize>> = dims.into_iter().collect::<Option<_>>()?;
        if dims.iter().filter(|d| d.is_none()).count() > 1 {
            report.error(node, "more than one dimension is -1", "give all but one of them");
            return None;
        }
        Some(Dims(dims))
    }

    fn write(&self) -> Json {
        self.0.iter().map(|d| d.map_or(json!(-1), |n| json!(n))).collect()
    }

    fn schema() -> Json {
        let one = json!({ "anyOf": [Count::schema(), { "const": -1 }] });
        json!({ "anyOf": [{ "type": "array", "items": one, "minItems": 1, "maxItems": 1 },
            { "type": "array", "items": one, "minItems": 3, "maxItems": 3 }] })
    }
}

spec_struct! {
    /// The layer `reshape`. Elements keep their order, that of H, W, C.
    pub struct ReshapeKeys {
        /// `[height, width, channels]` or `[features]`; one may be -1 and follows from the others.
        pub shape: Dims,
    }
}

impl Layer for ReshapeKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let x = cx.b.ty(inputs[0]);
        let known = self.shape.0.iter().flatten().try_fold(1usize, |n, &d| n.checked_mul(d));
        let Some(known) = known.filter(|&n| x.items().is_multiple_of(n)) else {
            let what = format!("{x} cannot be reshaped to {}", self.shape.write());
            return Err(ShapeError::new(what, "the product of the dimensions must stay the same"));
        };
        let dims = self.shape.0.iter().map(|d| d.unwrap_or(x.items() / known)).collect();
        Ok(cx.b.op(Reshape { dims }, inputs)?[0])
    }

    fn flow(&self, _: &[Flow], index: usize) -> Option<Flow> {
        let dims: Option<Vec<usize>> = self.shape.0.iter().copied().collect();
        Some(Flow::shaped(&dims?, Some(index)))
    }
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
}

/// Input x. Output the same elements in the same order, with other dimensions after N. It is a view, without a kernel.
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

    fn alias(&self) -> Option<usize> {
        Some(0)
    }
}
