//! The layer `anchors`, the head of a detector. Over each of its inputs runs a convolution that gives every cell the
//! numbers of its boxes. The boxes of all inputs are joined: `[N, boxes, numbers]`, level, row, column, box.
//!
//! A convolution's output `[N, rows, columns, boxes · numbers]` has the order of the boxes already, so that joining them
//! is a concatenation of whole stretches, and no op of its own.

mod geometry;

use super::activation::{Activation, ActivationKind};
use super::concat::Concat;
use super::conv2d::Conv2dKeys;
use super::dense::Units;
use super::flatten::Reshape;
use crate::graph::{Builder, Graph, Op, ShapeError, Value};
use crate::ops::registry::{Arity, Layer, LayerCx, Registry};
use crate::ops::window::{Padding, picture};
use crate::spec::{Content, Count, Diagnostics, Field, Node, Pair, Positive, spec_struct};
use crate::tensor::TensorType;
pub use geometry::{Geometry, Kind, Level, Prior};
use serde_json::{Value as Json, json};
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    let doc = "The head of a detector: for each box on one or several grids, its offsets and scores.";
    registry.layer::<AnchorsKeys>("anchors", doc);
    registry.ops(&["anchors"]);
}

/// Most boxes of a cell. No published detector has more than 9.
const MAX_BOXES: usize = 256;

/// The key `boxes`: for each level, width and height of each box of a cell, in pixels of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Boxes(pub Vec<Vec<[f64; 2]>>);

fn one_box(node: &Node, report: &mut Diagnostics) -> Option<[f64; 2]> {
    match &node.kind {
        Content::Array(sides) if sides.len() == 2 => {
            let sides = [0, 1].map(|k| Positive::read(&sides[k], report).map(Positive::get));
            Some([sides[0]?, sides[1]?])
        }
        _ => {
            report.expected(node, "a box, [width, height] in pixels of the input");
            None
        }
    }
}

impl Field for Boxes {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Boxes> {
        let Content::Array(levels) = &node.kind else {
            report.expected(node, "a list of boxes for each input, such as [[[20, 20], [28, 28]], [[48, 60]]]");
            return None;
        };
        let mut all = Vec::new();
        for level in levels {
            match &level.kind {
                Content::Array(boxes) if (1..=MAX_BOXES).contains(&boxes.len()) => {
                    // All boxes are read before giving up, so that every mistake is reported.
                    let read: Vec<Option<[f64; 2]>> = boxes.iter().map(|node| one_box(node, report)).collect();
                    all.push(read.into_iter().collect::<Option<Vec<_>>>());
                }
                _ => {
                    report.expected(level, &format!("a list of 1 to {MAX_BOXES} boxes [width, height]"));
                    all.push(None);
                }
            }
        }
        if all.is_empty() {
            report.error(node, "an empty list of levels", "give a list of boxes for each input");
            return None;
        }
        all.into_iter().collect::<Option<Vec<_>>>().map(Boxes)
    }

    fn write(&self) -> Json {
        let side = |&side: &f64| crate::spec::number(side);
        let boxes =
            |boxes: &Vec<[f64; 2]>| boxes.iter().map(|b| b.iter().map(side).collect::<Json>()).collect::<Json>();
        self.0.iter().map(boxes).collect()
    }

    fn schema() -> Json {
        let one = json!({ "type": "array", "items": Positive::schema(), "minItems": 2, "maxItems": 2 });
        let level = json!({ "type": "array", "items": one, "minItems": 1, "maxItems": MAX_BOXES });
        json!({ "type": "array", "items": level, "minItems": 1 })
    }
}

spec_struct! {
    /// The layer `anchors`. `from` names a layer for each grid.
    pub struct AnchorsKeys {
        /// The family of detectors: what the numbers of a box are, and where boxes lie.
        pub kind: Kind,
        /// For each input, the boxes [width, height] of a cell, in pixels of the network's input.
        pub boxes: Boxes,
        /// Rows and columns of the filters; by default 3, and 1 for yolo. For rpn, those of the hidden convolution.
        pub kernel: Option<Count>,
        /// Pixels from one cell to the next, for each input; by default the network's input divided by the grid.
        pub step: Option<Vec<Positive>>,
        /// Whether boxes are clipped to the picture: middle, width and height to 0…1. By default for ssd alone.
        pub clip: Option<bool>,
        /// Classes of objects, without a background; by default those of the data.
        pub classes: Units = Units::Classes,
    }
}

