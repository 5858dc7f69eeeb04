//! A confusion matrix as circles: their areas are shares of a true class. Right answers lie on the diagonal.

use crate::report::html::{details, escape, short, table};
use std::fmt::Write;

/// Pixels of a cell, for few classes and for many.
const CELLS: [f64; 2] = [34.0, 9.0];
/// So many classes have names and numbers.
const NAMED: usize = 20;
/// More classes are not drawn.
const MOST: usize = 120;

/// The drawing and its table. `name` is that of a class.
pub fn confusion(counts: &[Vec<u64>], name: impl Fn(usize) -> String) -> String {
    let classes = counts.len();
    let names: Vec<String> = (0..classes).map(name).collect();
    let named = classes <= NAMED;
    let head: Vec<String> =
        std::iter::once("true \\ said".to_string()).chain(names.iter().map(|n| escape(n))).collect();
    let row = |(name, row): (&String, &Vec<u64>)| {
        let cells = row.iter().map(|&n| if n == 0 { "·".into() } else { n.to_string() });
        std::iter::once(escape(name)).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = names.iter().zip(counts).map(row).collect();
    let fallback = match named {
        true => details("The matrix as a table", &table("True classes down, what was said across", &head, &rows)),
        false => String::new(),
    };
    if classes > MOST {
        return fallback;
    }
    let cell = CELLS[usize::from(!named)];
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(1);
    let tilted = longest > 3;
    let side = if named { (longest.min(16) as f64 * 6.6 + 16.0).max(26.0) } else { 8.0 };
    let top = if named && tilted { side * 0.72 + 14.0 } else { 26.0 };
    let size = [side + cell * classes as f64 + if tilted { 34.0 } else { 8.0 }, top + cell * classes as f64 + 8.0];
    let right: u64 = (0..classes).map(|c| counts[c][c]).sum();
    let all: u64 = counts.iter().flatten().sum();
    let mut svg = format!(
        "<svg class=\"confusion\" viewBox=\"0 0 {:.0} {:.0}\" style=\"max-width:{:.0}px\" role=\"img\" \
         aria-label=\"Confusion matrix: {right} of {all} are right\">",
        size[0],
        size[1],
        size[0] * 1.5
    );
    for (t, row) in counts.iter().enumerate() {
        let middle = |k: usize| cell * (k as f64 + 0.5);
        if named {
            let (x, y) = (side + middle(t), top - 8.0);
            let turn = if tilted { format!(" transform=\"rotate(-40 {x:.0} {y:.0})\"") } else { String::new() };
            let anchor = if tilted { "start" } else { "middle" };
            write!(
                svg,
                "<text class=\"tick\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
                 <text class=\"tick\" x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\"{turn}>{}</text>",
                side - 8.0,
                top + middle(t) + 4.0,
                escape(&short(&names[t], 16)),
                escape(&short(&names[t], 16)),
            )
            .expect("text takes everything");
        }
        let sum = row.iter().sum::<u64>().max(1) as f64;
        for (s, &count) in row.iter().enumerate() {
            let (x, y) = (side + middle(s), top + middle(t));
            if count == 0 {
                if named {
                    write!(svg, "<circle class=\"none\" cx=\"{x:.0}\" cy=\"{y:.0}\" r=\"1\"/>").expect("text");
                }
                continue;
            }
            let r = (count as f64 / sum).sqrt() * (cell / 2.0 - 1.0);
            let class = if s == t { "right" } else { "wrong" };
            write!(
                svg,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\"><title>{} said to be {}: \
                 {count}</title></circle>",
                r.max(1.0),
                escape(&names[t]),
                escape(&names[s]),
            )
            .expect("text takes everything");
            if named {
                let class = if s == t { "count on" } else { "count" };
                let up = if s == t || r > 9.0 { 3.5 } else { -r - 2.5 };
                write!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\">{count}</text>", y + up)
                    .expect("text takes everything");
            }
        }
    }
    format!("<div class=\"scroll\" tabindex=\"0\">{svg}</svg></div>{fallback}")
}

/// The pairs of classes that are confused most often: true, said, and how often.
pub fn pairs(counts: &[Vec<u64>], most: usize) -> Vec<(usize, usize, u64)> {
    let all = counts.iter().enumerate().flat_map(|(t, row)| row.iter().enumerate().map(move |(s, &n)| (t, s, n)));
    let mut wrong: Vec<(usize, usize, u64)> = all.filter(|&(t, s, n)| t != s && n > 0).collect();
    wrong.sort_by_key(|b| std::cmp::Reverse(b.2));
    wrong.truncate(most);
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_have_areas_of_shares() {
        let counts = vec![vec![9, 1], vec![0, 16]];
        let html = confusion(&counts, |class| ["<a>", "b"][class].into());
        assert!(html.contains("25 of 26 are right") && html.contains("&lt;a&gt;") && !html.contains("<a>"), "{html}");
        let radii: Vec<&str> = html.split(" r=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        // 16 · √0.9, 16 · √0.1, the dot of nothing, 16.
        assert_eq!(radii, ["15.2", "5.1", "1", "16.0"]);
        assert_eq!(pairs(&[vec![1, 2, 5], vec![0, 0, 0], vec![3, 0, 9]], 2), [(0, 2, 5), (2, 0, 3)]);
    }

    #[test]
    fn many_classes_are_small_circles_and_too_many_are_left_out() {
        let eye = |n: usize| (0..n).map(|t| (0..n).map(|s| u64::from(s == t)).collect()).collect::<Vec<Vec<u64>>>();
        let html = confusion(&eye(50), |class| class.to_string());
        assert_eq!(html.matches("class=\"right\"").count(), 50);
        assert!(!html.contains("<text"));
        assert_eq!(confusion(&eye(300), |class| class.to_string()), "");
    }
}
