//! The page of the network: its spec as text, the network as circles above one another, and what it takes.

use crate::app::App;
use crate::checker::Circle;
use crate::layout;
use crate::style::{self, accent, figure, quiet};
use crate::typing;
use crate::words::{bytes, grouped, say, short};
use egui::text::{CCursor, CCursorRange, LayoutJob, TextFormat};
use egui::{Color32, FontId, Panel, Pos2, RichText, ScrollArea, Sense, Shape, Stroke, TextEdit, Ui, Vec2, vec2};
use egui::{Role, WidgetInfo};
use std::ops::Range;

/// From row to row, and from column to column.
const PITCH: Vec2 = vec2(216.0, 58.0);

/// The page.
pub fn show(app: &mut App, ui: &mut Ui) {
    if app.document.version == 0 {
        return quiet(ui, say(app.settings.language, "Open a network first."));
    }
    let editor = Panel::left("editor").default_size(app.settings.editor).size_range(220.0..=900.0);
    let shown = editor.frame(egui::Frame::new().inner_margin(egui::Margin { right: 12, ..Default::default() }));
    let width = shown.show(ui, |ui| text(app, ui)).response.rect.width();
    app.settings.editor = width;
    plan(app, ui);
    ui.add_space(4.0);
    graph(app, ui);
}

fn text(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    ui.horizontal(|ui| {
        let name = app.document.path.file_name().map_or("…".into(), |name| name.to_string_lossy().into_owned());
        ui.label(RichText::new(name).strong());
        if app.document.changed() {
            ui.label(RichText::new(format!("● {}", say(language, "changed"))).small().color(accent(ui)));
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let save = ui.add_enabled(app.document.changed(), egui::Button::new(say(language, "Save")));
            style::named(&save, "save");
            if save.on_hover_text("Ctrl+S").clicked() {
                app.save();
            }
        });
    });
    mistakes(app, ui);
    if let Some(found) = app.found.clone() {
        quiet(ui, &format!("{}: {found}", say(language, "Found")));
    }
    let spans: Vec<Range<usize>> = app.document.mistakes.iter().map(|m| app.document.span(m)).collect();
    let current = app.document.checked == app.document.version;
    let wrong = style::wrong(ui);
    let mut layouter = |ui: &Ui, text: &dyn egui::TextBuffer, _: f32| {
        let marked: &[Range<usize>] = if current { &spans } else { &[] };
        let job = coloured(
            text.as_str(),
            marked,
            [ui.visuals().text_color(), ui.visuals().weak_text_color(), accent(ui), wrong],
        );
        ui.fonts_mut(|fonts| fonts.layout_job(job))
    };
    let jump = app.jump.take();
    typing::keys(app, ui);
    if let Some(hint) = app.typing.hint.clone() {
        Panel::bottom("hint").frame(egui::Frame::new()).show(ui, |ui| {
            ui.add(egui::Label::new(RichText::new(hint).small().weak()).wrap());
        });
    }
    ScrollArea::both().id_salt("text").auto_shrink(false).show(ui, |ui| {
        let edit = TextEdit::multiline(&mut app.document.text)
            .code_editor()
            .id(egui::Id::unique("spec"))
            .desired_width(f32::INFINITY)
            .desired_rows(30)
            .layouter(&mut layouter);
        let mut output = edit.show(ui);
        style::named(&output.response.response, "spec");
        if output.response.changed() {
            app.document.touch();
            app.check();
        }
        if let Some(line) = jump {
            let from = CCursor::new(app.document.line_start(line));
            let to = CCursor::new(app.document.line_start(line + 1).saturating_sub(1));
            output.state.cursor.set_char_range(Some(CCursorRange::two(from, to)));
            output.state.clone().store(ui.ctx(), output.response.id);
            let place = output.galley.pos_from_cursor(from).translate(output.galley_pos.to_vec2());
            ui.scroll_to_rect(place.expand(60.0), None);
            output.response.request_focus();
        }
        if let Some(range) = &output.cursor_range {
            let before = app.document.text.chars().take(range.primary.index.into()).filter(|&c| c == '\n').count();
            app.line = before + 1;
        }
        let below = output.cursor_range.as_ref().map(|range| {
            let place = output.galley.pos_from_cursor(range.primary);
            place.left_bottom() + output.galley_pos.to_vec2() + vec2(0.0, 4.0)
        });
        typing::follow(app, ui, &mut output, below);
    });
}

