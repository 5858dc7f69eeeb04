//! WGSL: imports, constants, unrolled loops, and the names of bindings by reflection.
//!
//! Files in `shaders/` are valid WGSL with `override` constants, except for two directives. `#import NAME` takes in
//! `shaders/lib/NAME.wgsl`, once. If NAME ends in `_L`, L stands for the kernel's lanes (`lib/lanes.wgsl`).
//! `#for i in 0..N` … `#end` repeats its lines with `$i` replaced; N is a number or a constant.
//!
//! A `switch` over a constant has one line for each case. Only the case that
//! is taken stays: drivers would look through all of them at every call.

use crate::compile::program::PipelineKey;
use crate::graph::Access;
use crate::ops::registry;
use std::collections::{BTreeMap, HashSet};

/// All WGSL files by stem. Imported files are called `lib/NAME`.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// The text of a file in `shaders/`, or of one that another crate has registered.
///
/// # Panics
/// If several files have that name.
pub fn file(name: &str) -> Option<&'static str> {
    let mut found = FILES.iter().chain(&registry().shaders).filter(|f| f.0 == name);
    let text = found.next().map(|f| f.1);
    assert!(found.next().is_none(), "several shader files are called {name}.wgsl");
    text
}

/// What an entry point binds under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BindingInfo {
    /// Name of the WGSL variable.
    pub name: String,
    /// Its `@binding`.
    pub binding: u32,
    /// `None` for a uniform, else how the storage buffer or texture is used.
    pub access: Option<Access>,
}

/// The WGSL that the driver compiles for a pipeline: with its constants set, and without functions that its entry point
/// does not call. An empty entry point stands for all entry points.
///
/// # Panics
/// On an unknown file, import or constant, or an unclosed `#for`.
/// These are programmers' mistakes, which a test finds for every row.
pub fn expand(key: &PipelineKey) -> String {
    let mut lines = Vec::new();
    let lanes = key.constants.iter().find(|c| c.0 == "L").map_or(1, |c| c.1 as u32);
    import(key.shader, lanes, &mut HashSet::new(), &mut lines);
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut unused: HashSet<&str> = key.constants.iter().map(|c| c.0).collect();
    let mut text = Vec::new();
    for line in lines {
        let Some((name, ty, default)) = override_line(&line) else {
            if let Some((name, value)) = const_line(&line) {
                values.insert(name, value);
            }
            text.push(line);
            continue;
        };
        let given = key.constants.iter().find(|c| c.0 == name);
        let value = given.map(|c| literal(c.1, ty)).or(default.map(str::to_string));
        let value = value.unwrap_or_else(|| panic!("{}.{}: constant {name} is not set", key.shader, key.entry));
        unused.remove(name);
        values.insert(name.to_string(), value.clone());
        text.push(format!("const {name}: {ty} = {value};"));
    }
    assert!(unused.is_empty(), "{}.{}: no constants {unused:?} in the WGSL", key.shader, key.entry);
    if !key.entry.is_empty() {
        text = reached(switched(text, &values), key.entry);
    }
    unroll(&text, &values).join("\n") + "\n"
}

fn import(name: &str, lanes: u32, seen: &mut HashSet<String>, out: &mut Vec<String>) {
    let text = file(name).unwrap_or_else(|| panic!("no shader file {name}.wgsl"));
    for line in text.lines() {
        let Some(other) = line.trim().strip_prefix("#import ") else {
            out.push(line.to_string());
            continue;
        };
        let other = match other.trim().strip_suffix("_L") {
            Some(stem) => format!("lib/{stem}_{lanes}"),
            None => format!("lib/{}", other.trim()),
        };
        if seen.insert(other.clone()) {
            import(&other, lanes, seen, out);
        }
    }
}

/// Replaces each `switch NAME {` over a constant by the body of the case that is taken, or of `default`.
fn switched(lines: Vec<String>, values: &BTreeMap<String, String>) -> Vec<String> {
    let mut out = Vec::new();
    let mut lines = lines.into_iter();
    while let Some(line) = lines.next() {
        let name = line.trim().strip_prefix("switch ").and_then(|rest| rest.strip_suffix(" {"));
        let Some(value) = name.and_then(|name| values.get(name)) else {
            out.push(line);
            continue;
        };
        let cases: Vec<String> = lines.by_ref().take_while(|line| line.trim() != "}").collect();
        let of = |head: &str| cases.iter().find_map(|case| case.trim().strip_prefix(head)?.trim().strip_suffix('}'));
        let case = of(&format!("case {value}: {{")).or_else(|| of("default: {"));
        out.push(case.unwrap_or_else(|| panic!("`{}` has no line `default: {{ … }}`", line.trim())).trim().to_string());
    }
    out
}

/// The lines without functions that `entry` does not reach: the time to check and
/// translate grows with the square of the unrolled code. A function begins with `fn` or
/// `@compute` at the start of a line, and ends with the next `}` at the start of a line.
fn reached(lines: Vec<String>, entry: &str) -> Vec<String> {
    let mut functions: Vec<(&str, usize, usize)> = Vec::new();
    let mut start = 0;
    for (i, line) in lines.iter().enumerate() {
        let head = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next());
        match head {
            Some(name) => {
                start = if i > 0 && lines[i - 1].starts_with("@compute") { i - 1 } else { i };
                functions.push((name, start, start));
            }
            None if line == "}" => {
                if let Some(last) = functions.last_mut().filter(|f| f.1 == start && f.2 == start) {
                    last.2 = i;
                }
            }
            None => {}
        }
    }
    let mut called = vec![entry];
    let mut next = 0;
    while next < called.len() {
        let body = functions.iter().filter(|f| f.0 == called[next]).flat_map(|f| &lines[f.1..=f.2]);
        let code = body.map(|line| line.split("//").next().unwrap_or(line));
        let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
        let new: HashSet<&str> = words.filter(|word| functions.iter().any(|f| f.0 == *word)).collect();
        let new: Vec<&str> = new.into_iter().filter(|word| !called.contains(word)).collect();
        called.extend(new);
        next += 1;
    }
    let dropped: Vec<(usize, usize)> =
        functions.iter().filter(|f| !called.contains(&f.0)).map(|f| (f.1, f.2)).collect();
    let keep = |i: usize| !dropped.iter().any(|&(from, to)| (from..=to).contains(&i));
    lines.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, line)| line.clone()).collect()
}

