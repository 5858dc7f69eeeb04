//! Which file names which. Paths in `use` lists and in the code are followed,
//! through modules and re-exports, to the file that defines the item.
//!
//! Methods called on a value are not seen, with one exception: a file calls
//! a method on `self`, and another file adds that method to the type.

use super::tokens::{group_end, is_name, tokens};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Arrows from file to file, with the names that cause them.
pub type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// A name that `use` brings into a file.
struct Import {
    /// What it is called in the file; `*` for everything of a module.
    name: String,
    path: Vec<String>,
    public: bool,
}

/// A source file.
struct Source {
    file: String,
    /// The tokens of the file without its `use` declarations.
    code: Vec<String>,
    /// The modules in its folder.
    children: BTreeSet<String>,
    /// Types, traits and macros that it defines.
    types: BTreeSet<String>,
    /// Functions and constants that it defines, without methods.
    values: BTreeSet<String>,
    /// All functions, including methods.
    functions: BTreeSet<String>,
    imports: Vec<Import>,
}

/// What a path leads to.
enum Found {
    Module(Vec<String>),
    Item(String),
}

/// The crate: its files by the path of the module.
pub struct Crate {
    modules: HashMap<Vec<String>, Source>,
    /// Macros that are exported to the root of the crate, and their files.
    exported: HashMap<String, String>,
}

/// The path of a file's module: `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`.
fn module_path(file: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let mut path: Vec<String> = inside.split('/').map(String::from).collect();
    if path.last().is_some_and(|last| last == "mod") || inside == "lib" {
        path.pop();
    }
    path
}

impl Crate {
    /// Reads files, each with its path below the crate's folder and its text.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Crate {
        let mut all = Crate { modules: HashMap::new(), exported: HashMap::new() };
        for (file, text) in files {
            let source = Source::read(file, tokens(text));
            let export = ["#", "[", "macro_export", "]", "macro_rules", "!"];
            for w in source.code.windows(export.len() + 1).filter(|w| w[..export.len()].iter().eq(export.iter())) {
                all.exported.insert(w[export.len()].clone(), file.to_string());
            }
            all.modules.insert(module_path(file), source);
        }
        // Modules are found by their files, because macros may declare modules.
        let paths: Vec<Vec<String>> = all.modules.keys().filter(|path| !path.is_empty()).cloned().collect();
        for path in paths {
            let (name, parent) = path.split_last().expect("it is not empty");
            if let Some(parent) = all.modules.get_mut(parent) {
                parent.children.insert(name.clone());
            }
        }
        all
    }

    /// All arrows between two files.
    pub fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (path, source) in &self.modules {
            let mut add = |to: Option<String>, name: String| {
                if let Some(to) = to.filter(|to| *to != source.file) {
                    arrows.entry((source.file.clone(), to)).or_default().insert(name);
                }
            };
            for import in source.imports.iter().filter(|import| source.needs(import)) {
                add(self.file_of(path, &import.path), import.path.join("::"));
            }
            for named in source.paths().into_iter().chain(source.macro_paths()) {
                add(self.file_of(path, &named), named.join("::"));
            }
            for glob in source.imports.iter().filter(|import| import.name == "*") {
                let Some(Found::Module(target)) = self.find(path, &glob.path, 0) else { continue };
                let unknown = |t: &&String| is_name(t) && !source.types.contains(*t) && !source.values.contains(*t);
                for name in source.code.iter().filter(unknown) {
                    let known = self.modules.get(&target).is_some_and(|m| m.has(name));
                    add(self.file_of(&target, std::slice::from_ref(name)).filter(|_| known), name.clone());
                }
            }
        }
        self.add_methods(&mut arrows);
        arrows
    }

    /// Arrows from the file of a type to a file that adds methods to the type, if the first file calls them on `self`.
    fn add_methods(&self, arrows: &mut Arrows) {
        for (path, source) in &self.modules {
            for (of, methods) in source.inherent_methods() {
                let Some(home) = self.file_of(path, &of).filter(|home| *home != source.file) else { continue };
                let home = self.modules.values().find(|m| m.file == home).expect("a file of the crate");
                for called in home.own_calls().filter(|name| methods.contains(*name)) {
                    if !home.functions.contains(called) {
                        let arrow = (home.file.clone(), source.file.clone());
                        arrows.entry(arrow).or_default().insert(format!("self.{called}"));
                    }
                }
            }
        }
    }

    /// The file that defines what a path in module `at` names; `None` for modules and for other crates.
    fn file_of(&self, at: &[String], path: &[String]) -> Option<String> {
        match self.find(at, path, 0)? {
            Found::Item(file) => Some(file),
            Found::Module(_) => None,
        }
    }

    /// What a path in module `at` names. Its first name is `crate`, `self`, `super` or something that the module knows.
    fn find(&self, at: &[String], path: &[String], depth: usize) -> Option<Found> {
        let mut module = at.to_vec();
        let mut rest = path;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" | "pumice" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()),
                _ => break,
            }
            rest = after;
        }
        let relative = rest.len() == path.len();
        for (i, name) in rest.iter().enumerate() {
            let source = self.modules.get(&module)?;
            let last = i + 1 == rest.len();
            if source.children.contains(name) && (!last || !source.has(name)) {
                module.push(name.clone());
                continue;
            }
            let own = source.types.contains(name) || (last && source.values.contains(name));
            let own = own.then(|| Found::Item(source.file.clone()));
            let found = own.or_else(|| self.imported(&module, source, name, depth)).or_else(|| {
                let root = module.is_empty().then(|| self.exported.get(name)).flatten();
                root.map(|file| Found::Item(file.clone()))
            });
            match found {
                Some(Found::Module(path)) => module = path,
                Some(item) => return Some(item),
                // A first name that nobody knows belongs to another crate.
                None if relative && i == 0 => return None,
                // Made by a macro.
                None => return Some(Found::Item(source.file.clone())),
            }
        }
        Some(Found::Module(module))
    }

    /// What a name means in a module, if one of its imports brings it in.
    fn imported(&self, module: &[String], source: &Source, name: &str, depth: usize) -> Option<Found> {
        if depth > 16 {
            return None;
        }
        if let Some(import) = source.imports.iter().find(|import| import.name == name) {
            return self.find(module, &import.path, depth + 1);
        }
        source.imports.iter().filter(|import| import.name == "*").find_map(|glob| {
            let Some(Found::Module(target)) = self.find(module, &glob.path, depth + 1) else { return None };
            let there = self.modules.get(&target)?;
            let known = there.has(name) || there.children.contains(name);
            known.then(|| self.find(&target, &[name.to_string()], depth + 1)).flatten()
        })
    }
}

