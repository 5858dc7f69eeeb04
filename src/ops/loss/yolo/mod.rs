//! The losses of YOLO.
//!
//! Version 3 (Redmon and Farhadi 2018), as darknet computes it: an object belongs to the one box of its cell, on all levels,
//! that is most like it in shape; of the other boxes those that overlap an object do not count, and the rest learn that
//! nothing is there. Version 1 (Redmon et al. 2016) has a grid without priors. Version "ciou" lets several boxes stand for an
//! object, as YOLOv5 does (Jocher 2020), and compares boxes by CIoU (Zheng et al. 2020).
//!
//! No gradient flows through choices. Each is an op of its own, so that one that is made in f32 can be compared with one
//! in f64: the next op is given the choices of the adapter.

mod ciou;
mod decode;
mod grid;
mod matching;
mod numbers;
mod terms;

use super::boxes::{MAX_OBJECTS, MAX_PRIORS};
use super::priors::{Cells, Priors};
use crate::graph::{Builder, Decode, Graph, ShapeError, Value};
use crate::ops::layer::anchors::{Geometry, Kind};
use crate::ops::registry::{Loss, Losses, Registry, TargetType};
use crate::spec::{Content, Count, Diagnostics, Field, Fraction, Node, spec_struct};
use crate::tensor::TensorType;
pub use ciou::{YoloCiouLoss, YoloCiouLossGrad, YoloOverlap};
pub use decode::{Coding, GridDecode, YoloDecode, grid_shape};
pub use grid::{Layout, YoloGridLoss, YoloGridLossGrad, YoloGridMatch};
pub use matching::{YoloAssign, YoloMatch, YoloOwn};
use serde_json::{Value as Json, json};
use std::sync::Arc;
pub use terms::{YoloLossGrad, YoloLossOp};

pub(crate) fn register(registry: &mut Registry) {
    let doc = "Gives objects boxes of a grid; compares their places, their objectness and their classes.";
    registry.loss::<YoloLoss>("yolo", doc);
    registry.ops(&["yolo_own", "yolo_match", "yolo_loss", "yolo_loss_grad"]);
    registry.ops(&["yolo_assign", "yolo_overlap", "yolo_ciou_loss", "yolo_ciou_loss_grad"]);
    registry.ops(&["yolo_grid_match", "yolo_grid_loss", "yolo_grid_loss_grad"]);
}

/// Which YOLO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// The first paper's grid.
    One,
    /// YOLOv3.
    Three,
    /// Several boxes an object, compared by CIoU.
    Ciou,
}

impl Field for Version {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Version> {
        match &node.kind {
            Content::Number(1.0) => Some(Version::One),
            Content::Number(3.0) => Some(Version::Three),
            Content::String(word) if word == "ciou" => Some(Version::Ciou),
            _ => {
                report.expected(node, "3, 1 or \"ciou\"");
                None
            }
        }
    }

    fn write(&self) -> Json {
        match self {
            Version::One => json!(1),
            Version::Three => json!(3),
            Version::Ciou => json!("ciou"),
        }
    }

    fn schema() -> Json {
        let docs = [
            "YOLOv3: the best of all boxes owns the object.",
            "The first paper's grid: a cell owns the object.",
            "Several boxes an object, compared by CIoU.",
        ];
        json!({ "enum": [3, 1, "ciou"], "enumDescriptions": docs })
    }
}

spec_struct! {
    /// The loss `yolo`.
    pub struct YoloLoss {
        /// 3: YOLOv3, one box an object, offsets as exp. 1: the grid of the first paper. "ciou": several boxes an object, offsets as (2σ)²; it learns fastest.
        pub version: Version = Version::Three,
        /// For version 3: a box that stands for no object, but overlaps one by more than this, does not count.
        pub ignore: Fraction = Fraction(0.5),
        /// For version 1: boxes of a cell; 2 by default.
        pub boxes: Option<Count>,
    }
}

impl YoloLoss {
    /// What the numbers of an output of version 1 are, if it has enough of them.
    fn layout(&self, output: &TensorType) -> Option<Layout> {
        let boxes = self.boxes.map_or(2, Count::get);
        match output.dims[..] {
            [rows, columns, numbers] if numbers > 5 * boxes => {
                Some(Layout { cells: [rows, columns], boxes, classes: numbers - 5 * boxes })
            }
            _ => None,
        }
    }

