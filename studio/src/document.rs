//! The spec that is being edited: its text, where it came from, and what the checker says of it.

use crate::checker::{Checked, Mistake, Planned};
use pumice::spec::Source;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The spec's text and its standing.
#[derive(Default)]
pub struct Document {
    /// The text.
    pub text: String,
    /// Where it was read from and is saved to; empty for a model of the shelf.
    pub path: PathBuf,
    /// The run folder it belongs to, if it was opened as a run.
    pub run: Option<PathBuf>,
    /// Grows with each change.
    pub version: u64,
    /// The text that was read or saved last.
    pub saved: String,
    /// The newest plan of a sound text.
    pub planned: Planned,
    /// What is wrong with the text.
    pub mistakes: Vec<Mistake>,
    /// The version that plan or mistakes are of.
    pub checked: u64,
}

impl Document {
    /// A text that was just read.
    pub fn opened(text: String, path: PathBuf, run: Option<PathBuf>, version: u64) -> Document {
        Document { saved: text.clone(), text, path, run, version, ..Document::default() }
    }

    /// Reads a spec, or the spec of a run folder.
    ///
    /// # Errors
    /// What is wrong with the file, as a line.
    pub fn read(path: &Path, version: u64) -> Result<Document, String> {
        let (file, run) = match path.is_dir() {
            true => {
                let run = pumice::Run::open(path).map_err(|e| e.to_string())?;
                (run.spec_path(), Some(path.to_path_buf()))
            }
            false => (path.to_path_buf(), None),
        };
        let source = Source::open(&file).map_err(|e| e.to_string())?;
        Ok(Document::opened(source.text, file, run, version))
    }

    /// What the library reads. Without a file, paths are relative to the working folder.
    pub fn source(&self) -> Source {
        Source { file: self.path.clone(), text: self.text.clone() }
    }

    /// The text has changed: a run that goes on would be another one.
    pub fn touch(&mut self) {
        self.version += 1;
        self.run = None;
    }

    /// Whether the text differs from the file.
    pub fn changed(&self) -> bool {
        self.text != self.saved
    }

    /// Takes an answer of the checker; an old one counts for nothing.
    pub fn take(&mut self, checked: Checked) {
        if checked.version != self.version {
            return;
        }
        self.checked = checked.version;
        match checked.found {
            Ok(planned) => (self.planned, self.mistakes) = (planned, Vec::new()),
            Err(mistakes) => self.mistakes = mistakes,
        }
    }

    /// The bytes of the text that a mistake underlines: from its place to the end of the word there.
    pub fn span(&self, mistake: &Mistake) -> Range<usize> {
        span(&self.text, mistake.line, mistake.column)
    }

    /// Where a line, from 1, begins, in characters.
    pub fn line_start(&self, line: usize) -> usize {
        self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(|line| line.chars().count()).sum()
    }
}

/// From a place, both counted from 1, to the end of the word, the string or the number there.
pub fn span(text: &str, line: usize, column: usize) -> Range<usize> {
    if line == 0 {
        return 0..0;
    }
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let own = text[start.min(text.len())..].lines().next().unwrap_or("");
    let at = own.char_indices().nth(column.saturating_sub(1)).map_or(own.len(), |(at, _)| at);
    let rest = &own[at..];
    let length = match rest.chars().next() {
        Some('"') => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
        Some(c) if c.is_alphanumeric() || c == '-' => {
            rest.find(|c: char| !(c.is_alphanumeric() || "-+._".contains(c))).unwrap_or(rest.len())
        }
        Some(c) => c.len_utf8(),
        None => 0,
    };
    start + at..start + at + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_underlines_its_word() {
        let text = "{\n  \"größe\": 12.5, \"b\": [true]\n}";
        assert_eq!(&text[span(text, 2, 3)], "\"größe\"");
        assert_eq!(&text[span(text, 2, 12)], "12.5");
        assert_eq!(&text[span(text, 2, 24)], "true");
        assert_eq!(span(text, 0, 0), 0..0);
        assert_eq!(&text[span(text, 99, 1)], "");
        assert_eq!(&text[span(text, 2, 999)], "");
    }

    #[test]
    fn an_old_answer_counts_for_nothing() {
        let mut document = Document::opened("{}".into(), PathBuf::new(), None, 1);
        document.text.push(' ');
        document.touch();
        document.take(Checked { version: 1, found: Ok(Planned { params: 5, ..Planned::default() }) });
        assert_eq!(document.planned.params, 0);
        document.take(Checked { version: 2, found: Ok(Planned { params: 7, ..Planned::default() }) });
        assert_eq!(document.planned.params, 7);
        assert!(document.changed());
        document.text.pop();
        document.touch();
        assert!(!document.changed(), "what is undone is no change");
    }

    #[test]
    fn lines_are_counted_in_characters() {
        let document = Document::opened("é\nxy\nz".into(), PathBuf::new(), None, 1);
        assert_eq!([1, 2, 3].map(|line| document.line_start(line)), [0, 2, 5]);
    }
}
