//! The page that judges: who is taken for whom, and the worst mistakes.

use crate::app::App;
use crate::findings;
use crate::style::{self, accent, quiet};
use crate::tiles;
use crate::words::{grouped, say};
use crate::worker::{Ask, Judged, Verdict};
use egui::{Color32, ColorImage, RichText, ScrollArea, Sense, Stroke, TextureHandle, TextureOptions, Ui, Vec2, vec2};
use egui::{Role, WidgetInfo};
use pumice::{HostTensor, Split};
use std::collections::HashMap;

/// Most pictures that a cell shows.
const MOST: usize = 48;

/// What the page holds.
#[derive(Default)]
pub struct Judging {
    /// The last verdict.
    pub judged: Option<Judged>,
    /// A judgement is under way.
    pub waiting: bool,
    /// Truth and answer of the cell that is open; None: the worst mistakes.
    pub cell: Option<(usize, usize)>,
    /// The table of each class is shown in place of pictures.
    pub table: bool,
    /// Pictures by their places in the split.
    pictures: HashMap<usize, ColorImage>,
    textures: HashMap<usize, TextureHandle>,
    /// Pictures with masks over them, by their places in the split.
    pub overlays: HashMap<usize, TextureHandle>,
}

impl Judging {
    /// Takes a judgement.
    pub fn take(&mut self, judged: Judged) {
        self.pictures.clear();
        self.textures.clear();
        self.overlays.clear();
        (self.waiting, self.judged) = (false, Some(judged));
    }

    /// Takes pictures of a split.
    pub fn pictures(&mut self, split: Split, all: &[(usize, HostTensor)]) {
        if self.judged.as_ref().is_some_and(|judged| judged.split == split) {
            self.pictures.extend(all.iter().filter_map(|(place, tensor)| Some((*place, tiles::picture(tensor)?))));
        }
    }

    /// A picture with something over it, on the adapter, with its width and height.
    pub fn overlay(
        &mut self,
        ui: &Ui,
        index: usize,
        mix: impl FnOnce(&ColorImage) -> ColorImage,
    ) -> Option<(egui::TextureId, [f32; 2])> {
        let image = self.pictures.get(&index)?;
        let own = self.overlays.entry(index);
        let texture = own.or_insert_with(|| ui.ctx().load_texture("overlay", mix(image), TextureOptions::NEAREST));
        Some((texture.id(), image.size.map(|side| side as f32)))
    }

    /// A picture of the judged split on the adapter, with its width and height, if it has come.
    pub fn texture(&mut self, ui: &Ui, index: usize) -> Option<(egui::TextureId, [f32; 2])> {
        let image = self.pictures.get(&index)?;
        let own = self.textures.entry(index);
        let texture = own.or_insert_with(|| ui.ctx().load_texture("sample", image.clone(), TextureOptions::NEAREST));
        Some((texture.id(), image.size.map(|side| side as f32)))
    }

    /// The samples that the page shows now, the surest mistakes first.
    pub fn shown(&self) -> Vec<Verdict> {
        let Some(judged) = &self.judged else { return Vec::new() };
        let own = |v: &&Verdict| match self.cell {
            Some(cell) => (v.truth, v.said) == cell,
            None => v.truth != v.said,
        };
        let mut all: Vec<Verdict> = judged.verdicts.iter().filter(own).copied().collect();
        all.sort_by(|a, b| a.right.total_cmp(&b.right).then(b.sure.total_cmp(&a.sure)));
        all.truncate(MOST);
        all
    }
}

/// Counts by truth and answer.
pub fn confusion(verdicts: &[Verdict], classes: usize) -> Vec<Vec<u64>> {
    let mut counts = vec![vec![0; classes]; classes];
    for verdict in verdicts {
        if let Some(count) = counts.get_mut(verdict.truth).and_then(|row| row.get_mut(verdict.said)) {
            *count += 1;
        }
    }
    counts
}

impl App {
    /// Asks for pictures of the judged split that have not come yet.
    pub(crate) fn ask_pictures(&mut self, places: &[usize]) {
        let missing: Vec<usize> =
            places.iter().copied().filter(|place| !self.judging.pictures.contains_key(place)).collect();
        let Some(judged) = &self.judging.judged else { return };
        if !missing.is_empty() && self.asked != missing && self.watched.opened.picture.is_some() {
            self.worker.ask(Ask::Pictures(judged.split, missing.clone()));
            self.asked = missing;
        }
    }
}

