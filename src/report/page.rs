//! A page of HTML: one file, without anything from elsewhere, for light and dark screens of every width.

use super::html::{Section, escape};
use std::fmt::Write;

/// The style of all pages.
pub const STYLE: &str = include_str!("page.css");

/// What a page begins with. All texts are plain.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Head {
    /// Above the title.
    pub kicker: String,
    /// The title.
    pub title: String,
    /// Below the title.
    pub stand: String,
    /// The number of the page.
    pub ring: Option<Ring>,
    /// Names and values.
    pub facts: Vec<(String, String)>,
}

/// A number in a ring.
#[derive(Clone, PartialEq, Debug)]
pub struct Ring {
    /// The number in words.
    pub value: String,
    /// What it is.
    pub label: String,
    /// The part of the ring that is filled, for shares.
    pub share: Option<f64>,
}

impl Ring {
    fn svg(&self) -> String {
        const RADIUS: f64 = 88.0;
        let around = 2.0 * std::f64::consts::PI * RADIUS;
        let arc = self.share.filter(|share| share.is_finite()).map_or(String::new(), |share| {
            let filled = around * share.clamp(0.0, 1.0);
            format!(
                "<circle class=\"arc\" cx=\"100\" cy=\"100\" r=\"{RADIUS}\" stroke-dasharray=\"{filled:.1} {around:.1}\" \
                 transform=\"rotate(-90 100 100)\"/>"
            )
        });
        let (value, label) = (escape(&self.value), escape(&self.label));
        format!(
            "<svg class=\"ring\" viewBox=\"0 0 200 200\" role=\"img\" aria-label=\"{label}: {value}\"><circle \
             class=\"track\" cx=\"100\" cy=\"100\" r=\"{RADIUS}\"/>{arc}<text class=\"big\" x=\"100\" \
             y=\"110\">{value}</text>\
             <text class=\"small\" x=\"100\" y=\"136\">{label}</text></svg>"
        )
    }
}

/// The whole page.
pub fn page(head: &Head, sections: &[Section]) -> String {
    let title = escape(&head.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"/><title>{title}</title><link rel=\"icon\" \
         href=\"data:,\"/><style>{STYLE}</style></head><body><header><div><p class=\"kicker\">{}</p><h1>{}</h1><p \
         class=\"stand\">{}</p></div>",
        escape(&head.kicker),
        title.replace('_', "_<wbr/>"),
        escape(&head.stand)
    );
    out += &head.ring.as_ref().map_or(String::new(), Ring::svg);
    out += "<dl class=\"facts\">";
    for (name, value) in &head.facts {
        write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value)).expect("text takes everything");
    }
    out += "</dl></header><main>";
    for (i, Section { title, lede, html }) in sections.iter().enumerate() {
        let number = i + 1;
        write!(
            out,
            "<section aria-labelledby=\"s{number}\"><h2 id=\"s{number}\"><span class=\"no\" \
             aria-hidden=\"true\">{number}</span>{}</h2>",
            escape(title)
        )
        .expect("text takes everything");
        if !lede.is_empty() {
            write!(out, "<p class=\"lede\">{}</p>", escape(lede)).expect("text takes everything");
        }
        write!(out, "{html}</section>").expect("text takes everything");
    }
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        out,
        "</main><footer>Written by pumice {version}. This file needs nothing but itself.</footer></body></html>"
    )
    .expect("text takes everything");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_needs_nothing_from_elsewhere_and_shows_text_as_text() {
        let head = Head {
            title: "<script>alert(1)</script>".into(),
            facts: vec![("a \"b\"".into(), "<c>".into())],
            ring: Some(Ring { value: "97.5 %".into(), label: "accuracy".into(), share: Some(f64::NAN) }),
            ..Head::default()
        };
        let html = page(&head, &[Section::new("T & U", "<l>", "<p>x</p>".into())]);
        for banned in ["<script", "http:", "https:", "@import", "url(", "NaN"] {
            assert!(!html.contains(banned), "{banned} in {html}");
        }
        // It is XML too, but for the DOCTYPE: every element ends, every text is escaped.
        let xml = html.split_once('\n').expect("a DOCTYPE").1;
        roxmltree::Document::parse(xml).expect("a well-formed page");
        assert!(html.contains("T &amp; U") && html.contains("&lt;l&gt;") && html.contains("<p>x</p>"));
    }
}
