//! What stands beside the branch of a `residual`: nothing, given layers, or a projection where the branch changes shape.

use super::{Expander, InputSpec, Wire};
use crate::ops::Layer;
use crate::spec::{Field, Kind, Node};
use serde_json::{Value as Json, json};

/// What is known of a layer's output before shapes are inferred: enough to choose a shortcut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Flow {
    /// Channels, where known.
    channels: Option<usize>,
    /// By how much rows and columns are smaller than the input's, where known.
    stride: Option<[usize; 2]>,
}

impl Flow {
    pub const UNKNOWN: Flow = Flow { channels: None, stride: None };

    /// Of the model's input.
    pub fn input(input: Option<&InputSpec>) -> Flow {
        Flow { channels: input.map(InputSpec::channels), stride: Some([1, 1]) }
    }

    /// Of a layer's output, from its inputs'.
    pub fn after(op: &str, layer: Option<&dyn Layer>, from: &[Flow]) -> Flow {
        let (Some(layer), Some(first)) = (layer, from.first()) else { return Flow::UNKNOWN };
        let keys = layer.write();
        let channels = |key: &str| keys.get(key).and_then(Json::as_u64).map(|n| n as usize);
        let same = |x: Flow| x == *first;
        match op {
            "conv2d" => Flow { channels: channels("filters"), stride: times(first.stride, keys.get("stride")) },
            "max_pool2d" | "avg_pool2d" => {
                let stride = keys.get("stride").filter(|s| !s.is_null()).or(keys.get("size"));
                Flow { stride: times(first.stride, stride), ..*first }
            }
            "conv_transpose2d" => {
                Flow { channels: channels("filters"), stride: over(first.stride, keys.get("stride")) }
            }
            "upsample2d" => Flow { stride: over(first.stride, keys.get("scale")), ..*first },
            // What they add or cut off at the edges is, like a convolution's, for the sum to refuse where it does not cancel out.
            "pad2d" | "crop2d" => *first,
            "batch_norm" | "layer_norm" | "local_response_norm" | "dropout" | "activation" => *first,
            "add" | "mul" if from.iter().copied().all(same) => *first,
            "concat" => {
                let sum = from.iter().try_fold(0usize, |sum, x| sum.checked_add(x.channels?));
                Flow { channels: sum, ..*first }
            }
            _ => Flow::UNKNOWN,
        }
    }

    /// Rows and columns of `self` that one row and column of `end` stand for.
    fn stride_to(self, end: Flow) -> Option<[usize; 2]> {
        let ([h0, w0], [h1, w1]) = (self.stride?, end.stride?);
        (h1 % h0 == 0 && w1 % w0 == 0).then_some([h1 / h0, w1 / w0])
    }
}

/// `stride` times a JSON number or `[h, w]`.
fn times(stride: Option<[usize; 2]>, by: Option<&Json>) -> Option<[usize; 2]> {
    let ([h, w], by) = (stride?, by?);
    let side = |i: usize| by.get(i).unwrap_or(by).as_u64().map(|n| n as usize);
    Some([h.checked_mul(side(0)?)?, w.checked_mul(side(1)?)?])
}

/// `stride` divided by a JSON number or `[h, w]`; unknown where that leaves more cells than the input has.
fn over(stride: Option<[usize; 2]>, by: Option<&Json>) -> Option<[usize; 2]> {
    let ([h, w], [by_h, by_w]) = (stride?, times(Some([1, 1]), by)?);
    (h % by_h == 0 && w % by_w == 0).then_some([h / by_h, w / by_w])
}

impl Expander<'_> {
    /// The output that is added to the branch's. The branch runs from `start` to `end`; its layers begin at `first`.
    pub(super) fn shortcut(&mut self, node: &Node, prefix: &str, start: Wire, end: Wire, first: usize) -> Wire {
        let Some(key) = node.get("shortcut") else { return self.auto(node, prefix, start, end, first) };
        match &key.kind {
            Kind::Array(items) if items.is_empty() => {
                self.report.error(key, "an empty list of layers", "say \"identity\"");
                Wire::Unknown
            }
            Kind::Array(items) => self.chain(items, prefix, start),
            Kind::String(_) => match self.report.word(key, &["auto", "identity"]) {
                Some(0) => self.auto(node, prefix, start, end, first),
                Some(_) => start,
                None => Wire::Unknown,
            },
            _ => {
                self.report.expected(key, "\"auto\", \"identity\" or a list of layers");
                Wire::Unknown
            }
        }
    }

    /// The block's input itself where the branch keeps its shape, else a 1×1 convolution to the branch's shape.
    fn auto(&mut self, node: &Node, prefix: &str, start: Wire, end: Wire, first: usize) -> Wire {
        let (input, output) = (self.flow(start), self.flow(end));
        let (Some(from), Some(to), Some(stride)) = (input.channels, output.channels, input.stride_to(output)) else {
            // With a mistake in the block nothing is known, and that mistake is the one to read about.
            if self.report.is_empty() {
                let at = node.get("shortcut").unwrap_or(node);
                let hint = "say \"shortcut\": \"identity\", or list the shortcut's layers";
                self.report.error(at, "cannot tell whether the branch keeps the shape of its input", hint);
            }
            return Wire::Unknown;
        };
        if from == to && stride == [1, 1] {
            return start;
        }
        let mut projection = json!({ "op": "conv2d", "filters": to, "kernel": 1, "stride": stride });
        if let Some(last) = self.drafts[first..].iter().rfind(|draft| draft.op == "conv2d") {
            let keys = last.layer.as_ref().map(|layer| layer.write()).unwrap_or_default();
            for key in ["norm", "bias"] {
                if let Some(value) = keys.get(key) {
                    projection[key] = value.clone();
                }
            }
            projection["trainable"] = json!(last.keys.trainable);
            projection["init"] = last.keys.init.write();
        }
        self.leaf(&Node::from_json(&projection, &node.place()), prefix, start)
    }
}
