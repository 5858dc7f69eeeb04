//! Collects the mistakes of one file, so that they are reported together; the messages for misspelt keys and words.

use super::node::{Content, Node, Place};
use super::source::Source;
use super::synonyms;
use crate::error::{self, Diagnostic, Error, Result};
use std::path::{Path, PathBuf};

/// Further mistakes are not kept. Nobody reads them, and a hostile file could have millions.
const MAX_DIAGNOSTICS: usize = 1000;

/// The mistakes found so far.
#[derive(Debug)]
pub struct Diagnostics {
    file: PathBuf,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// An empty report about `source`.
    pub fn new(source: &Source) -> Diagnostics {
        Diagnostics { file: source.file.clone(), list: Vec::new() }
    }

    /// A mistake at a value.
    pub fn error(&mut self, at: &Node, message: impl Into<String>, hint: impl Into<String>) {
        self.error_at(&at.place(), message, hint);
    }

    /// A mistake at a place. A place without a line is a `--set` flag.
    pub fn error_at(&mut self, at: &Place, message: impl Into<String>, hint: impl Into<String>) {
        if self.list.len() >= MAX_DIAGNOSTICS {
            return;
        }
        self.list.push(diagnostic(&self.file, at, message, hint));
    }

    /// A value of the wrong type: "expected WHAT, found a string".
    pub fn expected(&mut self, at: &Node, what: &str) {
        let hint = match &at.kind {
            Content::String(s) if s.parse::<f64>().is_ok() || s == "true" || s == "false" => "remove the quotes",
            _ => "",
        };
        self.error(at, format!("expected {what}, found {}", at.type_name()), hint);
    }

    /// The position of a string in `words`. Reports a wrong type or an unknown word.
    pub fn word(&mut self, at: &Node, words: &[&str]) -> Option<usize> {
        let Content::String(s) = &at.kind else {
            self.expected(at, &format!("one of {}", quoted(words, "\"")));
            return None;
        };
        let found = words.iter().position(|w| w == s);
        if found.is_none() {
            self.error(at, format!("unknown word {:?}", error::quoted(s)), suggest(s, words, "\"", "use one of"));
        }
        found
    }

    /// A required key that is missing.
    pub fn missing(&mut self, object: &Node, key: &str) {
        self.error(object, format!("missing key `{key}`"), format!("add `\"{key}\": …`"));
    }

    /// How many mistakes there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no mistake.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `value`, or [`Error::Spec`] with all mistakes in file order; each mistake is listed once.
    pub fn finish<T>(mut self, value: T) -> Result<T> {
        if self.list.is_empty() {
            return Ok(value);
        }
        self.list.sort_by_key(|d| (d.line, d.column));
        self.list.dedup();
        Err(Error::Spec(self.list))
    }
}

/// A mistake at a place of `file`. A place without a line is a `--set` flag.
pub fn diagnostic(file: &Path, at: &Place, message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
    let file = if at.line == 0 { Path::new("--set") } else { file }.to_path_buf();
    let (message, hint) = (error::shortened(message), error::shortened(hint));
    Diagnostic { file, line: at.line, column: at.column, path: at.path.clone(), message, hint }
}

/// What a word of another program is called here; else the candidate nearest to `word`, if it is near enough.
pub fn nearest<S: AsRef<str>>(word: &str, candidates: &[S]) -> Option<String> {
    // A comparison costs the product of the lengths. So long words are left out; only a hostile file has such.
    let short = |s: &&str| s.len() <= 64;
    let lower = Some(word).filter(short)?.to_lowercase();
    let all: Vec<&str> = candidates.iter().map(AsRef::as_ref).collect();
    if let Some(own) = synonyms::meant(word, &all).filter(|own| *own != lower) {
        return Some(own.to_string());
    }
    let distance = |c: &str| strsim::osa_distance(&lower, &c.to_lowercase());
    let candidates = candidates.iter().map(AsRef::as_ref).filter(short);
    let best = candidates.map(|c| (distance(c), c)).min_by_key(|(d, _)| *d)?;
    let limit = (lower.chars().count().max(best.1.chars().count()) / 3).max(1);
    (best.0 <= limit).then(|| best.1.to_string())
}

/// "did you mean `kernel`?", or all candidates after `intro`.
pub fn suggest(word: &str, candidates: &[&str], quote: &str, intro: &str) -> String {
    match nearest(word, candidates) {
        Some(near) => format!("did you mean {quote}{near}{quote}?"),
        None => format!("{intro} {}", quoted(candidates, quote)),
    }
}

/// "`a`, `b`, `c`".
pub fn list<S: AsRef<str>>(words: &[S]) -> String {
    quoted(words, "`")
}

fn quoted<S: AsRef<str>>(words: &[S], quote: &str) -> String {
    const SHOWN: usize = 40;
    let mut all: Vec<String> =
        words.iter().take(SHOWN).map(|w| format!("{quote}{}{quote}", error::quoted(w.as_ref()))).collect();
    if words.len() > SHOWN {
        all.push("…".into());
    }
    all.join(", ")
}

/// Reports every key of `object` that is in neither list, and an `object` that is none. True when it is an object.
pub fn check_keys(object: &Node, own: &[&str], extra: &[&str], report: &mut Diagnostics) -> bool {
    let Content::Object(members) = &object.kind else {
        report.expected(object, "an object");
        return false;
    };
    let valid: Vec<&str> = own.iter().chain(extra).copied().collect();
    let unknown = members.iter().filter(|(key, _)| !valid.contains(&key.name.as_str()));
    for (key, _) in unknown.take(100) {
        let hint = suggest(&key.name, &valid, "`", "the keys here are");
        report.error_at(&object.key_place(key), format!("unknown key `{}`", error::quoted(&key.name)), hint);
    }
    true
}
