//! The models that come with the program, planned on a thread of their own for the adapter of this machine: how the network
//! looks, its parameters and FLOPs, whether it fits.

use crate::checker::{Planned, planned};
use crate::layout;
use crate::settings::Language;
use crate::shelf::{self, SHELF};
use crate::style::{self, accent};
use crate::words::{bytes, say, short};
use egui::{Align2, FontId, Pos2, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};
use pumice::Device;
use pumice::graph::Caps;
use pumice::spec::Source;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};

/// Height of a card in points.
const HEIGHT: f32 = 98.0;
/// Explanations in Chinese.
const CHINESE: &str = include_str!("../../docs/zh/models.md");

/// What is known of a model.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// Its plan; whether it fits into the adapter's memory, if that is known.
    Planned(Box<Planned>, Option<bool>),
    /// It cannot be planned here: why.
    Unknown(String),
}

/// What is known of all models.
#[derive(Default)]
pub struct Gallery {
    /// In the order of the shelf.
    pub facts: Vec<Option<Fact>>,
    /// The adapter, once it was asked.
    pub adapter: Option<String>,
    news: Option<Receiver<News>>,
}

enum News {
    Adapter(String),
    Fact(usize, Fact),
}

impl Gallery {
    /// One that plans nothing: for tests, which share two cores.
    pub fn resting() -> Gallery {
        Gallery { news: Some(mpsc::channel().1), ..Gallery::default() }
    }

    /// Starts the thread, once. `wake` is called with each answer.
    pub fn begin(&mut self, wake: impl Fn() + Send + 'static) {
        if self.news.is_some() {
            return;
        }
        let (tell, news) = mpsc::channel();
        (self.news, self.facts) = (Some(news), vec![None; SHELF.len()]);
        std::thread::spawn(move || {
            let device = pumice::block_on(Device::open(std::env::var("PUMICE_DEVICE").ok().as_deref()));
            let caps = device.as_ref().map_or_else(|_| Caps::default(), |device| device.caps().clone());
            let memory = caps.software.then(pumice::free_memory).flatten();
            if tell.send(News::Adapter(caps.name.clone())).is_err() {
                return;
            }
            drop(device);
            // The small ones first: they take no time, and are what most begin with.
            let mut order: Vec<usize> = (0..SHELF.len()).collect();
            order.sort_by_key(|&i| SHELF[i].1.len());
            for i in order {
                let (name, text) = SHELF[i];
                let file = shelf::file(name).unwrap_or_else(|| PathBuf::from(format!("{name}.json")));
                let fact = match planned(Source { file, text: text.into() }, &caps, memory) {
                    Ok((planned, fits)) => Fact::Planned(Box::new(planned), fits),
                    Err(e) => Fact::Unknown(e.to_string()),
                };
                if tell.send(News::Fact(i, fact)).is_err() {
                    return;
                }
                wake();
            }
        });
    }

    /// Takes what has come.
    pub fn take(&mut self) {
        for news in self.news.iter().flat_map(|news| news.try_iter()) {
            match news {
                News::Adapter(name) => self.adapter = Some(name),
                News::Fact(i, fact) => self.facts[i] = Some(fact),
            }
        }
    }

    /// Whether all is known.
    pub fn is_whole(&self) -> bool {
        self.news.is_some() && self.facts.iter().all(Option::is_some)
    }
}

/// What a model teaches, in a language.
pub fn about(language: Language, name: &str, text: &str) -> String {
    let chinese = || {
        let row = CHINESE.lines().find(|line| line.split('|').nth(1).is_some_and(|cell| cell.trim() == name))?;
        row.split('|').nth(2).map(|cell| cell.trim().to_string())
    };
    match language {
        Language::English => shelf::about(text),
        Language::Chinese => chinese().unwrap_or_else(|| shelf::about(text)),
    }
}

/// A line of facts; how much memory it takes, and whether it fits.
fn facts(language: Language, fact: Option<&Fact>) -> (String, Option<(String, Option<bool>)>) {
    match fact {
        None => ("…".into(), None),
        Some(Fact::Unknown(_)) => (say(language, "planned once its data is there").into(), None),
        Some(Fact::Planned(plan, fits)) => {
            let flops = three(plan.flops as f64 / plan.batch.max(1) as f64);
            let line = format!("{} {}  ·  {flops} FLOPs", three(plan.params as f64), say(language, "parameters"));
            (line, Some((bytes(plan.bytes.total()), *fits)))
        }
    }
}

/// A number in three digits and a unit.
fn three(number: f64) -> String {
    let text = short(number);
    let Some((digits, unit)) = text.split_once(' ') else { return text };
    let value: f64 = digits.parse().unwrap_or(number);
    let places = match value {
        x if x >= 99.95 => 0,
        x if x >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.places$} {unit}")
}

