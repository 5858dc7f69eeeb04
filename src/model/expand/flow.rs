//! What is known of the shapes of outputs before the graph is built: enough to choose what stands beside a `residual`.

use crate::model::input::InputSpec;
use crate::ops::Layer;
use serde_json::Value as Json;

/// What is known of a layer's output before shapes are inferred: enough to choose a shortcut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Flow {
    /// Nothing.
    Unknown,
    /// `[features]`.
    Vector(usize),
    /// `[rows, columns, channels]`.
    Image {
        channels: usize,
        /// By how much rows and columns are smaller than those of its origin.
        stride: [usize; 2],
        /// The model's input, or the layer that gave the image another form.
        origin: Option<usize>,
    },
}

impl Flow {
    /// Of the model's input.
    pub fn input(input: Option<&InputSpec>) -> Flow {
        let Some(input) = input else { return Flow::Unknown };
        Flow::shaped(&input.dims(), None)
    }

    fn shaped(dims: &[usize], origin: Option<usize>) -> Flow {
        match *dims {
            [features] => Flow::Vector(features),
            [_, _, channels] => Flow::Image { channels, stride: [1, 1], origin },
            _ => Flow::Unknown,
        }
    }

    /// Of the output of a layer, the `index`th, from its inputs'.
    pub fn after(op: &str, index: usize, layer: Option<&dyn Layer>, from: &[Flow]) -> Flow {
        let flow = || {
            let (keys, first) = (layer?.write(), *from.first()?);
            let number = |key: &str| keys.get(key).and_then(Json::as_u64).map(|n| n as usize);
            match op {
                "conv2d" => first.turned(number("filters"), |stride| times(stride, keys.get("stride")?)),
                "conv_transpose2d" => first.enlarged(number("filters")?, keys.get("stride")?, index),
                "max_pool2d" | "avg_pool2d" => {
                    let stride = keys.get("stride").filter(|s| !s.is_null()).or(keys.get("size"))?;
                    first.turned(first.channels(), |before| times(before, stride))
                }
                "upsample2d" => first.enlarged(first.channels()?, keys.get("scale")?, index),
                "global_avg_pool2d" | "global_max_pool2d" => first.channels().map(Flow::Vector),
                "dense" => number("units").map(Flow::Vector),
                "reshape" => {
                    let dims = keys.get("shape")?.as_array()?.iter().map(|n| n.as_u64().map(|n| n as usize));
                    Some(Flow::shaped(&dims.collect::<Option<Vec<usize>>>()?, Some(index)))
                }
                // What they add or cut off at the edges is, like a convolution's, for the sum to refuse where it does not cancel out.
                "pad2d" | "crop2d" => Some(first),
                "batch_norm" | "layer_norm" | "local_response_norm" | "dropout" | "activation" => Some(first),
                "add" | "mul" => from[1..].iter().try_fold(first, |sum, &x| sum.spread(x)),
                "concat" => {
                    let sum = from.iter().try_fold(0usize, |sum, x| sum.checked_add(x.channels()?))?;
                    if let Flow::Vector(_) = first { Some(Flow::Vector(sum)) } else { first.turned(Some(sum), Some) }
                }
                _ => None,
            }
        };
        flow().unwrap_or(Flow::Unknown)
    }

    /// The last dimension.
    fn channels(self) -> Option<usize> {
        match self {
            Flow::Unknown => None,
            Flow::Vector(channels) | Flow::Image { channels, .. } => Some(channels),
        }
    }

    /// An image with other channels and another stride.
    fn turned(self, channels: Option<usize>, by: impl Fn([usize; 2]) -> Option<[usize; 2]>) -> Option<Flow> {
        let Flow::Image { stride, origin, .. } = self else { return None };
        Some(Flow::Image { channels: channels?, stride: by(stride)?, origin })
    }

    /// An image with more rows and columns: counted from the layer `index` where it has more than its origin.
    fn enlarged(self, channels: usize, by: &Json, index: usize) -> Option<Flow> {
        let Flow::Image { stride, origin, .. } = self else { return None };
        let (stride, origin) = over(stride, by).map_or(([1, 1], Some(index)), |stride| (stride, origin));
        Some(Flow::Image { channels, stride, origin })
    }

    /// With another added: of an image and a vector an image, of 1 channel and several as many.
    fn spread(self, other: Flow) -> Option<Flow> {
        let (a, b) = (self.channels()?, other.channels()?);
        let channels = if a == 1 { b } else { a };
        let most = if let Flow::Vector(_) = self { other } else { self };
        let fits = match (self, other) {
            (Flow::Image { stride: s, origin: o, .. }, Flow::Image { stride, origin, .. }) => {
                (s, o) == (stride, origin)
            }
            _ => true,
        };
        let sum =
            if let Flow::Vector(_) = most { Some(Flow::Vector(channels)) } else { most.turned(Some(channels), Some) };
        sum.filter(|_| fits && (b == channels || b == 1))
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

/// `stride` times a JSON number or `[h, w]`.
fn times([h, w]: [usize; 2], by: &Json) -> Option<[usize; 2]> {
    let side = |i: usize| by.get(i).unwrap_or(by).as_u64().map(|n| n as usize);
    Some([h.checked_mul(side(0)?)?, w.checked_mul(side(1)?)?])
}

/// `stride` divided by a JSON number or `[h, w]`; None where that leaves more cells than the origin has.
fn over([h, w]: [usize; 2], by: &Json) -> Option<[usize; 2]> {
    let [by_h, by_w] = times([1, 1], by)?;
    (h % by_h == 0 && w % by_w == 0).then_some([h / by_h, w / by_w])
}