fn mistakes(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    if app.document.checked != app.document.version {
        return quiet(ui, say(language, "Reading …"));
    }
    if app.document.mistakes.is_empty() {
        ui.label(RichText::new(format!("✔ {}", say(language, "The spec is sound."))).color(accent(ui)));
        return;
    }
    let head = format!("⚠ {} {}", app.document.mistakes.len(), say(language, "mistakes"));
    ui.label(RichText::new(head).color(style::wrong(ui)));
    let mut jump = None;
    ScrollArea::vertical().id_salt("mistakes").max_height(110.0).auto_shrink([false, true]).show(ui, |ui| {
        for mistake in app.document.mistakes.iter().take(50) {
            let place = if mistake.line > 0 { format!("{}:{}  ", mistake.line, mistake.column) } else { String::new() };
            let line = ui.add(egui::Label::new(format!("{place}{}", mistake.text)).wrap().sense(Sense::click()));
            if line.clicked() && mistake.line > 0 {
                jump = Some(mistake.line);
            }
        }
    });
    app.jump = jump.or(app.jump);
}

/// JSON with its strings in the accent, comments weak, and mistakes underlined. Colours: text, weak, accent, wrong.
fn coloured(text: &str, wrong: &[Range<usize>], colours: [Color32; 4]) -> LayoutJob {
    let mut job = LayoutJob::default();
    let mut put = |range: Range<usize>, colour: Color32| {
        let mut at = range.start;
        while at < range.end {
            let inside = wrong.iter().find(|w| w.contains(&at));
            let end = match inside {
                Some(w) => w.end.min(range.end),
                None => wrong.iter().map(|w| w.start).filter(|&s| s > at).min().unwrap_or(range.end).min(range.end),
            };
            let mut format = TextFormat::simple(FontId::monospace(12.5), colour);
            if inside.is_some() {
                format.underline = Stroke::new(2.0, colours[3]);
                format.color = colours[3];
            }
            job.append(&text[at..end], 0.0, format);
            at = end;
        }
    };
    for (range, kind) in tokens(text) {
        put(range, colours[kind]);
    }
    job
}

/// Parts of a text that cover it: 0 plain, 1 comment, 2 string.
fn tokens(text: &str) -> Vec<(Range<usize>, usize)> {
    let mut all: Vec<(Range<usize>, usize)> = Vec::new();
    let mut rest = 0;
    while rest < text.len() {
        let own = &text[rest..];
        let (length, kind) = if own.starts_with("//") {
            (own.find('\n').unwrap_or(own.len()), 1)
        } else if own.starts_with("/*") {
            (own.find("*/").map_or(own.len(), |end| end + 2), 1)
        } else if let Some(inner) = own.strip_prefix('"') {
            let mut escaped = false;
            let end = inner.find(|c: char| {
                let ends = (c == '"' && !escaped) || c == '\n';
                escaped = c == '\\' && !escaped;
                ends
            });
            (end.map_or(own.len(), |end| end + 2), 2)
        } else {
            let next = own.char_indices().skip(1).find(|(_, c)| *c == '"' || *c == '/');
            (next.map_or(own.len(), |(at, _)| at), 0)
        };
        all.push((rest..rest + length, kind));
        rest += length;
    }
    all
}

