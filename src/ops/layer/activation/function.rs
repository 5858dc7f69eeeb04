//! The activation functions and their derivatives: JSON words, numbers,
//! f64 references, and the constants of `shaders/lib/activation.wgsl`.

use crate::graph::{Kernel, ShapeError};
use crate::spec::{Field, NonNegative, number, spec_words};
use serde_json::{Map, Value as Json};

spec_words! {
    /// The functions.
    pub enum ActivationKind {
        /// max(x, 0)
        Relu = "relu",
        /// min(max(x, 0), 6)
        Relu6 = "relu6",
        /// x where positive, else slope · x
        LeakyRelu = "leaky_relu",
        /// As leaky_relu with a learned slope, one a layer, from 0.25
        Prelu = "prelu",
        /// As leaky_relu with a slope that is random for each element in training and the mean in inference
        Rrelu = "rrelu",
        /// x where positive, else alpha · (exp(x) - 1)
        Elu = "elu",
        /// x · Φ(x), Φ the normal distribution, by erf
        Gelu = "gelu",
        /// x · sigmoid(x)
        Silu = "silu",
        /// 1 / (1 + exp(-x))
        Sigmoid = "sigmoid",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// log(1 + exp(x))
        Softplus = "softplus",
        /// exp(x) / Σ exp(x) over the last dimension
        Softmax = "softmax",
        /// x - log Σ exp(x) over the last dimension
        LogSoftmax = "log_softmax",
        /// relu6(x + 3) / 6
        HardSigmoid = "hard_sigmoid",
        /// x · hard_sigmoid(x)
        HardSwish = "hard_swish",
        /// x / (1 + |x|)
        Softsign = "softsign",
        /// x where larger than alpha, else 0
        ThresholdedRelu = "thresholded_relu",
    }
}

/// The numbers of activations: key, the functions it belongs to, the default of PyTorch, or of ONNX.
const NUMBERS: [(&str, &[ActivationKind], f64); 4] = [
    ("slope", &[ActivationKind::LeakyRelu], 0.01),
    ("alpha", &[ActivationKind::Elu, ActivationKind::ThresholdedRelu], 1.0),
    ("lower", &[ActivationKind::Rrelu], 1.0 / 8.0),
    ("upper", &[ActivationKind::Rrelu], 1.0 / 3.0),
];

/// An activation: in a spec a word, or `{ "kind": "leaky_relu", "slope": 0.1 }`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Activation {
    /// The function.
    pub kind: ActivationKind,
    /// In the order of [`NUMBERS`]. Numbers that belong to other functions have their defaults and are not used.
    pub(super) numbers: [f64; 4],
}

impl Activation {
    /// An activation with its default numbers.
    pub fn new(kind: ActivationKind) -> Activation {
        Activation { kind, numbers: NUMBERS.map(|n| n.2) }
    }

    /// The same with the numbers that are given: slope, alpha, lower, upper.
    ///
    /// # Errors
    /// A number that belongs to another function, or a `lower` above `upper`.
    pub fn with(mut self, given: [Option<NonNegative>; 4]) -> Result<Activation, ShapeError> {
        for ((x, given), (name, owners, _)) in self.numbers.iter_mut().zip(given).zip(NUMBERS) {
            let Some(given) = given else { continue };
            if !owners.contains(&self.kind) {
                let owners: Vec<&str> = owners.iter().map(|owner| owner.word()).collect();
                return Err(ShapeError::new(
                    format!("`{name}` belongs to {} alone, and this is {}", owners.join(" and "), self.kind.word()),
                    format!("leave `{name}` out"),
                ));
            }
            *x = given.get();
        }
        let [_, _, lower, upper] = self.numbers;
        if lower > upper {
            let what = format!("rrelu draws slopes from `lower` {lower} to `upper` {upper}");
            return Err(ShapeError::new(what, "let `lower` be at most `upper`"));
        }
        Ok(self)
    }

    /// The slope of leaky_relu where x is negative.
    pub fn slope(&self) -> f64 {
        self.numbers[0]
    }

