//! A scripted run of the real window, for tests: a file with one order a line. Clicks and keys go through the same events
//! as those of a person.
//!
//! `until CONDITION` waits ([`App::holds`]); `click NAME` and `stroke NAME x,y x,y …` (0 to 1) act on a widget by its name;
//! `key F5`, `key Backspace 3`, `text TEXT`, `shot FILE.png`, `wait SECONDS`, `close`. `#` begins a comment.

use crate::app::App;
use crate::style;
use egui::{Event, Key, Modifiers, PointerButton, Pos2, ViewportCommand};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait for a condition.
const PATIENCE: Duration = Duration::from_secs(240);

/// An order with its line.
type Order = (usize, String);

/// A script under way.
pub struct Script {
    orders: VecDeque<Order>,
    /// Events that are still to come, those of one frame together.
    frames: VecDeque<Vec<Event>>,
    since: Instant,
    shooting: Option<Arc<AtomicBool>>,
    /// The events of this frame have not been acted on yet.
    fresh: bool,
}

impl Script {
    /// Reads one.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(file: &Path) -> std::io::Result<Script> {
        Ok(Script::new(&std::fs::read_to_string(file)?))
    }

    /// From its text.
    pub fn new(text: &str) -> Script {
        let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim().to_string()));
        let orders = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
        Script { orders, frames: VecDeque::new(), since: Instant::now(), shooting: None, fresh: false }
    }

    /// The events of this frame.
    pub fn events(&mut self) -> Vec<Event> {
        let events = self.frames.pop_front();
        self.fresh = events.is_some();
        events.unwrap_or_default()
    }

    /// Goes on as far as it can. An order that cannot be followed ends the program with status 1.
    pub fn advance(&mut self, app: &App, ctx: &egui::Context) {
        ctx.request_repaint_after(Duration::from_millis(60));
        // What a click brings about is known a frame later: before that, a condition may hold of what was there before.
        if self.fresh
            || !self.frames.is_empty()
            || self.shooting.as_ref().is_some_and(|done| !done.load(Ordering::Acquire))
        {
            return;
        }
        self.shooting = None;
        let Some((number, order)) = self.orders.front().cloned() else { return };
        let (word, rest) = order.split_once(' ').unwrap_or((&order, ""));
        let done = match word {
            "until" => app.holds(rest),
            "wait" => self.since.elapsed().as_secs_f64() >= rest.parse().unwrap_or(0.0),
            "click" => style::place(ctx, rest).map(|rect| self.stroke(&[rect.center()])).is_some(),
            "stroke" => self.drawn(ctx, rest),
            "key" => self.key(rest),
            "text" => {
                self.frames.push_back(vec![Event::Text(rest.to_string())]);
                true
            }
            "shot" => {
                self.shot(ctx, PathBuf::from(rest));
                true
            }
            "close" => {
                ctx.send_viewport_cmd(ViewportCommand::Close);
                true
            }
            _ => false,
        };
        if done {
            eprintln!("script: {number}: {order}");
            self.orders.pop_front();
            self.since = Instant::now();
        } else if self.since.elapsed() > PATIENCE {
            let why = app.message.as_deref().unwrap_or("no message");
            eprintln!("script: line {number}: `{order}` did not come about ({why})");
            std::process::exit(1);
        }
    }

    /// Whether all orders were followed.
    pub fn is_done(&self) -> bool {
        self.orders.is_empty()
    }

    fn stroke(&mut self, points: &[Pos2]) {
        let press = |pos, pressed| Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        let (Some(&first), Some(&last)) = (points.first(), points.last()) else { return };
        self.frames.push_back(vec![Event::PointerMoved(first)]);
        self.frames.push_back(vec![press(first, true)]);
        points[1..].iter().for_each(|&to| self.frames.push_back(vec![Event::PointerMoved(to)]));
        self.frames.push_back(vec![press(last, false)]);
    }

    /// `NAME x,y x,y …`; a name without spaces.
    fn drawn(&mut self, ctx: &egui::Context, rest: &str) -> bool {
        let (name, points) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some(rect) = style::place(ctx, name) else { return false };
        let at = |point: &str| {
            let (x, y) = point.split_once(',')?;
            let (x, y): (f32, f32) = (x.parse().ok()?, y.parse().ok()?);
            Some(rect.min + rect.size() * egui::vec2(x, y))
        };
        let points: Vec<Pos2> = points.split(' ').filter_map(at).collect();
        self.stroke(&points);
        !points.is_empty()
    }

    /// `NAME`, or `NAME TIMES`.
    fn key(&mut self, order: &str) -> bool {
        let (name, times) = order.split_once(' ').unwrap_or((order, "1"));
        let (name, modifiers) = match name.strip_prefix("Ctrl+") {
            Some(name) => (name, Modifiers::COMMAND | Modifiers::CTRL),
            None => (name, Modifiers::NONE),
        };
        let Some(key) = Key::from_name(name) else { return false };
        let Ok(times) = times.parse::<usize>() else { return false };
        for pressed in [true, false].repeat(times) {
            let event = Event::Key { key, physical_key: None, pressed, repeat: false, modifiers };
            self.frames.push_back(vec![event]);
        }
        true
    }

    fn shot(&mut self, ctx: &egui::Context, file: PathBuf) {
        let done = Arc::new(AtomicBool::new(false));
        self.shooting = Some(done.clone());
        ctx.request_screenshot(move |image| {
            let [w, h] = image.size;
            let bytes: Vec<u8> = image.pixels.iter().flat_map(|p| [p.r(), p.g(), p.b()]).collect();
            if let Err(e) = image::save_buffer(&file, &bytes, w as u32, h as u32, image::ColorType::Rgb8) {
                eprintln!("script: {}: {e}", file.display());
                std::process::exit(1);
            }
            done.store(true, Ordering::Release);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_lines_without_comments() {
        let mut script = Script::new("# open\n\nclick go\n  wait 1\n");
        assert_eq!(script.orders, [(3, "click go".to_string()), (4, "wait 1".to_string())]);
        assert!(!script.is_done());
        assert!(script.key("Ctrl+1") && script.key("F5") && !script.key("Nokey"));
        assert_eq!(script.events().len(), 1);
        assert!(script.fresh);
        let before = script.frames.len();
        assert!(script.key("Backspace 3") && !script.key("Backspace x"));
        assert_eq!(script.frames.len() - before, 6);
    }
}
