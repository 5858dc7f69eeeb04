//! A network as a drawing: data flows upwards, a circle a layer, branches beside each other, what repeats once.

mod fold;
mod place;

use super::html::{Section, details, escape, short, table};
use super::numbers;
use crate::compile::plan::{Plan, Row};
use crate::model::Model;
use fold::{fold, signs};
use place::{Cell, Drawing};
use std::fmt::Write;

/// Pixels of a row and of a column, and what is free at the edges.
const ROW: f64 = 66.0;
const COLUMN: f64 = 236.0;
const EDGE: f64 = 34.0;
/// From so many rows on, the drawing has a frame of its own that is scrolled.
const TALL: usize = 16;

/// The network, its layers as a table, and its sums.
pub fn section(model: &Model, plan: &Plan) -> Section {
    let blocks = fold(&signs(model, &plan.rows));
    let drawing = Drawing::new(model, &blocks);
    let folded = match blocks.len() {
        0 => "",
        _ => " A frame with × n stands for n equal blocks, one after the other.",
    };
    let lede = format!(
        "{}, {} trainable numbers, {} floating-point operations to judge one sample. Data flows upwards. Filled \
         circles learn; the larger, the more numbers they have.{folded}",
        if plan.rows.len() == 1 { "One layer".into() } else { format!("{} layers", plan.rows.len()) },
        numbers::grouped(plan.params),
        numbers::count(per_sample(plan.flops_forward, plan)),
    );
    let tall = if drawing.rows() > TALL { " tall" } else { "" };
    let html = format!(
        "<div class=\"scroll network{tall}\" tabindex=\"0\" role=\"region\" aria-label=\"The network as a \
         graph\">{}</div>{}",
        svg(model, plan, &drawing),
        details("The layers as a table", &layers(plan))
    );
    Section::new("The network", lede, html)
}

fn per_sample(flops: u64, plan: &Plan) -> u64 {
    flops / plan.batch.max(1) as u64
}

/// A shape without N.
fn shape(row: &Row) -> String {
    let dims: Vec<String> = row.output.iter().skip(1).map(usize::to_string).collect();
    if dims.is_empty() { "1".into() } else { dims.join(" × ") }
}

fn layers(plan: &Plan) -> String {
    let row = |row: &Row| {
        let flops = numbers::count(per_sample(row.flops, plan));
        vec![escape(&row.name), escape(&row.op), shape(row), numbers::grouped(row.params), flops]
    };
    let mut rows: Vec<Vec<String>> = plan.rows.iter().map(row).collect();
    let sums = [numbers::grouped(plan.params), numbers::count(per_sample(plan.flops_forward, plan))];
    rows.push(["together".to_string(), String::new(), String::new()].into_iter().chain(sums).collect());
    let head = ["layer", "op", "output", "parameters", "FLOPs a sample"].map(String::from);
    table("Layers, in the order of the spec", &head, &rows)
}

/// Radius of a circle: by the power of ten of its numbers.
fn radius(params: u64) -> f64 {
    if params == 0 { 7.0 } else { 8.0 + 1.4 * (params as f64).log10() }
}

fn svg(model: &Model, plan: &Plan, drawing: &Drawing) -> String {
    let reach = drawing.bulge().max(0.0);
    let left = EDGE + reach;
    let size = [left + COLUMN * drawing.columns() as f64 + EDGE, ROW * (drawing.rows() as f64 - 1.0) + 2.0 * EDGE];
    let centre =
        |cell: &Cell| [left + COLUMN * cell.column as f64, EDGE + ROW * (drawing.rows() - 1 - cell.row) as f64];
    let mut out = format!(
        "<svg viewBox=\"0 0 {:.0} {:.0}\" width=\"{:.0}\" height=\"{:.0}\" role=\"img\" aria-label=\"{} layers; the \
         table below lists them\"><defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>",
        size[0],
        size[1],
        size[0],
        size[1],
        plan.rows.len()
    );
    let params = |layer: Option<usize>| layer.map_or(0, |i| plan.rows[i].params);
    for frame in &drawing.frames {
        let cells: Vec<[f64; 2]> = frame.cells.iter().map(|&i| centre(&drawing.cells[i])).collect();
        let ends = |k: usize| {
            let all = || cells.iter().map(move |c| c[k]);
            [all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max)]
        };
        let ([x1, x2], [y1, y2]) = (ends(0), ends(1));
        let (x, wide) = (x1 - 24.0 - frame.bulge, x2 - x1 + COLUMN + 8.0 + frame.bulge);
        write!(
            out,
            "<rect class=\"frame\" x=\"{x:.0}\" y=\"{:.0}\" width=\"{wide:.0}\" height=\"{:.0}\" rx=\"18\"/>\
             <text class=\"times\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">× {}</text>",
            y1 - 27.0,
            y2 - y1 + 54.0,
            x + wide - 12.0,
            y1 - 8.0,
            frame.times
        )
        .expect("text takes everything");
    }
    for edge in &drawing.edges {
        let (from, to) = (&drawing.cells[edge.from], &drawing.cells[edge.to]);
        let ([x1, y1], [x2, y2]) = (centre(from), centre(to));
        let (y1, y2) = (y1 - radius(params(from.layer)), y2 + radius(params(to.layer)) + 3.0);
        let path = match edge.bulge {
            Some(bulge) => {
                let (x, y1) = (x1 - bulge, y1 + radius(params(from.layer)));
                let (x1, y2) = (x1 - radius(params(from.layer)), y2 - radius(params(to.layer)) - 3.0);
                let x2 = x2 - radius(params(to.layer)) - 3.0;
                format!("M{x1:.1} {y1:.1}C{x:.1} {:.1} {x:.1} {:.1} {x2:.1} {y2:.1}", y1 - 14.0, y2 + 14.0)
            }
            None if x1 == x2 => format!("M{x1:.1} {y1:.1}V{y2:.1}"),
            None => {
                let middle = if x2 > x1 { y1 - ROW * 0.45 } else { y2 + ROW * 0.45 };
                format!("M{x1:.1} {y1:.1}C{x1:.1} {middle:.1} {x2:.1} {middle:.1} {x2:.1} {y2:.1}")
            }
        };
        write!(out, "<path class=\"edge\" d=\"{path}\" marker-end=\"url(#tip)\"/>").expect("text takes everything");
    }
    for cell in &drawing.cells {
        let [x, y] = centre(cell);
        let (name, about, learns) = match cell.layer {
            None => {
                let dims: Vec<String> = model.input.dims().iter().map(usize::to_string).collect();
                ("input".to_string(), dims.join(" × "), false)
            }
            Some(i) => {
                let row = &plan.rows[i];
                let mut about = shape(row);
                if row.params > 0 {
                    write!(about, " · {} par.", numbers::count(row.params)).expect("text takes everything");
                }
                if row.flops > 0 {
                    let flops = numbers::count(per_sample(row.flops, plan));
                    write!(about, " · {flops} FLOP").expect("text takes everything");
                }
                (row.name.clone(), about, row.params > 0)
            }
        };
        let r = radius(params(cell.layer));
        let class = if learns { "node learns" } else { "node" };
        write!(
            out,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\"><title>{}: {}</title></circle>\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <text class=\"about\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            escape(&name),
            escape(&about),
            x + 24.0,
            y - 2.0,
            escape(&short(&name, 26)),
            x + 24.0,
            y + 13.0,
            escape(&about)
        )
        .expect("text takes everything");
    }
    out + "</svg>"
}
