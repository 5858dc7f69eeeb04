//! What a run must survive: damaged files, kills, full disks, lost devices, changed data, a second trainer. Each fault is
//! really made, and what is left is compared with an undisturbed run.

use crate::common;
mod data;
mod disk;
mod files;
mod finite;
mod kills;
mod locks;
mod lost;
mod memory;
mod signals;

use pumice::gpu::device::Limits;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn adapter() -> bool {
    common::session(Limits::Raised, |_| {}).is_some()
}

/// How a call ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(output: Output) -> Ended {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Asserts success. Returns what is on stderr.
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stderr
    }

    /// Asserts this exit code, one `error:` line, no panic, and all these words in that line.
    fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && !self.stderr.contains("panicked"), "{}", self.stderr);
        for word in words {
            assert!(errors[0].contains(word), "`{word}` is not in: {}", errors[0]);
        }
    }
}

fn program(dir: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pumice"));
    command.args(args.split_whitespace()).current_dir(dir).env("NODEVICE_SELECT", "1");
    command
}

fn pumice(dir: &Path, args: &str) -> Ended {
    Ended::of(program(dir, args).output().expect("the program starts"))
}

/// A call with a script of the shell around it: `$PUMICE` is the program.
fn shell(dir: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).current_dir(dir);
    command.env("PUMICE", env!("CARGO_BIN_EXE_pumice")).env("NODEVICE_SELECT", "1");
    command
}

/// A folder with a small network `net.json`, and a table of 60 rows in two classes. An epoch has 6 steps.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("table.csv"), table(60)).expect("a table");
    fs::write(dir.path().join("net.json"), NET).expect("a spec");
    dir
}

const NET: &str = r#"{ "version": 1, "input": { "features": 2 },
  "layers": [{ "op": "dense", "units": 9, "activation": "tanh" }, { "op": "dropout" }, { "op": "dense", "units": 2 }],
  "loss": "cross_entropy",
  "data": { "kind": "csv", "path": "table.csv", "target": "class", "validation": 0.2, "test": 0.2 },
  "train": { "seed": 5, "batch": 7, "epochs": 6, "optimizer": "adam", "keep": 3 } }"#;

fn table(rows: usize) -> String {
    let row = |i: usize| {
        let (x, y) = ((i * 37 % 101) as f64 / 50.0, (i * 59 % 97) as f64 / 50.0);
        format!("{x},{y},{}\n", if x > y { "above" } else { "below" })
    };
    format!("x,y,class\n{}", (0..rows).map(row).collect::<String>())
}

/// The checkpoints of a run, oldest first.
fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(run.join("checkpoint")) else { return Vec::new() };
    let mut all: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    all.retain(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
    all.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    all.sort();
    all
}

/// All that a run has brought: its weights, its newest checkpoint, and the metrics without the times.
fn outcome(run: &Path) -> (Vec<u8>, Vec<u8>, Vec<serde_json::Value>) {
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let line = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line.as_object_mut().expect("an object").remove("seconds");
        line
    };
    let newest = checkpoints(run).pop().expect("a checkpoint");
    (
        fs::read(run.join("weights.safetensors")).expect("weights"),
        fs::read(newest).expect("a checkpoint"),
        text.lines().map(line).collect(),
    )
}
