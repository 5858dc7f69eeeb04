//! What the page that judges shows of other tasks than classes: values, boxes, masks; and the table of each class.

use crate::app::App;
use crate::style::{self, accent, quiet};
use crate::verdict::{Boxes, Curve, Each, Masks, More, bins, residuals};
use crate::words::{grouped, say};
use egui::{Align2, Color32, FontId, RichText, ScrollArea, Sense, Stroke, Ui, Vec2, pos2, vec2};
use egui_plot::{Bar, BarChart, Legend, Line, Plot, PlotPoints, Points};
use pumice::data::draw;

/// Points of the plot of values at most.
const POINTS: usize = 3000;
/// Bins of residuals.
const BINS: usize = 30;
/// Curves that are drawn: those of the classes with the most objects.
const CURVES: usize = 8;
/// Side of a picture with boxes or masks in points.
const SIDE: f32 = 190.0;

/// What the page holds.
#[derive(Default)]
pub struct Finding {
    /// The output whose values are shown.
    pub output: usize,
    /// The class whose curve is shown alone.
    pub class: Option<usize>,
    /// The column that the table is sorted by, and whether upwards; None: as it comes.
    pub order: Option<(usize, bool)>,
    /// The truth is shown in place of what the network says.
    pub truth: bool,
}

impl Finding {
    /// Sorts by a column; again: the other way round; once more: as it comes.
    pub fn sort(&mut self, column: usize) {
        self.order = match self.order {
            Some((own, false)) if own == column => Some((column, true)),
            Some((own, true)) if own == column => None,
            _ => Some((column, false)),
        };
    }

    /// The rows of a table in their order; those without a value come last.
    pub fn rows(&self, table: &Each) -> Vec<usize> {
        let mut order: Vec<usize> = (0..table.rows.len()).collect();
        if let Some((column, up)) = self.order {
            let value = |row: usize| table.rows[row].1.get(column).copied().filter(|x| x.is_finite());
            order.sort_by(|&a, &b| match (value(a), value(b)) {
                (Some(a), Some(b)) if up => a.total_cmp(&b),
                (Some(a), Some(b)) => b.total_cmp(&a),
                (a, b) => b.is_some().cmp(&a.is_some()),
            });
        }
        order
    }
}

/// Shows what there is; nothing for classes.
pub fn show(app: &mut App, ui: &mut Ui) {
    let Some(judged) = &app.judging.judged else { return };
    let more = judged.more.clone();
    // Few classes of pixels: their table before the pictures, where nobody has to look for it.
    let short = matches!(&*more, More::Masks(..)) && judged.tables.iter().all(|table| table.rows.len() <= 8);
    ScrollArea::vertical().id_salt("findings").auto_shrink(false).show(ui, |ui| {
        if short {
            tables(app, ui);
        }
        match &*more {
            More::Values(names, rows) => values(app, ui, names, rows),
            More::Objects(pictures, curves) => objects(app, ui, pictures, curves),
            More::Masks(pictures, ignore) => masks(app, ui, pictures, *ignore),
            More::Nothing => {}
        }
        if !short {
            tables(app, ui);
        }
    });
}

/// The tables of each class, with columns that sort.
pub fn tables(app: &mut App, ui: &mut Ui) {
    let language = app.settings.language;
    let Some(judged) = &app.judging.judged else { return };
    for (number, table) in judged.tables.clone().iter().enumerate().filter(|(_, table)| table.rows.len() > 1) {
        ui.add_space(8.0);
        let title = match table.of {
            "class" => say(language, "Each class"),
            "measure" => say(language, "COCO's measures"),
            other => other,
        };
        ui.label(RichText::new(title).size(15.0));
        egui::Grid::new(("each", number)).striped(true).spacing(vec2(18.0, 4.0)).show(ui, |ui| {
            ui.label("");
            for (column, word) in table.titles.iter().enumerate() {
                let mark = match app.finding.order {
                    Some((own, up)) if own == column && table.of == "class" => [" ▼", " ▲"][usize::from(up)],
                    _ => "",
                };
                let head = ui.small_button(format!("{word}{mark}"));
                style::named(&head, &format!("sort {column}"));
                if head.clicked() {
                    app.finding.sort(column);
                }
            }
            ui.end_row();
            let order = if table.of == "class" { app.finding.rows(table) } else { (0..table.rows.len()).collect() };
            for row in order {
                let (name, _, texts) = &table.rows[row];
                ui.label(name);
                for text in texts {
                    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| ui.label(text));
                }
                ui.end_row();
            }
        });
    }
}