fn plan(app: &App, ui: &mut Ui) {
    let language = app.settings.language;
    let planned = &app.document.planned;
    if planned.circles.is_empty() {
        return;
    }
    ui.add_enabled_ui(app.document.mistakes.is_empty(), |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.add_space(12.0);
            ui.spacing_mut().item_spacing.x = 26.0;
            figure(ui, &grouped(planned.params), say(language, "parameters"));
            figure(ui, &short(planned.flops as f64), say(language, "FLOPs a batch"));
            figure(ui, &grouped(planned.batch as u64), say(language, "batch"));
            let b = planned.bytes;
            let parts = [
                (say(language, "weights"), b.weights),
                (say(language, "gradients"), b.gradients),
                (say(language, "optimizer"), b.optimizer),
                (say(language, "activations"), b.activations),
                (say(language, "workspace"), b.workspace),
            ];
            let lines: Vec<String> = parts.iter().map(|(word, n)| format!("{word}: {}", bytes(*n))).collect();
            let memory = ui.scope(|ui| figure(ui, &bytes(b.total()), say(language, "memory")));
            memory.response.on_hover_text(lines.join("\n"));
        });
    });
}

fn graph(app: &mut App, ui: &mut Ui) {
    let circles = &app.document.planned.circles;
    if circles.is_empty() {
        return;
    }
    let language = app.settings.language;
    let spots = layout::spots(circles);
    let rows = spots.iter().map(|s| s.row).max().unwrap_or(0) + 1;
    let left = spots.iter().map(|s| s.column).fold(0.0, f32::min);
    let right = spots.iter().map(|s| s.column).fold(0.0, f32::max);
    let most = circles.iter().map(|c| c.params).max().unwrap_or(1).max(1) as f32;
    // The circle whose line the cursor stands in.
    let here = circles.iter().rposition(|c| c.line <= app.line).filter(|&i| app.line <= circles[i].line + 1);
    let mut jump = None;
    ScrollArea::both().id_salt("graph").auto_shrink(false).stick_to_bottom(true).show(ui, |ui| {
        let size = vec2((right - left + 1.0) * PITCH.x + 70.0, rows as f32 * PITCH.y + 20.0).max(ui.available_size());
        let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
        let own = (right - left + 1.0) * PITCH.x + 70.0;
        let inset = 60.0 - left * PITCH.x + ((size.x - own) * 0.5).max(0.0);
        let base = rect.left_bottom() + vec2(inset, -PITCH.y * 0.6);
        let at = |i: usize| base + vec2(spots[i].column * PITCH.x, -(spots[i].row as f32) * PITCH.y);
        let radius = |i: usize| match i {
            0 => 9.0,
            _ if circles[i - 1].params == 0 => 8.0,
            _ => 10.0 + 8.0 * (circles[i - 1].params as f32 + 1.0).ln() / (most + 1.0).ln(),
        };
        let clip = ui.clip_rect();
        for (i, circle) in circles.iter().enumerate() {
            for from in &circle.from {
                let from = from.map_or(0, |f| f + 1);
                let span = egui::Rect::from_two_pos(at(from), at(i + 1)).expand(40.0);
                if clip.intersects(span) {
                    edge(ui, (at(from), radius(from)), (at(i + 1), radius(i + 1)), spots[i + 1].row - spots[from].row);
                }
            }
        }
        let input = say(language, "input");
        node(ui, at(0), radius(0), (input, &dims(&app.document.planned.input)), 0, false, None);
        for (i, circle) in circles.iter().enumerate() {
            let place = at(i + 1);
            if !clip.expand(80.0).contains(place) && !clip.intersects(egui::Rect::from_min_size(place, PITCH)) {
                continue;
            }
            let below = match circle.params {
                0 => dims(&circle.shape),
                n => format!("{}  ·  {}", dims(&circle.shape), grouped(n)),
            };
            let last = circle.name.rsplit('/').next().unwrap_or_default();
            let head = if last.starts_with(&circle.op) { circle.name.clone() } else { title(circle) };
            let fill = if circle.params > 0 { 2 } else { 1 };
            let flops = short(circle.flops as f64);
            let hint = format!("{}\n{} FLOPs", title(circle), flops);
            if node(ui, place, radius(i + 1), (&head, &below), fill, here == Some(i), Some((i, &hint))) {
                jump = Some(circle.line);
            }
        }
    });
    app.jump = jump.or(app.jump);
}

fn title(circle: &Circle) -> String {
    format!("{}  ({})", circle.name, circle.op)
}

fn dims(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<String>>().join(" × ")
}

