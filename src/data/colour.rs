//! Colours in a spec: a word or `"#rrggbb"`.

use crate::spec::{Content, Diagnostics, Field, Node};
use serde_json::{Value as Json, json};

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub [u8; 3]);

/// The words, as CSS defines them.
const WORDS: [(&str, [u8; 3]); 12] = [
    ("white", [255, 255, 255]),
    ("black", [0, 0, 0]),
    ("gray", [128, 128, 128]),
    ("grey", [128, 128, 128]),
    ("silver", [192, 192, 192]),
    ("red", [255, 0, 0]),
    ("green", [0, 128, 0]),
    ("blue", [0, 0, 255]),
    ("yellow", [255, 255, 0]),
    ("cyan", [0, 255, 255]),
    ("magenta", [255, 0, 255]),
    ("orange", [255, 165, 0]),
];

impl Colour {
    /// White.
    pub const WHITE: Colour = Colour([255; 3]);

    /// A colour from its word or from `#rrggbb`, in small or large letters. `None` for any other text.
    pub fn parse(text: &str) -> Option<Colour> {
        let text = text.to_ascii_lowercase();
        if let Some((_, rgb)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Some(Colour(*rgb));
        }
        let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let number = u32::from_str_radix(digits, 16).ok()?;
        Some(Colour([16, 8, 0].map(|shift| (number >> shift) as u8)))
    }
}

impl Field for Colour {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Colour> {
        let found = match &node.kind {
            Content::String(text) => Colour::parse(text),
            _ => None,
        };
        if found.is_none() {
            report.expected(node, "a colour: \"#rrggbb\" or a word such as \"white\" or \"black\"");
        }
        found
    }

    fn write(&self) -> Json {
        match WORDS.iter().find(|(_, rgb)| *rgb == self.0) {
            Some((word, _)) => json!(word),
            None => json!(format!("#{:02x}{:02x}{:02x}", self.0[0], self.0[1], self.0[2])),
        }
    }

    fn schema() -> Json {
        let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
        let docs: Vec<String> = WORDS.iter().map(|(_, [r, g, b])| format!("#{r:02x}{g:02x}{b:02x}")).collect();
        json!({ "anyOf": [{ "enum": words, "enumDescriptions": docs }, { "type": "string", "pattern": "^#[0-9a-fA-F]{6}$" }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_have_words_and_numbers() {
        assert_eq!(Colour::parse("white"), Some(Colour([255, 255, 255])));
        assert_eq!(Colour::parse("#0A80ff"), Some(Colour([10, 128, 255])));
        for wrong in ["", "#fff", "#12345g", "#+12345", "whit", "#1234567"] {
            assert_eq!(Colour::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Colour([10, 128, 255]).write(), json!("#0a80ff"));
        assert_eq!(Colour([0, 0, 0]).write(), json!("black"));
    }
}
