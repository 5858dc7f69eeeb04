//! What is known of the shapes of outputs before the graph is built: enough to choose what stands beside a `residual`. Each layer says its own
//! rule ([`crate::ops::Layer::flow`]).

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
        /// By how much rows and columns are smaller than those of its origin.
        stride: [usize; 2],
        /// The model's input, or the layer that gave the image another form.
        origin: Option<usize>,
    },
}

impl Flow {
    /// Of a tensor of these dimensions, counted from the layer `origin`, or from the model's input.
    pub fn shaped(dims: &[usize], origin: Option<usize>) -> Flow {
        match *dims {
            [features] => Flow::Vector(features),
            [_, _, channels] => Flow::Image { channels, stride: [1, 1], origin },
            _ => Flow::Unknown,
        }
    }

    /// The last dimension.
    pub fn channels(self) -> Option<usize> {
        match self {
            Flow::Unknown => None,
            Flow::Vector(channels) | Flow::Image { channels, .. } => Some(channels),
        }
    }

    /// An image with `channels`, of whose rows and columns every `stride`th is left.
    pub fn turned(self, channels: usize, by: Pair) -> Option<Flow> {
        let Flow::Image { stride: [h, w], origin, .. } = self else { return None };
        Some(Flow::Image { channels, stride: [h.checked_mul(by.h)?, w.checked_mul(by.w)?], origin })
    }

    /// An image with `by` times the rows and columns: counted from the layer `index` where it has more than its origin.
    pub fn enlarged(self, channels: usize, by: Pair, index: usize) -> Option<Flow> {
        let Flow::Image { stride: [h, w], origin, .. } = self else { return None };
        let whole = h.is_multiple_of(by.h) && w.is_multiple_of(by.w);
        let (stride, origin) = if whole { ([h / by.h, w / by.w], origin) } else { ([1, 1], Some(index)) };
        Some(Flow::Image { channels, stride, origin })
    }

    /// The same with other channels.
    pub fn with_channels(self, channels: usize) -> Option<Flow> {
        match self {
            Flow::Unknown => None,
            Flow::Vector(_) => Some(Flow::Vector(channels)),
            Flow::Image { stride, origin, .. } => Some(Flow::Image { channels, stride, origin }),
        }
    }

    /// With another added: of an image and a vector an image, of 1 channel and several as many.
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

    /// Channels of `end`, and the rows and columns of `self` that one of `end` stands for: what a projection needs. None for a vector, which has no rows.
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