/// `override NAME: TYPE = DEFAULT; // comment` in its parts.
fn override_line(line: &str) -> Option<(&str, &str, Option<&str>)> {
    let (declaration, _) = line.trim().strip_prefix("override ")?.split_once(';')?;
    let (name, rest) = declaration.split_once(':')?;
    let (ty, default) = match rest.split_once('=') {
        Some((ty, default)) => (ty, Some(default.trim())),
        None => (rest, None),
    };
    Some((name.trim(), ty.trim(), default))
}

/// `const NAME: u32 = 4u;` in its parts.
fn const_line(line: &str) -> Option<(String, String)> {
    let (declaration, _) = line.trim().strip_prefix("const ")?.split_once(';')?;
    let (left, value) = declaration.split_once('=')?;
    let name = left.split(':').next().unwrap_or(left);
    Some((name.trim().to_string(), value.trim().to_string()))
}

fn literal(value: f64, ty: &str) -> String {
    match ty {
        "u32" => format!("{}u", value as u32),
        "i32" => format!("{}i", value as i32),
        "bool" => (value != 0.0).to_string(),
        _ => {
            assert!(value.is_finite(), "a WGSL constant is finite");
            format!("{:?}f", value as f32)
        }
    }
}

/// Repeats the lines between `#for` and `#end`. Loops nest.
fn unroll(lines: &[String], values: &BTreeMap<String, String>) -> Vec<String> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < lines.len() {
        let Some(head) = lines[i].trim().strip_prefix("#for ") else {
            out.push(lines[i].clone());
            i += 1;
            continue;
        };
        let end = matching_end(lines, i);
        let (var, range) = head.split_once(" in ").unwrap_or_else(|| panic!("`#for {head}` is no `#for i in 0..N`"));
        let (from, to) = range.split_once("..").unwrap_or_else(|| panic!("`#for {head}` has no range"));
        let body = &lines[i + 1..end];
        for k in number(from, values)..number(to, values) {
            let step: Vec<String> =
                body.iter().map(|l| l.replace(&format!("${}", var.trim()), &k.to_string())).collect();
            out.extend(unroll(&step, values));
        }
        i = end + 1;
    }
    out
}

fn matching_end(lines: &[String], start: usize) -> usize {
    let mut depth = 0;
    for (i, line) in lines.iter().enumerate().skip(start) {
        let line = line.trim();
        depth += i32::from(line.starts_with("#for ")) - i32::from(line == "#end");
        if depth == 0 {
            return i;
        }
    }
    panic!("`{}` has no #end", lines[start].trim());
}

fn number(text: &str, values: &BTreeMap<String, String>) -> u32 {
    let text = text.trim();
    let value = values.get(text).map_or(text, String::as_str);
    value.trim_end_matches('u').parse().unwrap_or_else(|_| panic!("`{text}` is no number or constant of the shader"))
}

/// Parses and validates expanded WGSL, and lists what `entry` binds.
///
/// # Errors
/// naga's message, with the place in the expanded text.
pub fn reflect(source: &str, entry: &str) -> Result<Vec<BindingInfo>, String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    let flags = naga::valid::ValidationFlags::all();
    let mut validator = naga::valid::Validator::new(flags, naga::valid::Capabilities::all());
    let info = validator.validate(&module).map_err(|e| e.emit_to_string(source))?;
    let index = module.entry_points.iter().position(|e| e.name == entry);
    let used = info.get_entry_point(index.ok_or_else(|| format!("no entry point {entry}"))?);
    let mut list = Vec::new();
    for (handle, var) in module.global_variables.iter() {
        let Some(place) = var.binding.as_ref().filter(|_| !used[handle].is_empty()) else { continue };
        let access = match var.space {
            naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                Some(Access::Write)
            }
            naga::AddressSpace::Storage { .. } => Some(Access::Read),
            naga::AddressSpace::Handle => Some(Access::Texture),
            _ => None,
        };
        list.push(BindingInfo { name: var.name.clone().unwrap_or_default(), binding: place.binding, access });
    }
    Ok(list)
}

/// Checks that a kernel's operands are what its entry point binds, by name and access.
///
/// # Errors
/// What is missing or differs.
pub fn check_operands(infos: &[BindingInfo], operands: &[(&str, Access)]) -> Result<(), String> {
    for info in infos.iter().filter(|i| i.name != "step") {
        let Some((_, access)) = operands.iter().find(|o| o.0 == info.name) else {
            return Err(format!("the entry point binds `{}`, the kernel does not", info.name));
        };
        let access = if *access == Access::ReadWrite { Access::Write } else { *access };
        if info.access != Some(access) {
            return Err(format!("`{}` is {:?} in the WGSL and {access:?} in the kernel", info.name, info.access));
        }
    }
    match operands.iter().find(|o| !infos.iter().any(|i| i.name == o.0)) {
        Some((name, _)) => Err(format!("the kernel binds `{name}`, the entry point does not use it")),
        None => Ok(()),
    }
}