fn plot(name: &str, size: Vec2) -> Plot<'static> {
    let plot = Plot::new(name.to_string()).width(size.x).height(size.y).show_background(false);
    plot.allow_scroll(false).allow_drag(false).allow_zoom(false)
}

fn values(app: &mut App, ui: &mut Ui, names: &[String], rows: &[(usize, Vec<f32>, Vec<f32>)]) {
    let language = app.settings.language;
    if rows.is_empty() {
        return;
    }
    app.finding.output = app.finding.output.min(names.len().saturating_sub(1));
    if names.len() > 1 {
        ui.horizontal_wrapped(|ui| {
            for (output, name) in names.iter().enumerate() {
                ui.selectable_value(&mut app.finding.output, output, name);
            }
        });
    }
    let output = app.finding.output;
    let step = rows.len().div_ceil(POINTS).max(1);
    let points: Vec<[f64; 2]> =
        rows.iter().step_by(step).map(|(_, truth, said)| [truth[output].into(), said[output].into()]).collect();
    let all = points.iter().flatten().copied().filter(|x| x.is_finite());
    let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    let (accent, weak) = (accent(ui), ui.visuals().weak_text_color());
    let wide = ui.available_width() > 640.0;
    let width = if wide { (ui.available_width() - 24.0) / 2.0 } else { ui.available_width() - 8.0 };
    let size = vec2(width, (width * 0.62).min(330.0));
    let scatter = |ui: &mut Ui| {
        let plot = plot("scatter", size).x_axis_label(say(language, "true")).y_axis_label(say(language, "predicted"));
        plot.legend(Legend::default()).show(ui, |plot| {
            let right = vec![[low, low], [high, high]];
            plot.line(Line::new(say(language, "without error"), PlotPoints::from(right)).color(weak).width(1.0));
            plot.points(Points::new(say(language, "samples"), PlotPoints::from(points)).color(accent).radius(2.5));
        });
    };
    let left = residuals(rows, output);
    let histogram = |ui: &mut Ui| {
        let all = bins(&left, BINS);
        let width = all.get(1).map_or(1.0, |second| second[0] - all[0][0]);
        let plot = plot("residuals", size).x_axis_label(say(language, "residual: predicted less true"));
        plot.include_y(0.0).show(ui, |plot| {
            let bars = all.iter().map(|[x, n]| Bar::new(*x, *n).width(width * 0.92)).collect();
            plot.bar_chart(BarChart::new(say(language, "samples"), bars).color(accent));
        });
    };
    if wide {
        ui.horizontal_top(|ui| {
            ui.vertical(scatter);
            ui.vertical(histogram);
        });
    } else {
        scatter(ui);
        histogram(ui);
    }
    ui.add_space(6.0);
    ui.label(RichText::new(say(language, "Worst mistakes")).size(15.0));
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| left[b].abs().total_cmp(&left[a].abs()));
    egui::Grid::new("worst values").striped(true).spacing(vec2(24.0, 4.0)).show(ui, |ui| {
        for word in [say(language, "no."), say(language, "true"), say(language, "predicted"), say(language, "residual")]
        {
            ui.label(RichText::new(word).small().weak());
        }
        ui.end_row();
        for row in order.into_iter().take(12) {
            let (index, truth, said) = &rows[row];
            ui.label(index.to_string());
            ui.label(format!("{:.4}", truth[output]));
            ui.label(format!("{:.4}", said[output]));
            ui.label(format!("{:+.4}", left[row]));
            ui.end_row();
        }
    });
}

