//! The typed spec. The text of a JSON file becomes a model with
//! sugar expanded, names resolved and every default filled in.
//!
//! [`load`] reads a file. `expand/` has what `repeat`, `residual`,
//! `parallel` and `use` stand for, one file for each word.

mod augment;
mod data;
mod expand;
mod input;
mod knn;
mod layer;
mod load;
mod loss;
mod normal_equation;
mod op_object;
mod schedule;
pub mod schema;
mod schema_keys;
mod set;
mod task;
mod train;
mod warnings;

use crate::data::dataset::{BOXES, FEATURES, IMAGE, INSTANCES, LABEL, VALUES};
use crate::error::{Error, Result};
use crate::ops::layer::activation::ActivationKind;
use crate::ops::layer::given_rois::GivenRoisKeys;
use crate::ops::layer::knn::KnnKeys;
use crate::spec::{self, Field, Place, Source};
use crate::tensor::{DType, TensorType};
pub use augment::AugmentNode;
pub use data::{Brightness, DataSpec};
pub use input::{InputShape, InputSpec, Normalize};
pub use layer::LayerNode;
use layer::one_or_list;
pub use load::load;
pub use loss::LossNode;
pub use schedule::{
    Anneal, ConstantSchedule, CosineSchedule, ExponentialSchedule, OneCycleSchedule, Schedule, StepSchedule,
};
pub use schema::schema;
use serde_json::{Value as Json, json};
use std::sync::Arc;
pub use task::TaskWord;
pub use train::{Checkpointing, EarlyStopping, OnNonfinite, OptimizerSpec, TrainSpec, ValidationMetric};

/// Everything that one spec file says.
#[derive(Clone, Debug)]
pub struct Model {
    /// The text it was read from.
    pub source: Arc<Source>,
    /// `$schema`, as written.
    pub schema: Option<String>,
    /// The model's name. By default the file's name without its ending.
    pub name: String,
    /// What kind of problem it is to solve, if the spec says so.
    pub task: Option<TaskWord>,
    /// What a sample is.
    pub input: InputSpec,
    /// The layers in file order. Each comes after the layers that it uses. Never empty.
    pub layers: Vec<LayerNode>,
    /// The weighted losses. Empty if the spec has none.
    pub loss: Vec<LossNode>,
    /// The data set.
    pub data: Option<DataSpec>,
    /// How to train.
    pub train: Option<TrainSpec>,
    /// Most objects of one picture: the rows of the target `boxes`. Whoever reads data or a batch of it writes it here.
    pub objects: usize,
    /// Regions of one picture, where the batch brings those that layers `sample_rois` would choose.
    pub regions: Option<usize>,
}

/// [`Model::objects`] before any data is read: COCO's most, which is enough to plan with.
const OBJECTS: usize = 100;

/// The sections of a spec, in the order of writing.
const SECTIONS: [&str; 11] =
    ["$schema", "version", "name", "task", "input", "vars", "blocks", "layers", "loss", "data", "train"];

impl Model {
    /// The layer `knn`, which stores samples, and its keys. None if the model has none.
    pub fn knn(&self) -> Option<(&LayerNode, &KnnKeys)> {
        let last = self.layers.last()?;
        last.layer.downcast_ref::<KnnKeys>().map(|keys| (last, keys))
    }

    /// The layer `given_rois`, which takes regions that somebody else proposed, and how many a picture. None if the model has none.
    pub fn given_rois(&self) -> Option<(&LayerNode, usize)> {
        self.layers.iter().find_map(|node| Some((node, node.layer.downcast_ref::<GivenRoisKeys>()?.count.0)))
    }

    /// The type of a batch of inputs: f32. Only images that are
    /// stored without being normalised are compared as bytes, u8.
    pub fn input_type(&self) -> TensorType {
        let bytes = self.knn().is_some() && self.input.normalize.is_none() && self.input_field() != FEATURES;
        TensorType::batch(&self.input.dims()).with(if bytes { DType::U8 } else { DType::F32 })
    }

