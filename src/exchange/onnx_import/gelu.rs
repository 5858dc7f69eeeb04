//! Gelu where a file writes it as x · (1 + erf(x / √2)) / 2: before opset 20 ONNX has no operation for it.

use crate::exchange::proto::NodeProto;
use std::collections::{HashMap, HashSet};

/// What was found.
#[derive(Default)]
pub struct Gelus<'a> {
    /// The input x, by the name of the output.
    pub whole: HashMap<&'a str, &'a str>,
    /// Outputs of the nodes in between.
    pub skipped: HashSet<&'a str>,
}

/// The output of a node, and its other input where `name` is one of two.
fn other<'a>(node: &'a NodeProto, name: &str) -> Option<&'a str> {
    match &node.input[..] {
        [a, b] if a == name => Some(b),
        [a, b] if b == name => Some(a),
        _ => None,
    }
}

fn near(x: Option<f64>, wanted: f64) -> bool {
    x.is_some_and(|x| (x - wanted).abs() < 1e-4)
}

/// All of them. `scalar` tells the number that a constant is.
pub fn find<'a>(
    nodes: &[&'a NodeProto],
    readers: &HashMap<String, usize>,
    scalar: &dyn Fn(&str) -> Option<f64>,
) -> Gelus<'a> {
    let mut found = Gelus::default();
    if !nodes.iter().any(|node| node.op_type == "Erf") {
        return found;
    }
    let output = |node: &'a NodeProto| node.output.first().map(String::as_str);
    let makers: HashMap<&str, &NodeProto> = nodes.iter().filter_map(|node| Some((output(node)?, *node))).collect();
    let mut read: HashMap<&str, Vec<&'a NodeProto>> = HashMap::new();
    for node in nodes {
        for name in &node.input {
            read.entry(name).or_default().push(node);
        }
    }
    let next = |name: &str, op: &str| match read.get(name).map(Vec::as_slice) {
        Some(&[node]) if node.op_type == op && readers.get(name) == Some(&1) => Some(node),
        _ => None,
    };
    let one = |erf: &'a NodeProto| -> Option<(&'a str, &'a str, Vec<&'a str>)> {
        let scaled = makers.get(erf.input.first()?.as_str())?;
        let [x, factor] = &scaled.input[..] else { return None };
        let root = std::f64::consts::SQRT_2;
        let fits = match scaled.op_type.as_str() {
            "Div" => near(scalar(factor), root),
            "Mul" => near(scalar(factor), 1.0 / root),
            _ => false,
        };
        if !fits || readers.get(output(scaled)?) != Some(&1) {
            return None;
        }
        let sum = next(output(erf)?, "Add")
            .filter(|sum| output(erf).and_then(|erf| other(sum, erf)).is_some_and(|one| near(scalar(one), 1.0)))?;
        let first = next(output(sum)?, "Mul")?;
        let with = other(first, output(sum)?)?;
        let mut between = vec![output(scaled)?, output(erf)?, output(sum)?];
        // x · half, before it meets the sum.
        if let Some(half) = makers.get(with).filter(|half| half.op_type == "Mul" && readers.get(with) == Some(&1)) {
            let fits = other(half, x).is_some_and(|half| near(scalar(half), 0.5));
            between.push(output(half)?);
            return fits.then_some((x.as_str(), output(first)?, between));
        }
        let second = next(output(first)?, "Mul")?;
        let rest = other(second, output(first)?)?;
        let fits = with == x && near(scalar(rest), 0.5) || rest == x && near(scalar(with), 0.5);
        between.push(output(first)?);
        fits.then_some((x.as_str(), output(second)?, between))
    };
    for erf in nodes.iter().filter(|node| node.op_type == "Erf") {
        if let Some((x, whole, between)) = one(erf) {
            found.whole.insert(whole, x);
            found.skipped.extend(between);
        }
    }
    found
}
