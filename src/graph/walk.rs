//! The f64 reference walk: a graph computed on the host by its ops' reference functions.

use super::{Graph, NodeKind, RefCx, RefTensor, Step, name_salt};

/// Computes all nodes in order and returns their outputs. `source` gives the tensors of inputs, parameters and states,
/// by node index. Assignments are not applied: each is its node's own output, if it has one.
pub fn walk(graph: &Graph, step: &Step, source: impl FnMut(usize) -> RefTensor) -> Vec<Vec<RefTensor>> {
    walk_again(graph, step, &[], source)
}

/// As [`walk`], for finite differences: the outputs of ops that are [`Op::held`](super::Op::held) are those of the `first` walk.
pub fn walk_again(
    graph: &Graph,
    step: &Step,
    first: &[Vec<RefTensor>],
    mut source: impl FnMut(usize) -> RefTensor,
) -> Vec<Vec<RefTensor>> {
    let mut all: Vec<Vec<RefTensor>> = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let outputs = match &node.kind {
            NodeKind::Op(op) if op.held() && i < first.len() => first[i].clone(),
            NodeKind::Op(op) => {
                let inputs: Vec<RefTensor> = node.inputs.iter().map(|v| all[v.node][v.out].clone()).collect();
                let salt = name_salt(&node.name);
                let cx = RefCx { inputs: &inputs, n: step.n as usize, step, salt };
                let one = |(k, ty): (usize, &crate::tensor::TensorType)| {
                    let shape = ty.shape(cx.n);
                    let indices: Vec<usize> = (0..shape.iter().product()).collect();
                    RefTensor::new(shape, op.reference(&cx, k, &indices))
                };
                node.outputs.iter().enumerate().map(one).collect()
            }
            _ => vec![source(i)],
        };
        all.push(outputs);
    }
    all
}
