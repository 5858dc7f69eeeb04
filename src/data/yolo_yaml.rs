//! The file `data.yaml` beside data sets in the form of YOLO: names of classes, and where the parts lie. Of YAML this reads
//! what such files hold: keys with a text, and lists and maps of texts. Everything else in these keys is refused with its
//! line; other keys are not looked at.

use std::path::Path;

use crate::error::{Error, Result, quoted};

/// What the file says.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct DataYaml {
    /// The folder that the parts are relative to.
    pub path: Option<String>,
    pub train: Option<String>,
    pub val: Option<String>,
    pub test: Option<String>,
    /// The names of the classes, in their order.
    pub names: Option<Vec<String>>,
}

/// A line without its comment.
struct Line<'a> {
    /// From 1.
    number: usize,
    indent: usize,
    text: &'a str,
}

/// Reads the text of a file.
///
/// # Errors
/// What is wrong, with its line.
pub(super) fn parse(file: &Path, text: &str) -> Result<DataYaml> {
    let wrong = |line: usize, what: String| {
        Error::file(file, format!("line {line}: {what}"), "write `names` as a list, and `train` and `val` as folders")
    };
    let lines: Vec<Line> = text.lines().enumerate().filter_map(|(i, line)| Line::of(i + 1, line)).collect();
    let mut found = DataYaml::default();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        if line.text == "---" || line.text == "..." {
            continue;
        }
        let (key, value) = line.key().ok_or_else(|| wrong(line.number, "expected `key: value`".into()))?;
        let inner = |other: &Line| other.indent > line.indent || other.text == "-" || other.text.starts_with("- ");
        let end = at + lines[at..].iter().take_while(|other| inner(other) || closes(other.text)).count();
        let block = &lines[at..end];
        at = end;
        let one = || match block.is_empty() && !value.starts_with(['[', '{']) {
            _ if value.is_empty() && block.is_empty() => Ok(None),
            true => scalar(value).map(Some).map_err(|what| wrong(line.number, what)),
            false => Err(wrong(line.number, format!("`{key}` holds several values; one folder or list file is read"))),
        };
        match key {
            "path" => found.path = one()?,
            "train" => found.train = one()?,
            "val" | "valid" | "validation" => found.val = one()?,
            "test" => found.test = one()?,
            "names" => {
                let names = match value.is_empty() {
                    true => entries(block),
                    false => flow(line.number, value, block),
                };
                let names = names.and_then(|entries| ordered(line.number, entries));
                found.names = Some(names.map_err(|(number, what)| wrong(number, what))?);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A bracket that ends a list of several lines may stand at the line's beginning.
fn closes(text: &str) -> bool {
    text.starts_with([']', '}'])
}

impl<'a> Line<'a> {
    /// None for a line without content.
    fn of(number: usize, whole: &'a str) -> Option<Line<'a>> {
        let mut quote = None;
        let mut before = ' ';
        let mut end = whole.len();
        for (i, c) in whole.char_indices() {
            match quote {
                Some(q) if c == q => quote = None,
                Some(_) => {}
                // A quote within a word is an apostrophe.
                None if (c == '"' || c == '\'') && !before.is_alphanumeric() => quote = Some(c),
                None if c == '#' && before.is_whitespace() => {
                    end = i;
                    break;
                }
                None => {}
            }
            before = c;
        }
        let text = whole[..end].trim();
        let indent = whole.len() - whole.trim_start().len();
        (!text.is_empty()).then_some(Line { number, indent, text: text.trim_start_matches('\u{feff}') })
    }

    /// Key and value of `key: value`.
    fn key(&self) -> Option<(&'a str, &'a str)> {
        pair(self.text).filter(|(key, _)| !key.is_empty() && !key.starts_with(['-', '[', '{', '"', '\'']))
    }
}

/// The two sides of `key: value`.
fn pair(text: &str) -> Option<(&str, &str)> {
    let colon = text.match_indices(':').find(|(i, _)| text[i + 1..].chars().next().is_none_or(char::is_whitespace))?.0;
    Some((text[..colon].trim(), text[colon + 1..].trim()))
}

/// Names with their lines, and their numbers where they have some.
type Entries = Vec<(usize, Option<usize>, String)>;

/// The names of lines `- name` or `0: name`.
fn entries(block: &[Line]) -> Result<Entries, (usize, String)> {
    let one = |line: &Line| {
        let wrong = |what: String| (line.number, what);
        if let Some(item) = line.text.strip_prefix('-') {
            return Ok((line.number, None, scalar(item).map_err(wrong)?));
        }
        let (key, name) = pair(line.text).ok_or_else(|| wrong("expected `- name` or `0: name`".into()))?;
        Ok((line.number, Some(index(key).map_err(wrong)?), scalar(name).map_err(wrong)?))
    };
    block.iter().map(one).collect()
}

/// The names of `[a, b]` or `{0: a, 1: b}`, which may go on in the lines below.
fn flow(number: usize, first: &str, block: &[Line]) -> Result<Entries, (usize, String)> {
    let lines: Vec<&str> = std::iter::once(first).chain(block.iter().map(|line| line.text)).collect();
    let all = lines.join(" ");
    let wrong = |what: String| (number, what);
    let (map, inner) = match (all.strip_prefix('['), all.strip_prefix('{')) {
        (Some(rest), _) => (false, rest.strip_suffix(']')),
        (_, Some(rest)) => (true, rest.strip_suffix('}')),
        _ => return Err(wrong(format!("`names` is `{}`, not a list", quoted(&all)))),
    };
    let inner = inner.ok_or_else(|| wrong("the list `names` has no end".into()))?;
    let one = |item: &str| match map {
        false => Ok((number, None, scalar(item).map_err(wrong)?)),
        true => {
            let (key, name) =
                pair(item).ok_or_else(|| wrong(format!("expected `0: name`, found `{}`", quoted(item))))?;
            Ok((number, Some(index(key).map_err(wrong)?), scalar(name).map_err(wrong)?))
        }
    };
    items(inner).into_iter().map(one).collect()
}

/// What stands between commas, outside of quotes. A comma may end the list.
fn items(text: &str) -> Vec<&str> {
    let (mut all, mut start, mut quote) = (Vec::new(), 0, None);
    for (i, c) in text.char_indices() {
        let before = text[start..i].trim();
        let opens = before.is_empty() || before.ends_with(':');
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') if opens => quote = Some(c),
            (None, ',') => {
                all.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    if !text[start..].trim().is_empty() {
        all.push(&text[start..]);
    }
    all
}

/// The number of a class.
fn index(key: &str) -> Result<usize, String> {
    key.trim_matches(['"', '\'']).parse().map_err(|_| format!("`{}` is no number of a class", quoted(key)))
}

/// A text, perhaps in quotes.
fn scalar(text: &str) -> Result<String, String> {
    let text = text.trim();
    let inside = |q: char| text.strip_prefix(q).and_then(|rest| rest.strip_suffix(q));
    let found = match (inside('"'), inside('\'')) {
        (Some(inner), _) if inner.contains('\\') => Err(format!("an escape in {}", quoted(text))),
        (Some(inner), _) if !inner.contains('"') => Ok(inner.to_string()),
        (_, Some(inner)) => Ok(inner.replace("''", "'")),
        _ if text.starts_with(['"', '\'', '&', '*', '!', '|', '>', '%', '@', '`', '[', '{', ']', '}']) => {
            Err(format!("`{}` is no plain name", quoted(text)))
        }
        _ => Ok(text.to_string()),
    };
    match found {
        Ok(name) if name.trim().is_empty() => Err("a name is empty".into()),
        found => found,
    }
}

/// Names in the order of their numbers, which must be 0, 1, 2, ….
fn ordered(line: usize, mut entries: Entries) -> Result<Vec<String>, (usize, String)> {
    if entries.is_empty() {
        return Err((line, "`names` is empty".into()));
    }
    entries.sort_by_key(|(_, index, _)| *index);
    for (place, (number, index, _)) in entries.iter().enumerate() {
        if index.is_some_and(|index| index != place) {
            return Err((*number, format!("`names` has no class {place}, or has it twice")));
        }
    }
    let mut seen = std::collections::HashSet::new();
    match entries.iter().find(|(_, _, name)| !seen.insert(name.as_str())) {
        Some((number, _, name)) => Err((*number, format!("the name `{}` stands there twice", quoted(name)))),
        None => Ok(entries.into_iter().map(|(_, _, name)| name).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>> {
        parse(Path::new("data.yaml"), text).map(|found| found.names.unwrap_or_default())
    }

    #[test]
    fn names_are_read_in_every_usual_form() {
        let forms = [
            "names: [cat, 'big dog', \"a, b # c\"]\nnc: 3\n",
            "# a comment\nnc: 3\nnames:\n  - cat # one\n  - 'big dog'\n  - \"a, b # c\"\n",
            "names:\n- cat\n- big dog\n- 'a, b # c'\ntrain: x\n",
            "names:\n  1: big dog\n  0: cat\n  2: 'a, b # c'\n",
            "names: {0: cat, 1: big dog, 2: 'a, b # c'}\n",
            "names: [cat,\n   big dog,\n   'a, b # c',\n]\n",
        ];
        for text in forms {
            assert_eq!(names(text).expect(text), ["cat", "big dog", "a, b # c"], "{text}");
        }
    }

    #[test]
    fn places_are_read_and_other_keys_are_not() {
        let text = "path: ../data # here\ntrain: images/train\nval: images/val\ntest:\nkpt_shape: [17, 3]\ndownload: |\n  a: [\n";
        let found = parse(Path::new("data.yaml"), text).expect("sound");
        assert_eq!((found.path.as_deref(), found.train.as_deref()), (Some("../data"), Some("images/train")));
        assert_eq!((found.val.as_deref(), found.test), (Some("images/val"), None));
    }

    #[test]
    fn what_is_not_read_is_named_with_its_line() {
        let wrong = [
            ("nc: 3\nnames: cat\n", "data.yaml: line 2: `names` is `cat`, not a list; "),
            ("names:\n  0: a\n  2: b\n", "data.yaml: line 3: `names` has no class 1, or has it twice; "),
            ("names: [a, a]\n", "data.yaml: line 1: the name `a` stands there twice; "),
            ("names: [a, b\n", "data.yaml: line 1: the list `names` has no end; "),
            ("names: []\n", "data.yaml: line 1: `names` is empty; "),
            ("names:\n  - &x a\n", "data.yaml: line 2: `&x a` is no plain name; "),
            ("train: [a, b]\n", "data.yaml: line 1: `train` holds several values; one folder or list file is read; "),
            ("what is this\n", "data.yaml: line 1: expected `key: value`; "),
        ];
        for (text, message) in wrong {
            let found = parse(Path::new("data.yaml"), text).expect_err(text).to_string();
            assert!(found.starts_with(message), "{found}");
        }
    }
}
