//! The page of the data: samples with their targets, plain and as training sees them, how many there are of each class, what
//! was left out, and what is worth a look.

use crate::app::App;
use crate::samples::{Counted, Drawn, Sheet};
use crate::style::{self, accent, quiet};
use crate::tiles;
use crate::words::{grouped, say};
use crate::worker::Ask;
use egui::{RichText, ScrollArea, Sense, TextureHandle, TextureOptions, Ui, Vec2, vec2};
use egui::{Role, WidgetInfo};
use pumice::Split;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Side of a sample in points.
const SIDE: f32 = 132.0;
/// Samples that are kept.
const KEPT: usize = 600;
/// Files that were left out, and notes, that are listed.
const LISTED: usize = 100;

/// A sample: its split, the step that sees it so, its place.
type Key = (Split, Option<u32>, usize);

/// What the page holds.
#[derive(Default)]
pub struct Showing {
    /// The split that is shown; None until the page was seen.
    pub split: Option<Split>,
    /// What it holds.
    pub counted: Option<Arc<Counted>>,
    /// Only samples with that class.
    pub class: Option<usize>,
    /// The first of the samples that are shown, in their list.
    pub first: usize,
    /// Samples are shown as that step sees them.
    pub step: Option<u32>,
    samples: HashMap<Key, Drawn>,
    textures: HashMap<Key, (TextureHandle, Vec2)>,
    asked: Vec<Key>,
}

impl Showing {
    /// Takes what a split holds. An answer about another split counts for nothing.
    pub fn counted(&mut self, counted: Counted) {
        if counted.split == self.split {
            self.counted = Some(Arc::new(counted));
        }
    }

    /// Takes samples.
    pub fn sheet(&mut self, sheet: Sheet) {
        if self.samples.len() > KEPT {
            self.samples.clear();
            self.textures.clear();
            self.asked.clear();
        }
        let Sheet { split, step, all } = sheet;
        self.samples.extend(all.into_iter().map(|sample| ((split, step, sample.index), sample)));
    }

    /// Shows a split from its beginning.
    pub fn turn(&mut self, split: Split) {
        (self.split, self.counted, self.class, self.first, self.step) = (Some(split), None, None, 0, None);
    }

    /// Shows only a class; again: all.
    pub fn choose(&mut self, class: usize) {
        self.class = if self.class == Some(class) { None } else { Some(class) };
        self.first = 0;
    }

    /// The places that are shown of the chosen class, so many at once; and how many there are in all.
    pub fn shown(&self, most: usize) -> (Vec<usize>, usize) {
        let Some(counted) = &self.counted else { return (Vec::new(), 0) };
        let all = counted.with(self.class);
        (all.iter().copied().skip(self.first).take(most).collect(), all.len())
    }

    /// A sample as it is shown now, if it has come.
    pub fn sample(&self, place: usize) -> Option<&Drawn> {
        self.samples.get(&(self.split?, self.step, place))
    }

    /// Whether all samples that were asked for last have come.
    pub fn is_whole(&self) -> bool {
        !self.asked.is_empty() && self.asked.iter().all(|key| self.samples.contains_key(key))
    }

    /// Goes on or back by a page.
    pub fn leaf(&mut self, on: bool, most: usize, all: usize) {
        self.first = match on {
            true if self.first + most < all => self.first + most,
            true => self.first,
            false => self.first.saturating_sub(most),
        };
    }
}

/// The page.
pub fn show(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    if !app.watched.ready() {
        return quiet(ui, say(language, "Open a network first."));
    }
    if app.showing.split.is_none() {
        let parts = [(Split::Train, 0), (Split::Validation, 1), (Split::Test, 2)];
        let first = parts.into_iter().find(|(_, place)| app.watched.opened.samples[*place] > 0);
        turn(app, first.map_or(Split::Train, |(split, _)| split));
    }
    ui.horizontal(|ui| {
        parts(app, ui);
        steps(app, ui);
    });
    let Some(counted) = app.showing.counted.clone() else {
        ui.horizontal(|ui| {
            ui.spinner();
            quiet(ui, say(language, "Counting …"));
        });
        return;
    };
    for warning in &counted.warnings {
        let text = format!("⚠ {}", warning.text(language, &counted.classes));
        ui.add(egui::Label::new(RichText::new(text).color(style::wrong(ui))).wrap());
    }
    ui.add_space(4.0);
    let side = (ui.available_width() * 0.3).clamp(210.0, 340.0);
    let counts = egui::Panel::left("counts").default_size(side).size_range(180.0..=480.0);
    let frame = egui::Frame::new().inner_margin(egui::Margin { right: 12, ..Default::default() });
    counts.frame(frame).show(ui, |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            classes(app, ui, &counted);
            left_out(app, ui);
        });
    });
    ui.horizontal_top(|ui| {
        ui.add_space(10.0);
        ui.vertical(|ui| samples(app, ui, &counted));
    });
}

