//! Everything that can go wrong. Each error says where it is and what to do.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

/// The result of every fallible call of the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One mistake in a spec file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as the user named it; empty if the text came from elsewhere.
    pub file: PathBuf,
    /// Line, from 1; 0 if the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 if the whole file is meant.
    pub column: usize,
    /// JSON path such as `layers[3].kernel`; empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}:", shown(&self.file))?;
            if self.line > 0 {
                write!(f, "{}:{}:", self.line, self.column)?;
            }
            write!(f, " ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", printable(&self.path))?;
        }
        write!(f, "{}", printable(&self.message))?;
        if !self.hint.is_empty() {
            write!(f, "; {}", printable(&self.hint))?;
        }
        Ok(())
    }
}

/// The most characters that a message has of a text which somebody else wrote: a key, a word, a name.
const QUOTED: usize = 64;
/// The most characters of a whole message.
const MESSAGE: usize = 1200;

/// Text that may come from elsewhere (names of files, classes and layers, words of a spec), as one line that a terminal
/// shows and does not obey. Line breaks, control characters, and marks that turn the direction of writing become
/// escapes such as `\u{1b}`.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a string does not fail.
            _ if c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out
}

/// The name of a file as messages show it.
pub fn shown(file: &Path) -> String {
    printable(&file.display().to_string())
}

/// The beginning of a text that a message quotes: at most 64 characters, and an ellipsis where there are more.
pub fn quoted(text: &str) -> String {
    let mut rest = text.chars();
    let mut out: String = rest.by_ref().take(QUOTED).collect();
    if rest.next().is_some() {
        out.push('…');
    }
    out
}

/// A message of bearable length: the beginning and the end of a longer one.
pub fn shortened(text: impl Into<String>) -> String {
    let text = text.into();
    if text.len() <= MESSAGE {
        return text;
    }
    let cut = |at: usize| (0..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    format!("{} … {}", &text[..cut(MESSAGE * 2 / 3)], &text[cut(text.len() - MESSAGE / 4)..])
}

/// The text of a driver or a compiler, which may have several lines, as one.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    printable(&lines.join(" "))
}

/// Every error of the crate. `Display` prints one line for each error, without the leading `error: `.
#[derive(thiserror::Error)]
pub enum Error {
    /// Mistakes in a spec: exit code 2.
    #[error("{}", join(.0))]
    Spec(Vec<Diagnostic>),
    /// A flag, a device name or another thing that the user must correct: exit code 2.
    #[error("{}; {}", printable(.what), printable(.hint))]
    Usage {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A file whose content does not fit (data, weights, checkpoint): exit code 2.
    #[error("{}: {}; {}", shown(.file), printable(.what), printable(.hint))]
    File {
        /// The file as the user named it.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The operating system refused to read or write: exit code 2 for reading, 1 for writing.
    #[error("{}: {source}; {}", shown(.file), printable(.hint))]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// Whether writing failed; otherwise reading did.
        writing: bool,
        /// The operating system's message.
        source: std::io::Error,
        /// What to do.
        hint: String,
    },
    /// Training has left the numbers: a loss or a parameter is NaN or infinite. Exit code 1.
    #[error("{}; {}", printable(.what), printable(.hint))]
    NotFinite {
        /// Which number, and when.
        what: String,
        /// What to do.
        hint: String,
    },
    /// No adapter at all, a lost device, too little memory, or a shader that does not compile: exit code 1.
    #[error("{}: {}; {}", one_line(.adapter), one_line(.what), one_line(.hint))]
    Gpu {
        /// The adapter's name, or `adapter` if there is none.
        adapter: String,
        /// What failed.
        what: String,
        /// What to do.
        hint: String,
    },
}

fn join(list: &[Diagnostic]) -> String {
    let lines: Vec<String> = list.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl fmt::Debug for Error {
    /// The same text as `Display`: so a `main` that returns an error prints it for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Error {
    /// A mistake in a flag or a name.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Usage { what: shortened(what), hint: shortened(hint) }
    }

    /// A file whose content does not fit.
    pub fn file(file: impl AsRef<Path>, what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::File { file: file.as_ref().to_path_buf(), what: shortened(what), hint: shortened(hint) }
    }

    /// A file that could not be read.
    pub fn read(file: impl AsRef<Path>, source: std::io::Error) -> Error {
        let hint = "check that the file exists and may be read".into();
        Error::Io { file: file.as_ref().to_path_buf(), writing: false, source, hint }
    }

    /// A file that could not be written.
    pub fn write(file: impl AsRef<Path>, source: std::io::Error) -> Error {
        let hint = "check the folder, its permissions and the free space".into();
        Error::Io { file: file.as_ref().to_path_buf(), writing: true, source, hint }
    }

    /// A failure of the adapter.
    pub fn gpu(adapter: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Gpu { adapter: adapter.into(), what: what.into(), hint: hint.into() }
    }

    /// The same error with more to do, at the end of its hint. Mistakes in a spec have hints of their own, and stay.
    pub fn and(mut self, more: &str) -> Error {
        match &mut self {
            Error::Spec(_) => {}
            Error::Usage { hint, .. }
            | Error::File { hint, .. }
            | Error::Io { hint, .. }
            | Error::NotFinite { hint, .. }
            | Error::Gpu { hint, .. } => *hint = format!("{hint}; {more}"),
        }
        self
    }

    /// Its mistakes as `--json` prints them. What has no place in a file has line 0.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let one = |file: &Path, message: String, hint: &str| {
            let (file, hint) = (file.to_path_buf(), hint.to_string());
            vec![Diagnostic { file, line: 0, column: 0, path: String::new(), message, hint }]
        };
        match self {
            Error::Spec(list) => list.clone(),
            Error::Usage { what, hint } => one(Path::new(""), what.clone(), hint),
            Error::File { file, what, hint } => one(file, what.clone(), hint),
            Error::Io { file, source, hint, .. } => one(file, source.to_string(), hint),
            Error::NotFinite { what, hint } => one(Path::new(""), what.clone(), hint),
            Error::Gpu { adapter, what, hint } => one(Path::new(""), format!("{adapter}: {what}"), hint),
        }
    }

    /// 2 for what the user must correct, 1 for what failed at run time.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Spec(_) | Error::Usage { .. } | Error::File { .. } => 2,
            Error::Io { writing, .. } => 2 - u8::from(*writing),
            Error::Gpu { .. } | Error::NotFinite { .. } => 1,
        }
    }
}
