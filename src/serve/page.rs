//! The page: one file that shows what the runs say about a picture or about rows.

use super::served::Served;
use crate::report::page::STYLE;
use serde_json::Value as Json;

const PAGE: &str = include_str!("page.html");

/// The page for these runs.
pub fn page(runs: &[Served]) -> String {
    let about: Json = runs.iter().map(Served::about).collect();
    // Inside of a script element only `<` could end it.
    let about = about.to_string().replace('<', "\\u003c");
    PAGE.replace("/*STYLE*/", STYLE).replace("/*RUNS*/", &about).replace("{VERSION}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let html = page(&[]);
        assert!(html.contains("--paper") && html.contains(">[]<"), "style and runs are in it");
        for banned in ["https:", "@import", "url(", "src=\"", "innerHTML", "/*STYLE*/", "/*RUNS*/"] {
            assert!(!html.contains(banned), "{banned}");
        }
    }
}