impl Source {
    fn read(file: &str, list: Vec<String>) -> Source {
        let mut source = Source {
            file: file.to_string(),
            code: Vec::with_capacity(list.len()),
            children: BTreeSet::new(),
            types: BTreeSet::new(),
            values: BTreeSet::new(),
            functions: BTreeSet::new(),
            imports: Vec::new(),
        };
        let (mut i, mut depth) = (0, 0);
        while i < list.len() {
            let next = |n: usize| list.get(i + n).map_or("", String::as_str);
            match list[i].as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                "use" if is_name(next(1)) || ["{", "::", "$"].contains(&next(1)) => {
                    let public = source.public();
                    let end = i + list[i..].iter().position(|t| t == ";").expect("a declaration ends");
                    source.import(&list[i + 1..end], &[], public);
                    i = end;
                }
                "mod" if is_name(next(1)) && next(2) == ";" => {
                    i += 2;
                }
                word => source.define(word, next(1), next(2), depth == 0),
            }
            source.code.push(list[i].clone());
            i += 1;
        }
        source
    }

    /// Notes what the token `word` defines, together with the two tokens
    /// after it. Functions `outside` of all braces are no methods.
    fn define(&mut self, word: &str, name: &str, after: &str, outside: bool) {
        match word {
            "macro_rules" if name == "!" => drop(self.types.insert(after.to_string())),
            _ if !is_name(name) => {}
            "struct" | "enum" | "trait" => drop(self.types.insert(name.to_string())),
            "type" if outside => drop(self.types.insert(name.to_string())),
            "const" | "static" if outside => drop(self.values.insert(name.to_string())),
            "fn" => {
                self.functions.insert(name.to_string());
                if outside {
                    self.values.insert(name.to_string());
                }
            }
            _ => {}
        }
    }

    /// Whether the tokens so far end with `pub` or `pub(…)`.
    fn public(&self) -> bool {
        match self.code.last().map(String::as_str) {
            Some("pub") => true,
            Some(")") => self.code.iter().rposition(|t| t == "(").is_some_and(|i| i > 0 && self.code[i - 1] == "pub"),
            _ => false,
        }
    }

    /// Adds what a `use` list names: `a::{b, c as d, e::*}`.
    fn import(&mut self, list: &[String], prefix: &[String], public: bool) {
        let mut path = prefix.to_vec();
        let mut i = 0;
        while i < list.len() {
            match list[i].as_str() {
                "{" => {
                    for part in split(&list[i + 1..group_end(list, i) - 1]) {
                        self.import(part, &path, public);
                    }
                    return;
                }
                "as" => {
                    self.imports.push(Import { name: list[i + 1].clone(), path, public });
                    return;
                }
                "*" => {
                    self.imports.push(Import { name: "*".into(), path, public });
                    return;
                }
                "::" | "$" => {}
                "self" if !path.is_empty() => {}
                name => path.push(name.to_string()),
            }
            i += 1;
        }
        if let Some(name) = path.last().cloned() {
            self.imports.push(Import { name, path, public });
        }
    }

    /// Whether the module itself has an item or an import with this name.
    fn has(&self, name: &str) -> bool {
        self.types.contains(name) || self.values.contains(name) || self.imports.iter().any(|import| import.name == name)
    }

    /// Whether an import is an arrow. In a file that declares modules, a re-export is no arrow unless the file uses it.
    fn needs(&self, import: &Import) -> bool {
        let facade = import.public && !self.children.is_empty();
        import.name != "*" && (!facade || self.uses(&import.name))
    }

    /// Whether the code uses a name: a type anywhere, a function
    /// where it is called. Fields and methods may have the same name.
    fn uses(&self, name: &str) -> bool {
        let of_type = name.starts_with(char::is_uppercase);
        (0..self.code.len()).filter(|&i| self.code[i] == name).any(|i| {
            let before = i.checked_sub(1).map_or("", |k| self.code[k].as_str());
            let after = self.code.get(i + 1).map_or("", String::as_str);
            of_type || (![".", "fn"].contains(&before) && ["(", "::", "!"].contains(&after))
        })
    }

    /// The paths in the code that may lead to another file.
    fn paths(&self) -> Vec<Vec<String>> {
        let mut list = Vec::new();
        let mut i = 0;
        while i < self.code.len() {
            let before = i.checked_sub(1).map_or("", |k| self.code[k].as_str());
            if !is_name(&self.code[i]) || [".", "::"].contains(&before) {
                i += 1;
                continue;
            }
            let mut path = vec![self.code[i].clone()];
            while self.code.get(i + 1).is_some_and(|t| t == "::") && self.code.get(i + 2).is_some_and(|t| is_name(t)) {
                path.push(self.code[i + 2].clone());
                i += 2;
            }
            if path.len() > 1 && path[0] != "Self" && !self.types.contains(&path[0]) {
                list.push(path);
            }
            i += 1;
        }
        list
    }

    /// Paths that the file's own macros make from its modules:
    /// `$module::register` with `ops! { conv2d, … }` is `conv2d::register`.
    fn macro_paths(&self) -> Vec<Vec<String>> {
        let mut list = Vec::new();
        for i in (0..self.code.len()).filter(|&i| self.code[i] == "macro_rules" && i + 3 < self.code.len()) {
            let (name, body) = (&self.code[i + 2], &self.code[i + 3..group_end(&self.code, i + 3)]);
            let tail = |w: &&[String]| w[0] == "$" && w[2] == "::" && is_name(&w[3]);
            let tails: Vec<&String> = body.windows(4).filter(tail).map(|w| &w[3]).collect();
            let calls = (0..self.code.len())
                .filter(|&k| self.code[k] == *name && self.code.get(k + 1).is_some_and(|t| t == "!"));
            for call in calls {
                let modules = self.code[call + 2..group_end(&self.code, call + 2)].iter();
                for module in modules.filter(|t| self.children.contains(*t)) {
                    list.extend(tails.iter().map(|tail| vec![module.clone(), (*tail).clone()]));
                }
            }
        }
        list
    }

    /// Methods of `impl Type { … }` blocks, by the path of the type.
    fn inherent_methods(&self) -> Vec<(Vec<String>, BTreeSet<String>)> {
        let mut list = Vec::new();
        for (i, _) in self.code.iter().enumerate().filter(|(_, t)| *t == "impl") {
            let Some(open) = self.code[i..].iter().position(|t| t == "{" || t == ";").map(|n| n + i) else { continue };
            let mut head = &self.code[i + 1..open];
            if head.first().is_some_and(|t| t == "<") {
                let close = head.iter().position(|t| t == ">").expect("generics end");
                head = &head[close + 1..];
            }
            let of_trait = head.iter().any(|t| t == "for");
            if self.code[open] != "{" || of_trait || !head.first().is_some_and(|t| is_name(t)) {
                continue;
            }
            let of: Vec<String> =
                head.iter().take_while(|t| is_name(t) || *t == "::").filter(|t| *t != "::").cloned().collect();
            let body = &self.code[open..group_end(&self.code, open)];
            let methods = body.windows(2).filter(|w| w[0] == "fn").map(|w| w[1].clone()).collect();
            list.push((of, methods));
        }
        list
    }

    /// Names of the methods that the file calls on `self` or on `Self`.
    fn own_calls(&self) -> impl Iterator<Item = &String> {
        let call = |w: &&[String]| (w[0] == "self" && w[1] == ".") || (w[0] == "Self" && w[1] == "::");
        self.code.windows(4).filter(call).filter(|w| w[3] == "(").map(|w| &w[2])
    }
}

/// The parts between commas, where commas inside braces do not count.
fn split(list: &[String]) -> Vec<&[String]> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0);
    for (i, token) in list.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                parts.push(&list[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}
