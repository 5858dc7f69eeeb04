//! JSON with comments → a tree that knows where each value stands → typed structs. Every mistake becomes a diagnostic
//! with line, column, JSON path and a hint. No op is known here by name.

mod diagnostics;
mod field;
mod key;
mod macros;
mod node;
mod number;
mod parse;
mod source;
mod synonyms;
mod word;

pub use crate::{spec_struct, spec_words};
pub use diagnostics::{Diagnostics, check_keys, diagnostic, list, nearest, suggest};
pub use field::Field;
pub use key::{KeyDef, SpecStruct, doc, object_schema, read_key, words_schema, write_keys};
pub use node::{Content, Key, Node, Place};
pub use number::{Count, Fraction, NonNegative, Pair, Positive, Probability, number};
pub use parse::{MAX_DEPTH, parse, parse_with};
pub use source::Source;
pub use word::{Entry, Extensible, Word};
