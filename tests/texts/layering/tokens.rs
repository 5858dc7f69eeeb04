//! A source text as tokens: names, `::` and single characters. Comments, strings, numbers and lifetimes are left out.

/// The tokens of a text, without items that are compiled for tests only.
pub fn tokens(text: &str) -> Vec<String> {
    without_tests(all_tokens(text))
}

/// The tokens of a text.
pub fn all_tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut list = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let next = chars.get(i + 1).copied().unwrap_or(' ');
        match chars[i] {
            '/' if next == '/' => i = line_end(&chars, i),
            '/' if next == '*' => i = comment_end(&chars, i),
            '"' => i = string_end(&chars, i),
            '\'' => i = quote_end(&chars, i),
            ':' if next == ':' => {
                list.push("::".to_string());
                i += 2;
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = name_end(&chars, i);
                match raw_string_end(&chars, i, end) {
                    Some(end) => i = end,
                    None => {
                        list.push(chars[i..end].iter().collect());
                        i = end;
                    }
                }
            }
            c if c.is_ascii_digit() => i = name_end(&chars, i),
            c => {
                if !c.is_whitespace() {
                    list.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    list
}

fn name_end(chars: &[char], start: usize) -> usize {
    let name = |c: &char| c.is_alphanumeric() || *c == '_';
    start + chars[start..].iter().take_while(|c| name(c)).count()
}

fn line_end(chars: &[char], start: usize) -> usize {
    start + chars[start..].iter().take_while(|c| **c != '\n').count()
}

/// The position after a comment `/* … */`, which may contain others.
fn comment_end(chars: &[char], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

/// The position after a string that begins at `start`.
fn string_end(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// The position after a character or a lifetime.
fn quote_end(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let close = chars[start + 3..].iter().position(|c| *c == '\'').expect("a character ends");
            start + 3 + close + 1
        }
        (Some(_), Some('\'')) => start + 3,
        _ => name_end(chars, start + 1),
    }
}

/// The position after a string with the prefix `start..end`: `r"…"`, `r#"…"#`, `b"…"`.
fn raw_string_end(chars: &[char], start: usize, end: usize) -> Option<usize> {
    let prefix: String = chars[start..end].iter().collect();
    let marks = chars[end..].iter().take_while(|c| **c == '#').count();
    if chars.get(end + marks) != Some(&'"') {
        return None;
    }
    match prefix.as_str() {
        "b" | "c" if marks == 0 => Some(string_end(chars, end)),
        "r" | "br" | "cr" => {
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', marks)).collect();
            let body = end + marks + 1;
            let at = chars[body..].windows(close.len()).position(|w| w == close).expect("a raw string ends");
            Some(body + at + close.len())
        }
        _ => None,
    }
}

/// The tokens without items that have the attribute `#[cfg(test)]`.
fn without_tests(list: Vec<String>) -> Vec<String> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(list.len());
    let mut i = 0;
    while i < list.len() {
        if list[i..].iter().take(ATTRIBUTE.len()).eq(ATTRIBUTE.iter()) {
            i = item_end(&list, i + ATTRIBUTE.len());
        } else {
            kept.push(list[i].clone());
            i += 1;
        }
    }
    kept
}

/// The position after the item that begins at `start`: after its `;` or its `}`.
fn item_end(list: &[String], start: usize) -> usize {
    let is_use = list[start] == "use";
    let mut i = start;
    while i < list.len() {
        match list[i].as_str() {
            ";" => return i + 1,
            "{" if !is_use => return group_end(list, i),
            _ => i += 1,
        }
    }
    i
}

/// The position after the group that opens at `start`.
pub fn group_end(list: &[String], start: usize) -> usize {
    let mut depth = 0;
    for (i, token) in list.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    list.len()
}

/// Whether a token is a name.
pub fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