fn tint(class: usize) -> Color32 {
    let [r, g, b] = draw::colour(class);
    Color32::from_rgb(r, g, b)
}

fn name(classes: &[String], class: usize) -> String {
    classes.get(class).cloned().unwrap_or_else(|| class.to_string())
}

fn objects(app: &mut App, ui: &mut Ui, pictures: &[Boxes], curves: &[Curve]) {
    let language = app.settings.language;
    let classes = app.judging.judged.as_ref().map(|judged| judged.classes.clone()).unwrap_or_default();
    ui.horizontal_top(|ui| {
        let width = (ui.available_width() * 0.52).clamp(280.0, 560.0);
        ui.vertical(|ui| {
            let size = vec2(width, (width * 0.62).min(330.0));
            let plot = plot("precision", size).x_axis_label(say(language, "recall")).include_x(0.0).include_x(1.0);
            let plot = plot.y_axis_label(say(language, "precision")).include_y(0.0).include_y(1.05);
            let mut order: Vec<&Curve> = curves.iter().collect();
            order.sort_by_key(|curve| std::cmp::Reverse(curve.objects));
            order.retain(|curve| app.finding.class.is_none_or(|class| class == curve.class));
            plot.legend(Legend::default()).show(ui, |plot| {
                for curve in order.into_iter().take(CURVES) {
                    let line = Line::new(name(&classes, curve.class), PlotPoints::from(curve.points.clone()));
                    plot.line(line.color(tint(curve.class)).width(2.0));
                }
            });
        });
        ui.vertical(|ui| {
            ui.label(RichText::new(say(language, "Average precision of each class")).size(15.0));
            for curve in curves {
                let (rect, response) =
                    ui.allocate_exact_size(vec2(ui.available_width().min(300.0), 20.0), Sense::click());
                let word = format!("{}  {:.1} %", name(&classes, curve.class), 100.0 * curve.ap);
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &word));
                style::named(&response, &format!("curve {}", curve.class));
                let (ink, weak) = (ui.visuals().text_color(), ui.visuals().weak_text_color());
                let left = rect.min.x + rect.width() * 0.4;
                let room = rect.width() * 0.6 - 100.0;
                let y = rect.center().y;
                let end = pos2(left + room.max(10.0) * curve.ap as f32, y);
                ui.painter().line_segment([pos2(left, y), end], Stroke::new(4.0, tint(curve.class)));
                let font = FontId::proportional(12.5);
                let at = rect.left_center();
                ui.painter().text(at, Align2::LEFT_CENTER, name(&classes, curve.class), font.clone(), ink);
                let share = format!("{:.1} %  ({})", 100.0 * curve.ap, grouped(curve.objects as u64));
                ui.painter().text(rect.right_center(), Align2::RIGHT_CENTER, share, font, weak);
                if app.finding.class == Some(curve.class) || response.hovered() || response.has_focus() {
                    ui.painter().rect_stroke(rect, 4.0, Stroke::new(1.0, accent(ui)), egui::StrokeKind::Outside);
                }
                if response.clicked() {
                    let same = app.finding.class == Some(curve.class);
                    app.finding.class = if same { None } else { Some(curve.class) };
                }
            }
            quiet(ui, say(language, "By the area below the curve, at an overlap of 0.5; objects in brackets."));
        });
    });
    ui.add_space(6.0);
    ui.label(RichText::new(say(language, "The worst pictures")).size(15.0));
    quiet(
        ui,
        say(language, "Dashed boxes are the truth; boxes in colour are what the network finds, with how sure it is."),
    );
    let places: Vec<usize> = pictures.iter().map(|own| own.index).collect();
    app.ask_pictures(&places);
    ui.horizontal_wrapped(|ui| {
        for own in pictures {
            boxes(app, ui, own, &classes);
        }
    });
}