fn turn(app: &mut App, split: Split) {
    app.showing.turn(split);
    app.worker.ask(Ask::Count(split));
}

fn parts(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    let names = [
        (Split::Train, 0, say(language, "training")),
        (Split::Validation, 1, say(language, "validation")),
        (Split::Test, 2, say(language, "test")),
    ];
    for (split, place, word) in names {
        let count = app.watched.opened.samples[place];
        if count == 0 {
            continue;
        }
        let text = format!("{word}  {}", grouped(count as u64));
        let tab = ui.selectable_label(app.showing.split == Some(split), text);
        style::named(&tab, &format!("part {}", split.word()));
        if tab.clicked() && app.showing.split != Some(split) {
            turn(app, split);
        }
    }
}

/// The choice between plain samples and those of a step.
fn steps(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    if !app.showing.counted.as_ref().is_some_and(|counted| counted.changes) {
        return;
    }
    ui.separator();
    let plain = ui.selectable_label(app.showing.step.is_none(), say(language, "plain"));
    style::named(&plain, "plain");
    let seen = ui.selectable_label(app.showing.step.is_some(), say(language, "as training sees them"));
    style::named(&seen, "augmented");
    if plain.clicked() {
        app.showing.step = None;
    }
    if seen.clicked() && app.showing.step.is_none() {
        app.showing.step = Some(0);
    }
    if let Some(step) = &mut app.showing.step {
        ui.label(RichText::new(say(language, "step")).weak());
        style::named(&ui.add(egui::DragValue::new(step).range(0..=1_000_000)), "seen by step");
        let on = ui.button("›");
        style::named(&on, "next step");
        if on.clicked() {
            *step += 1;
        }
    }
}

/// A bar for each class, which is a button; or a line for each target.
fn classes(app: &mut App, ui: &mut Ui, counted: &Counted) {
    let language = app.settings.language;
    if !counted.about.is_empty() {
        ui.add(egui::Label::new(RichText::new(&counted.about).small().weak()).wrap());
    }
    for (i, [least, mean, most]) in counted.values.iter().enumerate() {
        let line = format!("{} {}: {least:.4} … {most:.4}   ⌀ {mean:.4}", say(language, "target"), i + 1);
        ui.label(line);
    }
    let Some(unit) = counted.unit else { return };
    let title = match unit {
        "pixels" => say(language, "Pixels of each class"),
        "objects" => say(language, "Objects of each class"),
        _ => say(language, "Samples of each class"),
    };
    ui.label(RichText::new(title).size(15.0));
    let most = counted.counts.iter().copied().max().unwrap_or(1).max(1) as f32;
    let filters = !counted.of.is_empty();
    for (class, count) in counted.counts.iter().enumerate() {
        let name = counted.classes.get(class).cloned().unwrap_or_else(|| class.to_string());
        let sense = if filters { Sense::click() } else { Sense::hover() };
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), sense);
        let chosen = app.showing.class == Some(class);
        response.widget_info(|| WidgetInfo::selected(Role::Button, filters, chosen, &name));
        style::named(&response, &format!("class {class}"));
        let (ink, weak, accent) = (ui.visuals().text_color(), ui.visuals().weak_text_color(), accent(ui));
        let label = rect.width() * 0.36;
        let room = rect.width() - label - 64.0;
        let bar = egui::Rect::from_min_size(
            rect.min + vec2(label, 5.0),
            vec2((room * *count as f32 / most).max(2.0), rect.height() - 10.0),
        );
        ui.painter().rect_filled(bar, 3.0, if chosen { accent } else { weak.gamma_multiply(0.55) });
        if chosen || response.hovered() || response.has_focus() {
            ui.painter().rect_stroke(rect, 5.0, egui::Stroke::new(1.0, accent), egui::StrokeKind::Inside);
        }
        let font = egui::FontId::proportional(12.5);
        let mut job = egui::text::LayoutJob::simple_singleline(name.clone(), font.clone(), ink);
        job.wrap = egui::text::TextWrapping::truncate_at_width(label - 12.0);
        let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
        ui.painter().galley(rect.left_center() + vec2(5.0, -galley.size().y / 2.0), galley, ink);
        let right = rect.right_center() - vec2(5.0, 0.0);
        ui.painter().text(right, egui::Align2::RIGHT_CENTER, grouped(*count), font, weak);
        if response.on_hover_text(format!("{name}: {}", grouped(*count))).clicked() {
            app.showing.choose(class);
        }
    }
    if filters {
        quiet(ui, say(language, "A click on a class shows its samples only."));
    }
}

