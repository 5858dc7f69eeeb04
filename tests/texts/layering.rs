//! The architecture as a test: no upward arrow, no circle of files, no long file, wgpu and naga in one place.

mod arrows;
mod circles;
mod tokens;

use arrows::{Arrows, Crate};
use circles::{circles, describe};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name besides itself. `lib` and `main` may name everything.
const MAY_NAME: [(&str, &str); 18] = [
    ("host", ""),
    ("tensor", ""),
    ("error", "tensor"),
    ("spec", "tensor error"),
    ("graph", "tensor error spec"),
    ("ops", "tensor error spec graph"),
    ("model", "tensor error spec graph ops data"),
    ("compile", "host tensor error spec graph ops data model"),
    ("gpu", "host tensor error spec graph ops model compile"),
    ("data", "host tensor error spec"),
    ("task", "tensor error spec graph ops model data"),
    ("train", "host tensor error spec graph ops model compile gpu data task"),
    ("show", "host tensor error spec graph ops model compile gpu data task train"),
    ("exchange", "tensor error spec graph ops model compile data"),
    ("check", "host tensor error spec graph ops model compile gpu data task train exchange"),
    ("report", "host tensor error spec graph ops model compile gpu data task train show"),
    ("serve", "host tensor error gpu model data task train report"),
    ("cli", "host tensor error spec graph ops model compile gpu data task train show exchange check report serve"),
];

fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder of the project") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "wgsl") {
            out.push(path);
        }
    }
}

/// The files of a folder: their paths below the project's folder, and their texts.
fn files(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list = Vec::new();
    walk(&root.join(folder), &mut list);
    assert!(!list.is_empty());
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).expect("a file of the project").to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(&path).expect("a source file"))
    };
    list.into_iter().map(read).collect()
}

fn arrows_of(files: &[(String, String)]) -> Arrows {
    Crate::new(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).arrows()
}

/// The module of the crate that a file belongs to.
fn module(file: &str) -> &str {
    file.trim_start_matches("src/").split('/').next().unwrap_or("").trim_end_matches(".rs")
}

/// The arrows that lead to a module which the file's own module may not name.
fn upward(arrows: &Arrows) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((from, to), names) in arrows {
        let (own, other) = (module(from), module(to));
        let allowed = match MAY_NAME.iter().find(|(name, _)| *name == own) {
            Some((_, below)) => below.split(' ').any(|name| name == other),
            None => own == "lib" || own == "main",
        };
        if own != other && !allowed {
            wrong.push(format!("{from} → {to}: {}", names.iter().cloned().collect::<Vec<String>>().join(", ")));
        }
    }
    wrong
}

#[test]
fn arrows_point_down() {
    let wrong = upward(&arrows_of(&files("src")));
    assert!(wrong.is_empty(), "upward arrows:\n{}", wrong.join("\n"));
}

#[test]
fn no_circle_of_files() {
    let arrows = arrows_of(&files("src"));
    let found: String = circles(&arrows).iter().map(|circle| describe(circle, &arrows)).collect();
    assert!(found.is_empty(), "circles of files:\n{found}");
}

#[test]
fn wgpu_and_naga_are_named_in_gpu_alone() {
    for (file, text) in files("src").iter().filter(|(file, _)| module(file) != "gpu") {
        let code = tokens::all_tokens(text);
        let found = code.iter().find(|token| ["wgpu", "naga"].contains(&token.as_str()));
        assert!(found.is_none(), "{file} names {found:?}");
    }
}

#[test]
fn files_are_short() {
    let all = ["src", "tests", "shaders"].into_iter().flat_map(files);
    let lines = all.map(|(file, text)| (file, text.lines().count()));
    let long: Vec<String> =
        lines.filter(|(_, lines)| *lines > 500).map(|(file, lines)| format!("{file} has {lines} lines")).collect();
    assert!(long.is_empty(), "over 500 lines:\n{}", long.join("\n"));
}

/// The arrows of made-up files, in a crate with some modules.
fn arrows_between(files: &[(&str, &str)]) -> Arrows {
    let root = ("src/lib.rs", "pub mod data; pub mod gpu; pub mod model; pub mod spec; pub mod task; pub mod train;");
    Crate::new([root].into_iter().chain(files.iter().copied())).arrows()
}

/// The arrows as `from → to`, without the folder and the ending.
fn short(arrows: &Arrows) -> Vec<String> {
    let stem = |file: &String| file.trim_start_matches("src/").trim_end_matches(".rs").to_string();
    arrows.keys().map(|(from, to)| format!("{} → {}", stem(from), stem(to))).collect()
}

