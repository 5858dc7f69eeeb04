//! The editor's help while somebody types: a list of what the schema offers, and a line about the word under the cursor.

use crate::app::App;
use crate::complete::{self, Offer};
use crate::style::{self, accent};
use egui::text::{CCursor, CCursorRange};
use egui::{Id, Key, Modifiers, Pos2, RichText, ScrollArea, Ui};
use serde_json::Value as Json;
use std::ops::Range;
use std::sync::OnceLock;

/// Offers that are listed.
const MOST: usize = 60;

/// The list that is open, and what the cursor stands on.
#[derive(Default)]
pub struct Typing {
    /// What can be put in; empty: the list is closed.
    pub offers: Vec<Offer>,
    /// Bytes of the text that an offer takes the place of.
    pub range: Range<usize>,
    /// The offer that Enter takes.
    pub chosen: usize,
    /// What is said of the word under the cursor.
    pub hint: Option<String>,
    /// The text and the place that list and hint are of.
    seen: (u64, usize),
    /// Where the cursor is to go.
    pub go: Option<usize>,
}

/// The schema of this program.
fn schema() -> &'static Json {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    SCHEMA.get_or_init(|| pumice::model::schema(&pumice::task::words()))
}

impl Typing {
    /// The cursor stands at that byte of a text. `open` opens the list; else it closes where nothing was typed.
    pub fn at(&mut self, text: &str, version: u64, cursor: usize, open: bool) {
        if self.seen == (version, cursor) && !open {
            return;
        }
        let typed = self.seen.0 != version && self.seen.0 != 0;
        self.seen = (version, cursor);
        self.hint = complete::hint(schema(), text, cursor);
        self.offers.clear();
        // Whoever types a word or a quote is helped; whoever types a bracket or a comma is not in need. Numbers have no offers.
        let before = text.get(..cursor).and_then(|text| text.chars().last());
        let begun = typed && before.is_some_and(|c| c.is_alphanumeric() || c == '"' || c == '_');
        if open || begun {
            let (range, mut offers) = complete::offers(schema(), text, cursor);
            // A word that is whole already needs no list.
            let whole = text.get(range.clone()).is_some_and(|word| offers.len() == 1 && offers[0].word == word);
            offers.truncate(if whole && !open { 0 } else { MOST });
            (self.range, self.offers, self.chosen) = (range, offers, 0);
        }
    }

    /// Goes through the list, around its ends.
    pub fn step(&mut self, down: bool) {
        let count = self.offers.len().max(1);
        self.chosen = (self.chosen + if down { 1 } else { count - 1 }) % count;
    }

    /// Puts an offer in. The cursor goes behind it.
    pub fn take(&mut self, text: &mut String, chosen: usize) {
        let Some(offer) = self.offers.get(chosen) else { return };
        if text.get(self.range.clone()).is_some() {
            text.replace_range(self.range.clone(), &offer.text);
            let end = self.range.start + offer.text.len();
            self.go = Some(text[..end].chars().count());
        }
        self.offers.clear();
    }
}

/// Takes the keys of an open list before the editor sees them.
pub fn keys(app: &mut App, ui: &Ui) {
    let list = !app.typing.offers.is_empty();
    let pressed = |modifiers, key| ui.input_mut(|i| i.consume_key(modifiers, key));
    // Escape has taken the focus from the editor by now: whoever closes the list goes on typing.
    if list && pressed(Modifiers::NONE, Key::Escape) {
        app.typing.offers.clear();
        ui.memory_mut(|memory| memory.request_focus(Id::unique("spec")));
    }
    if !list || !ui.memory(|memory| memory.has_focus(Id::unique("spec"))) {
        return;
    }
    if pressed(Modifiers::NONE, Key::ArrowDown) {
        app.typing.step(true);
    }
    if pressed(Modifiers::NONE, Key::ArrowUp) {
        app.typing.step(false);
    }
    if app.typing.offers.is_empty() {
        return;
    }
    if pressed(Modifiers::NONE, Key::Enter) || pressed(Modifiers::NONE, Key::Tab) {
        take(app, app.typing.chosen);
    }
}

