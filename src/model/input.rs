//! The section `input`: what one sample is.

use crate::ops::plumbing::gather::Gather;
use crate::spec::{Content, Count, Diagnostics, Field, Node, SpecStruct, spec_struct, words_schema};
use serde_json::{Value as Json, json};

/// The dimensions of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputShape {
    /// An image.
    Image {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values of one pixel.
        channels: usize,
    },
    /// A list of numbers.
    Features(usize),
}

/// What the network takes as one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// Its dimensions.
    pub shape: InputShape,
    /// How values from 0 to 1 are shifted and scaled. `None` leaves them as they are.
    pub normalize: Option<Normalize>,
}

/// Shift and scale of each channel: (x - mean) / std, on values from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Normalize {
    /// Mean and standard deviation of the training set.
    Auto,
    /// Given numbers, one for each channel.
    Values {
        /// Means.
        mean: Vec<f64>,
        /// Standard deviations. Each is above 0, also as a 32-bit float.
        std: Vec<f64>,
    },
}

spec_struct! {
    /// An image.
    struct ImageInput {
        /// Rows.
        height: Count,
        /// Columns.
        width: Count,
        /// Values a pixel: 1 for grey, 3 for RGB.
        channels: Count,
        /// Shift and scale per channel on values from 0 to 1: `{ "mean", "std" }`, or "auto" to measure the training set.
        normalize: Option<Normalize>,
    }
}

spec_struct! {
    /// A list of numbers.
    struct FeatureInput {
        /// How many numbers a sample has.
        features: Count,
        /// Shift and scale per feature: `{ "mean", "std" }`, or "auto" to measure the training set.
        normalize: Option<Normalize>,
    }
}

spec_struct! {
    /// Given mean and standard deviation.
    struct NormalizeValues {
        /// Means, one a channel.
        mean: Vec<f64>,
        /// Standard deviations, one a channel, above 0.
        std: Vec<crate::spec::Positive>,
    }
}

impl InputSpec {
    /// The dimensions of a sample without N: `[h, w, c]` or `[features]`.
    pub fn dims(&self) -> Vec<usize> {
        match self.shape {
            InputShape::Image { height, width, channels } => vec![height, width, channels],
            InputShape::Features(features) => vec![features],
        }
    }

    /// The last dimension.
    pub fn channels(&self) -> usize {
        match self.shape {
            InputShape::Image { channels, .. } => channels,
            InputShape::Features(features) => features,
        }
    }

    /// Whether there are too many channels for the gather of a batch
    /// to normalise: it has constants for a few channels only.
    pub fn many_channels(&self) -> bool {
        self.channels() > Gather::CHANNELS
    }

    /// Scale and shift of each channel: x · scale + shift is (x - mean) / std. `None` if nothing is given.
    pub fn scale_and_shift(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        let Some(Normalize::Values { mean, std }) = &self.normalize else { return None };
        let scale = std.iter().map(|s| (1.0 / s) as f32).collect();
        Some((scale, mean.iter().zip(std).map(|(m, s)| (-m / s) as f32).collect()))
    }

    fn check_normalize(&self, node: &Node, report: &mut Diagnostics) {
        let Some(Normalize::Values { mean, std }) = &self.normalize else { return };
        for (key, found) in [("mean", mean.len()), ("std", std.len())] {
            let at = node.get("normalize").and_then(|n| n.get(key));
            if let Some(at) = at.filter(|_| found != self.channels()) {
                let wanted = self.channels();
                report.error(at, format!("expected a number a channel, {wanted}, found {found}"), "give one a channel");
            }
        }
    }
}

impl Field for InputSpec {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<InputSpec> {
        let spec = if node.get("features").is_some() {
            let FeatureInput { features, normalize } = SpecStruct::read(node, &[], report)?;
            InputSpec { shape: InputShape::Features(features.get()), normalize }
        } else {
            // `features` is no key of an image. It is listed so that a misspelt `features` is recognised.
            let ImageInput { height, width, channels, normalize } = SpecStruct::read(node, &["features"], report)?;
            let (height, width, channels) = (height.get(), width.get(), channels.get());
            InputSpec { shape: InputShape::Image { height, width, channels }, normalize }
        };
        spec.check_normalize(node, report);
        Some(spec)
    }

    fn write(&self) -> Json {
        let normalize = self.normalize.clone();
        match self.shape {
            InputShape::Image { height, width, channels } => {
                let (height, width, channels) = (Count(height), Count(width), Count(channels));
                Field::write(&ImageInput { height, width, channels, normalize })
            }
            InputShape::Features(features) => Field::write(&FeatureInput { features: Count(features), normalize }),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [ImageInput::schema(), FeatureInput::schema()] })
    }
}

impl Field for Normalize {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Normalize> {
        match &node.kind {
            Content::String(_) => report.word(node, &["auto"]).map(|_| Normalize::Auto),
            Content::Object(_) => {
                let NormalizeValues { mean, std } = SpecStruct::read(node, &[], report)?;
                Some(Normalize::Values { mean, std: std.iter().map(|x| x.get()).collect() })
            }
            _ => {
                report.expected(node, "\"auto\" or { \"mean\", \"std\" }");
                None
            }
        }
    }

    fn write(&self) -> Json {
        match self {
            Normalize::Auto => json!("auto"),
            Normalize::Values { mean, std } => json!({ "mean": mean.write(), "std": std.write() }),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [words_schema(&[("auto", &["Measures mean and deviation of the training set."])]), NormalizeValues::schema()] })
    }
}
