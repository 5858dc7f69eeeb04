//! The page that opens: recent files, a path, the shelf of models.

use crate::app::{App, FRAME};
use crate::document::Document;
use crate::gallery;
use crate::shelf::{self, SHELF};
use crate::style::{self, quiet};
use crate::words::say;
use crate::worker::Ask;
use egui::{RichText, ScrollArea, Ui};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to open.
enum Wish {
    Path(PathBuf),
    Shelf(usize),
}

impl App {
    /// Opens a model of the shelf.
    pub fn open_shelf(&mut self, name: &str, text: &str) {
        match shelf::file(name) {
            Some(file) => self.open(&file),
            None => {
                let version = self.document.version + 1;
                self.begin(Document::opened(text.to_string(), PathBuf::new(), None, version));
                if text.contains("\"../data/") {
                    let text = "Data that lies beside the spec is searched from the working folder.";
                    self.message = Some(say(self.settings.language, text).to_string());
                }
            }
        }
    }

    /// Has the models of the shelf planned, once.
    pub(crate) fn begin_gallery(&mut self, ctx: &egui::Context) {
        let ctx = ctx.clone();
        self.gallery.begin(move || ctx.request_repaint_after(Duration::from_millis(FRAME[1])));
    }
}

/// The page.
pub fn show(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    let mut wish = None;
    app.begin_gallery(ui.ctx());
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
            if ui.link(short(path)).on_hover_text(path.display().to_string()).clicked() {
                wish = Some(Wish::Path(path.clone()));
            }
        }
        ui.add_space(14.0);
        egui::CollapsingHeader::new(say(language, "New from my own data"))
            .id_salt("fresh")
            .show(ui, |ui| fresh(app, ui));
        ui.add_space(6.0);
        ui.label(RichText::new(say(language, "Models that come with the program")).size(17.0));
        let adapter = app.gallery.adapter.clone().unwrap_or_else(|| "…".into());
        quiet(ui, &format!("{}  {adapter}", say(language, "FLOPs of a sample, memory of a step; adapter:")));
        let titles = [say(language, "They train as they stand"), say(language, "They want data of your own")];
        for (title, models) in titles.into_iter().zip(shelf::parts()) {
            ui.add_space(6.0);
            ui.label(RichText::new(title).strong());
            let columns = (ui.available_width() / 330.0).floor().max(1.0) as usize;
            let width = ui.available_width() / columns as f32 - 12.0;
            for row in models.chunks(columns) {
                ui.horizontal(|ui| {
                    for &i in row {
                        let fact = app.gallery.facts.get(i).and_then(Option::as_ref);
                        if gallery::card(ui, language, i, width, fact) {
                            wish = Some(Wish::Shelf(i));
                        }
                    }
                });
            }
        }
    });
    match wish {
        Some(Wish::Path(path)) => app.open(&path),
        Some(Wish::Shelf(i)) => app.open_shelf(SHELF[i].0, SHELF[i].1),
        None => {}
    }
}

/// The last two parts of a path: enough to know it again.
fn short(path: &Path) -> String {
    let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

/// A spec for somebody's own data.
fn fresh(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    quiet(
        ui,
        say(
            language,
            "A folder with a folder of pictures for each class, one with images and masks, or a table (CSV). What is found is written as a spec.",
        ),
    );
    ui.horizontal_wrapped(|ui| {
        let field = egui::TextEdit::singleline(&mut app.data_field).desired_width(300.0);
        let field = ui.add(field.hint_text(say(language, "my folder of pictures")));
        style::named(&field, "data path");
        ui.label("→");
        let folder = egui::TextEdit::singleline(&mut app.folder_field).desired_width(200.0);
        let folder = ui.add(folder.hint_text(say(language, "a new folder for the spec")));
        style::named(&folder, "new folder");
        let ready = !app.data_field.trim().is_empty() && !app.folder_field.trim().is_empty();
        let begin = ui.add_enabled(ready, egui::Button::new(say(language, "Look and write")));
        style::named(&begin, "draft");
        if begin.clicked() {
            let [data, folder] = [&app.data_field, &app.folder_field].map(|field| PathBuf::from(field.trim()));
            app.worker.ask(Ask::Draft(data, folder));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recent_file_is_known_by_its_folder_and_its_name() {
        assert_eq!(short(Path::new("/home/me/nets/my.json")), "nets/my.json");
        assert_eq!(short(Path::new("my.json")), "my.json");
    }
}
