//! What is known of the shapes of outputs before the graph is built. It is enough to choose what stands beside a
//! `residual`. Each layer says its own rule ([`crate::ops::Layer::flow`]).

use crate::spec::Pair;

/// What is known of a layer's output before shapes are inferred: enough to choose a shortcut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flow {
    /// Nothing.
    Unknown,
    /// `[features]`.
    Vector(usize),
    /// `[rows, columns, channels]`.
    Image {
        /// Channels.
        channels: usize,
        /// By what factor rows and columns are fewer than those of `origin`.
        stride: [usize; 2],
        /// The layer whose image this one comes from, or None for the model's input.
        origin: Option<usize>,
    },
}

impl Flow {
    /// Of a tensor of these dimensions that layer `origin` makes, or the model's input if it is None.
    pub fn shaped(dims: &[usize], origin: Option<usize>) -> Flow {
        match *dims {
            [features] => Flow::Vector(features),
            [_, _, channels] => Flow::Image { channels, stride: [1, 1], origin },
            _ => Flow::Unknown,
        }
    }

    /// The last dimension, where known.
    pub fn channels(self) -> Option<usize> {
        match self {
            Flow::Unknown => None,
            Flow::Vector(channels) | Flow::Image { channels, .. } => Some(channels),
        }
    }

    /// An image with `channels` channels, of whose rows and columns every `by`-th is left.
    pub fn turned(self, channels: usize, by: Pair) -> Option<Flow> {
        let Flow::Image { stride: [h, w], origin, .. } = self else { return None };
        Some(Flow::Image { channels, stride: [h.checked_mul(by.h)?, w.checked_mul(by.w)?], origin })
    }

    /// An image with `by` times the rows and columns. If it then has
    /// more of them than its origin, layer `index` becomes the origin.
    pub fn enlarged(self, channels: usize, by: Pair, index: usize) -> Option<Flow> {
        let Flow::Image { stride: [h, w], origin, .. } = self else { return None };
        let whole = h.is_multiple_of(by.h) && w.is_multiple_of(by.w);
        let (stride, origin) = if whole { ([h / by.h, w / by.w], origin) } else { ([1, 1], Some(index)) };
        Some(Flow::Image { channels, stride, origin })
    }

    /// The same with another number of channels.
    pub fn with_channels(self, channels: usize) -> Option<Flow> {
        match self {
            Flow::Unknown => None,
            Flow::Vector(_) => Some(Flow::Vector(channels)),
            Flow::Image { stride, origin, .. } => Some(Flow::Image { channels, stride, origin }),
        }
    }

    /// What comes out where `other` is added with broadcasting. Image
    /// and vector give an image; 1 channel and several give several.
    pub fn spread(self, other: Flow) -> Option<Flow> {
        let (a, b) = (self.channels()?, other.channels()?);
        let channels = if a == 1 { b } else { a };
        let most = if let Flow::Vector(_) = self { other } else { self };
        let fits = match (self, other) {
            (Flow::Image { stride: s, origin: o, .. }, Flow::Image { stride, origin, .. }) => {
                (s, o) == (stride, origin)
            }
            _ => true,
        };
        most.with_channels(channels).filter(|_| fits && (b == channels || b == 1))
    }

    /// What a projection from `self` to `end` needs: the channels of `end`,
    /// and the strides from `self` to `end`. A vector has no strides.
    pub fn project(self, end: Flow) -> Option<(usize, Option<[usize; 2]>)> {
        match (self, end) {
            (Flow::Vector(_), Flow::Vector(to)) => Some((to, None)),
            (
                Flow::Image { stride: [h0, w0], origin: from, .. },
                Flow::Image { stride: [h1, w1], origin: to, channels },
            ) if from == to && h1 % h0 == 0 && w1 % w0 == 0 => Some((channels, Some([h1 / h0, w1 / w0]))),
            _ => None,
        }
    }
}
