//! The window: its pages, the bar that drives the training, and how it closes.

use crate::checker::Checker;
use crate::closing::Closing;
use crate::data::Showing;
use crate::document::Document;
use crate::findings::Finding;
use crate::gallery::Gallery;
use crate::inside::{self, Looking};
use crate::judge::{self, Judging};
use crate::keep::Keeping;
use crate::script::Script;
use crate::settings::{Language, Settings};
use crate::style::{self, Icon, accent, round_button};
use crate::typing::Typing;
use crate::watched::Watched;
use crate::words::say;
use crate::worker::{Ask, News, State, Worker};
use crate::{data, keep, network, open, train};
use egui::{CentralPanel, Key, Modifiers, Panel, RichText, Ui};
use pumice::Split;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Milliseconds from news to its frame: on a GPU, and on a software adapter, whose time the window shares.
pub(crate) const FRAME: [u64; 2] = [33, 600];

/// The pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// Recent files and the shelf.
    Open,
    /// Spec and network.
    Network,
    /// Curves.
    Train,
    /// Feature maps and filters.
    Inside,
    /// Confusion and mistakes.
    Judge,
    /// Samples with their targets.
    Data,
}

const PAGES: [(Page, &str); 6] = [
    (Page::Open, "Open"),
    (Page::Network, "Network"),
    (Page::Data, "Data"),
    (Page::Train, "Train"),
    (Page::Inside, "Look inside"),
    (Page::Judge, "Judge"),
];

/// The window.
pub struct App {
    /// What is remembered.
    pub settings: Settings,
    settings_file: Option<PathBuf>,
    /// The page that is shown.
    pub page: Page,
    /// The spec.
    pub document: Document,
    /// The training.
    pub watched: Watched,
    /// The page that looks inside.
    pub looking: Looking,
    /// The page that judges.
    pub judging: Judging,
    /// The editor's help.
    pub typing: Typing,
    /// The page of the data.
    pub showing: Showing,
    /// What the judgement shows of other tasks than classes.
    pub finding: Finding,
    /// What is known of the models of the shelf.
    pub gallery: Gallery,
    /// What is written for other programs.
    pub keeping: Keeping,
    /// The field for somebody's own data.
    pub data_field: String,
    /// The field for the folder of its spec.
    pub folder_field: String,
    /// The split that is judged.
    pub split: Split,
    /// Pictures that were asked for last.
    pub asked: Vec<usize>,
    /// The drawn picture on the adapter.
    pub drawn_texture: Option<egui::TextureHandle>,
    /// What was found in the data of a new spec.
    pub found: Option<String>,
    /// The editor is to go to that line.
    pub jump: Option<usize>,
    /// The line of the cursor.
    pub line: usize,
    /// The field for a path.
    pub path_field: String,
    /// The field for a learning rate.
    pub rate_field: String,
    /// Something went wrong.
    pub message: Option<String>,
    /// The training thread.
    pub worker: Worker,
    checker: Checker,
    pub(crate) closing: Closing,
    go_when_ready: bool,
    /// The text that the trainer has.
    trained: String,
    frame: Arc<AtomicU64>,
    woken: Arc<AtomicBool>,
    script: Option<Script>,
    styled: Option<(bool, u32)>,
}

impl App {
    /// A window that remembers in a file, if there is one, and follows a script, if there is one.
    pub fn new(ctx: &egui::Context, settings_file: Option<PathBuf>, script: Option<Script>) -> App {
        let settings = settings_file.as_deref().map(Settings::read).unwrap_or_default();
        let (frame, woken) = (Arc::new(AtomicU64::new(FRAME[0])), Arc::new(AtomicBool::new(false)));
        let wake = || {
            let (ctx, frame, woken) = (ctx.clone(), frame.clone(), woken.clone());
            move || {
                // One request for all news until the next frame takes it.
                if !woken.swap(true, Ordering::AcqRel) {
                    ctx.request_repaint_after(Duration::from_millis(frame.load(Ordering::Relaxed)));
                }
            }
        };
        let (worker, checker) = (Worker::start(wake()), Checker::start(wake()));
        App {
            settings,
            settings_file,
            page: Page::Open,
            document: Document::default(),
            watched: Watched::default(),
            looking: Looking::default(),
            judging: Judging::default(),
            typing: Typing::default(),
            showing: Showing::default(),
            finding: Finding::default(),
            gallery: Gallery::default(),
            keeping: Keeping::default(),
            data_field: String::new(),
            folder_field: String::new(),
            split: Split::Test,
            asked: Vec::new(),
            drawn_texture: None,
            found: None,
            jump: None,
            line: 0,
            path_field: String::new(),
            rate_field: String::new(),
            message: None,
            worker,
            checker,
            closing: Closing::No,
            go_when_ready: false,
            trained: String::new(),
            frame,
            woken,
            script,
            styled: None,
        }
    }