/// The page.
pub fn show(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    if !app.watched.ready() {
        return quiet(ui, say(language, "Open a network first."));
    }
    ui.horizontal(|ui| {
        let names = [(Split::Test, 2), (Split::Validation, 1), (Split::Train, 0)];
        // The data that is open now may lack the part that was chosen for another.
        let held = |split: Split| names.iter().any(|own| own.0 == split && app.watched.opened.samples[own.1] > 0);
        if !held(app.split) {
            app.split = names.iter().map(|own| own.0).find(|split| held(*split)).unwrap_or(Split::Train);
        }
        for (split, _) in names.into_iter().filter(|(_, place)| app.watched.opened.samples[*place] > 0) {
            let word = match split {
                Split::Test => say(language, "test"),
                Split::Validation => say(language, "validation"),
                Split::Train => say(language, "training"),
            };
            ui.selectable_value(&mut app.split, split, word);
        }
        let enabled = !app.judging.waiting;
        let button = ui.add_enabled(enabled, egui::Button::new(say(language, "Judge the samples")));
        style::named(&button, "judge");
        if button.clicked() {
            app.judging.waiting = true;
            app.worker.ask(Ask::Judge(app.split));
        }
        if app.judging.waiting {
            ui.spinner();
        }
    });
    ui.add_space(6.0);
    let Some(judged) = &app.judging.judged else { return quiet(ui, say(language, "Not judged yet.")) };
    let head = format!("{}   ·   {} {}", judged.line, say(language, "after step"), grouped(judged.step));
    ui.label(head);
    if judged.verdicts.is_empty() {
        ui.add_space(6.0);
        return findings::show(app, ui);
    }
    let classes = judged.classes.clone();
    let counts = confusion(&judged.verdicts, classes.len());
    ui.add_space(6.0);
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            quiet(
                ui,
                say(
                    language,
                    "Rows are the truth, columns what the network says. Click a circle to see the pictures behind it.",
                ),
            );
            if let Some(cell) = matrix(ui, &classes, &counts, app.judging.cell) {
                app.judging.cell = if app.judging.cell == Some(cell) { None } else { Some(cell) };
            }
        });
        ui.add_space(14.0);
        ui.vertical(|ui| {
            ui.horizontal(|ui| {
                for (table, word, name) in [
                    (false, say(language, "Pictures"), "judged pictures"),
                    (true, say(language, "Each class"), "judged classes"),
                ] {
                    let choice = ui.selectable_value(&mut app.judging.table, table, word);
                    style::named(&choice, name);
                }
            });
            match app.judging.table {
                true => drop(ScrollArea::both().id_salt("each").show(ui, |ui| findings::tables(app, ui))),
                false => pictures(app, ui, &classes),
            }
        });
    });
}

/// Draws the circles: their areas are the shares of their rows. Returns the one that was clicked.
fn matrix(
    ui: &mut Ui,
    classes: &[String],
    counts: &[Vec<u64>],
    open: Option<(usize, usize)>,
) -> Option<(usize, usize)> {
    let n = classes.len();
    let room = (ui.available_width() * 0.55).min(ui.available_height() - 30.0);
    let side = (room / (n as f32 + 2.0)).clamp(10.0, 44.0);
    let margin = side * 1.6;
    let (rect, _) = ui.allocate_exact_size(Vec2::splat(margin + side * n as f32), Sense::hover());
    let (accent, wrong) = (accent(ui), style::wrong(ui));
    let font = egui::FontId::proportional((side * 0.36).clamp(8.0, 13.0));
    let ink = ui.visuals().text_color();
    let mut clicked = None;
    let short = |name: &str| name.chars().take(6).collect::<String>();
    for (i, name) in classes.iter().enumerate() {
        let along = margin + side * (i as f32 + 0.5);
        let left = rect.min + vec2(margin - 8.0, along);
        ui.painter().text(left, egui::Align2::RIGHT_CENTER, short(name), font.clone(), ink);
        let top = rect.min + vec2(along, margin - 8.0);
        ui.painter().text(top, egui::Align2::CENTER_BOTTOM, short(name), font.clone(), ink);
    }
    for (truth, row) in counts.iter().enumerate() {
        let sum: u64 = row.iter().sum();
        for (said, &count) in row.iter().enumerate() {
            let at = rect.min + vec2(margin + side * (said as f32 + 0.5), margin + side * (truth as f32 + 0.5));
            let cell = egui::Rect::from_center_size(at, Vec2::splat(side));
            let response = ui.interact(cell, ui.scope_id().with(("cell", truth, said)), Sense::click());
            let word = format!("{} → {}: {count}", classes[truth], classes[said]);
            response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &word));
            style::named(&response, &format!("cell {truth} {said}"));
            if count > 0 {
                let r = side * 0.47 * (count as f32 / sum as f32).sqrt().max(0.16);
                ui.painter().circle_filled(at, r, if truth == said { accent } else { wrong });
                let inside = r > side * 0.34;
                let ink = if inside { ui.visuals().extreme_bg_color } else { ui.visuals().weak_text_color() };
                let place = if inside { at } else { at + vec2(0.0, side * 0.32) };
                let font = egui::FontId::proportional(if inside { side * 0.32 } else { side * 0.24 });
                if side > 22.0 {
                    ui.painter().text(place, egui::Align2::CENTER_CENTER, count.to_string(), font, ink);
                }
            } else {
                ui.painter().circle_filled(at, 1.0, ui.visuals().weak_text_color().gamma_multiply(0.4));
            }
            if open == Some((truth, said)) || response.hovered() || response.has_focus() {
                ui.painter().circle_stroke(at, side * 0.49, Stroke::new(1.5, ink));
            }
            if response.on_hover_text(word).clicked() {
                clicked = Some((truth, said));
            }
        }
    }
    clicked
}

