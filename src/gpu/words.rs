//! vec4s in storage buffers, moved as two words of 64 bits each, on software adapters that have such words.
//!
//! lavapipe loads and stores a storage buffer lane by lane and component by component, whatever the size of a
//! component. So half as many components take little more than half the time. Rewriting the expanded WGSL does that for
//! every kernel. The bits that move are the same.

/// Functions that the rewritten WGSL calls.
const FUNCTIONS: &str = "
fn floats_of(v: vec2<u64>) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(v.x), u32(v.x >> 32u), u32(v.y), u32(v.y >> 32u)));
}

fn words_of(v: vec4<f32>) -> vec2<u64> {
    let u = bitcast<vec4<u32>>(v);
    return vec2<u64>(u64(u.x) | (u64(u.y) << 32u), u64(u.z) | (u64(u.w) << 32u));
}
";

/// Expanded WGSL in which every `array<vec4<f32>>` in a storage buffer becomes one of `vec2<u64>`. Reads and writes of
/// it are converted. `F` counts as a vec4 where its alias says so (`lib/lanes_4.wgsl`).
pub fn rewrite(source: &str) -> String {
    let of_lanes = source.lines().any(|line| line == "alias F = vec4<f32>;");
    let mut names = Vec::new();
    let mut text = String::new();
    for line in source.lines() {
        let code = line.split("//").next().unwrap_or(line).trim_end();
        let of_vec4 = code.strip_suffix(": array<vec4<f32>>;");
        let start = of_vec4.or_else(|| code.strip_suffix(": array<F>;").filter(|_| of_lanes));
        match start.filter(|start| start.contains("var<storage")) {
            Some(start) => {
                text.push_str(&format!("{start}: array<vec2<u64>>;"));
                names.extend(start.rsplit(' ').next().map(str::to_string));
            }
            None => text.push_str(code),
        }
        text.push('\n');
    }
    if names.is_empty() {
        return text;
    }
    converted(&text, &names) + FUNCTIONS
}

/// `text`, in which every read from and write to a `NAME[…]` is converted.
fn converted(text: &str, names: &[String]) -> String {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(word) {
        let end = rest[start..].find(|c| !word(c)).map_or(rest.len(), |n| start + n);
        let name = &rest[start..end];
        out.push_str(&rest[..start]);
        rest = &rest[end..];
        if !rest.starts_with('[') || !names.iter().any(|n| n == name) {
            out.push_str(name);
            continue;
        }
        let close = closing(rest);
        let place = format!("{name}{}", converted(&rest[..=close], names));
        rest = &rest[close + 1..];
        let Some((operator, after)) = assignment(rest) else {
            out.push_str(&format!("floats_of({place})"));
            continue;
        };
        let (value, after) = after.split_once(';').expect("an assignment ends with a semicolon");
        let value = converted(value, names);
        let value = match operator {
            "" => value.trim().to_string(),
            _ => format!("floats_of({place}) {operator} ({})", value.trim()),
        };
        out.push_str(&format!("{place} = words_of({value});"));
        rest = after;
    }
    out + rest
}

/// The position of the bracket that closes the one which opens `text`.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if depth == 0 {
            return i;
        }
    }
    panic!("an open bracket in `{}`", text.lines().next().unwrap_or(""));
}

/// The operator before the `=` that begins `text`, and what follows it.
fn assignment(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let operator = text.find(|c| !"+-*/".contains(c)).map_or("", |n| &text[..n]);
    let after = text[operator.len()..].strip_prefix('=')?;
    (!after.starts_with('=')).then_some((operator, after))
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn loads_and_stores_are_converted_and_nothing_else() {
        let source = "@group(0) @binding(1) var<storage, read> x4: array<vec4<f32>>; // x\n\
                      @group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;\n\
                      @group(0) @binding(3) var<storage, read> b: array<f32>;\n\
                      fn f(i: u32) {\n    let a = x4[at[i] + 1u].x;\n    y4[i] = max(x4[i], vec4<f32>(b[i]));\n    y4[\n        i] -= a * xx4[i];\n    if y4[i] == x4[i] {}\n}\n";
        let text = rewrite(source);
        for line in [
            "var<storage, read> x4: array<vec2<u64>>;",
            "var<storage, read> b: array<f32>;",
            "let a = floats_of(x4[at[i] + 1u]).x;",
            "y4[i] = words_of(max(floats_of(x4[i]), vec4<f32>(b[i])));",
            "y4[\n        i] = words_of(floats_of(y4[\n        i]) - (a * xx4[i]));",
            "if floats_of(y4[i]) == floats_of(x4[i]) {}",
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
    }
}