    /// The column of the data set that the network takes: images, unless the data says otherwise.
    pub fn input_field(&self) -> &'static str {
        self.data.as_ref().map_or(IMAGE, |data| data.reader.input())
    }

    /// The column of the data set that the losses are compared with. It follows from what the data has and the losses
    /// take.
    pub fn target_field(&self) -> &'static str {
        let targets = self.data.as_ref().map_or(&[LABEL, VALUES][..], |data| data.reader.targets());
        let wanted = |field: &&&str| (**field == LABEL) == self.classifies();
        targets.iter().find(wanted).or(targets.first()).copied().unwrap_or(LABEL)
    }

    /// Whether the samples of the data set are shifted and scaled by what is measured when it is opened: the mean and
    /// deviation of its training part.
    pub fn is_measured(&self) -> bool {
        match self.input.normalize {
            Some(Normalize::Auto) => true,
            None => self.data.as_ref().is_some_and(|data| data.reader.standardizes()),
            Some(Normalize::Values { .. }) => false,
        }
    }

    /// The number of classes, for layers that say `"classes"`: that of the data section. Opening the data counts them, if
    /// a layer needs to know, and writes it there.
    pub fn classes(&self) -> Option<usize> {
        self.data.as_ref().and_then(|data| data.classes).map(|count| count.0)
    }

    /// Whether the losses are compared with one class a sample. They are for `knn`, and where a loss takes only classes.
    /// Where a loss takes either, they are if the data prefers it so.
    pub fn classifies(&self) -> bool {
        let first = self.data.as_ref().and_then(|data| data.reader.targets().first());
        let preferred = first.is_none_or(|field| *field == LABEL);
        let class = |term: &LossNode| term.loss.needs_label() || (term.loss.takes_label() && preferred);
        self.knn().is_some() || self.loss.iter().any(class)
    }

    /// Whether the model says what and where the one object of a picture is: a loss learns its class, another its corners.
    pub fn locates(&self) -> bool {
        self.target_field() == BOXES && self.loss.iter().any(|term| term.loss.needs_label())
    }

    /// Whether a loss learns which pixels belong to which object.
    pub fn learns_instances(&self) -> bool {
        self.loss.iter().any(|term| term.loss.takes(&TensorType::batch(&[1, 1, 2]), INSTANCES))
    }

    /// The layers whose outputs together are the model's answer, in this order, if they are several: those of the losses of
    /// a model that [locates](Model::locates) an object.
    pub fn heads(&self) -> Vec<&str> {
        let mut heads = Vec::new();
        for term in self.loss.iter().filter(|_| self.locates()) {
            if !heads.contains(&term.of.as_str()) {
                heads.push(&term.of);
            }
        }
        heads
    }

    /// The layer whose scores say how good the model is: the last
    /// one, if a loss judges it; else that of the first loss.
    pub fn judged(&self) -> &str {
        let last = self.layers.last().map_or("input", |l| l.name.as_str());
        match self.loss.first() {
            Some(first) if self.loss.iter().all(|loss| loss.of != last) => &first.of,
            _ => last,
        }
    }

    /// The activation that makes the model's output, if there is one.
    pub fn last_activation(&self) -> Option<ActivationKind> {
        self.layers.last().and_then(|last| last.output_activation())
    }

    /// Fails, for something that needs a loss, if the spec has none.
    ///
    /// # Errors
    /// The missing section, or a model that is not fitted by gradients.
    pub fn need_loss(&self) -> Result<()> {
        if !self.loss.is_empty() {
            return Ok(());
        }
        if let Some((layer, _)) = self.knn() {
            let what = format!("layer `{}` is fitted by storing samples: there are no gradients", layer.name);
            return Err(self.mistake(&layer.place, what, "use train, eval, predict or verify"));
        }
        let hint = "add one, such as \"loss\": \"cross_entropy\"";
        Err(Error::file(&self.source.file, "the spec has no section `loss`", hint))
    }

    /// An error at a place of the spec, or in the flag `--set` that gave the value.
    pub fn mistake(&self, place: &Place, message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Spec(vec![spec::diagnostic(&self.source.file, place, message, hint)])
    }

    /// The text of [`Model::to_json`], as `expand` prints it and run folders hold it.
    pub fn to_text(&self) -> String {
        format!("{:#}\n", self.to_json())
    }

    /// The whole spec as plain JSON, with sugar expanded and defaults filled in.
    /// Reading it gives the same model. A section that was missing stays missing.
    pub fn to_json(&self) -> Json {
        let layers: Vec<Json> = self.layers.iter().map(LayerNode::to_json).collect();
        let losses: Vec<Json> = self.loss.iter().map(LossNode::to_json).collect();
        let sections = vec![
            ("$schema", self.schema.write()),
            ("version", json!(1)),
            ("name", json!(self.name)),
            ("task", self.task.as_ref().map_or(Json::Null, |task| json!(task.word))),
            ("input", self.input.write()),
            ("layers", Json::Array(layers)),
            ("loss", if losses.is_empty() { Json::Null } else { one_or_list(losses) }),
            ("data", self.data.write()),
            ("train", self.train.write()),
        ];
        Json::Object(spec::write_keys(sections))
    }
}
