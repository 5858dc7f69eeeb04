//! The page that looks inside: a picture from the data or drawn with the mouse, what the network says of it, and what a
//! layer makes of it.

use crate::app::App;
use crate::canvas::Canvas;
use crate::style::{self, accent, quiet};
use crate::tiles::{self, Sheet};
use crate::words::{grouped, say};
use crate::worker::{Ask, Looked, Picture};
use egui::{Color32, RichText, ScrollArea, Sense, Stroke, TextureHandle, TextureOptions, Ui, Vec2, pos2, vec2};
use pumice::Split;

/// What the page holds.
#[derive(Default)]
pub struct Looking {
    /// The layer that is looked at.
    pub layer: Option<String>,
    /// Whether the picture is drawn with the mouse.
    pub drawing: bool,
    /// The drawn picture.
    pub canvas: Option<Canvas>,
    /// Where the pen is, while it draws.
    pub pen: Option<egui::Pos2>,
    /// Number of the sample.
    pub sample: usize,
    /// What was seen last.
    pub looked: Option<Looked>,
    /// The worker was told to look.
    pub asked: bool,
    textures: Option<Shown>,
}

/// Pictures of what was seen.
struct Shown {
    picture: Option<TextureHandle>,
    maps: Option<(TextureHandle, Sheet)>,
    filters: Option<(TextureHandle, Sheet)>,
}

impl Looking {
    /// Takes what was seen.
    pub fn take(&mut self, looked: Looked) {
        self.looked = Some(looked);
        self.textures = None;
    }

    /// Begins with another network.
    pub fn begin(&mut self) {
        *self = Looking::default();
    }

    /// The likeliest class, and its probability.
    pub fn best(&self) -> Option<(&str, f64)> {
        let said = &self.looked.as_ref()?.said;
        said.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(class, p)| (class.as_str(), *p))
    }
}

/// The page.
pub fn show(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    if !app.watched.ready() {
        return quiet(ui, say(language, "Open a network first."));
    }
    if app.looking.layer.is_none() {
        app.looking.layer = app.watched.opened.layers.first().cloned();
    }
    if !app.looking.asked {
        app.looking.asked = true;
        app.worker.ask(Ask::Look(app.looking.layer.clone()));
    }
    let wide = 250.0;
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.set_width(wide);
            chosen(app, ui);
            ui.add_space(8.0);
            answer(app, ui);
        });
        ui.add_space(16.0);
        ui.vertical(|ui| {
            layers(app, ui);
            ui.add_space(4.0);
            ScrollArea::both().auto_shrink(false).show(ui, |ui| seen(app, ui));
        });
    });
}

fn chosen(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    ui.horizontal(|ui| {
        let before = app.looking.drawing;
        let data = ui.selectable_value(&mut app.looking.drawing, false, say(language, "From the data"));
        style::named(&data, "from data");
        if app.watched.opened.picture.is_some() {
            let draw = ui.selectable_value(&mut app.looking.drawing, true, say(language, "Draw"));
            style::named(&draw, "draw");
        }
        if before != app.looking.drawing {
            ask(app);
        }
    });
    if app.looking.drawing { canvas(app, ui) } else { sample(app, ui) }
}

/// Tells the worker which picture is chosen.
fn ask(app: &mut App) {
    let [train, validation, test] = app.watched.opened.samples;
    let (split, count) = match (test, validation) {
        (0, 0) => (Split::Train, train),
        (0, _) => (Split::Validation, validation),
        _ => (Split::Test, test),
    };
    app.looking.sample = app.looking.sample.min(count.saturating_sub(1));
    let picture = match (&app.looking.canvas, app.looking.drawing) {
        (Some(canvas), true) => Picture::Drawn(canvas.tensor()),
        (None, true) => return,
        _ => Picture::Sample(split, app.looking.sample),
    };
    app.worker.ask(Ask::Picture(picture));
}

