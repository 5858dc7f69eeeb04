//! The page that opens: recent files, a path, the shelf of models.

use crate::app::App;
use crate::shelf::{self, SHELF};
use crate::style::{self, accent, quiet};
use crate::words::say;
use egui::{RichText, ScrollArea, Sense, Ui, vec2};
use egui::{Role, WidgetInfo};
use std::path::PathBuf;

/// What to open.
enum Wish {
    Path(PathBuf),
    Shelf(usize),
}

/// The page.
pub fn show(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    let mut wish = None;
    ui.label(RichText::new(say(language, "A spec or a run folder: type its path, or drop it on this window")).weak());
    ui.horizontal(|ui| {
        let field = egui::TextEdit::singleline(&mut app.path_field).desired_width(420.0).hint_text("my.json");
        let field = ui.add(field);
        style::named(&field, "path");
        let enter = field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        let button = ui.button(say(language, "Open"));
        style::named(&button, "open");
        if (button.clicked() || enter) && !app.path_field.trim().is_empty() {
            wish = Some(Wish::Path(PathBuf::from(app.path_field.trim())));
        }
    });
    ui.add_space(10.0);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.label(RichText::new(say(language, "Recent")).size(17.0));
        if app.settings.recent.is_empty() {
            quiet(ui, say(language, "Nothing was opened yet."));
        }
        for path in app.settings.recent.iter().take(6) {
            if ui.link(path.display().to_string()).clicked() {
                wish = Some(Wish::Path(path.clone()));
            }
        }
        ui.add_space(14.0);
        ui.label(RichText::new(say(language, "Models that come with the program")).size(17.0));
        ui.add_space(4.0);
        let columns = (ui.available_width() / 330.0).floor().max(1.0) as usize;
        let width = ui.available_width() / columns as f32 - 12.0;
        for row in (0..SHELF.len()).step_by(columns) {
            ui.horizontal(|ui| {
                for i in row..(row + columns).min(SHELF.len()) {
                    if card(ui, i, width) {
                        wish = Some(Wish::Shelf(i));
                    }
                }
            });
        }
    });
    match wish {
        Some(Wish::Path(path)) => app.open(&path),
        Some(Wish::Shelf(i)) => app.open_shelf(SHELF[i].0, SHELF[i].1),
        None => {}
    }
}

fn card(ui: &mut Ui, index: usize, width: f32) -> bool {
    let (name, text) = SHELF[index];
    let (rect, response) = ui.allocate_exact_size(vec2(width, 66.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    style::named(&response, &format!("model {name}"));
    let lit = response.hovered() || response.has_focus();
    let edge = if lit { egui::Stroke::new(1.5, accent(ui)) } else { ui.visuals().widgets.noninteractive.bg_stroke };
    let fill = ui.visuals().extreme_bg_color;
    ui.painter().rect(rect.shrink(1.0), 14.0, fill, edge, egui::StrokeKind::Inside);
    let dot = rect.left_center() + vec2(24.0, 0.0);
    // A picture of its depth: as many circles above one another as there are tens of layers.
    let layers = text.matches("\"op\"").count().max(1);
    let circles = (1 + layers / 6).min(5);
    for k in 0..circles {
        let y = (k as f32 - (circles as f32 - 1.0) / 2.0) * 10.0;
        ui.painter().circle_filled(dot + vec2(0.0, y), 4.0, accent(ui));
    }
    let inner = rect.shrink2(vec2(12.0, 8.0)).with_min_x(rect.min.x + 46.0);
    let font = egui::FontId::proportional(14.0);
    ui.painter().text(inner.min, egui::Align2::LEFT_TOP, name, font, ui.visuals().text_color());
    let weak = ui.visuals().weak_text_color();
    let mut job =
        egui::text::LayoutJob::simple(shelf::about(text), egui::FontId::proportional(11.5), weak, inner.width());
    job.wrap.max_rows = 2;
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    ui.painter().galley(inner.min + vec2(0.0, 20.0), galley, weak);
    response.on_hover_text(shelf::about(text)).clicked()
}
