//! The architecture as a test: no upward arrow, no long file, wgpu and naga in one place.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the lowest to the highest. A module may name those before it in the list, but for the exceptions below.
const ORDER: [&str; 13] =
    ["error", "tensor", "spec", "graph", "ops", "model", "compile", "gpu", "data", "task", "train", "check", "report"];

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder of the project") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "wgsl") {
            out.push(path);
        }
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut list = Vec::new();
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut list);
    assert!(!list.is_empty());
    list
}

fn module(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a file in src");
    let first = inside.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_string()
}

/// The modules of the crate that a file names.
fn named(text: &str) -> Vec<&str> {
    let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
    let ends = |c: char| !(c.is_alphanumeric() || c == '_');
    let mut list = Vec::new();
    for line in code {
        for part in line.split("crate::").skip(1) {
            // A list `use crate::{a::b, c}` names each of its heads.
            let heads: Vec<&str> = match part.strip_prefix('{') {
                Some(rest) => rest.split(',').map(str::trim).collect(),
                None => vec![part],
            };
            list.extend(heads.into_iter().map(|h| h.split(ends).next().unwrap_or(h)));
        }
    }
    list
}

#[test]
fn arrows_point_down() {
    let place = |m: &str| ORDER.iter().position(|o| *o == m);
    let mut wrong = Vec::new();
    for path in files("src") {
        let own = module(&path);
        let text = fs::read_to_string(&path).expect("a source file");
        for other in named(&text) {
            let up = match (own.as_str(), other) {
                ("lib" | "main", _) => false,
                (a, b) if a == b => false,
                ("cli", b) => b == "gui",
                ("gui", b) => b == "cli",
                ("data", b) => !["tensor", "error"].contains(&b),
                ("task", b) => !["tensor", "error", "graph", "data"].contains(&b),
                (a, b) => matches!((place(a), place(b)), (Some(a), Some(b)) if b > a),
            };
            if up {
                wrong.push(format!("{} names {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "upward arrows:\n{}", wrong.join("\n"));
}

#[test]
fn wgpu_and_naga_are_named_in_gpu_alone() {
    for path in files("src").into_iter().filter(|p| module(p) != "gpu") {
        let text = fs::read_to_string(&path).expect("a source file");
        let code: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
        let found = code.iter().find(|l| l.contains("wgpu::") || l.contains("naga::"));
        assert!(found.is_none(), "{}: {}", path.display(), found.unwrap_or(&""));
    }
}

#[test]
fn files_are_short() {
    let all = ["src", "tests", "shaders"].into_iter().flat_map(files);
    let long: Vec<String> = all
        .filter_map(|p| {
            let lines = fs::read_to_string(&p).expect("a source file").lines().count();
            (lines > 500).then(|| format!("{} has {lines} lines", p.display()))
        })
        .collect();
    assert!(long.is_empty(), "over 500 lines:\n{}", long.join("\n"));
}
