//! The names that a data set gives its parts.

use super::split::Split;
use crate::spec::spec_struct;

spec_struct! {
    /// The names of the parts.
    pub struct PartNames {
        /// The training set; by default train.
        pub train: Option<String>,
        /// What is judged while training; by default val, valid or validation, if there is one.
        pub val: Option<String>,
        /// The test set; by default test, if there is one.
        pub test: Option<String>,
    }
}

/// The names that a part may have.
pub(super) fn names(sets: Option<&PartNames>, split: Split) -> Vec<String> {
    let own = sets.and_then(|sets| match split {
        Split::Train => sets.train.clone(),
        Split::Validation => sets.val.clone(),
        Split::Test => sets.test.clone(),
    });
    match own {
        Some(name) => vec![name],
        None => split.folders().iter().map(|name| name.to_string()).collect(),
    }
}