fn pictures(app: &mut App, ui: &mut Ui, classes: &[String]) {
    let language = app.settings.language;
    let title = match app.judging.cell {
        Some((truth, said)) => {
            let (is, says) = (say(language, "is"), say(language, "says"));
            format!("{is} {}, {says} {}", classes[truth], classes[said])
        }
        None => say(language, "Worst mistakes").to_string(),
    };
    ui.label(RichText::new(title).size(17.0));
    let shown = app.judging.shown();
    if shown.is_empty() {
        return quiet(ui, say(language, "No mistakes here."));
    }
    if app.watched.opened.picture.is_none() {
        return quiet(ui, say(language, "No pictures: this is a table."));
    }
    let places: Vec<usize> = shown.iter().map(|v| v.index).collect();
    app.ask_pictures(&places);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            for verdict in shown {
                let Judging { pictures, textures, .. } = &mut app.judging;
                let Some(image) = pictures.get(&verdict.index) else { continue };
                let texture = textures
                    .entry(verdict.index)
                    .or_insert_with(|| ui.ctx().load_texture("sample", image.clone(), TextureOptions::NEAREST));
                let (rect, response) = ui.allocate_exact_size(vec2(84.0, 86.0), Sense::hover());
                let place = egui::Rect::from_min_size(rect.min + vec2(8.0, 0.0), Vec2::splat(64.0));
                egui::Image::new(&*texture).corner_radius(8).paint_at(ui, place);
                let (truth, said) = (&classes[verdict.truth], &classes[verdict.said]);
                let colour: Color32 = if verdict.truth == verdict.said { accent(ui) } else { style::wrong(ui) };
                let short = |name: &str| name.chars().take(5).collect::<String>();
                let line = format!("{} → {}  {:.0} %", short(truth), short(said), 100.0 * verdict.sure);
                let (below, font) = (place.center_bottom() + vec2(0.0, 3.0), egui::FontId::proportional(11.0));
                ui.painter().text(below, egui::Align2::CENTER_TOP, line, font, colour);
                response.on_hover_text(format!("{truth} → {said}"));
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::More;

    fn verdict(index: usize, truth: usize, said: usize, sure: f64, right: f64) -> Verdict {
        Verdict { index, truth, said, sure, right }
    }

    #[test]
    fn mistakes_come_worst_first_and_a_cell_shows_its_own() {
        let verdicts = vec![
            verdict(0, 1, 1, 0.9, 0.9),
            verdict(1, 1, 2, 0.6, 0.3),
            verdict(2, 2, 0, 0.99, 0.001),
            verdict(3, 1, 2, 0.7, 0.2),
        ];
        assert_eq!(confusion(&verdicts, 3), [[0, 0, 0], [0, 1, 2], [1, 0, 0]]);
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        let (more, tables) = (More::Nothing.into(), Vec::new());
        let judged = Judged { split: Split::Test, step: 1, line: String::new(), classes, verdicts, more, tables };
        let mut judging = Judging::default();
        judging.take(judged);
        let order = |judging: &Judging| judging.shown().iter().map(|v| v.index).collect::<Vec<usize>>();
        assert_eq!(order(&judging), [2, 3, 1]);
        judging.cell = Some((1, 2));
        assert_eq!(order(&judging), [3, 1]);
        judging.cell = Some((1, 1));
        assert_eq!(order(&judging), [0]);
    }
}
