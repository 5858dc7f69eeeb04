//! How the window closes: it asks, finishes the step, and writes the checkpoint.

use crate::app::App;
use crate::style;
use crate::words::say;
use crate::worker::{Ask, State};
use egui::{Ui, ViewportCommand};

/// How far the window is with closing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// It stays open.
    No,
    /// The person is asked.
    Asked,
    /// The last step and its checkpoint are waited for.
    Waiting,
}

impl App {
    /// Asks before a training or an unsaved text is left, and waits for the checkpoint.
    pub(crate) fn close(&mut self, ui: &mut Ui) {
        let language = self.settings.language;
        let ctx = ui.ctx().clone();
        if ctx.input(|i| i.viewport().close_requested()) && !self.watched.closed {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            if self.closing == Closing::No {
                let ask = self.watched.state == State::Training || self.document.changed();
                self.closing = if ask { Closing::Asked } else { Closing::Waiting };
                if !ask {
                    self.worker.ask(Ask::Close);
                }
            }
        }
        if self.watched.closed {
            ctx.send_viewport_cmd(ViewportCommand::Close);
            return;
        }
        if self.closing == Closing::No {
            return;
        }
        egui::Window::new(say(language, "Close"))
            .collapsible(false)
            .resizable(false)
            .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
            .show(&ctx, |ui| {
                if self.closing == Closing::Waiting {
                    ui.label(say(language, "Closing …"));
                    return;
                }
                let training = self.watched.state == State::Training;
                if training {
                    ui.label(say(language, "Training goes on. Finish the step, write a checkpoint and close?"));
                }
                if self.document.changed() {
                    ui.label(say(language, "The spec is not saved. Close all the same?"));
                }
                ui.horizontal(|ui| {
                    let close = ui.button(say(language, "Close"));
                    style::named(&close, "close");
                    if close.clicked() {
                        self.closing = Closing::Waiting;
                        self.worker.ask(Ask::Close);
                    }
                    let stay = if training { say(language, "Go on training") } else { say(language, "Stay") };
                    let stay = ui.button(stay);
                    style::named(&stay, "stay");
                    if stay.clicked() {
                        self.closing = Closing::No;
                    }
                });
            });
    }
}
