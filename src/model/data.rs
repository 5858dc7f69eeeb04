//! The section `data`: where samples come from. Its key `kind` decides which other keys it has.

use super::augment::AugmentNode;
use super::op_object::{Variant, one_of, only};
use crate::data::reader::Reader;
use crate::data::readers;
use crate::spec::{Content, Count, Diagnostics, Field, Fraction, Node, SpecStruct, spec_struct};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// Where samples come from.
#[derive(Clone, Debug)]
pub struct DataSpec {
    /// The word of its kind.
    pub kind: &'static str,
    /// What reads such data: the keys that only this kind has.
    pub reader: Arc<dyn Reader>,
    /// The file or folder.
    pub path: Option<String>,
    /// The share of the training samples that is held back for validation.
    pub validation: Fraction,
    /// How many classes there are.
    pub classes: Option<Count>,
    /// Names of the classes in the order of the labels.
    pub class_names: Option<Vec<String>>,
    /// Whether samples are decoded batch by batch.
    pub stream: Option<bool>,
    /// Whether the classes are drawn equally often.
    pub weighted: bool,
    /// How bright the training pictures are.
    pub brightness: Option<Brightness>,
    /// Random changes of training pictures.
    pub augment: Vec<AugmentNode>,
}

spec_struct! {
    /// The keys that every kind of data has.
    struct DataKeys {
        /// The file or folder.
        path: Option<String>,
        /// The share of the training samples that is held back for validation.
        validation: Fraction = Fraction(0.0),
        /// How many classes there are; by default counted.
        classes: Option<Count>,
        /// Names of the classes in the order of the labels; by default the data's own, such as the names of the folders.
        class_names: Option<Vec<String>>,
        /// Of pictures in a folder: whether they are decoded batch by batch while the adapter works, instead of once into memory; by default where they
        /// would take more than half of the memory that is free.
        stream: Option<bool>,
        /// Whether training draws each class equally often: samples with replacement, by inverse class frequency. An epoch still has as many
        /// samples as the training set.
        weighted: bool = false,
        /// How bright the training pictures are. Training writes it into the spec of a run, so that `predict` can tell when others are not.
        brightness: Option<Brightness>,
        /// Random changes of training pictures, each time others; their masks and boxes move along. They happen in the order flip, rotate, shift, scale, crop, zoom_out,
        /// brightness, contrast, saturation, hue, cutout.
        augment: Vec<AugmentNode> = Vec::new(),
    }
}

spec_struct! {
    /// Mean and deviation, over pictures, of the mean of a picture's values 0…1.
    pub struct Brightness {
        /// The mean.
        pub mean: f64,
        /// The deviation.
        pub std: f64,
    }
}

/// So many of the keys that every kind has are written before those of the kind.
const BEFORE: usize = 4;

impl Field for DataSpec {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<DataSpec> {
        let Content::Object(_) = node.kind else {
            report.expected(node, "an object");
            return None;
        };
        let Some(kind) = node.get("kind") else {
            report.missing(node, "kind");
            return None;
        };
        let list = &readers().list;
        let words: Vec<&str> = list.iter().map(|entry| entry.name).collect();
        let entry = &list[report.word(kind, &words)?];
        let keys = DataKeys::keys();
        let common: Vec<&str> = keys.iter().map(|key| key.name).collect();
        let all: Vec<&str> = common.iter().copied().chain(["kind"]).collect();
        let reader = (entry.read)(node, &all, report);
        let DataKeys { path, validation, classes, class_names, stream, weighted, brightness, augment } =
            SpecStruct::read(&only(node, &common), &[], report)?;
        let reader = Arc::from(reader?);
        Some(DataSpec {
            kind: entry.name,
            reader,
            path,
            validation,
            classes,
            class_names,
            stream,
            weighted,
            brightness,
            augment,
        })
    }

    fn write(&self) -> Json {
        let DataSpec { path, validation, classes, class_names, stream, weighted, brightness, augment, .. } =
            self.clone();
        let common = DataKeys { path, validation, classes, class_names, stream, weighted, brightness, augment };
        let mut common = SpecStruct::write(&common);
        let mut object = Map::from_iter([("kind".to_string(), json!(self.kind))]);
        object.extend(DataKeys::keys()[..BEFORE].iter().filter_map(|key| common.shift_remove_entry(key.name)));
        object.extend(self.reader.write());
        object.extend(common);
        Json::Object(object)
    }

    fn schema() -> Json {
        let keys = DataKeys::keys();
        let around = |own| keys[..BEFORE].iter().cloned().chain(own).chain(keys[BEFORE..].iter().cloned()).collect();
        let variants = readers().list.iter().map(|e| (e.name, e.doc.to_string(), around((e.keys)())));
        one_of("kind", variants.collect::<Vec<Variant>>())
    }
}