fn sample(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    shown(app, ui);
    if let Some(Shown { picture: Some(texture), .. }) = &app.looking.textures {
        ui.add(egui::Image::new(texture).fit_to_exact_size(Vec2::splat(224.0)).corner_radius(14));
    }
    ui.horizontal(|ui| {
        ui.label(say(language, "no."));
        let number = ui.add(egui::DragValue::new(&mut app.looking.sample).range(0..=usize::MAX));
        style::named(&number, "sample");
        let back = ui.button("‹").clicked();
        let on = ui.button("›");
        style::named(&on, "next sample");
        if back {
            app.looking.sample = app.looking.sample.saturating_sub(1);
        }
        if on.clicked() {
            app.looking.sample += 1;
        }
        if back || on.clicked() || number.changed() {
            ask(app);
        }
    });
}

fn canvas(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    let Some(size) = app.watched.opened.picture else { return };
    if app.looking.canvas.as_ref().is_none_or(|canvas| canvas.size != size) {
        app.looking.canvas = Some(Canvas::new(size));
    }
    let side = 224.0;
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::click_and_drag());
    style::named(&response, "canvas");
    ui.painter().rect_filled(rect, 14.0, Color32::BLACK);
    ui.painter().rect_stroke(rect, 14.0, Stroke::new(1.5, accent(ui)), egui::StrokeKind::Outside);
    let Some(canvas) = &mut app.looking.canvas else { return };
    // Every move since the frame before: on a slow adapter there are many of them in one frame.
    let (moves, at, down) = ui.input(|i| {
        let moved = |event: &egui::Event| if let egui::Event::PointerMoved(at) = event { Some(*at) } else { None };
        (i.events.iter().filter_map(moved).collect::<Vec<_>>(), i.pointer.interact_pos(), i.pointer.primary_down())
    });
    let mut drawn = false;
    if down && (response.dragged() || response.is_pointer_button_down_on()) {
        let part = |p: egui::Pos2| [(p.x - rect.min.x) / side, (p.y - rect.min.y) / side];
        for to in moves.into_iter().chain(at) {
            let from = app.looking.pen.unwrap_or(to);
            if app.looking.pen != Some(to) {
                canvas.stroke(part(from), part(to));
                drawn = true;
            }
            app.looking.pen = Some(to);
        }
    } else {
        app.looking.pen = None;
    }
    if let Some(image) = tiles::picture(&canvas.tensor()) {
        let texture = ui.ctx().load_texture("canvas", image, TextureOptions::LINEAR);
        let whole = egui::Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        if !canvas.is_empty() {
            ui.painter().image(texture.id(), rect.shrink(4.0), whole, Color32::WHITE);
        }
        app.drawn_texture = Some(texture);
    }
    if canvas.is_empty() {
        let font = egui::FontId::proportional(13.0);
        let hint = say(language, "Draw a digit with the mouse");
        ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, hint, font, Color32::from_gray(150));
    }
    let clear = ui.button(say(language, "Clear"));
    style::named(&clear, "clear");
    if clear.clicked() {
        app.looking.canvas = Some(Canvas::new(size));
    }
    if drawn || clear.clicked() {
        ask(app);
    }
}

/// Bars of the probabilities: circles at their ends, the likeliest in the accent.
fn answer(app: &App, ui: &mut Ui) {
    let language = app.settings.language;
    let Some(looked) = &app.looking.looked else { return };
    let after =
        format!("{}  ·  {} {}", say(language, "The network says"), say(language, "after step"), grouped(looked.step));
    ui.label(RichText::new(after).small().weak());
    if let Some(line) = &looked.line {
        ui.label(line);
    }
    let best = app.looking.best().map(|(class, _)| class.to_string());
    let mut all: Vec<&(String, f64)> = looked.said.iter().collect();
    if all.len() > 12 {
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(12);
    }
    let (ink, weak, accent) = (ui.visuals().text_color(), ui.visuals().weak_text_color(), accent(ui));
    for (class, p) in all {
        let (rect, _) = ui.allocate_exact_size(vec2(240.0, 17.0), Sense::hover());
        let is_best = best.as_ref() == Some(class);
        let font = egui::FontId::proportional(if is_best { 14.5 } else { 12.5 });
        let name: String = class.chars().take(12).collect();
        let (y, left) = (rect.center().y, rect.min.x + 62.0);
        ui.painter().text(pos2(left - 10.0, y), egui::Align2::RIGHT_CENTER, name, font.clone(), ink);
        let right = left + 110.0 * *p as f32;
        let color = if is_best { accent } else { weak };
        ui.painter().line_segment([pos2(left, y), pos2(right, y)], Stroke::new(3.0, color));
        ui.painter().circle_filled(pos2(right, y), if is_best { 5.5 } else { 3.5 }, color);
        let share = format!("{:.1} %", 100.0 * p);
        ui.painter().text(
            pos2(left + 178.0, y),
            egui::Align2::RIGHT_CENTER,
            share,
            font,
            if is_best { ink } else { weak },
        );
    }
}