    /// Opens a spec or a run folder.
    pub fn open(&mut self, path: &Path) {
        match Document::read(path, self.document.version + 1) {
            Ok(document) => {
                self.settings.opened(path);
                self.begin(document);
            }
            Err(text) => self.message = Some(text),
        }
    }

    pub(crate) fn begin(&mut self, document: Document) {
        self.document = document;
        (self.page, self.line, self.jump, self.found) = (Page::Network, 0, None, None);
        self.typing = Typing::default();
        self.check();
        self.prepare();
    }

    /// Has the text read.
    pub fn check(&mut self) {
        self.checker.ask(self.document.version, self.document.source());
    }

    /// Has data and adapter made ready for the text.
    fn prepare(&mut self) {
        self.watched.begin();
        self.trained.clone_from(&self.document.text);
        self.looking.begin();
        self.judging = Judging::default();
        (self.showing, self.finding, self.keeping) = (Showing::default(), Finding::default(), Keeping::default());
        self.asked.clear();
        self.worker.ask(Ask::Look(None));
        self.worker.ask(Ask::Open(self.document.source(), self.document.run.clone()));
    }

    /// Writes the text to its file. A model of the shelf becomes a file of the working folder.
    pub fn save(&mut self) {
        if self.document.path.as_os_str().is_empty() {
            self.document.path = PathBuf::from(format!("{}.json", self.document.planned.name));
        }
        match std::fs::write(&self.document.path, &self.document.text) {
            Ok(()) => {
                self.document.saved.clone_from(&self.document.text);
                self.settings.opened(&self.document.path.clone());
            }
            Err(e) => self.message = Some(format!("{}: {e}", self.document.path.display())),
        }
    }

    /// Starts, goes on or rests. A text that has changed since is opened first.
    pub fn go(&mut self) {
        match self.watched.state {
            State::Training => self.worker.ask(Ask::Pause),
            _ if !self.can_go() => {}
            _ if self.stale() => {
                self.go_when_ready = true;
                self.prepare();
            }
            _ => self.worker.ask(Ask::Go),
        }
    }

    /// Whether the trainer has another text than the editor.
    pub fn stale(&self) -> bool {
        self.watched.state == State::Empty || self.trained != self.document.text
    }

    fn can_go(&self) -> bool {
        let sound = self.document.version > 0
            && self.document.checked == self.document.version
            && self.document.mistakes.is_empty();
        let now = self.watched.state;
        now == State::Training || (sound && now != State::Opening && (self.stale() || now == State::Resting))
    }

    /// Takes what the threads have told.
    pub fn news(&mut self) {
        self.woken.store(false, Ordering::Release);
        if let Some(checked) = self.checker.answer() {
            self.document.take(checked);
        }
        self.gallery.take();
        for news in self.worker.inbox.take() {
            self.watched.take(&news);
            match news {
                News::State(State::Resting) if std::mem::take(&mut self.go_when_ready) => self.worker.ask(Ask::Go),
                News::Looked(looked) => self.looking.take(*looked),
                News::Judged(judged) => self.judging.take(*judged),
                News::Pictures(split, all) => self.judging.pictures(split, &all),
                News::Counted(counted) => self.showing.counted(*counted),
                News::Sheet(sheet) => self.showing.sheet(*sheet),
                News::Exported(place, bytes) => self.keeping.written(place, bytes),
                News::Drafted(file, about) => {
                    self.open(&file);
                    self.found = Some(about);
                }
                News::Failed(text) => {
                    (self.go_when_ready, self.judging.waiting) = (false, false);
                    self.keeping.writing = None;
                    self.message = Some(text);
                }
                _ => {}
            }
        }
        let slow = self.watched.opened.software && self.watched.state == State::Training;
        self.frame.store(FRAME[usize::from(slow)], Ordering::Relaxed);
    }