/// A card. True if it was clicked.
pub fn card(ui: &mut Ui, language: Language, index: usize, width: f32, fact: Option<&Fact>) -> bool {
    let (name, text) = SHELF[index];
    let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    style::named(&response, &format!("model {name}"));
    if !ui.is_rect_visible(rect) {
        return response.clicked();
    }
    let lit = response.hovered() || response.has_focus();
    let edge = if lit { Stroke::new(1.5, accent(ui)) } else { ui.visuals().widgets.noninteractive.bg_stroke };
    let fill = ui.visuals().extreme_bg_color;
    ui.painter().rect(rect.shrink(1.0), 14.0, fill, edge, egui::StrokeKind::Inside);
    let picture = Rect::from_min_size(rect.min + vec2(8.0, 8.0), vec2(58.0, HEIGHT - 16.0));
    if let Some(Fact::Planned(plan, _)) = fact {
        sketch(ui, picture, plan);
    }
    let inner = rect.shrink2(vec2(12.0, 8.0)).with_min_x(picture.max.x + 10.0);
    let (ink, weak) = (ui.visuals().text_color(), ui.visuals().weak_text_color());
    ui.painter().text(inner.min, Align2::LEFT_TOP, name, FontId::proportional(14.0), ink);
    let about = about(language, name, text);
    let mut job = egui::text::LayoutJob::simple(about.clone(), FontId::proportional(11.5), weak, inner.width());
    job.wrap.max_rows = 2;
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    ui.painter().galley(inner.min + vec2(0.0, 19.0), galley, weak);
    let (line, memory) = facts(language, fact);
    let bottom = inner.left_bottom();
    let small = FontId::proportional(11.0);
    let mut job = egui::text::LayoutJob::simple_singleline(line.clone(), small.clone(), ink);
    job.wrap = egui::text::TextWrapping::truncate_at_width(inner.width() - 96.0);
    let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
    ui.painter().galley(bottom - vec2(0.0, galley.size().y), galley, ink);
    let mark = memory.map(|(memory, fits)| match fits {
        Some(true) => (format!("✔ {} {memory}", say(language, "fits")), accent(ui)),
        Some(false) => (format!("⚠ {} {memory}", say(language, "too large")), style::wrong(ui)),
        None => (memory, ink),
    });
    if let Some((word, colour)) = mark {
        ui.painter().text(inner.right_bottom(), Align2::RIGHT_BOTTOM, word, small, colour);
    }
    let why = if let Some(Fact::Unknown(why)) = fact { format!("\n\n{why}") } else { format!("\n\n{line}") };
    response.on_hover_text(format!("{about}{why}")).clicked()
}

/// The network as a small picture: its layers from the bottom to the top, branches beside each other, as its page draws it.
fn sketch(ui: &Ui, room: Rect, plan: &Planned) {
    let spots = layout::spots(&plan.circles);
    let rows = spots.iter().map(|spot| spot.row).max().unwrap_or(0).max(1) as f32;
    let left = spots.iter().map(|spot| spot.column).fold(0.0, f32::min);
    let right = spots.iter().map(|spot| spot.column).fold(0.0, f32::max);
    let pitch = (room.width() / (right - left + 1.0)).min(14.0);
    let middle = room.center().x - (left + right) / 2.0 * pitch;
    let step = (room.height() - 6.0) / rows;
    let at =
        |i: usize| -> Pos2 { pos2(middle + spots[i].column * pitch, room.max.y - 3.0 - spots[i].row as f32 * step) };
    let line = Stroke::new(0.8, ui.visuals().weak_text_color().gamma_multiply(0.6));
    let radius = (step * 0.42).min(pitch * 0.42).clamp(0.8, 4.0);
    for (i, circle) in plan.circles.iter().enumerate() {
        for from in &circle.from {
            ui.painter().line_segment([at(from.map_or(0, |from| from + 1)), at(i + 1)], line);
        }
    }
    let (accent, ground) = (accent(ui), ui.visuals().extreme_bg_color);
    ui.painter().circle_filled(at(0), radius, line.color);
    for (i, circle) in plan.circles.iter().enumerate() {
        let fill = if circle.params > 0 { accent } else { ground };
        ui.painter().circle(at(i + 1), radius, fill, Stroke::new(0.8, accent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_explained_in_chinese() {
        let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        for (name, text) in SHELF {
            let own = about(Language::Chinese, name, text);
            assert!(own.chars().filter(|c| is_chinese(*c)).count() >= 6, "{name}: {own}");
            assert_eq!(about(Language::English, name, text), shelf::about(text));
        }
        let rows = CHINESE.lines().filter(|line| line.starts_with("| ") && !line.contains("---")).count();
        assert_eq!(rows, SHELF.len() + 1, "no row of a model that is gone; one is the head");
    }

    #[test]
    fn the_facts_are_of_one_sample_and_of_the_batch_in_memory() {
        let text = include_str!("../../assets/models/lenet5_mnist.json");
        let source = Source { file: PathBuf::from("lenet.json"), text: text.into() };
        let (plan, fits) = planned(source, &Caps::default(), Some(1 << 40)).expect("a sound spec");
        assert_eq!((plan.params, fits), (61706, Some(true)));
        let (line, memory) = facts(Language::English, Some(&Fact::Planned(Box::new(plan), fits)));
        assert!(line.starts_with("61.7 k "), "{line}");
        assert_eq!(memory.and_then(|(_, fits)| fits), Some(true));
        assert_eq!([999.0, 1_568.0, 21_154.0, 999_960.0].map(three), ["999", "1.57 k", "21.2 k", "1000 k"]);
        let source = Source { file: PathBuf::from("lenet.json"), text: text.into() };
        assert_eq!(planned(source, &Caps::default(), Some(1000)).expect("a sound spec").1, Some(false));
    }
}