/// What the data's reader left out, and what it notes.
fn left_out(app: &App, ui: &mut Ui) {
    let language = app.settings.language;
    let notes = &app.watched.opened.notes;
    ui.add_space(8.0);
    if notes.is_empty() {
        return quiet(ui, say(language, "Nothing was left out."));
    }
    ui.label(RichText::new(format!("{}  {}", say(language, "Left out, and notes"), notes.len())).size(15.0));
    for note in notes.iter().take(LISTED) {
        ui.add(egui::Label::new(RichText::new(note).small()).wrap());
    }
    if notes.len() > LISTED {
        quiet(ui, "…");
    }
}

fn samples(app: &mut App, ui: &mut Ui, counted: &Counted) {
    let language = app.settings.language;
    let pictures = app.watched.opened.picture.is_some();
    let tile = if pictures { vec2(SIDE, SIDE + 18.0) } else { vec2(ui.available_width(), 22.0) };
    let spacing = ui.spacing().item_spacing;
    let room = ui.available_size() - vec2(14.0, 38.0);
    let columns = ((room.x + spacing.x) / (tile.x + spacing.x)).floor().max(1.0) as usize;
    let rows = ((room.y + spacing.y) / (tile.y + spacing.y)).floor().max(1.0) as usize;
    let most = columns * rows;
    let (shown, all) = app.showing.shown(most);
    ui.horizontal(|ui| {
        let back = ui.add_enabled(app.showing.first > 0, egui::Button::new("‹"));
        style::named(&back, "samples back");
        let on = ui.add_enabled(app.showing.first + most < all, egui::Button::new("›"));
        style::named(&on, "samples on");
        if back.clicked() || on.clicked() {
            app.showing.leaf(on.clicked(), most, all);
        }
        let last = app.showing.first + shown.len();
        let of = grouped(all as u64);
        let mut text = format!("{} – {} / {of}", (app.showing.first + 1).min(last), last);
        if let Some(class) = app.showing.class {
            text += &format!("   {}", counted.classes.get(class).cloned().unwrap_or_default());
        }
        ui.label(RichText::new(text).weak());
    });
    let Some(split) = app.showing.split else { return };
    let step = app.showing.step;
    let keys: Vec<Key> = shown.iter().map(|&place| (split, step, place)).collect();
    let missing: Vec<Key> = keys.iter().copied().filter(|key| !app.showing.samples.contains_key(key)).collect();
    if !missing.is_empty() && app.showing.asked != missing {
        app.worker.ask(Ask::Sheet(split, missing.iter().map(|key| key.2).collect(), step));
        app.showing.asked = missing;
    }
    if shown.is_empty() {
        return quiet(ui, say(language, "No samples of this class here."));
    }
    if !pictures {
        for key in keys {
            let Some(sample) = app.showing.samples.get(&key) else { continue };
            ui.horizontal(|ui| {
                ui.label(RichText::new(format!("{}", sample.index)).weak());
                ui.label(RichText::new(&sample.caption).strong());
                ui.add(egui::Label::new(RichText::new(sample.row.join("   ")).small().weak()).truncate());
            });
        }
        return;
    }
    for row in keys.chunks(columns) {
        ui.horizontal(|ui| {
            for key in row {
                picture(app, ui, *key, counted, tile);
            }
        });
    }
}

