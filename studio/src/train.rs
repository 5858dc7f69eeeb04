//! The page of the training: its curves and numbers.

use crate::app::App;
use crate::style::{self, accent, figure, quiet};
use crate::words::{clock, grouped, say};
use crate::worker::{Ask, State};
use egui::{Color32, RichText, Ui};
use egui_plot::{Legend, Line, MarkerShape, Plot, PlotPoints, Points};

/// The page.
pub fn show(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    match app.watched.state {
        State::Empty => return quiet(ui, say(language, "Open a network first.")),
        State::Opening => {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label(say(language, "Preparing data and adapter …"));
            });
            return;
        }
        _ => {}
    }
    numbers(app, ui);
    ui.add_space(10.0);
    if app.stale() {
        let text = say(language, "The spec has changed since; Train takes the new one and starts a new run.");
        ui.label(RichText::new(text).color(accent(ui)));
    }
    if app.watched.history.points().is_empty() && app.watched.epochs.is_empty() {
        let begin = app.watched.state == State::Resting;
        let text = if begin {
            say(language, "Press Train to begin.")
        } else {
            say(language, "Curves appear with the first steps.")
        };
        return quiet(ui, text);
    }
    let [_, _, metric] = app.watched.curves();
    let two = !metric.is_empty();
    let height = ui.available_height() - 6.0;
    losses(app, ui, if two { height * 0.6 } else { height });
    if two {
        metrics(app, ui, metric, height * 0.36);
    }
}

fn numbers(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    let watched = &app.watched;
    let (epoch, epochs) = watched.epoch();
    let none = || "–".to_string();
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 28.0;
        figure(ui, &format!("{} / {}", grouped(watched.step), grouped(watched.opened.steps)), say(language, "step"));
        figure(ui, &format!("{epoch} / {epochs}"), say(language, "epoch"));
        figure(ui, &watched.history.now().map_or_else(none, |loss| format!("{loss:.4}")), say(language, "loss"));
        if let Some((title, text, _)) = watched.epochs.last().and_then(|line| line.metric.as_ref()) {
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.label(RichText::new(text).size(17.0));
                ui.label(RichText::new(title).small().weak());
            });
        }
        figure(ui, &watched.rate.map_or_else(none, |r| grouped(r.round() as u64)), say(language, "samples a second"));
        figure(ui, &watched.left().map_or_else(none, clock), say(language, "time left"));
        figure(ui, &watched.lr.map_or_else(none, |lr| format!("{lr:.3e}")), say(language, "learning rate"));
    });
    ui.horizontal_wrapped(|ui| {
        let [train, validation, test] = watched.opened.samples.map(|n| grouped(n as u64));
        let run = watched
            .run
            .as_ref()
            .map_or(say(language, "written with the first step").into(), |run| run.display().to_string());
        let line = format!(
            "{}: {}    {}: {train} + {validation} + {test}    {}: {run}",
            say(language, "adapter"),
            watched.opened.adapter,
            say(language, "samples"),
            say(language, "run folder"),
        );
        ui.label(RichText::new(line).small().weak());
        if let Some(saved) = watched.saved {
            ui.label(RichText::new(format!("{}: {}", say(language, "last checkpoint"), grouped(saved))).small().weak());
        }
        ui.add_space(8.0);
        ui.label(RichText::new(say(language, "learning rate")).small().weak());
        let field = ui.add(egui::TextEdit::singleline(&mut app.rate_field).desired_width(70.0).hint_text("0.001"));
        style::named(&field, "rate");
        let set = ui.small_button(say(language, "Set"));
        if set.clicked()
            && let Ok(lr) = app.rate_field.trim().parse::<f64>()
        {
            app.worker.ask(Ask::Rate(lr));
        }
    });
    if !watched.opened.notes.is_empty() {
        ui.collapsing(format!("⚠ {}", watched.opened.notes.len()), |ui| {
            watched.opened.notes.iter().take(20).for_each(|note| drop(ui.label(note)));
        });
    }
}

fn points(all: &[[f64; 2]]) -> PlotPoints<'static> {
    PlotPoints::from(all.to_vec())
}

fn losses(app: &App, ui: &mut Ui, height: f32) {
    let language = app.settings.language;
    let (accent, weak) = (accent(ui), ui.visuals().weak_text_color());
    let [train, validation, _] = app.watched.curves();
    let plot = Plot::new("loss").height(height).legend(Legend::default()).include_y(0.0).show_background(false);
    let plot = plot.y_axis_label(say(language, "loss")).allow_scroll(false).allow_drag(false).allow_zoom(false);
    plot.show(ui, |plot| {
        let history = &app.watched.history;
        let each = Line::new(say(language, "each step"), points(history.points())).color(weak.gamma_multiply(0.45));
        plot.line(each.width(1.0));
        plot.line(Line::new(say(language, "smoothed"), points(history.smooth())).color(accent).width(2.5));
        let marks = |name: &str, all: &[[f64; 2]], shape, colour: Color32| {
            Points::new(name, points(all)).radius(5.0).shape(shape).color(colour)
        };
        if !train.is_empty() {
            plot.points(marks(say(language, "training"), &train, MarkerShape::Circle, accent));
        }
        if !validation.is_empty() {
            plot.points(marks(say(language, "validation"), &validation, MarkerShape::Diamond, weak));
            plot.line(Line::new(say(language, "validation"), points(&validation)).color(weak).width(1.5));
        }
    });
}

fn metrics(app: &App, ui: &mut Ui, metric: Vec<[f64; 2]>, height: f32) {
    let title = app.watched.epochs.iter().find_map(|line| line.metric.as_ref()).map_or("", |m| m.0.as_str());
    let accent = accent(ui);
    let last = app.watched.step as f64;
    let plot = Plot::new("metric").height(height).legend(Legend::default()).show_background(false).include_x(0.0);
    let plot = plot.include_x(last).allow_scroll(false).allow_drag(false).allow_zoom(false).y_axis_label(title);
    // A share is drawn from 0 to 1, so that a glance says how far it is.
    let share = metric.iter().all(|point| (0.0..=1.0).contains(&point[1]));
    let plot = if share { plot.include_y(0.0).include_y(1.0) } else { plot };
    plot.show(ui, |plot| {
        plot.line(Line::new(title, points(&metric)).color(accent).width(2.0));
        plot.points(Points::new(title, points(&metric)).radius(5.0).color(accent));
    });
}
