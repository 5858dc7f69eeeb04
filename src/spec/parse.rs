//! Text → [`Node`] tree.

use super::diagnostics::Diagnostics;
use super::node::{Content, Key, Node, Place, item_path, member_path};
use super::source::Source;
use crate::error::Result;
use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::collections::HashMap;

/// How deep objects and lists may be nested.
pub const MAX_DEPTH: usize = 64;

/// Most values in a file. A spec of 10,000 layers with all their keys has less than half of this.
const MAX_VALUES: usize = 500_000;

/// The tree of a text: JSON, with comments and trailing commas allowed. Errors carry line and column.
pub fn parse(source: &Source) -> Result<Node> {
    let mut report = Diagnostics::new(source);
    let node = parse_with(source, &mut report);
    Ok(report.finish(node)?.expect("a tree, since there was no mistake"))
}

/// As [`parse`], but mistakes go to `report`. `None` if the text is no JSON, or
/// too deep or too long. If a key appears twice, the tree has its first value.
pub fn parse_with(source: &Source, report: &mut Diagnostics) -> Option<Node> {
    if let Some(at) = too_many(&source.text) {
        report.error_at(&at, format!("more than {MAX_VALUES} values"), "make the spec smaller");
        return None;
    }
    match parse_to_ast(&source.text, &CollectOptions::default(), &strict()) {
        Ok(parsed) => match parsed.value {
            Some(value) => {
                let mut reader = Reader { text: &source.text, byte: 0, line: 1, column: 1, values: 0, report };
                reader.node(&value, String::new(), 0)
            }
            None => {
                report.error_at(&start(), "the file is empty", "a spec is a JSON object: { \"version\": 1, … }");
                None
            }
        },
        Err(error) => {
            let (message, hint) = explain(&error);
            let at = Place { line: error.line_display(), column: error.column_display(), path: String::new() };
            report.error_at(&at, message, hint);
            None
        }
    }
}

fn start() -> Place {
    Place { line: 1, column: 1, path: String::new() }
}

/// The place of the first value that is too many. It is found before the syntax tree is made, whose values take many
/// times the memory of their text. Every value but the first follows a comma, a colon or an opening bracket.
fn too_many(text: &str) -> Option<Place> {
    let bytes = text.as_bytes();
    let mut values = 1;
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'"' => i = past_string(bytes, i),
            b'/' if bytes.get(i + 1) == Some(&b'/') => i = find(bytes, i, b"\n"),
            b'/' if bytes.get(i + 1) == Some(&b'*') => i = find(bytes, i + 2, b"*/"),
            b',' | b'[' | b'{' => values += 1,
            _ => {}
        }
        // Brackets of empty lists, and trailing commas, are counted too: twice as many may be no mistake.
        if values > 2 * MAX_VALUES + 1 {
            let line = 1 + bytes[..i].iter().filter(|&&b| b == b'\n').count();
            let start = bytes[..i].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            let column = 1 + String::from_utf8_lossy(&bytes[start..i]).chars().count();
            return Some(Place { line, column, path: String::new() });
        }
        i += 1;
    }
    None
}

/// The position of the closing quote of a string that opens at `i`.
fn past_string(bytes: &[u8], i: usize) -> usize {
    let mut i = i + 1;
    while i < bytes.len() && bytes[i] != b'"' {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    i
}

/// The position of the last byte of `end`, from `i` on; of the end of the text if it is nowhere.
fn find(bytes: &[u8], i: usize, end: &[u8]) -> usize {
    let rest = bytes.get(i..).unwrap_or_default();
    rest.windows(end.len()).position(|w| w == end).map_or(bytes.len(), |at| i + at + end.len() - 1)
}

/// JSON, with comments and trailing commas only.
fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

/// A syntax error in Pumice's own words, and what to do.
fn explain(error: &ParseError) -> (String, String) {
    use ParseErrorKind as E;
    let hint = match error.kind() {
        E::SingleQuotedStringsNotAllowed => "use double quotes",
        E::ExpectedStringObjectProperty => "put the key in double quotes",
        E::UnexpectedWord => "put text in double quotes; the only bare words are true, false and null",
        E::ExpectedComma => "put a comma here",
        E::UnterminatedArray => "close it with ]",
        E::UnterminatedObject => "close it with }",
        E::NestingDepthExceeded => return (too_deep(), "flatten it".into()),
        E::ExpectedColonAfterObjectKey => "write \"key\": value",
        _ => "a spec is JSON; comments and trailing commas are allowed",
    };
    let text = error.kind().to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    (format!("syntax error: {}", first.into_iter().chain(letters).collect::<String>()), hint.into())
}

fn too_deep() -> String {
    format!("more than {MAX_DEPTH} objects and lists inside one another")
}

/// Walks the syntax tree in file order, so that lines and columns are counted in one pass over the text.
struct Reader<'a> {
    text: &'a str,
    byte: usize,
    line: usize,
    column: usize,
    values: usize,
    report: &'a mut Diagnostics,
}

impl Reader<'_> {
    /// Line and column of a byte. The byte must not come before the one of the last call.
    fn position(&mut self, byte: usize) -> (usize, usize) {
        for c in self.text[self.byte..byte].chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.byte = byte;
        (self.line, self.column)
    }

    /// `None` after reporting that a limit is exceeded.
    fn node(&mut self, value: &Value, path: String, depth: usize) -> Option<Node> {
        let (line, column) = self.position(value.start());
        let place = Place { line, column, path };
        self.values += 1;
        if self.values > MAX_VALUES {
            self.report.error_at(&place, format!("more than {MAX_VALUES} values"), "make the spec smaller");
            return None;
        }
        if depth > MAX_DEPTH {
            self.report.error_at(&place, too_deep(), "flatten it");
            return None;
        }
        let kind = match value {
            Value::NullKeyword(_) => Content::Null,
            Value::BooleanLit(b) => Content::Bool(b.value),
            Value::NumberLit(n) => Content::Number(finite(n.value)),
            Value::StringLit(s) => Content::String(s.value.to_string()),
            Value::Array(array) => {
                let item = |(i, v)| self.node(v, item_path(&place.path, i), depth + 1);
                Content::Array(array.elements.iter().enumerate().map(item).collect::<Option<Vec<Node>>>()?)
            }
            Value::Object(object) => self.object(object, &place, depth)?,
        };
        Some(Node { kind, line, column, path: place.path })
    }

    fn object(&mut self, object: &jsonc_parser::ast::Object, place: &Place, depth: usize) -> Option<Content> {
        let mut first: HashMap<&str, usize> = HashMap::new();
        let mut members = Vec::with_capacity(object.properties.len());
        for property in &object.properties {
            let name = property.name.as_str();
            let (line, column) = self.position(property.range.start);
            let path = member_path(&place.path, name);
            if let Some(earlier) = first.get(name) {
                let hint = format!("the first is at line {earlier}; keep one");
                let at = Place { line, column, path };
                let name = crate::error::quoted(name);
                self.report.error_at(&at, format!("the key `{name}` appears twice"), hint);
                continue;
            }
            first.insert(name, line);
            let value = self.node(&property.value, path, depth + 1)?;
            members.push((Key { name: name.to_string(), line, column }, value));
        }
        Some(Content::Object(members))
    }
}

/// A number's value. A number beyond the range of 64-bit floats becomes the largest one, which no key accepts.
fn finite(text: &str) -> f64 {
    text.parse::<f64>().unwrap_or(f64::MAX).clamp(f64::MIN, f64::MAX)
}
