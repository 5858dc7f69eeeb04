//! How a value of the graph is named, and when a node runs.

/// One output of one node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Value {
    /// Index into [`super::Graph::nodes`].
    pub node: usize,
    /// Which of the node's outputs.
    pub out: usize,
}

/// When a node runs within a step. Between segments gradients are accumulated or exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Segment {
    /// From the inputs to the loss, including running statistics.
    Forward,
    /// From the loss to the gradients of parameters and inputs.
    Backward,
    /// Clipping and the optimizer, once a step.
    Update,
}

impl Segment {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Segment::Forward => "forward",
            Segment::Backward => "backward",
            Segment::Update => "update",
        }
    }
}

/// The classes that a tensor of class indices may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Classes {
    /// Classes are below this number.
    pub count: usize,
    /// A further number, which stands for what does not count.
    pub ignore: Option<i32>,
}

impl Classes {
    /// Whether an index may be this number.
    pub fn has(self, number: i32) -> bool {
        self.ignore == Some(number) || usize::try_from(number).is_ok_and(|class| class < self.count)
    }
}