    /// What scripts wait for: `opened`, `checked`, `resting`, `training`, `finished`, `step N`, `said`, `said CLASS`,
    /// `mistakes`, `message`, `judged`, `saved`, `counted`, `sheet`, `written`, `gallery`, `offered`, `asked`, `page N`.
    pub fn holds(&self, condition: &str) -> bool {
        let (word, rest) = condition.split_once(' ').unwrap_or((condition, ""));
        match word {
            "opened" => self.watched.ready() && !self.stale(),
            "checked" => self.document.checked == self.document.version,
            "mistakes" => self.holds("checked") && !self.document.mistakes.is_empty(),
            "resting" => self.watched.state == State::Resting,
            "training" => self.watched.state == State::Training,
            "finished" => self.watched.state == State::Finished,
            "step" => rest.parse().is_ok_and(|step: u64| self.watched.step >= step),
            "said" => self.looking.best().is_some_and(|(class, _)| rest.is_empty() || class == rest),
            "message" => self.message.is_some(),
            "judged" => self.judging.judged.is_some(),
            "saved" => self.watched.saved == Some(self.watched.step),
            "sheet" => self.showing.is_whole(),
            "counted" => self.showing.counted.is_some(),
            "asked" => self.closing == Closing::Asked,
            "offered" => !self.typing.offers.is_empty(),
            "written" => self.keeping.written.is_some(),
            "gallery" => self.gallery.is_whole(),
            "page" => rest.parse().is_ok_and(|page: usize| PAGES.get(page - 1).is_some_and(|own| own.0 == self.page)),
            _ => false,
        }
    }

