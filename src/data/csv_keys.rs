//! The keys of data of kind `csv`.

use crate::spec::{Content, Diagnostics, Field, Fraction, Node, spec_struct, spec_words};
use serde_json::{Value as Json, json};

spec_struct! {
    /// Data of kind `csv`.
    pub struct Csv {
        /// The column to predict, or a list of columns. Where the loss takes classes, its cells name them; else they are numbers.
        pub target: Names,
        /// The columns that the network takes, in this order; by default all but the targets.
        pub features: Option<Vec<String>>,
        /// Whether features are shifted and scaled to mean 0 and deviation 1 over the training rows, as `"normalize": "auto"` does. Targets stay as
        /// they are.
        pub standardize: bool = true,
        /// Of a table in one file: the share of its rows that is the test set, the same rows for every seed.
        pub test: Fraction = Fraction(0.2),
        /// Features whose cells are words. Each becomes a number for each of its categories: 1 where the cell names it, else 0.
        pub categorical: Vec<String> = Vec::new(),
        /// The categories of each categorical column; by default those of the training table. A run keeps them.
        pub categories: Option<Vec<Vec<String>>>,
        /// What is done where a cell is empty: "error"; "mean" takes the mean of the training rows; "drop" leaves the row out.
        pub missing: Missing = Missing::Error,
    }
}

spec_words! {
    /// What is done where a cell is empty.
    pub enum Missing {
        /// It is a mistake.
        Error = "error",
        /// A feature takes its mean over the training rows.
        Mean = "mean",
        /// The row is left out.
        Drop = "drop",
    }
}

impl Csv {
    /// All columns but the target are features, and numbers.
    pub fn new(target: &str) -> Csv {
        Csv {
            target: Names(vec![target.into()]),
            features: None,
            standardize: true,
            test: Fraction(0.2),
            categorical: Vec::new(),
            categories: None,
            missing: Missing::Error,
        }
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
        let list = json!({ "type": "array", "items": String::schema(), "minItems": 1 });
        json!({ "anyOf": [String::schema(), list] })
    }
}