    /// The boxes of the output, if it is that of a layer `anchors` of kind yolo.
    fn geometry(graph: &Graph, output: Value) -> Option<Arc<Geometry>> {
        Geometry::of(graph, output).filter(|geometry| geometry.kind == Kind::Yolo)
    }

    /// How offsets are coded.
    fn coding(&self) -> Coding {
        if self.version == Version::Ciou { Coding::Wide } else { Coding::Exponent }
    }

    /// Fails if loops over boxes and objects would be too long.
    fn check(count: usize, objects: usize) -> Result<(), ShapeError> {
        if count > MAX_PRIORS || objects > MAX_OBJECTS {
            let what = format!("yolo over {count} boxes and {objects} objects a picture");
            return Err(ShapeError::new(what, format!("use at most {MAX_PRIORS} and {MAX_OBJECTS}")));
        }
        Ok(())
    }

    /// Version 1.
    fn grid(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError> {
        let Some(layout) = self.layout(b.ty(output)) else {
            let [need, hint] = self.outputs();
            return Err(ShapeError::new(format!("yolo of version 1 needs an output of shape {need}"), hint));
        };
        YoloLoss::check(layout.cells[0] * layout.cells[1] * layout.boxes, b.ty(target).dims[0])?;
        let matched = b.op(YoloGridMatch { layout }, &[output, target])?;
        let each = b.op(YoloGridLoss { layout }, &[output, target, matched[0], matched[1]])?[0];
        Ok(Losses { each, weights: None })
    }
}

impl Loss for YoloLoss {
    fn build(&self, b: &mut Builder, output: Value, target: Value) -> Result<Losses, ShapeError> {
        if self.version == Version::One {
            return self.grid(b, output, target);
        }
        if self.boxes.is_some() {
            let what = "`boxes` of the loss yolo is for version 1";
            return Err(ShapeError::new(what, "remove it; the layer `anchors` says how many boxes a cell has"));
        }
        let Some(geometry) = YoloLoss::geometry(&b.graph, output) else {
            let [_, hint] = self.outputs();
            return Err(ShapeError::new("yolo needs the boxes of a layer `anchors` of kind yolo", hint));
        };
        YoloLoss::check(geometry.count(), b.ty(target).dims[0])?;
        let aspect = geometry.input[1] as f64 / geometry.input[0] as f64;
        let priors = b.op(Priors { geometry: geometry.clone() }, &[])?[0];
        let cells = b.op(Cells { geometry }, &[])?[0];
        let owner = b.op(YoloOwn, &[priors, cells, target])?[0];
        let known = [output, priors, cells, target, owner];
        if self.version == Version::Three {
            let matched = b.op(YoloMatch { ignore: self.ignore.get() }, &known)?[0];
            let each = b.op(YoloLossOp, &[output, priors, cells, target, owner, matched])?[0];
            return Ok(Losses { each, weights: None });
        }
        let assigned = b.op(YoloAssign, &known)?;
        let (matched, positives) = (assigned[0], assigned[1]);
        let overlap = b.op(YoloOverlap { aspect }, &[output, priors, cells, target, matched])?[0];
        let each = b.op(YoloCiouLoss { aspect }, &[output, priors, cells, target, matched, overlap])?[0];
        Ok(Losses { each, weights: Some(positives) })
    }

    fn decoder(&self, graph: &Graph, output: Value) -> Option<Arc<dyn Decode>> {
        if self.version == Version::One {
            let Layout { cells, boxes, classes } = self.layout(graph.ty(output))?;
            return Some(Arc::new(GridDecode { cells, boxes, classes }));
        }
        Some(Arc::new(YoloDecode::new(&*YoloLoss::geometry(graph, output)?, self.coding())))
    }

    fn targets(&self, output: &TensorType) -> Vec<TargetType> {
        let fits = match self.version {
            Version::One => self.layout(output).is_some(),
            // Four offsets, the objectness and a class.
            _ => output.dims.len() == 2 && output.channels() >= 6,
        };
        if fits { vec![TargetType::boxes()] } else { Vec::new() }
    }

    fn outputs(&self) -> [&'static str; 2] {
        if self.version == Version::One {
            return [
                "[N, rows, columns, 5 · boxes + classes]",
                "end with a convolution, or a dense layer and a reshape, without an activation",
            ];
        }
        ["[N, boxes, numbers]", "end with a layer `anchors` of kind yolo, without an activation"]
    }
}
