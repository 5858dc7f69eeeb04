//! Circles in a graph of files: strongly connected components, by Tarjan's
//! algorithm ("Depth-first search and linear graph algorithms", 1972).

use super::arrows::Arrows;
use std::collections::{BTreeMap, BTreeSet};

/// The sets of files, each of two or more, in which every file leads to every other file.
pub fn circles(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        next.entry(from).or_default().push(to);
        next.entry(to).or_default();
    }
    let mut search =
        Search { next: &next, index: BTreeMap::new(), low: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for file in next.keys() {
        if !search.index.contains_key(file) {
            search.visit(file);
        }
    }
    search.found
}

/// A circle, with the names that connect its files, for a message.
pub fn describe(circle: &BTreeSet<String>, arrows: &Arrows) -> String {
    let inside = arrows.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
    let line = |((from, to), names): (&(String, String), &BTreeSet<String>)| {
        let names: Vec<&str> = names.iter().take(4).map(String::as_str).collect();
        format!("  {from} → {to}: {}\n", names.join(", "))
    };
    format!("{} files:\n{}", circle.len(), inside.map(line).collect::<String>())
}

struct Search<'a> {
    next: &'a BTreeMap<&'a str, Vec<&'a str>>,
    /// In which order files were reached.
    index: BTreeMap<&'a str, usize>,
    /// The earliest file on the stack that a file leads to.
    low: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    found: Vec<BTreeSet<String>>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, file: &'a str) {
        let own = self.index.len();
        self.index.insert(file, own);
        self.low.insert(file, own);
        self.stack.push(file);
        for to in &self.next[file] {
            let reached = match self.index.get(to) {
                None => {
                    self.visit(to);
                    self.low[to]
                }
                Some(&index) if self.stack.contains(to) => index,
                Some(_) => continue,
            };
            let low = self.low[file].min(reached);
            self.low.insert(file, low);
        }
        if self.low[file] == own {
            let at = self.stack.iter().rposition(|f| *f == file).expect("it is on the stack");
            let members: BTreeSet<String> = self.stack.drain(at..).map(String::from).collect();
            if members.len() > 1 {
                self.found.push(members);
            }
        }
    }
}
