//! How things look: one accent, generous space, circles.

use egui::{Color32, CornerRadius, FontId, Id, Margin, Pos2, Rect, Response, Sense, Shape, Stroke, Ui, Vec2, vec2};
use egui::{Role, TextStyle, Visuals, WidgetInfo};

/// The accent.
pub fn accent(ui: &Ui) -> Color32 {
    accent_of(ui.visuals().dark_mode)
}

/// The accent on a light or a dark ground.
pub fn accent_of(dark: bool) -> Color32 {
    if dark { Color32::from_rgb(0x4f, 0xc3, 0xb4) } else { Color32::from_rgb(0x0b, 0x7a, 0x75) }
}

/// What is wrong.
pub fn wrong(ui: &Ui) -> Color32 {
    if ui.visuals().dark_mode { Color32::from_rgb(0xff, 0x8a, 0x80) } else { Color32::from_rgb(0xb3, 0x26, 0x1e) }
}

/// Sets colours, spacing and text scale.
pub fn apply(ctx: &egui::Context, dark: bool, scale: u32) {
    let mut visuals = if dark { Visuals::dark() } else { Visuals::light() };
    let (ground, raised) = match dark {
        true => (Color32::from_rgb(0x17, 0x1a, 0x1d), Color32::from_rgb(0x20, 0x24, 0x28)),
        false => (Color32::from_rgb(0xfa, 0xf9, 0xf7), Color32::from_rgb(0xff, 0xff, 0xff)),
    };
    visuals.panel_fill = ground;
    visuals.window_fill = raised;
    visuals.extreme_bg_color = raised;
    visuals.faint_bg_color =
        if dark { Color32::from_rgb(0x2a, 0x2f, 0x34) } else { Color32::from_rgb(0xee, 0xec, 0xe8) };
    let accent = accent_of(dark);
    visuals.selection.bg_fill = accent.gamma_multiply(if dark { 0.35 } else { 0.22 });
    visuals.selection.stroke = Stroke::new(1.5, accent);
    visuals.hyperlink_color = accent;
    let round = CornerRadius::same(9);
    for widget in [
        &mut visuals.widgets.inactive,
        &mut visuals.widgets.hovered,
        &mut visuals.widgets.active,
        &mut visuals.widgets.open,
        &mut visuals.widgets.noninteractive,
    ] {
        widget.corner_radius = round;
    }
    visuals.widgets.hovered.bg_stroke = Stroke::new(1.0, accent);
    visuals.window_corner_radius = CornerRadius::same(14);
    ctx.set_theme(if dark { egui::Theme::Dark } else { egui::Theme::Light });
    ctx.set_visuals_of(if dark { egui::Theme::Dark } else { egui::Theme::Light }, visuals);
    ctx.all_styles_mut(|style| {
        style.spacing.item_spacing = vec2(10.0, 8.0);
        style.spacing.button_padding = vec2(12.0, 6.0);
        style.text_styles.insert(TextStyle::Body, FontId::proportional(14.0));
        style.text_styles.insert(TextStyle::Button, FontId::proportional(14.0));
        style.text_styles.insert(TextStyle::Small, FontId::proportional(11.5));
        style.text_styles.insert(TextStyle::Heading, FontId::proportional(20.0));
        style.text_styles.insert(TextStyle::Monospace, FontId::monospace(12.5));
        style.animation_time = 0.0;
    });
    ctx.set_zoom_factor(scale as f32 / 100.0);
}

/// A page's own room.
pub fn page(ui: &Ui) -> egui::Frame {
    egui::Frame::new().fill(ui.visuals().panel_fill).inner_margin(Margin::symmetric(20, 14))
}

/// Notes where the visible part of a widget lies, for scripted runs.
pub fn named(response: &Response, name: &str) {
    response.ctx.data_mut(|data| data.insert_temp(key(name), response.interact_rect));
}

/// Where a widget lies.
pub fn place(ctx: &egui::Context, name: &str) -> Option<Rect> {
    ctx.data(|data| data.get_temp(key(name)))
}

fn key(name: &str) -> Id {
    Id::unique(("studio", name.to_string()))
}

/// What a round button shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icon {
    /// A triangle.
    Play,
    /// Two bars.
    Pause,
    /// A triangle and a bar.
    Step,
    /// A square.
    Stop,
}

/// A round button with its word beside it as a hint. `strong` fills it with the accent.
pub fn round_button(ui: &mut Ui, icon: Icon, word: &str, keys: &str, enabled: bool, strong: bool) -> Response {
    let size = if strong { 44.0 } else { 36.0 };
    let sense = if enabled { Sense::click() } else { Sense::hover() };
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(size), sense);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, word));
    let accent = accent(ui);
    let (mut fill, mut ink) = match strong {
        true => (accent, ui.visuals().extreme_bg_color),
        false => (ui.visuals().faint_bg_color, ui.visuals().text_color()),
    };
    if !enabled {
        (fill, ink) = (ui.visuals().faint_bg_color, ui.visuals().weak_text_color().gamma_multiply(0.6));
    }
    let painter = ui.painter();
    painter.circle_filled(rect.center(), size / 2.0 - 1.0, fill);
    let focused = response.has_focus() || (response.hovered() && enabled);
    let edge = if focused { Stroke::new(2.0, accent) } else { ui.visuals().widgets.noninteractive.bg_stroke };
    painter.circle_stroke(rect.center(), size / 2.0 - 1.0, edge);
    let r = size * 0.2;
    draw(painter, icon, rect.center(), r, ink);
    response.on_hover_text(if keys.is_empty() { word.to_string() } else { format!("{word}  ({keys})") })
}

fn draw(painter: &egui::Painter, icon: Icon, at: Pos2, r: f32, ink: Color32) {
    let triangle = |x: f32| {
        let points = vec![at + vec2(x - 0.7 * r, -r), at + vec2(x + r, 0.0), at + vec2(x - 0.7 * r, r)];
        Shape::convex_polygon(points, ink, Stroke::NONE)
    };
    let bar = |x: f32, w: f32| Rect::from_center_size(at + vec2(x, 0.0), vec2(w, 2.0 * r));
    match icon {
        Icon::Play => drop(painter.add(triangle(0.0))),
        Icon::Pause => [-0.55 * r, 0.55 * r].into_iter().for_each(|x| {
            painter.rect_filled(bar(x, 0.6 * r), 1.0, ink);
        }),
        Icon::Step => {
            painter.add(triangle(-0.35 * r));
            painter.rect_filled(bar(0.95 * r, 0.45 * r), 1.0, ink);
        }
        Icon::Stop => drop(painter.rect_filled(Rect::from_center_size(at, Vec2::splat(1.8 * r)), 2.0, ink)),
    }
}

/// A number with what it stands for below it.
pub fn figure(ui: &mut Ui, number: &str, word: &str) {
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        ui.label(egui::RichText::new(number).size(17.0));
        ui.label(egui::RichText::new(word).small().weak());
    });
}

/// A quiet line where there is nothing to show yet.
pub fn quiet(ui: &mut Ui, text: &str) {
    ui.label(egui::RichText::new(text).weak());
}