/// An arrow up. One that passes rows between goes around them.
fn edge(ui: &Ui, (from, from_radius): (Pos2, f32), (to, to_radius): (Pos2, f32), rows: usize) {
    let ink = ui.visuals().weak_text_color().gamma_multiply(0.7);
    let stroke = Stroke::new(1.5, ink);
    let (from, to) = (from - vec2(0.0, from_radius + 1.0), to + vec2(0.0, to_radius + 3.0));
    let around = if rows > 1 && (from.x - to.x).abs() < 4.0 { -46.0 } else { 0.0 };
    let reach = (from.y - to.y) * 0.5;
    let points = [from, from + vec2(around, -reach), to + vec2(around, reach), to];
    let line = egui::epaint::CubicBezierShape::from_points_stroke(points, false, Color32::TRANSPARENT, stroke);
    ui.painter().add(line);
    let tip = vec![to - vec2(0.0, 1.0), to + vec2(-3.5, 5.0), to + vec2(3.5, 5.0)];
    ui.painter().add(Shape::convex_polygon(tip, ink, Stroke::NONE));
}

/// A circle with its two lines of text. `fill`: 0 the input, 1 without parameters, 2 with. True if it was clicked.
fn node(
    ui: &Ui,
    at: Pos2,
    radius: f32,
    (head, below): (&str, &str),
    fill: usize,
    here: bool,
    click: Option<(usize, &str)>,
) -> bool {
    let (accent, ground) = (accent(ui), ui.visuals().panel_fill);
    let colour = [ui.visuals().weak_text_color(), ground, accent][fill];
    ui.painter().circle_filled(at, radius, colour);
    ui.painter().circle_stroke(at, radius, Stroke::new(1.5, if fill == 1 { accent } else { colour }));
    let text = at + vec2(radius.max(14.0) + 8.0, 0.0);
    let (big, small) = (FontId::proportional(13.5), FontId::proportional(11.0));
    // A name longer than its column is cut; the hint has it whole.
    let ink = ui.visuals().text_color();
    let mut job = LayoutJob::simple_singleline(head.to_string(), big, ink);
    job.wrap = egui::text::TextWrapping::truncate_at_width(PITCH.x - 2.0 * radius.max(14.0) - 14.0);
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    ui.painter().galley(text + vec2(0.0, 1.0 - galley.size().y), galley, ink);
    let weak = ui.visuals().weak_text_color();
    ui.painter().text(text + vec2(0.0, 1.0), egui::Align2::LEFT_TOP, below, small, weak);
    let Some((index, hint)) = click else { return false };
    let area = egui::Rect::from_center_size(at, Vec2::splat(2.0 * radius + 8.0));
    let response = ui.interact(area, ui.scope_id().with(("circle", index)), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, head));
    style::named(&response, &format!("circle {index}"));
    if here || response.hovered() || response.has_focus() {
        ui.painter().circle_stroke(at, radius + 4.0, Stroke::new(2.0, accent));
    }
    response.on_hover_text(hint).clicked()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_text_cover_it() {
        let text = "// note\n{ \"a\\\"b\": 1, /* x */ \"é\": [\"open\n] }";
        let all = tokens(text);
        assert_eq!(all.iter().map(|(r, _)| &text[r.clone()]).collect::<String>(), text);
        let of = |kind| all.iter().filter(|(_, k)| *k == kind).map(|(r, _)| &text[r.clone()]).collect::<Vec<&str>>();
        assert_eq!(of(1), ["// note", "/* x */"]);
        assert_eq!(of(2)[..2], ["\"a\\\"b\"", "\"é\""]);
    }

    #[test]
    fn mistakes_are_underlined_and_nothing_is_lost() {
        let text = "{ \"kernl\": 5 }";
        let job = coloured(text, std::slice::from_ref(&(2..9)), [Color32::WHITE; 4]);
        assert_eq!(job.text, text);
        let under: Vec<&str> = job
            .sections
            .iter()
            .filter(|s| s.format.underline.width > 0.0)
            .map(|s| &text[usize::from(s.byte_range.start)..usize::from(s.byte_range.end)])
            .collect();
        assert_eq!(under, ["\"kernl\""]);
    }
}
