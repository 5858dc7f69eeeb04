//! Puts gradients where the optimizer reads them, and appends the update: one node over the flat arenas.

use crate::graph::{Arena, Builder, Graph, Op, Segment, Value};
use crate::ops::layer::dense::Dense;
use crate::ops::layer::elementwise::Copy;
use crate::ops::optimizer::accumulate::Accumulate;
use crate::ops::optimizer::average::Average;
use crate::ops::optimizer::clip::Clip;
use crate::ops::optimizer::guard::Guard;
use crate::ops::optimizer::normal_equation;
use std::collections::HashSet;
use std::sync::Arc;

/// What the update consists of.
pub struct Update {
    /// The optimizer's op, which reads gradients from [`Update::source`].
    /// None where the parameters are solved for at once.
    pub op: Option<Arc<dyn Op>>,
    /// Gradients are scaled down if their norm over all parameters is above this.
    pub clip_norm: Option<f64>,
    /// Whether gradients of several batches are summed.
    pub accumulate: bool,
    /// Whether an update is left out if one of its losses or gradients is not finite. Otherwise all updates are left
    /// out from the first loss on that is not finite.
    pub skip: bool,
    /// Where the moving average of the parameters is kept.
    pub average: Option<Arena>,
}

impl Update {
    /// The arena from which the optimizer reads gradients.
    pub fn source(accumulate: bool) -> Arena {
        if accumulate { Arena::Accumulated } else { Arena::Gradients }
    }
}

/// Makes every parameter's gradient a value of its own, so that
/// it can be computed directly into the arena of gradients.
pub fn own_gradients(graph: Graph) -> Graph {
    let mut b = Builder::over(graph);
    b.segment = Some(Segment::Backward);
    let mut taken: HashSet<Value> = b.graph.keep.iter().map(|k| k.1).collect();
    let mut used: HashSet<Value> = b.graph.nodes.iter().flat_map(|n| &n.inputs).copied().collect();
    for k in 0..b.graph.gradients.len() {
        let value = b.graph.gradients[k].value;
        let of = b.graph.gradients[k].of;
        let node = &b.graph.nodes[value.node];
        let plain = node.op().is_some_and(|op| op.alias().is_none());
        if !plain || used.contains(&value) || taken.contains(&value) {
            b.layer = b.graph.nodes[of].layer;
            b.scope = format!("d/{}", b.graph.nodes[of].name);
            let copy = b.one(Copy, &[value]);
            used.insert(value);
            b.graph.gradients[k].value = copy;
        }
        taken.insert(b.graph.gradients[k].value);
    }
    b.graph
}

/// Appends accumulation, clipping and the update. Where there
/// is no update: the sums that the parameters are solved from.
pub fn append_update(graph: Graph, update: &Update) -> Graph {
    let Some(op) = &update.op else { return append_sums(graph) };
    let mut b = Builder::over(graph);
    b.scope = "optimizer".into();
    let arena = Update::source(update.accumulate);
    if update.accumulate {
        b.segment = Some(Segment::Backward);
        b.must(Accumulate, &[]);
    }
    b.segment = Some(Segment::Update);
    let ring = b.graph.find("data/ring").map(|node| Value { node, out: 0 });
    if let Some(ring) = ring.filter(|_| update.skip) {
        b.must(Guard { arena }, &[ring]);
    }
    if let Some(max_norm) = update.clip_norm {
        b.must(Clip { max_norm, arena }, ring.as_slice());
    }
    b.insert(op.clone(), ring.as_slice()).expect("an update takes the ring or nothing");
    if let Some(arena) = update.average {
        b.must(Average { arena }, ring.as_slice());
    }
    b.graph
}

/// Names of the kept sums that a dense layer is solved from, for one batch: XᵀX `[in, in]` and yᵀX `[units, in]`.
pub const SUMS: [&str; 2] = ["sums/xx", "sums/yx"];

/// Appends these sums. They are over the input of the dense layer and the target, which the host feeds.
pub fn append_sums(graph: Graph) -> Graph {
    let mut b = Builder::over(graph);
    b.segment = Some(Segment::Backward);
    b.scope = "sums".into();
    let nodes = &b.graph.nodes;
    let x = nodes.iter().find(|node| node.op().is_some_and(|op| op.is::<Dense>())).map(|node| node.inputs[0]);
    let x = x.expect("the model is a dense layer");
    let y = Value { node: b.graph.find("target").expect("the host feeds the target"), out: 0 };
    let sums = normal_equation::sums(&mut b, x, y);
    b.graph.keep.extend(SUMS.into_iter().map(String::from).zip(sums));
    b.graph
}
