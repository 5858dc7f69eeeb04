//! Every input of `fuzz/corpus`, and mutations of them, through the functions that fuzzing calls. An input that panics,
//! or takes over 10 seconds, fails and is kept in `target/fuzz`.
//!
//! `PUMICE_FUZZ=N` makes N mutations of each target, for long runs; `PUMICE_FUZZ_SEED` starts elsewhere, and
//! `PUMICE_FUZZ_TARGET` chooses one target.

use pumice::check::fuzz::{TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);
/// Mutations of each target, unless the environment asks for more.
const MUTATIONS: u64 = 300;
/// The longest input that a mutation may make.
const LONGEST: usize = 64 << 10;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Random numbers by splitmix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `n`, which is above 0.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Pieces that formats give a meaning.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b";",
    b"\t",
    b"0",
    b"-1",
    b"1e308",
    b"4294967296",
    b"16777216",
    b"null",
    b"nan",
    b"inf",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\"op\": \"repeat\", \"times\": 10000,",
    b"\"$a\"",
    b"\"classes\"",
    b"\"input\"",
    b"\\u001b",
];

/// An input made of one of the corpus, or of two.
fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(bytes.len() + 1);
        let most = 1 + random.below(64);
        let len = 1 + random.below(most);
        let end = (at + len).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            4 => {
                let copy = bytes[at..end].repeat(1 + random.below(40));
                bytes.splice(at..at, copy);
            }
            5 => bytes.truncate(at),
            6 => {
                // Digits become other numbers.
                if let Some(digit) = (at..bytes.len()).find(|&i| bytes[i].is_ascii_digit()) {
                    bytes[digit] = b'0' + random.below(10) as u8;
                }
            }
            _ => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                let to = (from + random.below(256)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

/// Peak of the resident memory so far, in MiB, where the system tells it.
fn peak() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// A thread that runs a target's inputs one after the other.
struct Worker {
    target: Target,
    dir: PathBuf,
    inputs: Sender<Vec<u8>>,
    results: Receiver<std::thread::Result<bool>>,
}

impl Worker {
    fn start(target: Target, dir: &Path) -> Worker {
        let (inputs, wanted) = channel::<Vec<u8>>();
        let (done, results) = channel();
        let own = dir.to_path_buf();
        let run = move || {
            for bytes in wanted {
                let result = catch_unwind(AssertUnwindSafe(|| target(&bytes, &own).is_ok()));
                if done.send(result).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().stack_size(8 << 20).spawn(run).expect("the system has a thread left");
        Worker { target, dir: dir.to_path_buf(), inputs, results }
    }

    /// Runs one input: whether it was taken, or what went wrong. A thread that hangs is left behind.
    fn tried(&mut self, bytes: &[u8]) -> Result<bool, String> {
        let start = Instant::now();
        self.inputs.send(bytes.to_vec()).expect("the thread waits for inputs");
        match self.results.recv_timeout(LIMIT) {
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(panic)) => {
                let text = panic.downcast_ref::<String>().cloned();
                Err(text.unwrap_or_else(|| panic.downcast_ref::<&str>().unwrap_or(&"a panic").to_string()))
            }
            Err(_) => {
                *self = Worker::start(self.target, &self.dir);
                Err(format!("no answer after {:?}", start.elapsed()))
            }
        }
    }
}

/// The inputs of a target, sorted by name.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(&dir).expect("the corpus").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("an input")).collect()
}

#[test]
fn no_input_panics_or_hangs() {
    let mut failures = Vec::new();
    let only = std::env::var("PUMICE_FUZZ_TARGET").unwrap_or_default();
    for (name, target) in TARGETS.into_iter().filter(|(name, _)| only.is_empty() || only == *name) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has a corpus");
        let mut random = Random(number("PUMICE_FUZZ_SEED", 1));
        let mut inputs = corpus.clone().into_iter();
        let mut worker = Worker::start(target, dir.path());
        let (mut taken, mut slowest, start) = (0, Duration::ZERO, Instant::now());
        let count = corpus.len() as u64 + number("PUMICE_FUZZ", MUTATIONS);
        for _ in 0..count {
            let bytes = inputs.next().unwrap_or_else(|| mutated(&corpus, &mut random));
            let began = Instant::now();
            match worker.tried(&bytes) {
                Ok(ok) => taken += u64::from(ok),
                Err(what) => {
                    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
                    fs::create_dir_all(&kept).expect("the target folder is writable");
                    let file = kept.join(format!("{name}-{}", failures.len()));
                    fs::write(&file, &bytes).expect("the target folder is writable");
                    failures.push(format!("{}: {what}", file.display()));
                }
            }
            slowest = slowest.max(began.elapsed());
            if failures.len() > 20 {
                break;
            }
        }
        assert!(taken > 0, "{name}: not one input was taken, so nothing behind the first check was seen");
        let memory = peak().map_or("unknown".into(), |mib| format!("{mib} MiB"));
        println!("{name}: {count} inputs, {taken} taken, {:?}; slowest {slowest:?}; peak {memory}", start.elapsed());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