    /// The limit of elu, -alpha, where x is very negative; or what x must exceed in thresholded_relu.
    pub fn alpha(&self) -> f64 {
        self.numbers[1]
    }

    /// The keys that describe it: `kind` and its numbers.
    pub(super) fn keys(&self) -> Map<String, Json> {
        let own = NUMBERS.iter().zip(self.numbers).filter(|(n, _)| n.1.contains(&self.kind));
        let numbers = own.map(|(n, x)| (n.0.to_string(), number(x)));
        [("kind".to_string(), self.kind.write())].into_iter().chain(numbers).collect()
    }

    /// Whether f' is a function of y alone. Otherwise it is computed
    /// from x, because two x with different derivatives have the same y.
    pub fn of_y(&self) -> bool {
        !matches!(self.kind, ActivationKind::Gelu | ActivationKind::Silu | ActivationKind::HardSwish)
    }

    /// Sets the constants of `shaders/lib/activation.wgsl`. Panics for an activation that is an op of its own.
    pub fn constants(&self, kernel: Kernel) -> Kernel {
        let code = match self.kind {
            ActivationKind::Relu => 1,
            ActivationKind::LeakyRelu => 2,
            ActivationKind::Sigmoid => 3,
            ActivationKind::Tanh => 4,
            ActivationKind::Softplus => 5,
            ActivationKind::Relu6 => 6,
            ActivationKind::Elu => 7,
            ActivationKind::Gelu => 8,
            ActivationKind::Silu => 9,
            ActivationKind::HardSigmoid => 10,
            ActivationKind::HardSwish => 11,
            ActivationKind::Softsign => 12,
            ActivationKind::ThresholdedRelu => 13,
            ActivationKind::Softmax | ActivationKind::LogSoftmax | ActivationKind::Prelu | ActivationKind::Rrelu => {
                self.own_op()
            }
        };
        kernel.set("ACTIVATION", code).set_f("SLOPE", self.numbers[0]).set_f("ALPHA", self.numbers[1])
    }

    /// f(x). Panics for an activation that is an op of its own.
    pub fn eval(&self, x: f64) -> f64 {
        let [slope, alpha, ..] = self.numbers;
        match self.kind {
            ActivationKind::Relu if x < 0.0 => 0.0,
            ActivationKind::Relu => x,
            ActivationKind::Relu6 => clamp(x, 6.0),
            ActivationKind::LeakyRelu if x < 0.0 => slope * x,
            ActivationKind::LeakyRelu => x,
            ActivationKind::Elu if x < 0.0 => alpha * x.exp_m1(),
            ActivationKind::Elu => x,
            ActivationKind::Gelu => x * normal_cdf(x),
            ActivationKind::Silu => x * sigmoid(x),
            ActivationKind::Sigmoid => sigmoid(x),
            ActivationKind::Tanh => x.tanh(),
            ActivationKind::Softplus if x > 0.0 => x + (-x).exp().ln_1p(),
            ActivationKind::Softplus => x.exp().ln_1p(),
            ActivationKind::HardSigmoid => clamp(x + 3.0, 6.0) / 6.0,
            ActivationKind::HardSwish => x * (clamp(x + 3.0, 6.0) / 6.0),
            ActivationKind::Softsign => x / (1.0 + x.abs()),
            ActivationKind::ThresholdedRelu if x <= alpha => 0.0,
            ActivationKind::ThresholdedRelu => x,
            ActivationKind::Softmax | ActivationKind::LogSoftmax | ActivationKind::Prelu | ActivationKind::Rrelu => {
                self.own_op()
            }
        }
    }

