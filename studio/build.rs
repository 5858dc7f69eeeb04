//! Lists the models of `assets/models`, so that the window has them wherever it lies.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../assets/models");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder assets/models")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        println!("cargo:rerun-if-changed={}", file.display());
        let name = file.file_stem().expect("a name").to_string_lossy();
        writeln!(list, "({name:?}, include_str!({:?})),", file.display().to_string()).expect("a string takes all");
    }
    list.push(']');
    let out = env::var("OUT_DIR").expect("set by cargo");
    fs::write(Path::new(&out).join("shelf.rs"), list).expect("written");
}
