//! The text form of a graph, one node a line, for people and golden tests.

use super::{Graph, NodeKind, Segment};
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes.iter().enumerate() {
            let what = match &node.kind {
                NodeKind::Input => "input".to_string(),
                NodeKind::Parameter { trainable: true, .. } => "parameter".to_string(),
                NodeKind::Parameter { .. } => "parameter, frozen".to_string(),
                NodeKind::State { .. } => "state".to_string(),
                NodeKind::Op(op) => op.name().to_string(),
            };
            let inputs: Vec<String> = node
                .inputs
                .iter()
                .map(|v| if v.out == 0 { format!("%{}", v.node) } else { format!("%{}.{}", v.node, v.out) })
                .collect();
            let outputs: Vec<String> = node.outputs.iter().map(ToString::to_string).collect();
            let segment = match node.segment {
                Segment::Forward => 'F',
                Segment::Backward => 'B',
                Segment::Update => 'U',
            };
            writeln!(f, "{segment} %{i} {} = {what}({}) : {}", node.name, inputs.join(", "), outputs.join(", "))?;
        }
        Ok(())
    }
}
