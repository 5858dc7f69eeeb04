//! What the schema offers at a place of the spec that is being typed: keys, words, and a line about them. The text need not
//! be whole.

use serde_json::Value as Json;
use std::ops::Range;

/// Something that can be put in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// What is shown: a key or a word.
    pub word: String,
    /// What is put in.
    pub text: String,
    /// A line about it.
    pub about: String,
}

/// A container of the text.
#[derive(Clone, Debug, Default)]
struct Level {
    array: bool,
    /// The key of the container in the one around it.
    own: Option<String>,
    /// Keys so far, with their values where these are strings.
    members: Vec<(String, Option<String>)>,
    /// The key whose value comes next.
    key: Option<String>,
}

/// Where a cursor stands.
#[derive(Debug)]
struct Place {
    levels: Vec<Level>,
    /// The bytes of the word under the cursor, without its quotes.
    word: Range<usize>,
    /// Whether the word has an opening quote, and a closing one.
    quotes: [bool; 2],
}

/// A part of the text that is no space and no comment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Text,
    Plain,
    Sign(u8),
}

/// Strings, plain words and signs, with their bytes. A string ends at its quote or its line.
fn tokens(text: &str) -> Vec<(Range<usize>, Kind)> {
    let bytes = text.as_bytes();
    let mut all = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let begin = at;
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
        } else if bytes[at] == b'"' {
            at += 1;
            while at < bytes.len() && bytes[at] != b'"' && bytes[at] != b'\n' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at = at.min(bytes.len());
            at += usize::from(bytes.get(at) == Some(&b'"'));
            all.push((begin..at, Kind::Text));
        } else if b"{}[],:".contains(&bytes[at]) {
            at += 1;
            all.push((begin..at, Kind::Sign(bytes[begin])));
        } else if bytes[at].is_ascii_whitespace() {
            at += 1;
        } else {
            while at < bytes.len() && !bytes[at].is_ascii_whitespace() && !b"{}[],:\"/".contains(&bytes[at]) {
                at += 1;
            }
            at = at.max(begin + 1);
            all.push((begin..at, Kind::Plain));
        }
    }
    all
}

fn inner(text: &str, range: &Range<usize>) -> String {
    let own = text.get(range.clone()).unwrap_or_default();
    own.trim_start_matches('"').trim_end_matches('"').to_string()
}

/// Reads the text up to the cursor, and then on to the end of the container around it, for the keys behind.
fn place(text: &str, cursor: usize) -> Option<Place> {
    let mut levels: Vec<Level> = Vec::new();
    let mut word = cursor..cursor;
    let mut quotes = [false, false];
    let mut here: Option<Vec<Level>> = None;
    for (range, kind) in tokens(text) {
        let holds = match kind {
            Kind::Sign(_) => false,
            // Behind a closing quote a string is over.
            Kind::Text => {
                let closed = range.len() > 1 && text[range.clone()].ends_with('"');
                range.start < cursor && (cursor < range.end || !closed && cursor == range.end)
            }
            Kind::Plain => range.start < cursor && cursor <= range.end,
        };
        if here.is_none() && (holds || range.start >= cursor) {
            here = Some(levels.clone());
        }
        if holds {
            let own = &text[range.clone()];
            quotes = [own.starts_with('"'), own.len() > 1 && own.ends_with('"')];
            word = range.start + usize::from(quotes[0])..range.end - usize::from(quotes[1]);
        }
        let depth = here.as_ref().map_or(usize::MAX, Vec::len);
        match kind {
            Kind::Sign(b'{' | b'[') => {
                let own = levels.last_mut().and_then(|level| level.key.take());
                levels.push(Level { array: text.as_bytes()[range.start] == b'[', own, ..Level::default() });
            }
            Kind::Sign(b'}' | b']') => {
                if levels.len() == depth {
                    break;
                }
                levels.pop();
            }
            Kind::Sign(b',') => drop(levels.last_mut().map(|level| level.key = None)),
            Kind::Sign(_) => {}
            Kind::Text | Kind::Plain => {
                let Some(level) = levels.last_mut().filter(|level| !level.array) else { continue };
                match level.key.take() {
                    None if !holds => {
                        level.key = Some(inner(text, &range));
                        level.members.push((inner(text, &range), None));
                    }
                    Some(_) if !holds => {
                        let value = inner(text, &range);
                        if let Some(member) = level.members.last_mut().filter(|_| kind == Kind::Text) {
                            member.1 = Some(value);
                        }
                    }
                    // The word under the cursor is neither counted as there, nor taken for a choice of the other keys.
                    None => level.key = Some(String::new()),
                    Some(_) => {}
                }
            }
        }
    }
    let depth = here.as_ref().map_or(levels.len(), Vec::len);
    let mut found = here.unwrap_or_else(|| levels.clone());
    // What stands behind the cursor counts as well.
    if let (Some(own), Some(whole)) = (found.last_mut(), depth.checked_sub(1).and_then(|last| levels.get(last))) {
        own.members.clone_from(&whole.members);
        own.members.retain(|(key, _)| !key.is_empty());
    }
    if found.is_empty() { None } else { Some(Place { levels: found, word, quotes }) }
}

