//! Everything that can go wrong. Each error says where it is and what to do.

use std::fmt;
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
            write!(f, "{}:", self.file.display())?;
            if self.line > 0 {
                write!(f, "{}:{}:", self.line, self.column)?;
            }
            write!(f, " ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

/// Every error of the crate. `Display` prints one line for each error, without the leading `error: `.
#[derive(thiserror::Error)]
pub enum Error {
    /// Mistakes in a spec: exit code 2.
    #[error("{}", join(.0))]
    Spec(Vec<Diagnostic>),
    /// A flag, a device name or another thing that the user must correct: exit code 2.
    #[error("{what}; {hint}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A file whose content does not fit (data, weights, checkpoint): exit code 2.
    #[error("{}: {what}; {hint}", .file.display())]
    File {
        /// The file as the user named it.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The operating system refused to read or write: exit code 2 for reading, 1 for writing.
    #[error("{}: {source}; {hint}", .file.display())]
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
    #[error("{what}; {hint}")]
    NotFinite {
        /// Which number, and when.
        what: String,
        /// What to do.
        hint: String,
    },
    /// No adapter at all, a lost device, too little memory, or a shader that does not compile: exit code 1.
    #[error("{adapter}: {what}; {hint}")]
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
        Error::Usage { what: what.into(), hint: hint.into() }
    }

    /// A file whose content does not fit.
    pub fn file(file: impl AsRef<Path>, what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::File { file: file.as_ref().to_path_buf(), what: what.into(), hint: hint.into() }
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

    /// 2 for what the user must correct, 1 for what failed at run time.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Spec(_) | Error::Usage { .. } | Error::File { .. } => 2,
            Error::Io { writing, .. } => 2 - u8::from(*writing),
            Error::Gpu { .. } | Error::NotFinite { .. } => 1,
        }
    }
}
