//! From a body to the files that it holds: a picture, a table, several of them, or a JSON list of rows.

use super::app::Bounds;
use super::refusal::Refusal;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, header};
use serde_json::Value as Json;

/// How a file is called that came without a name, as `predict` calls standard input.
const UNNAMED: &str = "-";

/// A file of a request: how it is called, and its bytes.
pub type Named = (String, Bytes);

/// Whether the body is of a type such as `multipart/form-data`.
fn is(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}

/// Whether the body is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    is(headers, "application/json")
}

/// The files of a body.
///
/// # Errors
/// 422 for a body that is empty, broken, or has too many files.
pub async fn files(head: Parts, bytes: Bytes, bounds: &Bounds) -> Result<Vec<Named>, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::unreadable("the body is empty", "send a file as the body"));
    }
    if !is(&head.headers, "multipart/form-data") {
        return Ok(vec![(UNNAMED.into(), bytes)]);
    }
    let hint = "send it as `curl -F file=@picture.png` does";
    let request = Request::from_parts(head, Body::from(bytes));
    let mut parts = match Multipart::from_request(request, &()).await {
        Ok(parts) => parts,
        Err(e) => return Err(Refusal::unreadable(e.body_text(), hint)),
    };
    let mut found = Vec::new();
    loop {
        let part = match parts.next_field().await {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(e) => return Err(Refusal::unreadable(e.body_text(), hint)),
        };
        if found.len() == bounds.files {
            let what = format!("the request has more than {} files", bounds.files);
            return Err(Refusal::unreadable(what, "send the others in another one"));
        }
        let name = part.file_name().or(part.name()).unwrap_or(UNNAMED).to_string();
        found.push((name, part.bytes().await.map_err(|e| Refusal::unreadable(e.body_text(), hint))?));
    }
    if found.is_empty() {
        return Err(Refusal::unreadable("the request has no file", hint));
    }
    Ok(found)
}

/// A JSON list of rows as a table with these columns. A row is a list with a value for each column, or an object with a value
/// by each name.
///
/// # Errors
/// 422 for something else.
pub fn table(bytes: &[u8], columns: &[String], bounds: &Bounds) -> Result<Vec<u8>, Refusal> {
    let hint = || format!("send a list of rows, each a list of the values of {}", columns.join(", "));
    let rows: Vec<Json> = serde_json::from_slice(bytes)
        .map_err(|e| Refusal::unreadable(format!("the body is no JSON list ({e})"), hint()))?;
    if rows.is_empty() || rows.len() > bounds.rows {
        let what = format!("the request has {} rows", rows.len());
        return Err(Refusal::unreadable(what, format!("send 1 to {} rows", bounds.rows)));
    }
    // The first line keeps the reader from guessing.
    let mut text = String::from("sep=,\n");
    push(&mut text, columns.iter().map(|name| quoted(name)));
    for (i, row) in rows.iter().enumerate() {
        let values: Option<Vec<&Json>> = match row {
            Json::Array(values) => Some(values.iter().collect()).filter(|v: &Vec<&Json>| v.len() == columns.len()),
            Json::Object(named) => columns.iter().map(|name| named.get(name)).collect(),
            _ => None,
        };
        let cells: Option<Vec<String>> = values.and_then(|values| values.into_iter().map(cell).collect());
        let wrong = || Refusal::unreadable(format!("row {} has not a value for each column", i + 1), hint());
        push(&mut text, cells.ok_or_else(wrong)?.into_iter());
    }
    Ok(text.into_bytes())
}

fn push(text: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    text.push_str(&cells.join(","));
    text.push('\n');
}

fn cell(value: &Json) -> Option<String> {
    match value {
        // In quotes, so that a row of one missing value is a row.
        Json::Null => Some("\"\"".into()),
        Json::Number(number) => Some(number.to_string()),
        Json::String(text) => Some(quoted(text)),
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Option<String> {
        let columns = ["a, b".to_string(), "c".to_string()];
        let found = table(json.as_bytes(), &columns, &Bounds { rows: 3, ..Bounds::default() });
        Some(String::from_utf8(found.ok()?).expect("UTF-8"))
    }

    #[test]
    fn rows_become_a_table() {
        let head = "sep=,\n\"a, b\",\"c\"\n";
        assert_eq!(text("[[1, 2.5e-3]]"), Some(format!("{head}1,0.0025\n")));
        let named = text(r#"[{ "c": "x \"y\"", "a, b": null, "other": 1 }, [3, -4]]"#);
        assert_eq!(named, Some(format!("{head}\"\",\"x \"\"y\"\"\"\n3,-4\n")));
        for wrong in
            ["", "{}", "[]", "[1]", "[[1]]", "[[1,2,3]]", "[[1,[2]]]", "[[1,true]]", r#"[{"c":1}]"#, "[[1,2]", "null"]
        {
            assert_eq!(text(wrong), None, "{wrong}");
        }
        assert_eq!(text("[[1,2],[1,2],[1,2],[1,2]]"), None, "too many");
        assert_eq!(text(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))), None, "too deep");
    }
}
