//! The section `data`: where samples come from.

use crate::spec::{Content, Count, Diagnostics, Field, Fraction, Node, spec_struct, spec_words};
use serde_json::Value as Json;

spec_words! {
    /// The format of a data set.
    pub enum DataKind {
        /// IDX files, plain or gzip, as MNIST and Fashion-MNIST ship.
        Idx = "idx",
        /// CIFAR-10's binary batches.
        Cifar10 = "cifar10",
        /// PNG, JPEG, BMP and WebP pictures, a sub-folder for each class; with sub-folders `train` and `test` these hold the classes.
        Folder = "folder",
        /// A table with a header row: a file, or a folder with train.csv and perhaps test.csv.
        Csv = "csv",
        /// Pictures in a folder `images`, and in a folder `masks` a PNG picture with the class of each of their pixels.
        Masks = "masks",
        /// The 10,000 digits that come with the program.
        Bundled = "bundled",
    }
}

spec_struct! {
    /// Where samples come from.
    pub struct DataSpec {
        /// The format: "bundled" needs no path.
        pub kind: DataKind,
        /// The file or folder.
        pub path: Option<String>,
        /// The share of the training samples that is held back for validation.
        pub validation: Fraction = Fraction(0.0),
        /// How many classes there are; by default counted.
        pub classes: Option<Count>,
        /// Names of the classes in the order of the labels; by default the data's own, such as the names of the folders.
        pub class_names: Option<Vec<String>>,
        /// Of a table: the column to predict, or a list of columns. Where the loss takes classes, its cells name them; else they are numbers.
        pub target: Option<Names>,
        /// Of a table: the columns that the network takes, in this order; by default all but the targets.
        pub features: Option<Vec<String>>,
        /// Of a table: whether features are shifted and scaled to mean 0 and deviation 1 over the training rows, as `"normalize": "auto"` does; by
        /// default they are. Targets stay as they are.
        pub standardize: Option<bool>,
        /// Of a table in one file: the share of its rows that is the test set, the same rows for every seed; 0.2 by default.
        pub test: Option<Fraction>,
        /// Of pictures with masks: the name of the folder of masks; "masks" by default.
        pub masks: Option<String>,
        /// Of pictures with masks: whether everything above 0 in a mask is class 1.
        pub binary: bool = false,
        /// Of pictures in a folder: whether they are decoded batch by batch while the adapter works, instead of once into memory; by default where they
        /// would take more than half of the memory that is free.
        pub stream: Option<bool>,
        /// Random changes of training images. None is supported yet.
        pub augment: Vec<Augment> = Vec::new(),
    }
}

/// One name or a list of names. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Names(pub Vec<String>);

impl Field for Names {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Names> {
        let names = match &node.kind {
            Content::String(name) => vec![name.clone()],
            Content::Array(items) if !items.is_empty() => Field::read(node, report)?,
            _ => {
                report.expected(node, "a name or a list of names");
                return None;
            }
        };
        Some(Names(names))
    }

    fn write(&self) -> Json {
        match self.0.as_slice() {
            [one] => one.write(),
            many => many.to_vec().write(),
        }
    }

    fn schema() -> Json {
        let list = serde_json::json!({ "type": "array", "items": String::schema(), "minItems": 1 });
        serde_json::json!({ "anyOf": [String::schema(), list] })
    }
}

/// A random change of training images. None exists yet, so a list of them is empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Augment {}

impl Field for Augment {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Augment> {
        let word = node.get("op").or(node.get("kind")).unwrap_or(node);
        let name = match &word.kind {
            Content::String(s) => format!("augment {s:?}"),
            _ => "augment".into(),
        };
        report.error(node, format!("{name} is not supported yet"), "leave the list empty");
        None
    }

    fn write(&self) -> Json {
        match *self {}
    }

    fn schema() -> Json {
        Json::Bool(false)
    }
}