/// All schemas that a value may follow, references and choices opened.
fn open<'a>(root: &'a Json, schema: &'a Json, members: &[(String, Option<String>)], out: &mut Vec<&'a Json>) {
    if out.len() > 400 {
        return;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        return open(root, &root["$defs"][name], members, out);
    }
    out.push(schema);
    for key in ["anyOf", "oneOf", "allOf"] {
        for choice in schema[key].as_array().into_iter().flatten() {
            let Some(condition) = choice["if"]["properties"].as_object() else {
                open(root, choice, members, out);
                continue;
            };
            let holds = condition.iter().all(|(key, wanted)| {
                let own = members.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_deref());
                own.is_some() && wanted["const"].as_str() == own
            });
            if holds {
                open(root, &choice["then"], members, out);
            }
        }
    }
}

/// The schemas of the container at a place.
fn container<'a>(root: &'a Json, levels: &[Level]) -> Vec<&'a Json> {
    let none: &[(String, Option<String>)] = &[];
    let members = |i: usize| levels.get(i).map_or(none, |level| &level.members);
    let mut now = Vec::new();
    open(root, root, members(0), &mut now);
    for (i, level) in levels.iter().enumerate().skip(1) {
        let inside = &levels[i - 1];
        let mut next = Vec::new();
        for schema in now {
            match (inside.array, &level.own) {
                (true, _) => open(root, &schema["items"], members(i), &mut next),
                (false, Some(key)) => {
                    if let Some(own) = schema["properties"].get(key) {
                        open(root, own, members(i), &mut next);
                    } else if schema["additionalProperties"].is_object() {
                        open(root, &schema["additionalProperties"], members(i), &mut next);
                    }
                }
                _ => {}
            }
        }
        now = next;
    }
    now
}