impl AnchorsKeys {
    fn geometry(&self, cx: &LayerCx, inputs: &[Value]) -> Result<Geometry, ShapeError> {
        let [height, width, _] = picture("anchors", &TensorType::batch(&cx.input))?;
        let (levels, given) = (self.boxes.0.len(), self.step.as_ref().map(Vec::len));
        if levels != inputs.len() || given.is_some_and(|steps| steps != inputs.len()) {
            let what = match given.filter(|_| levels == inputs.len()) {
                Some(steps) => format!("{steps} steps for {} inputs", inputs.len()),
                None => format!("boxes for {levels} levels, and {} inputs", inputs.len()),
            };
            return Err(ShapeError::new(what, "give one list of boxes, and one step, for each layer in `from`"));
        }
        let mut all = Vec::new();
        for (i, &input) in inputs.iter().enumerate() {
            let [rows, columns, _] = picture("anchors", cx.b.ty(input))?;
            let step = match &self.step {
                Some(steps) => [steps[i].get(); 2],
                None => [height as f64 / rows as f64, width as f64 / columns as f64],
            };
            all.push(Level { rows, columns, step, boxes: self.boxes.0[i].clone() });
        }
        let classes = if self.kind == Kind::Rpn { 0 } else { self.classes.count(cx.classes)? };
        let clip = self.clip.unwrap_or(self.kind == Kind::Ssd);
        Ok(Geometry { kind: self.kind, classes, input: [height, width], clip, levels: all })
    }

    /// A convolution of a head.
    fn conv(filters: usize, kernel: usize) -> Conv2dKeys {
        Conv2dKeys {
            filters: Count(filters),
            kernel: Pair::square(kernel),
            stride: Pair::square(1),
            padding: Padding::Same,
            dilation: Pair::square(1),
            groups: Count(1),
            bias: true,
            norm: None,
        }
    }

    /// The numbers of the boxes of level `i`, `[N, rows, columns, boxes · numbers]`.
    fn level(&self, cx: &mut LayerCx, geometry: &Geometry, i: usize, x: Value) -> Result<Value, ShapeError> {
        let filters = geometry.levels[i].boxes.len() * geometry.numbers();
        let kernel = self.kernel.map(Count::get);
        if geometry.kind != Kind::Rpn {
            let kernel = kernel.unwrap_or(if geometry.kind == Kind::Ssd { 3 } else { 1 });
            return AnchorsKeys::conv(filters, kernel).build(&mut cx.part(&format!("level_{}", i)), &[x]);
        }
        // One hidden convolution and one head serve all levels.
        let channels = cx.b.ty(x).channels();
        let hidden = AnchorsKeys::conv(channels, kernel.unwrap_or(3)).build(&mut cx.part("hidden"), &[x])?;
        let relu = Activation::new(ActivationKind::Relu).apply(&mut cx.part("hidden"), "activation.", hidden)?;
        AnchorsKeys::conv(filters, 1).build(&mut cx.part("head"), &[relu])
    }

    /// Fails if the levels of an rpn cannot share their parameters.
    fn check_shared(&self, cx: &LayerCx, inputs: &[Value]) -> Result<(), ShapeError> {
        let first = (cx.b.ty(inputs[0]).channels(), self.boxes.0[0].len());
        let other = inputs.iter().zip(&self.boxes.0).map(|(&x, boxes)| (cx.b.ty(x).channels(), boxes.len()));
        match other.into_iter().find(|other| *other != first && self.kind == Kind::Rpn) {
            None => Ok(()),
            Some(other) => {
                let text = |(channels, boxes)| format!("{channels} channels and {boxes} boxes a cell");
                let what =
                    format!("levels of an rpn share their filters, and have {} and {}", text(first), text(other));
                Err(ShapeError::new(what, "give every level the same channels and number of boxes"))
            }
        }
    }
}

impl Layer for AnchorsKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let geometry = self.geometry(cx, inputs)?;
        self.check_shared(cx, inputs)?;
        let mut levels = Vec::new();
        for (i, &x) in inputs.iter().enumerate() {
            let numbers = self.level(cx, &geometry, i, x)?;
            let items = cx.b.ty(numbers).items();
            levels.push(cx.b.op(Reshape { dims: vec![items] }, &[numbers])?[0]);
        }
        let all = if levels.len() == 1 { levels[0] } else { cx.b.op(Concat, &levels)?[0] };
        Ok(cx.b.op(Anchors { geometry: Arc::new(geometry) }, &[all])?[0])
    }

    fn arity(&self) -> Arity {
        Arity::Any
    }

    fn counts_classes(&self) -> bool {
        self.kind != Kind::Rpn && self.classes == Units::Classes
    }
}

/// Input `[N, boxes · numbers]`. Output the same elements as `[N, boxes, numbers]`: a view, which knows where the boxes
/// lie.
#[derive(Debug)]
pub struct Anchors {
    /// The boxes.
    pub geometry: Arc<Geometry>,
}

impl Geometry {
    /// The geometry of `value`, if it is the output of a layer `anchors`.
    pub fn of(graph: &Graph, value: Value) -> Option<Arc<Geometry>> {
        graph.nodes[value.node].op()?.downcast_ref::<Anchors>().map(|anchors| anchors.geometry.clone())
    }
}

impl Op for Anchors {
    fn name(&self) -> &'static str {
        "anchors"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let y = TensorType::batch(&[self.geometry.count(), self.geometry.numbers()]);
        assert_eq!(y.items(), inputs[0].items(), "the heads give every box its numbers");
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
