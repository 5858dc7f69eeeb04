//! The parts of a data set by what they serve for.

use super::problem::Problem;

/// A part of a data set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Split {
    /// What is trained on.
    Train,
    /// What is held back from it, to judge the training.
    Validation,
    /// What only the finished model is judged on.
    Test,
}

impl Split {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    /// The positions of its samples.
    pub fn of(self, problem: &Problem) -> &[u32] {
        match self {
            Split::Train => &problem.train,
            Split::Validation => &problem.validation,
            Split::Test => &problem.test,
        }
    }
}