/// The schemas of the value of a key.
fn value<'a>(root: &'a Json, around: &[&'a Json], key: Option<&str>) -> Vec<&'a Json> {
    let mut found = Vec::new();
    for schema in around {
        match key {
            Some(key) => {
                if let Some(own) = schema["properties"].get(key) {
                    open(root, own, &[], &mut found);
                }
            }
            None => open(root, &schema["items"], &[], &mut found),
        }
    }
    found
}

/// What is said of a schema.
fn about(root: &Json, schema: &Json) -> String {
    let mut all = Vec::new();
    open(root, schema, &[], &mut all);
    let text = all.iter().find_map(|one| one["description"].as_str()).unwrap_or_default();
    match all.iter().find_map(|one| one.get("default")) {
        Some(default) => format!("{text}  [{default}]"),
        None => text.to_string(),
    }
}

/// Words of a value with what is said of them.
fn words(schemas: &[&Json]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |word: &Json, about: &str| {
        let word = word.to_string();
        if all.iter().all(|(own, _)| *own != word) {
            all.push((word, about.to_string()));
        }
    };
    for schema in schemas {
        let hints = schema["enumDescriptions"].as_array();
        for (i, word) in schema["enum"].as_array().into_iter().flatten().enumerate() {
            add(word, hints.and_then(|hints| hints.get(i)?.as_str()).unwrap_or_default());
        }
        if let Some(word) = schema.get("const") {
            add(word, schema["description"].as_str().unwrap_or_default());
        }
        if schema["type"] == "boolean" {
            add(&Json::Bool(true), "");
            add(&Json::Bool(false), "");
        }
    }
    all
}

/// What can be put in at a byte of the text, and the bytes that it takes the place of. Words that begin with what is there
/// come first, then those that contain it.
pub fn offers(schema: &Json, text: &str, cursor: usize) -> (Range<usize>, Vec<Offer>) {
    let Some(place) = place(text, cursor) else { return (cursor..cursor, Vec::new()) };
    let typed = text.get(place.word.start..cursor.max(place.word.start)).unwrap_or_default().to_lowercase();
    let Some(level) = place.levels.last() else { return (cursor..cursor, Vec::new()) };
    let around = container(schema, &place.levels);
    let mut all: Vec<Offer> = Vec::new();
    let quoted = |word: &str| match place.quotes {
        [true, true] => word.to_string(),
        [true, false] => format!("{word}\""),
        _ => format!("\"{word}\""),
    };
    if level.array || level.key.as_ref().is_some_and(|key| !key.is_empty()) {
        let schemas = value(schema, &around, level.key.as_deref());
        for (word, about) in words(&schemas) {
            let bare = word.trim_matches('"').to_string();
            // A number or a truth value has no quotes.
            let text = match (word.starts_with('"'), place.quotes[0]) {
                (true, _) => quoted(&bare),
                (false, false) => word,
                _ => continue,
            };
            all.push(Offer { word: bare, text, about });
        }
    } else {
        let behind = text[place.word.end..].trim_start_matches('"').trim_start().starts_with(':');
        for one in &around {
            for (key, own) in one["properties"].as_object().into_iter().flatten() {
                if level.members.iter().any(|(there, _)| there == key) || all.iter().any(|offer| offer.word == *key) {
                    continue;
                }
                let mut text = quoted(key);
                // Behind a closing quote that is there already, nothing can be put.
                if !behind && !place.quotes[1] {
                    text.push_str(": ");
                }
                all.push(Offer { word: key.clone(), text, about: about(schema, own) });
            }
        }
    }
    all.retain(|offer| offer.word.to_lowercase().contains(&typed));
    all.sort_by_key(|offer| !offer.word.to_lowercase().starts_with(&typed));
    (place.word, all)
}

/// What the schema says of the key or the word at a byte of the text.
pub fn hint(schema: &Json, text: &str, cursor: usize) -> Option<String> {
    // One byte into a word, so that its first letter counts too.
    let inside = tokens(text)
        .into_iter()
        .find(|(range, kind)| !matches!(kind, Kind::Sign(_)) && range.start <= cursor && cursor <= range.end);
    let (range, _) = inside?;
    let cursor = cursor.clamp(range.start + 1, (range.end - usize::from(range.len() > 1)).max(range.start + 1));
    let place = place(text, cursor)?;
    let level = place.levels.last()?;
    let own = text.get(place.word.clone())?.to_string();
    let around = container(schema, &place.levels);
    let (key, is_value) = match &level.key {
        Some(key) if !key.is_empty() => (key.clone(), true),
        _ if level.array => (String::new(), true),
        _ => (own.clone(), false),
    };
    if is_value {
        let schemas = value(schema, &around, if level.array { None } else { Some(&key) });
        let found = words(&schemas).into_iter().find(|(word, _)| word.trim_matches('"') == own);
        if let Some((_, about)) = found.filter(|(_, about)| !about.is_empty()) {
            return Some(format!("{own}: {about}"));
        }
    }
    let found = around.iter().find_map(|one| one["properties"].get(&key)).map(|one| about(schema, one))?;
    if found.is_empty() { None } else { Some(format!("{key}: {found}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Json {
        pumice::model::schema(&pumice::task::words())
    }

    /// Offers at the bar in a text.
    fn at(text: &str) -> Vec<String> {
        let cursor = text.find('|').expect("a cursor");
        let text = text.replacen('|', "", 1);
        offers(&schema(), &text, cursor).1.into_iter().map(|offer| offer.word).collect()
    }

    /// The text once the first offer was taken.
    fn taken(text: &str) -> String {
        let cursor = text.find('|').expect("a cursor");
        let mut text = text.replacen('|', "", 1);
        let (range, offers) = offers(&schema(), &text, cursor);
        text.replace_range(range, &offers[0].text);
        text
    }

    #[test]
    fn keys_are_those_that_are_not_there_yet() {
        let keys = at("{ \"version\": 1, | \"name\": \"a\" }");
        assert!(keys.contains(&"layers".into()) && keys.contains(&"train".into()), "{keys:?}");
        assert!(!keys.contains(&"version".into()) && !keys.contains(&"name".into()), "{keys:?}");
        assert_eq!(taken("{ \"lay|"), "{ \"layers\": ");
        assert_eq!(taken("{ \"lay|\" }"), "{ \"layers\" }");
        assert_eq!(taken("{ \"lay|\": [] }"), "{ \"layers\": [] }");
    }

    #[test]
    fn keys_of_a_layer_are_those_of_its_op_wherever_it_stands() {
        for text in [
            "{ \"layers\": [ { \"op\": \"conv2d\", | } ] }",
            "{ \"layers\": [ { |, \"op\": \"conv2d\" } ] }",
            "// note {\n{ \"layers\": [ { \"op\": \"dense\" }, { \"op\": \"conv2d\", \"fil|",
        ] {
            let keys = at(text);
            assert!(keys.contains(&"filters".into()), "{text}: {keys:?}");
            assert!(!keys.contains(&"units".into()) && !keys.contains(&"op".into()), "{text}: {keys:?}");
        }
        assert!(at("{ \"layers\": [ { \"op\": \"dense\", | } ] }").contains(&"units".into()));
    }

    #[test]
    fn values_are_the_words_of_the_key() {
        let ops = at("{ \"layers\": [ { \"op\": \"conv|\" } ] }");
        assert_eq!(ops[..2], ["conv2d", "conv_transpose2d"]);
        assert_eq!(taken("{ \"layers\": [ { \"op\": \"conv2|"), "{ \"layers\": [ { \"op\": \"conv2d\"");
        let kinds = at("{ \"train\": { \"optimizer\": { \"op\": | } } }");
        assert!(kinds.contains(&"adam".into()), "{kinds:?}");
        assert!(at("{ \"layers\": [ { \"op\": \"conv2d\", \"padding\": \"s|\" } ] }").contains(&"same".into()));
        assert_eq!(at("{ \"layers\": [ { \"op\": \"conv2d\", \"bias\": tr| } ] }"), ["true"]);
        assert_eq!(at("{ \"name\": \"| \" }"), Vec::<String>::new());
    }

    #[test]
    fn a_hint_says_what_a_key_or_a_word_means() {
        let text = "{ \"layers\": [ { \"op\": \"conv2d\", \"filters\": 6 } ] }";
        let of = |word: &str| hint(&schema(), text, text.find(word).expect("there") + 2).unwrap_or_default();
        assert!(of("filters").contains("channels of the output"), "{}", of("filters"));
        assert!(of("conv2d").contains("Convolves"), "{}", of("conv2d"));
        assert_eq!(hint(&schema(), text, 1), None);
    }

    #[test]
    fn no_text_and_no_cursor_makes_it_fail() {
        let schema = schema();
        let text = "{ \"lay\\\"ers\": [ { \"op\": \"é\", // x\n \"a\": tru/, /* ]}} \" \\";
        for cursor in (0..=text.len()).filter(|&at| text.is_char_boundary(at)) {
            offers(&schema, text, cursor);
            offers(&schema, &text[..cursor], cursor);
            hint(&schema, text, cursor);
        }
    }
}