    /// f' from y = f(x), or from x where [`Activation::of_y`] is false. At kinks it is PyTorch's: 0 for relu, relu6,
    /// thresholded_relu, hard_sigmoid and the left kink of hard_swish, slope for leaky_relu, alpha for elu, 1 for the right kink of
    /// hard_swish. Panics for an activation that is an op of its own.
    pub fn derivative(&self, saved: f64) -> f64 {
        let y = saved;
        let [slope, alpha, ..] = self.numbers;
        match self.kind {
            ActivationKind::Relu => step(y > 0.0),
            ActivationKind::Relu6 => step(y > 0.0 && y < 6.0),
            ActivationKind::LeakyRelu if y > 0.0 => 1.0,
            ActivationKind::LeakyRelu => slope,
            ActivationKind::Elu if y > 0.0 => 1.0,
            ActivationKind::Elu => y + alpha,
            ActivationKind::Gelu => {
                normal_cdf(saved) + saved * (-0.5 * saved * saved).exp() / (2.0 * std::f64::consts::PI).sqrt()
            }
            ActivationKind::Silu => sigmoid(saved) + saved * sigmoid(saved) * sigmoid(-saved),
            ActivationKind::Sigmoid => y * (1.0 - y),
            ActivationKind::Tanh => 1.0 - y * y,
            ActivationKind::Softplus => -(-y).exp_m1(),
            ActivationKind::HardSigmoid => step(y > 0.0 && y < 1.0) / 6.0,
            ActivationKind::HardSwish if saved <= -3.0 => 0.0,
            ActivationKind::HardSwish if saved >= 3.0 => 1.0,
            ActivationKind::HardSwish => saved / 3.0 + 0.5,
            ActivationKind::Softsign => (1.0 - y.abs()).powi(2),
            ActivationKind::ThresholdedRelu => step(y > alpha),
            ActivationKind::Softmax | ActivationKind::LogSoftmax | ActivationKind::Prelu | ActivationKind::Rrelu => {
                self.own_op()
            }
        }
    }

    fn own_op(&self) -> ! {
        panic!("{} is not one function of one element", self.kind.word())
    }
}

fn step(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

/// x, clipped to the range from 0 to `most`. NaN stays NaN.
fn clamp(x: f64, most: f64) -> f64 {
    x.clamp(0.0, most)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Φ(x) = (1 + erf(x / √2)) / 2.
fn normal_cdf(x: f64) -> f64 {
    0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2))
}

/// erf(x) = 2 / √π · exp(-x²) · Σ 2^n x^(2n+1) / (1 · 3 · … · (2n+1)).
/// All terms have one sign (Abramowitz and Stegun 1964, 7.1.6).
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term.abs() > 1e-18 * sum.abs() {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Abramowitz and Stegun, table 7.1, and of the tail of erf.
    #[test]
    fn erf_has_its_known_values() {
        let known = [
            (0.0, 0.0),
            (0.02, 0.022_564_574_691_844_9),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (3.5, 0.999_999_256_901_627_7),
            (7.0, 1.0),
        ];
        for (x, want) in known {
            assert!((erf(x) - want).abs() < 1e-14, "erf({x}) is {}, not {want}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
        assert!(erf(f64::NAN).is_nan());
    }

    #[test]
    fn derivatives_at_kinks_are_pytorchs() {
        let at = |kind, saved| Activation::new(kind).derivative(saved);
        assert_eq!([0.0, 6.0].map(|y| at(ActivationKind::Relu6, y)), [0.0, 0.0]);
        assert_eq!([0.0, 1.0].map(|y| at(ActivationKind::HardSigmoid, y)), [0.0, 0.0]);
        assert_eq!([-3.0, 3.0].map(|x| at(ActivationKind::HardSwish, x)), [0.0, 1.0]);
        assert_eq!(at(ActivationKind::Elu, 0.0), 1.0);
    }

    #[test]
    fn numbers_belong_to_their_function() {
        let slope = [Some(NonNegative(0.2)), None, None, None];
        let wrong = Activation::new(ActivationKind::Elu).with(slope).expect_err("elu has no slope");
        assert_eq!(wrong.what, "`slope` belongs to leaky_relu alone, and this is elu");
        let wrong = Activation::new(ActivationKind::Rrelu).with([None, None, Some(NonNegative(0.5)), None]);
        assert!(wrong.expect_err("1/3 is below 1/2").what.contains("`lower` 0.5"));
    }
}
