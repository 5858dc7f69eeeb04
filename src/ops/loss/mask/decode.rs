//! How the outputs of both heads are read as objects with masks.

use crate::graph::{Candidate, Decode, Graph, SoftMask, Value};
use crate::ops::layer::clear_gaps::Stack;
use crate::ops::layer::mask_head::MaskHead;
use crate::ops::layer::regions::Regions;
use crate::ops::layer::roi_head::RoiHead;
use crate::ops::loss::roi::RoiDecode;

/// The output of a layer `roi_head`, and behind it that of a layer `mask_head` for the same regions.
#[derive(Debug)]
pub struct MaskDecode {
    parts: [Value; 2],
    boxes: RoiDecode,
    stack: Stack,
}

impl MaskDecode {
    /// For the output of a layer `mask_head`, if there is a layer `roi_head` for the same regions.
    pub fn of(graph: &Graph, output: Value) -> Option<MaskDecode> {
        let stack = MaskHead::of(graph, output)?.stack;
        let regions = Regions::above(graph, output)?;
        let values = (0..graph.nodes.len()).map(|node| Value { node, out: 0 });
        let own =
            |value: &Value| RoiHead::of(graph, *value).is_some() && Regions::above(graph, *value) == Some(regions);
        let head = values.into_iter().find(own)?;
        Some(MaskDecode { parts: [head, output], boxes: RoiDecode::new(RoiHead::of(graph, head)?), stack })
    }
}

impl Decode for MaskDecode {
    fn classes(&self) -> usize {
        self.boxes.classes()
    }

    fn decode(&self, output: &[f32], least: f64) -> Vec<Candidate> {
        self.boxes.decode(output, least)
    }

    fn parts(&self) -> &[Value] {
        &self.parts
    }

    fn mask(&self, output: &[f32], found: &Candidate) -> Option<SoftMask> {
        let Stack { regions, rows, size } = self.stack;
        if found.region >= regions {
            return None;
        }
        let channels = self.classes() + 1;
        let own = &output[self.boxes.len() + found.region * rows * size * channels..][..size * size * channels];
        let sigmoid = |x: f32| (1.0 / (1.0 + (-f64::from(x)).exp())) as f32;
        let values = own.chunks_exact(channels).map(|pixel| sigmoid(pixel[found.class + 1])).collect();
        Some(SoftMask { corners: self.boxes.region(output, found.region)?, size, values })
    }
}
