//! The first values of parameters.

use super::ShapeError;
use crate::spec::{Content, Diagnostics, Field, Node, Positive, SpecStruct, number, spec_struct, spec_words};
use serde_json::{Value as Json, json};

/// The distribution of a parameter's first values, worked out from its fan-in and fan-out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fill {
    /// Uniform in [-bound, bound].
    Uniform(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// One value.
    Constant(f32),
    /// Of the weight `[channels, rows, columns, channels / groups]` of a transposed convolution: bilinear interpolation
    /// of every channel, with nothing from one channel to another.
    Bilinear {
        /// Rows and columns of a filter.
        kernel: [usize; 2],
        /// Channels / groups.
        channels: usize,
    },
}

/// A layer's `init` key.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Init {
    /// Normal, std = sqrt(2 / fan_in) (He et al. 2015).
    HeNormal,
    /// Uniform, bound = sqrt(6 / fan_in) (He et al. 2015).
    HeUniform,
    /// Normal, std = sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010).
    XavierNormal,
    /// Uniform, bound = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
    XavierUniform,
    /// Normal with this standard deviation.
    Normal(f64),
    /// All zeros.
    Zeros,
    /// Of a transposed convolution: bilinear interpolation (Long, Shelhamer and Darrell 2015).
    Bilinear,
}

impl Init {
    /// The distribution for a weight with this fan-in and fan-out.
    ///
    /// # Errors
    /// `bilinear`, which does not follow from them: [`Fill::Bilinear`] has what it needs.
    pub fn fill(self, fan_in: usize, fan_out: usize) -> Result<Fill, ShapeError> {
        let (fan_in, fans) = (fan_in.max(1) as f64, (fan_in + fan_out).max(1) as f64);
        Ok(match self {
            Init::HeNormal => Fill::Normal((2.0 / fan_in).sqrt() as f32),
            Init::HeUniform => Fill::Uniform((6.0 / fan_in).sqrt() as f32),
            Init::XavierNormal => Fill::Normal((2.0 / fans).sqrt() as f32),
            Init::XavierUniform => Fill::Uniform((6.0 / fans).sqrt() as f32),
            Init::Normal(std) => Fill::Normal(std as f32),
            Init::Zeros => Fill::Constant(0.0),
            Init::Bilinear => {
                let what = "the init `bilinear` is for conv_transpose2d alone";
                return Err(ShapeError::new(what, "choose another one, or leave `init` out"));
            }
        })
    }
}

/// PyTorch's default for dense and convolution layers, for weight and bias alike: uniform in ±1 / sqrt(fan_in).
pub fn pytorch_default(fan_in: usize) -> Fill {
    Fill::Uniform((1.0 / (fan_in.max(1) as f64).sqrt()) as f32)
}

impl Fill {
    /// The first values of the parameter `name`. Element `i` depends only on (seed, name, i).
    pub fn values(self, len: usize, seed: u64, name: &str) -> Vec<f32> {
        let key = mix(seed ^ (u64::from(name_salt(name)) << 32 | 0x5eed));
        let uniform = |i: u64| (mix(key.wrapping_add(mix(i))) >> 11) as f64 / (1u64 << 53) as f64;
        let one = |i: usize| match self {
            Fill::Constant(v) => v,
            Fill::Uniform(bound) => ((uniform(i as u64) * 2.0 - 1.0) * f64::from(bound)) as f32,
            Fill::Normal(std) => {
                let (u, v) = (uniform(2 * i as u64), uniform(2 * i as u64 + 1));
                let radius = (-2.0 * (1.0 - u).ln()).sqrt();
                (radius * (std::f64::consts::TAU * v).cos() * f64::from(std)) as f32
            }
            Fill::Bilinear { kernel: [rows, columns], channels } => {
                let (tap, c) = (i / channels, i % channels);
                let (k, r, s) = (tap / columns / rows, tap / columns % rows, tap % columns);
                if k % channels == c { (triangle(r, rows) * triangle(s, columns)) as f32 } else { 0.0 }
            }
        };
        (0..len).map(one).collect()
    }
}

/// Tap `i` of a filter of `size` taps that interpolates linearly. It falls from 1 at the middle to 0 in ⌈size / 2⌉ cells.
fn triangle(i: usize, size: usize) -> f64 {
    let reach = size.div_ceil(2) as f64;
    let middle = (size - 1) as f64 / 2.0;
    1.0 - (i as f64 - middle).abs() / reach
}