fn take(app: &mut App, chosen: usize) {
    app.typing.take(&mut app.document.text, chosen);
    app.document.touch();
    app.check();
}

/// Follows the editor's cursor; `at` is its place in the window.
pub fn follow(app: &mut App, ui: &Ui, output: &mut egui::text_edit::TextEditOutput, at: Option<Pos2>) {
    if let Some(go) = app.typing.go.take() {
        let range = CCursorRange::one(CCursor::new(go));
        output.state.cursor.set_char_range(Some(range));
        output.state.clone().store(ui.ctx(), output.response.id);
        output.response.request_focus();
        return;
    }
    let Some(range) = output.cursor_range.as_ref().filter(|_| output.response.has_focus()) else {
        return;
    };
    let chars: usize = range.primary.index.into();
    let cursor = app.document.text.char_indices().nth(chars).map_or(app.document.text.len(), |(at, _)| at);
    let open = ui.input_mut(|i| i.consume_key(Modifiers::COMMAND, Key::Space));
    app.typing.at(&app.document.text, app.document.version, cursor, open);
    if let Some(at) = at.filter(|_| !app.typing.offers.is_empty()) {
        list(app, ui, at);
    }
}

fn list(app: &mut App, ui: &Ui, at: Pos2) {
    let chosen = app.typing.chosen;
    let mut clicked = None;
    egui::Area::new(Id::unique("offers")).order(egui::Order::Foreground).fixed_pos(at).constrain(true).show(
        ui.ctx(),
        |ui| {
            egui::Frame::popup(ui.style()).show(ui, |ui| {
                ui.set_width(330.0);
                ui.spacing_mut().item_spacing.y = 1.0;
                ScrollArea::vertical().max_height(190.0).show(ui, |ui| {
                    for (i, offer) in app.typing.offers.iter().enumerate() {
                        let text = RichText::new(&offer.word).monospace();
                        let text = if i == chosen { text.color(accent(ui)).strong() } else { text };
                        let line = ui.selectable_label(i == chosen, text);
                        style::named(&line, &format!("offer {}", offer.word));
                        if i == chosen {
                            line.scroll_to_me(None);
                        }
                        if line.on_hover_text(&offer.about).clicked() {
                            clicked = Some(i);
                        }
                    }
                });
                if let Some(about) = app.typing.offers.get(chosen).map(|offer| &offer.about).filter(|a| !a.is_empty()) {
                    ui.separator();
                    ui.add(egui::Label::new(RichText::new(about).small()).wrap());
                }
            });
        },
    );
    if let Some(i) = clicked {
        take(app, i);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_opens_the_list_and_taking_writes_the_word() {
        let mut typing = Typing::default();
        let mut text = "{ \"layers\": [ { \"op\": \"conv2\" } ] }".to_string();
        let cursor = text.find("2\"").expect("there") + 1;
        typing.at(&text, 1, cursor, false);
        assert!(typing.offers.is_empty(), "nothing was typed yet");
        assert!(typing.hint.is_some(), "the key says what it is");
        typing.at(&text, 2, cursor, false);
        assert_eq!(typing.offers[0].word, "conv2d");
        typing.take(&mut text, 0);
        assert_eq!(text, "{ \"layers\": [ { \"op\": \"conv2d\" } ] }");
        assert_eq!(typing.go, Some(cursor + 1));
        assert!(typing.offers.is_empty());
    }

    #[test]
    fn the_list_goes_around_and_closes_when_the_cursor_moves() {
        let mut typing = Typing::default();
        typing.at("{ ", 1, 2, true);
        let count = typing.offers.len();
        assert!(count > 5, "{count}");
        typing.step(false);
        assert_eq!(typing.chosen, count - 1);
        typing.step(true);
        assert_eq!(typing.chosen, 0);
        typing.at("{ ", 1, 1, false);
        assert!(typing.offers.is_empty());
    }
}