fn boxes(app: &mut App, ui: &mut Ui, own: &Boxes, classes: &[String]) {
    let (rect, response) = ui.allocate_exact_size(vec2(SIDE, SIDE + 16.0), Sense::hover());
    let Some((texture, [w, h])) = app.judging.texture(ui, own.index) else { return };
    let size = vec2(w, h) * (SIDE / w.max(h));
    let place = egui::Rect::from_min_size(rect.min, size);
    egui::Image::new((texture, size)).corner_radius(4).paint_at(ui, place);
    let caption = format!("{}:  F1 {:.0} %", own.index, 100.0 * own.quality);
    let below = rect.min + vec2(0.0, SIDE + 1.0);
    let weak = ui.visuals().weak_text_color();
    ui.painter().text(below, Align2::LEFT_TOP, &caption, FontId::proportional(11.0), weak);
    if !own.fills {
        // The picture lies in the input with a border; boxes are in pixels of the picture without.
        response.on_hover_text(caption);
        return;
    }
    let [height, width] = own.size.map(|side| side.max(1) as f32);
    let corner = |corners: [f64; 4]| {
        let [x1, y1, x2, y2] = corners.map(|x| x as f32);
        let at = |x: f32, y: f32| place.min + vec2(x / width * size.x, y / height * size.y);
        egui::Rect::from_min_max(at(x1, y1), at(x2, y2))
    };
    for object in &own.seen.objects {
        let edge = corner(object.corners);
        let points = [edge.left_top(), edge.right_top(), edge.right_bottom(), edge.left_bottom(), edge.left_top()];
        for (ink, width) in [(Color32::BLACK, 2.6), (Color32::WHITE, 1.3)] {
            ui.painter().extend(egui::Shape::dashed_line(&points, Stroke::new(width, ink), 5.0, 4.0));
        }
    }
    for found in own.seen.found.iter().rev() {
        let (edge, ink) = (corner(found.corners), tint(found.class));
        ui.painter().rect_stroke(edge, 1.0, Stroke::new(2.0, ink), egui::StrokeKind::Inside);
        let text = format!("{} {:.0}", name(classes, found.class), 100.0 * found.score);
        let galley = ui.painter().layout_no_wrap(text, FontId::proportional(9.5), Color32::WHITE);
        let back = egui::Rect::from_min_size(edge.min, galley.size());
        ui.painter().rect_filled(back, 1.0, Color32::from_black_alpha(170));
        ui.painter().galley(edge.min, galley, Color32::WHITE);
    }
    response.on_hover_text(caption);
}

fn masks(app: &mut App, ui: &mut Ui, pictures: &[Masks], ignore: u8) {
    let language = app.settings.language;
    let classes = app.judging.judged.as_ref().map(|judged| judged.classes.clone()).unwrap_or_default();
    ui.label(RichText::new(say(language, "The worst pictures")).size(15.0));
    ui.horizontal(|ui| {
        for (truth, word, script) in [
            (false, say(language, "what the network says"), "said masks"),
            (true, say(language, "the truth"), "true masks"),
        ] {
            let choice = ui.selectable_value(&mut app.finding.truth, truth, word);
            style::named(&choice, script);
            if choice.changed() {
                app.judging.overlays.clear();
            }
        }
        quiet(ui, say(language, "Wrong pixels are hatched."));
    });
    ui.horizontal_wrapped(|ui| {
        let there = |class: &usize| {
            pictures
                .iter()
                .any(|own| own.truth.classes.contains(&(*class as u8)) || own.said.classes.contains(&(*class as u8)))
        };
        for class in (1..classes.len().max(2)).filter(|class| *class != usize::from(ignore)).filter(there) {
            let (spot, _) = ui.allocate_exact_size(Vec2::splat(12.0), Sense::hover());
            ui.painter().circle_filled(spot.center(), 6.0, tint(class - 1));
            ui.label(name(&classes, class));
        }
    });
    let places: Vec<usize> = pictures.iter().map(|own| own.index).collect();
    app.ask_pictures(&places);
    let truth = app.finding.truth;
    ui.horizontal_wrapped(|ui| {
        for own in pictures {
            let (rect, response) = ui.allocate_exact_size(vec2(SIDE, SIDE + 16.0), Sense::hover());
            let mix = |image: &egui::ColorImage| overlay(image, own, truth, ignore);
            let Some((texture, [w, h])) = app.judging.overlay(ui, own.index, mix) else { continue };
            let size = vec2(w, h) * (SIDE / w.max(h));
            egui::Image::new((texture, size)).corner_radius(4).paint_at(ui, egui::Rect::from_min_size(rect.min, size));
            let caption = format!("{}:  {:.1} %", own.index, 100.0 * own.right);
            let weak = ui.visuals().weak_text_color();
            let below = rect.min + vec2(0.0, SIDE + 1.0);
            ui.painter().text(below, Align2::LEFT_TOP, &caption, FontId::proportional(11.0), weak);
            response.on_hover_text(caption);
        }
    });
}

