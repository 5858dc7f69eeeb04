//! The programs in `examples/`, as `cargo test` has built them.

mod gpu;

use std::path::PathBuf;

/// Names of all examples: of files, and of folders with a `main.rs`.
fn names() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = std::fs::read_dir(folder).expect("the folder is part of the project");
    let stem = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("a readable folder").path().file_stem().expect("a name").to_string_lossy().into_owned()
    };
    entries.map(stem).collect()
}

/// The program of an example, beside the folder that this test program is in.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test program has a path");
    let folder = test.ancestors().nth(2).expect("it is in target/PROFILE/deps").join("examples");
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

#[test]
fn every_example_is_built_with_the_tests() {
    let missing: Vec<String> = names().into_iter().filter(|name| !program(name).exists()).collect();
    assert!(missing.is_empty(), "not built: {missing:?}");
}