#[test]
fn a_circle_behind_a_re_export_is_found() {
    let arrows = arrows_between(&[
        ("src/model/mod.rs", "mod load; mod layer; pub use load::load; pub use layer::{Layer, Keys as LayerKeys};"),
        ("src/model/load.rs", "use super::LayerKeys; pub fn load() {}"),
        ("src/model/layer.rs", "pub struct Layer; pub struct Keys; fn read() { crate::model::load() }"),
    ]);
    assert_eq!(short(&arrows), ["model/layer → model/load", "model/load → model/layer"]);
    let found = circles(&arrows);
    assert_eq!(found.len(), 1);
    let text = describe(&found[0], &arrows);
    assert!(text.contains("src/model/layer.rs → src/model/load.rs: crate::model::load"), "{text}");
}

#[test]
fn a_folders_own_file_takes_part_in_circles_by_what_it_uses() {
    let child = ("src/data/mnist.rs", "use super::Format; pub fn read(_: Format) {}");
    let facade = ("src/data/mod.rs", "pub mod mnist; pub use mnist::read; pub enum Format { Idx }");
    assert!(circles(&arrows_between(&[child, facade])).is_empty());
    let using = ("src/data/mod.rs", "pub mod mnist; pub enum Format { Idx } fn open() { mnist::read(Format::Idx) }");
    assert_eq!(circles(&arrows_between(&[child, using])).len(), 1);
}

#[test]
fn a_circle_of_methods_that_another_file_adds_is_found() {
    let arrows = arrows_between(&[
        ("src/gpu/mod.rs", "mod read; mod session;"),
        ("src/gpu/session.rs", "pub struct Session; impl Session { fn run(&self) { self.read(); self.run(); } }"),
        ("src/gpu/read.rs", "use super::session::Session; impl Session { pub fn read(&self) {} }"),
    ]);
    assert_eq!(circles(&arrows).len(), 1);
}

#[test]
fn an_upward_arrow_is_found() {
    let arrows = arrows_between(&[
        ("src/lib.rs", "pub mod spec; pub mod graph; pub mod train; pub mod check; pub use spec::Source;"),
        ("src/spec/mod.rs", "pub struct Source; #[macro_export] macro_rules! words { () => { $crate::spec::Source } }"),
        ("src/graph.rs", "use crate::{\n    Source,\n    train::{self, run::{Run as A}},\n}; use crate::words;"),
        ("src/train/mod.rs", "pub mod run;"),
        ("src/train/run.rs", "pub struct Run; fn f() { let _ = crate::check::verify; }"),
        ("src/check.rs", "pub fn verify() { crate::spec::Source; }"),
    ]);
    let wrong = upward(&arrows);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("src/graph.rs → src/train/run.rs"), "{wrong:?}");
    assert!(wrong[1].starts_with("src/train/run.rs → src/check.rs: crate::check::verify"), "{wrong:?}");
    assert!(short(&arrows).contains(&"graph → spec/mod".to_string()), "macros and re-exports lead to their files");
}

#[test]
fn comments_strings_and_tests_make_no_arrow() {
    let text = r##"
        //! [`crate::train::Run`]
        /* crate::train::Run /* inside */ crate::train::Run */
        const A: &str = "crate::train::Run \" crate::train::Run";
        const B: &str = r#"crate::train::Run " crate::train::Run"#;
        const C: [char; 3] = ['"', '\'', '{'];
        fn longest<'a>(x: &'a str) -> &'a str { x }
        #[cfg(test)]
        mod tests {
            use crate::train::Run;
        }
        #[cfg(test)]
        use crate::train::{Run, Other};
        use super::train::Run as _;
    "##;
    let files = [("src/spec.rs", text), ("src/train.rs", "pub struct Run;")];
    let arrows = arrows_between(&files);
    assert_eq!(arrows.values().flatten().collect::<Vec<_>>(), ["super::train::Run"]);
}

#[test]
fn everything_of_a_module_is_an_arrow_for_each_name_that_is_used() {
    let arrows = arrows_between(&[
        ("src/task/mod.rs", "mod a; mod b; mod c;"),
        ("src/task/a.rs", "use super::b::*; fn f(x: Left) { here(x) } fn here(_: Left) {}"),
        ("src/task/b.rs", "pub use super::c::Left; pub struct Right;"),
        ("src/task/c.rs", "pub struct Left;"),
    ]);
    assert_eq!(short(&arrows), ["task/a → task/c", "task/b → task/c"]);
}

#[test]
fn modules_that_a_macro_declares_are_known() {
    let arrows = arrows_between(&[
        (
            "src/task/mod.rs",
            "macro_rules! tasks { ($($m:ident),*) => { $(mod $m;)* fn all() { $($m::add();)* } } } tasks! { a } pub struct Task;",
        ),
        ("src/task/a.rs", "use super::Task; pub fn add() {}"),
    ]);
    assert_eq!(circles(&arrows).len(), 1);
}
