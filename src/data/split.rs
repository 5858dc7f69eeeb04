//! The parts of a data set by what they serve for.

/// A part of a data set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Split {
    /// What is trained on.
    Train,
    /// What is held back from training, to judge it as it goes on.
    Validation,
    /// What only the finished model is judged on.
    Test,
}

impl Split {
    /// All of them, in the order in which a finished model is judged on the first that has samples.
    pub const ALL: [Split; 3] = [Split::Test, Split::Validation, Split::Train];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    /// The names that a folder of such samples may have.
    pub fn folders(self) -> &'static [&'static str] {
        match self {
            Split::Train => &["train"],
            Split::Validation => &["val", "valid", "validation"],
            Split::Test => &["test"],
        }
    }
}
