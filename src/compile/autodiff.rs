//! Reverse-mode differentiation. Gradients are ordinary nodes, inserted after the forward ones.

use crate::graph::{Builder, Gradient, Graph, NodeKind, Op, Segment, Value};
use crate::ops::layer::activation::{Activation, ActivationKind, ActivationOp};
use crate::ops::layer::elementwise::Add;
use crate::ops::plumbing::mean_loss::Fill;
use std::collections::{HashMap, HashSet};

/// Appends the gradients of `graph.loss` with respect to every trainable parameter, and the inputs and nodes named in
/// `wanted`: of a node, its first output. What the loss does not depend on gets none; its gradient is zero.
pub fn autodiff(graph: Graph, wanted: &[&str]) -> Graph {
    let loss = graph.loss.expect("a graph to differentiate has a loss");
    differentiate(graph, loss, None, wanted, Rule::Exact)
}

/// What counts as the gradient of relu.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The gradient: dx = dy · (y > 0).
    Exact,
    /// Guided backpropagation: dx = dy · (y > 0) · (dy > 0), for relu and relu6; every other op keeps its gradient
    /// (Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2014).
    Guided,
}

impl Rule {
    /// The gradient `dy` of an op's output, as it goes into the op's own gradient.
    fn before(self, b: &mut Builder, op: &dyn Op, dy: Value) -> Value {
        let rectifies = |op: &ActivationOp| [ActivationKind::Relu, ActivationKind::Relu6].contains(&op.activation.kind);
        match self {
            Rule::Guided if op.downcast_ref().is_some_and(rectifies) => {
                b.one(ActivationOp { activation: Activation::new(ActivationKind::Relu) }, &[dy])
            }
            _ => dy,
        }
    }
}

/// As [`autodiff`], for the gradients of any value: of Σ `seed` · `of`, where the host feeds an input called `seed` of
/// the value's type. Without a seed, `of` is a scalar whose gradient is 1.
pub fn differentiate(graph: Graph, of: Value, seed: Option<&str>, wanted: &[&str], rule: Rule) -> Graph {
    let count = graph.nodes.len();
    let wanted: HashSet<&str> = wanted.iter().copied().collect();
    let targets: Vec<usize> = (0..count)
        .filter(|&i| match graph.nodes[i].kind {
            NodeKind::Parameter { trainable, .. } => trainable,
            NodeKind::Input | NodeKind::Op(_) | NodeKind::State { .. } => wanted.contains(graph.nodes[i].name.as_str()),
        })
        .collect();
    let needs = depends_on(&graph, &targets);
    let asked: HashSet<usize> = targets.iter().copied().collect();
    let mut b = Builder::over(graph);
    b.segment = Some(Segment::Backward);
    b.scope = "d".into();
    let mut gradients: HashMap<Value, Vec<Value>> = HashMap::new();
    let seed = match seed {
        Some(name) => {
            let ty = b.ty(of).clone();
            b.input(name, ty)
        }
        None => b.one(Fill { value: 1.0, spread: false }, &[]),
    };
    gradients.insert(of, vec![seed]);

    for i in (0..=of.node).rev() {
        let node = b.graph.nodes[i].clone();
        let Some(op) = node.op().filter(|_| needs[i]) else { continue };
        b.layer = node.layer;
        b.scope = format!("d/{}", node.name);
        let outputs: Vec<Value> = (0..node.outputs.len()).map(|out| Value { node: i, out }).collect();
        let douts: Vec<Option<Value>> = outputs.iter().map(|o| sum(&mut b, gradients.remove(o))).collect();
        if let Some(dy) = douts.first().copied().flatten().filter(|_| asked.contains(&i)) {
            gradients.insert(outputs[0], vec![dy]);
        }
        if douts.iter().all(Option::is_none) {
            continue;
        }
        let mut into = |dy: Option<Value>| Some(rule.before(&mut b, op.as_ref(), dy?));
        let douts: Vec<Option<Value>> = douts.into_iter().map(&mut into).collect();
        let dins = op.gradient(&mut b, &node.inputs, &outputs, &douts);
        assert_eq!(dins.len(), node.inputs.len(), "{} returns a gradient for every input", op.name());
        for (&input, din) in node.inputs.iter().zip(dins) {
            if let Some(din) = din.filter(|_| needs[input.node]) {
                assert_eq!(b.ty(din), b.ty(input), "gradient of {} by {}", op.name(), b.graph.nodes[input.node].name);
                gradients.entry(input).or_default().push(din);
            }
        }
    }
    for of in targets {
        b.layer = b.graph.nodes[of].layer;
        b.scope = format!("d/{}", b.graph.nodes[of].name);
        if let Some(value) = sum(&mut b, gradients.remove(&Value { node: of, out: 0 })) {
            b.graph.gradients.push(Gradient { of, value });
        }
    }
    b.graph
}

/// Adds the gradients that reach one value from several readers, in the order in which they were found.
fn sum(b: &mut Builder, parts: Option<Vec<Value>>) -> Option<Value> {
    let mut parts = parts?.into_iter();
    let first = parts.next()?;
    Some(parts.fold(first, |total, part| b.one(Add::default(), &[total, part])))
}

/// Which nodes depend on one of `targets`.
fn depends_on(graph: &Graph, targets: &[usize]) -> Vec<bool> {
    let mut needs = vec![false; graph.nodes.len()];
    for &t in targets {
        needs[t] = true;
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        if node.inputs.iter().any(|v| needs[v.node]) {
            needs[i] = true;
        }
    }
    needs
}