    fn keys(&mut self, ui: &Ui) {
        let pressed = |modifiers, key| ui.input_mut(|i| i.consume_key(modifiers, key));
        let digits = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6];
        for (key, (page, _)) in digits.into_iter().zip(PAGES) {
            if pressed(Modifiers::COMMAND, key) {
                self.page = page;
            }
        }
        if pressed(Modifiers::COMMAND, Key::S) && self.document.changed() {
            self.save();
        }
        if pressed(Modifiers::COMMAND, Key::O) {
            self.page = Page::Open;
        }
        if pressed(Modifiers::NONE, Key::F5) {
            self.go();
        }
        if pressed(Modifiers::NONE, Key::F6) {
            self.worker.ask(Ask::Stop);
        }
        if pressed(Modifiers::NONE, Key::F10) && self.watched.can_go() {
            self.worker.ask(Ask::Step);
        }
        for (key, steps) in [(Key::Plus, 1), (Key::Equals, 1), (Key::Minus, -1)] {
            if pressed(Modifiers::COMMAND, key) {
                self.settings.rescale(steps);
            }
        }
    }

    fn top(&mut self, ui: &mut Ui) {
        let language = self.settings.language;
        ui.horizontal(|ui| {
            for (i, (page, word)) in PAGES.into_iter().enumerate() {
                let chosen = self.page == page;
                let tab = ui.selectable_label(chosen, RichText::new(say(language, word)).size(15.0));
                style::named(&tab, &format!("page {}", i + 1));
                if tab.on_hover_text(format!("Ctrl+{}", i + 1)).clicked() {
                    self.page = page;
                }
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let other = if language == Language::English { "中文" } else { "English" };
                let button = ui.button(other);
                style::named(&button, "language");
                if button.clicked() {
                    self.settings.language = match language {
                        Language::English => Language::Chinese,
                        Language::Chinese => Language::English,
                    };
                }
                let word = if self.settings.dark { say(language, "Light") } else { say(language, "Dark") };
                let button = ui.button(word);
                style::named(&button, "dark");
                if button.clicked() {
                    self.settings.dark = !self.settings.dark;
                }
                keep::menu(self, ui);
                for (sign, steps) in [("+", 1), ("−", -1)] {
                    if ui.button(sign).on_hover_text(format!("{} %", self.settings.scale)).clicked() {
                        self.settings.rescale(steps);
                    }
                }
            });
        });
    }

    fn bottom(&mut self, ui: &mut Ui) {
        let language = self.settings.language;
        if let Some(text) = self.message.clone() {
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new(format!("⚠ {text}")).color(style::wrong(ui)));
                let dismiss = ui.small_button(say(language, "Dismiss"));
                style::named(&dismiss, "dismiss");
                if dismiss.clicked() {
                    self.message = None;
                }
            });
        }
        keep::line(self, ui);
        let state = self.watched.state;
        ui.horizontal(|ui| {
            let training = state == State::Training;
            let (icon, word) = match (training, self.watched.step > 0 && !self.stale()) {
                (true, _) => (Icon::Pause, say(language, "Pause")),
                (_, true) => (Icon::Play, say(language, "Resume")),
                _ => (Icon::Play, say(language, "Train")),
            };
            let go = round_button(ui, icon, word, "F5", self.can_go(), true);
            style::named(&go, "go");
            if go.clicked() {
                self.go();
                if !training && self.page != Page::Inside {
                    self.page = Page::Train;
                }
            }
            let resting = self.watched.can_go() && !self.stale();
            let step = round_button(ui, Icon::Step, say(language, "Step"), "F10", resting, false);
            style::named(&step, "step");
            if step.clicked() {
                self.worker.ask(Ask::Step);
            }
            let live = self.watched.ready() && self.watched.step > 0;
            let stop = round_button(ui, Icon::Stop, say(language, "Stop"), "F6", live, false);
            style::named(&stop, "stop");
            if stop.clicked() {
                self.worker.ask(Ask::Stop);
            }
            ui.add_space(8.0);
            let word = match state {
                State::Empty => "",
                State::Opening => say(language, "Preparing data and adapter …"),
                State::Resting if self.watched.step == 0 => say(language, "Ready"),
                State::Resting => say(language, "Resting"),
                State::Training => say(language, "Training"),
                State::Finished => say(language, "Finished"),
            };
            ui.label(RichText::new(&self.watched.opened.name).strong());
            ui.label(RichText::new(word).weak());
            let room = egui::vec2((ui.available_width() - 12.0).max(40.0), 12.0);
            let (rect, _) = ui.allocate_exact_size(room, egui::Sense::hover());
            let (left, right) = (rect.left_center(), rect.right_center());
            let here = left + (right - left) * self.watched.share().min(1.0);
            let track = ui.visuals().widgets.noninteractive.bg_stroke.color;
            ui.painter().line_segment([left, right], egui::Stroke::new(2.0, track));
            ui.painter().line_segment([left, here], egui::Stroke::new(3.0, accent(ui)));
            if self.watched.ready() {
                ui.painter().circle_filled(here, 6.0, accent(ui));
            }
        });
    }

    /// One frame.
    pub fn show(&mut self, ui: &mut Ui) {
        let look = (self.settings.dark, self.settings.scale);
        if self.styled != Some(look) {
            style::apply(ui.ctx(), look.0, look.1);
            self.styled = Some(look);
        }
        for file in ui.input(|i| i.raw.dropped_files.clone()) {
            self.open(file.path());
        }
        self.keys(ui);
        if self.page != Page::Inside && self.looking.asked {
            self.looking.asked = false;
            self.worker.ask(Ask::Look(None));
        }
        let bar = egui::Frame::new().fill(ui.visuals().panel_fill).inner_margin(egui::Margin::symmetric(20, 10));
        Panel::top("pages").frame(bar).show(ui, |ui| self.top(ui));
        Panel::bottom("drive").frame(bar).show(ui, |ui| self.bottom(ui));
        CentralPanel::default().frame(style::page(ui)).show(ui, |ui| match self.page {
            Page::Open => open::show(self, ui),
            Page::Network => network::show(self, ui),
            Page::Train => train::show(self, ui),
            Page::Inside => inside::show(self, ui),
            Page::Judge => judge::show(self, ui),
            Page::Data => data::show(self, ui),
        });
        self.close(ui);
        let size = ui.ctx().content_rect().size();
        self.settings.window = [size.x, size.y];
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _: &mut eframe::Frame) {
        self.news();
        if let Some(mut script) = self.script.take() {
            script.advance(self, ctx);
            self.script = Some(script);
        }
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        self.show(ui);
    }

    fn raw_input_hook(&mut self, _: &egui::Context, input: &mut egui::RawInput) {
        if let Some(script) = &mut self.script {
            input.events.extend(script.events());
        }
    }

    fn on_exit(&mut self) {
        if let Some(file) = &self.settings_file {
            self.settings.write(file);
        }
    }
}