/// A picture with the classes of its pixels over it. Of what the network says, every other diagonal of wrong pixels is red.
fn overlay(image: &egui::ColorImage, own: &Masks, truth: bool, ignore: u8) -> egui::ColorImage {
    let mask = if truth { &own.truth } else { &own.said };
    let [w, h] = image.size;
    let mut mixed = image.clone();
    for (i, pixel) in mixed.pixels.iter_mut().enumerate() {
        let (y, x) = (i / w * mask.height / h.max(1), i % w * mask.width / w.max(1));
        let at = y * mask.width + x;
        let class = mask.classes[at];
        if class > 0 && class != ignore {
            *pixel = pixel.lerp_to_gamma(tint(usize::from(class) - 1), 0.5);
        }
        let counts = own.truth.classes[at] != ignore;
        if !truth && counts && own.truth.classes[at] != own.said.classes[at] && (i / w + i % w) % 4 < 2 {
            *pixel = Color32::from_rgb(0xd0, 0x20, 0x20);
        }
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use pumice::data::mask::Mask;

    #[test]
    fn a_table_is_sorted_by_its_heads_and_gaps_come_last() {
        let row = |name: &str, x: f64| (name.to_string(), vec![x], vec![x.to_string()]);
        let rows = vec![row("a", 0.5), row("b", f64::NAN), row("c", 0.9)];
        let table = Each { of: "class", titles: vec!["IoU"], rows };
        let mut finding = Finding::default();
        assert_eq!(finding.rows(&table), [0, 1, 2]);
        finding.sort(0);
        assert_eq!(finding.rows(&table), [2, 0, 1]);
        finding.sort(0);
        assert_eq!(finding.rows(&table), [0, 2, 1]);
        finding.sort(0);
        assert_eq!(finding.order, None);
    }

    #[test]
    fn wrong_pixels_are_hatched_and_those_that_do_not_count_are_not() {
        let image = egui::ColorImage::filled([4, 1], Color32::BLACK);
        let mask = |classes: [u8; 4]| Mask { height: 1, width: 4, classes: classes.to_vec() };
        let own = Masks { index: 0, right: 0.0, truth: mask([1, 0, 255, 0]), said: mask([0, 0, 1, 0]) };
        let said = overlay(&image, &own, false, 255);
        assert_eq!(said.pixels[0], Color32::from_rgb(0xd0, 0x20, 0x20));
        assert_eq!((said.pixels[1], said.pixels[3]), (Color32::BLACK, Color32::BLACK));
        assert_ne!(said.pixels[2], Color32::from_rgb(0xd0, 0x20, 0x20), "it does not count");
        let truth = overlay(&image, &own, true, 255);
        assert_ne!(truth.pixels[0], Color32::BLACK);
        assert_eq!(truth.pixels[2], Color32::BLACK);
    }
}
