//! The menu that keeps: checkpoints and files for other programs, each with its place.

use crate::app::App;
use crate::export::{Kind, plain};
use crate::style::{self, accent};
use crate::words::{bytes, say};
use crate::worker::Ask;
use egui::{RichText, Ui};
use std::path::PathBuf;

/// What is being written, and what was written last.
#[derive(Default)]
pub struct Keeping {
    /// What is under way.
    pub writing: Option<Kind>,
    /// The file or folder that was written, and its size.
    pub written: Option<(PathBuf, u64)>,
}

impl Keeping {
    /// Takes what was written.
    pub fn written(&mut self, place: PathBuf, bytes: u64) {
        (self.writing, self.written) = (None, Some((place, bytes)));
    }
}

/// The menu's button.
pub fn menu(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    let menu = ui.menu_button(say(language, "Keep"), |ui| {
        ui.set_min_width(330.0);
        let run = app.watched.run.clone();
        let Some(run) = run else {
            ui.label(RichText::new(say(language, "The run folder is made with the first step: train first.")).weak());
            return;
        };
        let checkpoint = ui.button(say(language, "Checkpoint now"));
        style::named(&checkpoint, "keep checkpoint");
        ui.label(RichText::new(run.display().to_string()).small().weak());
        if checkpoint.clicked() {
            app.worker.ask(Ask::Save);
            ui.close();
        }
        ui.separator();
        for kind in Kind::ALL {
            let word = match kind {
                Kind::Onnx => say(language, "ONNX, for other programs"),
                Kind::Pytorch => say(language, "Weights for PyTorch"),
                Kind::Safetensors => say(language, "Weights, as Pumice names them"),
                Kind::Report => say(language, "Report, a page for a browser"),
                Kind::Pictures => say(language, "Pictures: filters, feature maps, Grad-CAM, saliency"),
            };
            let item = ui.add_enabled(app.keeping.writing.is_none(), egui::Button::new(word));
            style::named(&item, &format!("keep {kind:?}"));
            let place = kind.place(&run, &plain(&app.watched.opened.name));
            ui.label(RichText::new(place.display().to_string()).small().weak());
            if item.clicked() {
                (app.keeping.writing, app.keeping.written) = (Some(kind), None);
                app.worker.ask(Ask::Export(kind));
                ui.close();
            }
        }
    });
    style::named(&menu.response, "keep");
}

/// A line about what is being or was written.
pub fn line(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    if app.keeping.writing.is_some() {
        ui.horizontal(|ui| {
            ui.spinner();
            ui.label(RichText::new(say(language, "Writing …")).weak());
        });
    }
    let Some((place, size)) = app.keeping.written.clone() else { return };
    let text = format!("✔ {}: {}  ({})", say(language, "Written"), place.display(), bytes(size));
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(text).color(accent(ui)));
        let copy = ui.small_button(say(language, "Copy the path"));
        style::named(&copy, "copy path");
        if copy.clicked() {
            ui.ctx().copy_text(place.display().to_string());
        }
        let dismiss = ui.small_button(say(language, "Dismiss"));
        style::named(&dismiss, "dismiss written");
        if dismiss.clicked() {
            app.keeping.written = None;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_ends_the_writing() {
        let mut keeping = Keeping { writing: Some(Kind::Onnx), written: None };
        keeping.written(PathBuf::from("a.onnx"), 5);
        assert_eq!((keeping.writing, keeping.written), (None, Some((PathBuf::from("a.onnx"), 5))));
    }
}