fn layers(app: &mut App, ui: &mut Ui) {
    let mut chosen = app.looking.layer.clone().unwrap_or_default();
    ui.horizontal(|ui| {
        ui.label(RichText::new(say(app.settings.language, "layer")).weak());
        let combo = egui::ComboBox::from_id_salt("layer").selected_text(&chosen).height(400.0).show_ui(ui, |ui| {
            for layer in &app.watched.opened.layers {
                ui.selectable_value(&mut chosen, layer.clone(), layer);
            }
        });
        style::named(&combo.response, "layer");
        let at = app.watched.opened.layers.iter().position(|layer| *layer == chosen).unwrap_or(0);
        let back = ui.button("‹").clicked();
        let on = ui.button("›");
        style::named(&on, "next layer");
        let to = match (back, on.clicked()) {
            (true, _) => at.saturating_sub(1),
            (_, true) => (at + 1).min(app.watched.opened.layers.len().saturating_sub(1)),
            _ => at,
        };
        if to != at {
            chosen = app.watched.opened.layers[to].clone();
        }
    });
    if app.looking.layer.as_ref() != Some(&chosen) {
        app.looking.layer = Some(chosen.clone());
        app.worker.ask(Ask::Look(Some(chosen)));
    }
}

/// Makes the pictures of what was seen last.
fn shown(app: &mut App, ui: &Ui) {
    let Looking { looked: Some(looked), textures, .. } = &mut app.looking else { return };
    if textures.is_none() {
        let load = |name: &str, image| ui.ctx().load_texture(name, image, TextureOptions::NEAREST);
        let sheet = |name: &str, sheet: Sheet| (load(name, sheet.image.clone()), sheet);
        *textures = Some(Shown {
            picture: looked.picture.as_ref().and_then(tiles::picture).map(|image| load("picture", image)),
            maps: looked.maps.as_ref().and_then(tiles::maps).map(|s| sheet("maps", s)),
            filters: looked.filters.as_ref().and_then(tiles::filters).map(|s| sheet("filters", s)),
        });
    }
}

fn seen(app: &mut App, ui: &mut Ui) {
    shown(app, ui);
    let language = app.settings.language;
    let (Some(textures), Some(looked)) = (&app.looking.textures, &app.looking.looked) else { return };
    ui.horizontal_top(|ui| {
        let parts = if textures.filters.is_some() { 2.0 } else { 1.0 };
        let room = (ui.available_height() - 40.0).min(ui.available_width() / parts - 28.0).max(160.0);
        for (title, found) in
            [(say(language, "Feature maps"), &textures.maps), (say(language, "Filters"), &textures.filters)]
        {
            let Some((texture, sheet)) = found else { continue };
            ui.vertical(|ui| {
                let [shown, all] = sheet.shown;
                let count = if shown < all { format!("{title}  {shown} / {all}") } else { format!("{title}  {all}") };
                ui.label(RichText::new(count).weak());
                let [w, h] = sheet.image.size;
                let scale = (room.min(460.0) / w.max(h) as f32).min(22.0);
                ui.add(egui::Image::new(texture).fit_to_exact_size(vec2(w as f32 * scale, h as f32 * scale)));
            });
            ui.add_space(14.0);
        }
    });
    if textures.maps.is_none() {
        quiet(ui, say(language, "The layer is too wide to draw."));
    }
    if looked.filters.is_none() {
        quiet(ui, say(language, "This layer has no weights."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_class_is_what_the_network_says() {
        let mut looking = Looking::default();
        assert_eq!(looking.best(), None);
        looking.take(Looked {
            step: 5,
            layer: "conv2d_1".into(),
            picture: None,
            said: vec![("0".into(), 0.1), ("1".into(), 0.7), ("2".into(), 0.2)],
            line: None,
            maps: None,
            filters: None,
        });
        assert_eq!(looking.best(), Some(("1", 0.7)));
    }
}
