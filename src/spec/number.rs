//! Numbers of the spec and their ranges.

use super::diagnostics::Diagnostics;
use super::field::Field;
use super::node::{Content, Node};
use serde_json::{Value as Json, json};

/// Largest [`Count`], and largest entry of a [`Pair`]. It is far above any real size, and small enough that a product
/// of three fits 72 bits, so that shapes can be checked with ordinary checked arithmetic.
const MAX_COUNT: u64 = 1 << 24;
/// Largest `usize` that a spec may hold.
const MAX_USIZE: u64 = (1 << 31) - 1;
/// Largest `u64` that a spec may hold: JSON's 64-bit floats hold whole numbers exactly up to here.
const MAX_U64: u64 = (1 << 53) - 1;

/// A JSON number. A whole number prints without `.0`.
pub fn number(x: f64) -> Json {
    let whole = x == x.trunc() && x.abs() <= MAX_U64 as f64;
    if whole { json!(x as i64) } else { json!(x) }
}

/// A number as messages show it, without hundreds of digits.
fn shown(x: f64) -> String {
    if x != 0.0 && !(1e-6..1e16).contains(&x.abs()) { format!("{x:e}") } else { format!("{x}") }
}

/// Reads a whole number in `low..=high`.
fn whole(node: &Node, report: &mut Diagnostics, low: u64, high: u64) -> Option<u64> {
    let Content::Number(x) = node.kind else {
        report.expected(node, "a whole number");
        return None;
    };
    if x != x.trunc() {
        report.error(
            node,
            format!("expected a whole number, found {}", shown(x)),
            format!("use {} or {}", x.floor(), x.ceil()),
        );
        return None;
    }
    if x < low as f64 || x > high as f64 {
        let message = format!("expected a whole number from {low} to {high}, found {}", shown(x));
        report.error(node, message, "use a number in this range");
        return None;
    }
    Some(x as u64)
}

/// Reads a number that is finite as a 32-bit float and for which `fits` holds. `what` names the range in messages.
fn real(node: &Node, report: &mut Diagnostics, what: &str, fits: fn(f64) -> bool) -> Option<f64> {
    let Content::Number(x) = node.kind else {
        report.expected(node, what);
        return None;
    };
    if !(x as f32).is_finite() {
        report.error(node, format!("{} is too large for a 32-bit float", shown(x)), "use a smaller number");
        return None;
    }
    if !fits(x) {
        report.error(node, format!("expected {what}, found {}", shown(x)), "use a number in this range");
        return None;
    }
    Some(x)
}

impl Field for usize {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<usize> {
        whole(node, report, 0, MAX_USIZE).map(|x| x as usize)
    }

    fn write(&self) -> Json {
        json!(self)
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 0, "maximum": MAX_USIZE })
    }
}

impl Field for u64 {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<u64> {
        whole(node, report, 0, MAX_U64)
    }

    fn write(&self) -> Json {
        json!(self)
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 0, "maximum": MAX_U64 })
    }
}

impl Field for f64 {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<f64> {
        real(node, report, "a number", |_| true)
    }

    fn write(&self) -> Json {
        number(*self)
    }

    fn schema() -> Json {
        json!({ "type": "number" })
    }
}

/// A whole number from 1 to 16,777,216: filters, sizes, epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub usize);

impl Count {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl Field for Count {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Count> {
        whole(node, report, 1, MAX_COUNT).map(|x| Count(x as usize))
    }

    fn write(&self) -> Json {
        json!(self.0)
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 1, "maximum": MAX_COUNT })
    }
}

macro_rules! ranged {
    ($(#[doc = $doc:literal])* $name:ident, $what:literal, $fits:expr, $schema:tt) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name(pub f64);

        impl $name {
            /// The number.
            pub fn get(self) -> f64 {
                self.0
            }
        }

        impl Field for $name {
            fn read(node: &Node, report: &mut Diagnostics) -> Option<$name> {
                real(node, report, $what, $fits).map($name)
            }

            fn write(&self) -> Json {
                number(self.0)
            }

            fn schema() -> Json {
                json!($schema)
            }
        }
    };
}

ranged!(
    /// A number above 0, also as a 32-bit float.
    Positive, "a number above 0", |x| x as f32 > 0.0, { "type": "number", "exclusiveMinimum": 0 }
);
ranged!(
    /// A number not below 0.
    NonNegative, "a number not below 0", |x| x >= 0.0, { "type": "number", "minimum": 0 }
);
ranged!(
    /// A number from 0 to below 1.
    Fraction, "a number from 0 to below 1", |x| x >= 0.0 && (x as f32) < 1.0,
    { "type": "number", "minimum": 0, "exclusiveMaximum": 1 }
);
ranged!(
    /// A number from 0 to 1.
    Probability, "a number from 0 to 1", |x| (0.0..=1.0).contains(&x),
    { "type": "number", "minimum": 0, "maximum": 1 }
);

/// Rows and columns, each from 1 to 16,777,216: one number for both, or `[h, w]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Pair {
    /// The same number of rows and columns.
    pub const fn square(size: usize) -> Pair {
        Pair { h: size, w: size }
    }
}

impl Field for Pair {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Pair> {
        match &node.kind {
            Content::Number(_) => Count::read(node, report).map(|n| Pair::square(n.get())),
            Content::Array(items) if items.len() == 2 => {
                let (h, w) = (Count::read(&items[0], report), Count::read(&items[1], report));
                Some(Pair { h: h?.get(), w: w?.get() })
            }
            Content::Array(items) => {
                let message = format!("expected a whole number or [h, w], found a list of {}", items.len());
                report.error(node, message, "give rows and columns, or one number for both");
                None
            }
            _ => {
                report.expected(node, "a whole number or [h, w]");
                None
            }
        }
    }

    fn write(&self) -> Json {
        if self.h == self.w { json!(self.h) } else { json!([self.h, self.w]) }
    }

    fn schema() -> Json {
        json!({ "anyOf": [Count::schema(),
            { "type": "array", "items": Count::schema(), "minItems": 2, "maxItems": 2 }] })
    }
}
