//! Lists the WGSL files, so that adding one needs no second place.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=shaders");
    println!("cargo::rerun-if-changed=shaders/lib");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let mut names: Vec<String> = Vec::new();
    for folder in ["shaders", "shaders/lib"] {
        let entries = fs::read_dir(Path::new(&root).join(folder)).expect("the folder is part of the crate");
        for entry in entries {
            let file = entry.expect("a readable folder").file_name().to_string_lossy().into_owned();
            if let Some(stem) = file.strip_suffix(".wgsl") {
                let lib = folder.strip_prefix("shaders/").map_or(String::new(), |f| format!("{f}/"));
                names.push(format!("{lib}{stem}"));
            }
        }
    }
    names.sort();
    let lines: Vec<String> = names
        .iter()
        .map(|n| format!("({n:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/shaders/{n}.wgsl\"))),"))
        .collect();
    let text = format!("&[\n{}\n]\n", lines.join("\n"));
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("shaders.rs"), text).expect("the output folder is writable");
}