fn picture(app: &mut App, ui: &mut Ui, key: Key, counted: &Counted, tile: Vec2) {
    let (rect, response) = ui.allocate_exact_size(tile, Sense::hover());
    style::named(&response, &format!("sample {}", key.2));
    let Showing { samples, textures, .. } = &mut app.showing;
    let Some(sample) = samples.get(&key) else {
        let place = egui::Rect::from_min_size(rect.min, Vec2::splat(SIDE));
        ui.painter().rect_filled(place, 6.0, ui.visuals().faint_bg_color);
        return;
    };
    let (texture, size) = match textures.entry(key) {
        Entry::Occupied(own) => own.into_mut(),
        Entry::Vacant(free) => {
            let Some(image) = sample.picture.as_ref().and_then(tiles::picture) else { return };
            let [w, h] = image.size.map(|side| side as f32);
            let texture = ui.ctx().load_texture("sample", image, TextureOptions::LINEAR);
            free.insert((texture, vec2(w, h) * (SIDE / w.max(h))))
        }
    };
    let size = *size;
    let place = egui::Rect::from_min_size(rect.min + (Vec2::splat(SIDE) - size) / 2.0, size);
    egui::Image::new(&*texture).corner_radius(6).paint_at(ui, place);
    let name = |class: usize| counted.classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    let ground = ui.visuals().panel_fill;
    for (class, [left, top, ..]) in sample.boxes.iter().take(12) {
        let at = place.min + vec2(left * size.x + 2.0, top * size.y + 2.0);
        let font = egui::FontId::proportional(9.5);
        let galley = ui.painter().layout_no_wrap(name(*class), font, ui.visuals().text_color());
        let back = egui::Rect::from_min_size(at, galley.size()).expand(1.0);
        ui.painter().rect_filled(back, 2.0, ground.gamma_multiply(0.8));
        ui.painter().galley(at, galley, ui.visuals().text_color());
    }
    let below = egui::pos2(rect.center().x, rect.min.y + SIDE + 2.0);
    let font = egui::FontId::proportional(11.5);
    let mut job =
        egui::text::LayoutJob::simple_singleline(sample.caption.clone(), font, ui.visuals().weak_text_color());
    job.wrap = egui::text::TextWrapping::truncate_at_width(SIDE);
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    let at = below - vec2(galley.size().x / 2.0, 0.0);
    ui.painter().galley(at, galley, ui.visuals().weak_text_color());
    let index = format!("{}: {}", key.2, sample.caption);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &index));
    response.on_hover_text(index);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn showing() -> Showing {
        let mut showing = Showing::default();
        showing.turn(Split::Test);
        let of = (0..10).map(|i| vec![i % 3]).collect();
        showing.counted(Counted { split: Some(Split::Test), samples: 10, of, ..Counted::default() });
        showing
    }

    #[test]
    fn a_class_is_chosen_and_leafed_through() {
        let mut showing = showing();
        assert_eq!(showing.shown(4), (vec![0, 1, 2, 3], 10));
        showing.leaf(true, 4, 10);
        showing.leaf(true, 4, 10);
        assert_eq!(showing.shown(4), (vec![8, 9], 10));
        showing.leaf(true, 4, 10);
        assert_eq!(showing.first, 8, "there is no page behind the last one");
        showing.choose(1);
        assert_eq!(showing.shown(4), (vec![1, 4, 7], 3));
        showing.choose(1);
        assert_eq!(showing.shown(4).1, 10);
    }

    #[test]
    fn an_answer_about_another_part_counts_for_nothing() {
        let mut showing = showing();
        showing.turn(Split::Train);
        showing.counted(Counted { split: Some(Split::Test), samples: 10, ..Counted::default() });
        assert_eq!(showing.shown(4), (vec![], 0));
    }

    #[test]
    fn samples_of_a_step_are_not_the_plain_ones() {
        let mut showing = showing();
        let all = vec![Drawn { index: 3, ..Drawn::default() }];
        showing.sheet(Sheet { split: Split::Test, step: Some(0), all });
        assert!(showing.samples.contains_key(&(Split::Test, Some(0), 3)));
        assert!(!showing.samples.contains_key(&(Split::Test, None, 3)));
    }
}