/// SplitMix64's finaliser (Steele, Lea and Flood 2014).
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A 32-bit hash of a name (FNV-1a): the salt of its random numbers.
pub fn name_salt(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

spec_struct! {
    /// A distribution with its number.
    struct InitKeys {
        /// Which distribution.
        kind: InitKind,
        /// Standard deviation of `normal` (0.01).
        std: Option<Positive>,
    }
}

spec_words! {
    /// The words of the `init` key.
    enum InitKind {
        /// Normal, std = sqrt(2 / fan_in)
        HeNormal = "he_normal",
        /// Uniform, bound = sqrt(6 / fan_in)
        HeUniform = "he_uniform",
        /// Normal, std = sqrt(2 / (fan_in + fan_out))
        XavierNormal = "xavier_normal",
        /// Uniform, bound = sqrt(6 / (fan_in + fan_out))
        XavierUniform = "xavier_uniform",
        /// Normal with a given standard deviation.
        Normal = "normal",
        /// All zeros.
        Zeros = "zeros",
        /// Of conv_transpose2d: bilinear interpolation of every channel.
        Bilinear = "bilinear",
    }
}

impl Field for Init {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Init> {
        let keys = match node.kind {
            Content::Object(_) => <InitKeys as SpecStruct>::read(node, &[], report)?,
            _ => InitKeys { kind: Field::read(node, report)?, std: None },
        };
        if keys.std.is_some() && keys.kind != InitKind::Normal {
            report.error(node, "`std` belongs to `normal` alone", "leave it out, or use \"kind\": \"normal\"");
        }
        Some(match keys.kind {
            InitKind::HeNormal => Init::HeNormal,
            InitKind::HeUniform => Init::HeUniform,
            InitKind::XavierNormal => Init::XavierNormal,
            InitKind::XavierUniform => Init::XavierUniform,
            InitKind::Normal => Init::Normal(keys.std.map_or(0.01, |s| s.0)),
            InitKind::Zeros => Init::Zeros,
            InitKind::Bilinear => Init::Bilinear,
        })
    }

    fn write(&self) -> Json {
        let kind = match self {
            Init::Normal(std) => return json!({ "kind": "normal", "std": number(*std) }),
            Init::HeNormal => InitKind::HeNormal,
            Init::HeUniform => InitKind::HeUniform,
            Init::XavierNormal => InitKind::XavierNormal,
            Init::XavierUniform => InitKind::XavierUniform,
            Init::Zeros => InitKind::Zeros,
            Init::Bilinear => InitKind::Bilinear,
        };
        kind.write()
    }

    fn schema() -> Json {
        json!({ "anyOf": [InitKind::schema(), <InitKeys as Field>::schema()] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weights of Long, Shelhamer and Darrell's upsample_filt, one of rows and columns.
    fn published(i: usize, size: usize) -> f64 {
        let factor = size.div_ceil(2) as f64;
        let center = if size % 2 == 1 { factor - 1.0 } else { factor - 0.5 };
        1.0 - (i as f64 - center).abs() / factor
    }

    #[test]
    fn bilinear_weights_are_the_published_ones_on_the_diagonal() {
        for (kernel, channels, groups) in [([4, 4], 3, 1), ([16, 16], 2, 1), ([3, 5], 4, 2), ([1, 2], 4, 4)] {
            let [rows, columns] = kernel;
            let width = channels / groups;
            let len = channels * rows * columns * width;
            let values = Fill::Bilinear { kernel, channels: width }.values(len, 7, "up.weight");
            let mut values = values.into_iter();
            for (k, r, s, c) in (0..channels).flat_map(|k| {
                (0..rows).flat_map(move |r| (0..columns).flat_map(move |s| (0..width).map(move |c| (k, r, s, c))))
            }) {
                // Channel `c` of the group of `k` is the same channel as `k`.
                let same = k / width * width + c == k;
                let expected = if same { (published(r, rows) * published(s, columns)) as f32 } else { 0.0 };
                assert_eq!(values.next(), Some(expected), "{kernel:?}, {channels} channels at {k} {r} {s} {c}");
            }
            assert_eq!(values.next(), None);
        }
    }
}
