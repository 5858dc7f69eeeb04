//! The last layer of a detector of two stages: for each region the scores of its classes, and an offset of its box for each
//! class (Girshick 2015, section 2).

use super::concat::Concat;
use super::conv2d::Conv2dKeys;
use super::dense::Units;
use super::flatten::Reshape;
use super::regions;
use crate::graph::{Builder, Graph, Op, ShapeError, Value};
use crate::ops::registry::{Arity, Layer, LayerCx, Registry};
use crate::ops::window::Padding;
use crate::spec::{Count, Pair, spec_struct};
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    let doc =
        "The head of a detector of two stages: for each region its classes, and where an object of each would lie.";
    registry.layer::<RoiHeadKeys>("roi_head", doc);
    registry.ops(&["roi_head"]);
}

/// Numbers of a region in the output of a head, before its scores: its number and its corners.
pub const LEAD: usize = 5;

spec_struct! {
    /// The layer `roi_head`. `from` names features `[N, regions, 1, channels]`, one row for each region, and then the regions.
    pub struct RoiHeadKeys {
        /// Classes of objects, without a background; by default those of the data.
        pub classes: Units = Units::Classes,
    }
}

/// A convolution of each position alone.
pub(super) fn pointwise(filters: usize) -> Conv2dKeys {
    Conv2dKeys {
        filters: Count(filters),
        kernel: Pair::square(1),
        stride: Pair::square(1),
        padding: Padding::Same,
        dilation: Pair::square(1),
        groups: Count(1),
        bias: true,
        norm: None,
    }
}

impl Layer for RoiHeadKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let [x, rois] = inputs else {
            let what = format!("roi_head of {} layers", inputs.len());
            return Err(ShapeError::new(
                what,
                "name the features and the regions, as in \"from\": [\"fc7\", \"rois\"]",
            ));
        };
        let count = regions::count("roi_head", cx.b.ty(*rois))?;
        let classes = self.classes.count(cx.classes)?;
        if cx.b.ty(*x).dims.len() != 3 || cx.b.ty(*x).dims[..2] != [count, 1] {
            let what =
                format!("roi_head of {count} regions takes features [N, {count}, 1, channels], found {}", cx.b.ty(*x));
            let hint = "put it behind a convolution whose kernel and stride are the `size` of roi_align, with \"padding\": \"valid\"";
            return Err(ShapeError::new(what, hint));
        }
        let scores = pointwise(classes + 1).build(&mut cx.part("class"), &[*x])?;
        let offsets = pointwise(4 * (classes + 1)).build(&mut cx.part("box"), &[*x])?;
        let lead = cx.b.op(Reshape { dims: vec![count, 1, LEAD] }, &[*rois])?[0];
        let all = cx.b.op(Concat, &[lead, scores, offsets])?[0];
        Ok(cx.b.op(RoiHead { regions: count, classes }, &[all])?[0])
    }

    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn counts_classes(&self) -> bool {
        self.classes == Units::Classes
    }
}

/// Input `[N, R, 1, K]`. Output the same elements as `[N, R, K]`: of each region its number and corners (5); the scores of the
/// background and of each class; and 4 offsets for each of these.
#[derive(Debug)]
pub struct RoiHead {
    /// Regions of a sample.
    pub regions: usize,
    /// Classes, without a background.
    pub classes: usize,
}

impl RoiHead {
    /// Numbers of a region.
    pub fn numbers(&self) -> usize {
        LEAD + 5 * (self.classes + 1)
    }

    /// The head whose output `value` is.
    pub fn of(graph: &Graph, value: Value) -> Option<&RoiHead> {
        graph.nodes[value.node].op()?.downcast_ref()
    }
}

impl Op for RoiHead {
    fn name(&self) -> &'static str {
        "roi_head"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let y = TensorType::batch(&[self.regions, self.numbers()]);
        assert_eq!(y.items(), inputs[0].items(), "a head gives every region its numbers");
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
