//! The pages as a person clicks them, without a window: egui's tree of widgets for screen readers is what is clicked.

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use pumice_studio::app::{App, Page};
use std::time::{Duration, Instant};

fn harness() -> Harness<'static, App> {
    let app = App::new(&eframe::egui::Context::default(), None, None);
    Harness::builder().with_size([1100.0, 720.0]).allow_missing_glyphs().build_ui_state(|ui, app| app.show(ui), app)
}

/// Runs frames until a condition of [`App::holds`] comes about.
fn until(harness: &mut Harness<App>, condition: &str) {
    let begin = Instant::now();
    while !harness.state().holds(condition) {
        assert!(begin.elapsed() < Duration::from_secs(60), "`{condition}` did not come about");
        std::thread::sleep(Duration::from_millis(5));
        harness.state_mut().news();
        harness.step();
    }
}

#[test]
fn a_model_of_the_shelf_opens_with_its_plan() {
    let mut harness = harness();
    harness.step();
    harness.get_by_label("lenet5_mnist").click();
    harness.run_steps(3);
    assert_eq!(harness.state().page, Page::Network);
    until(&mut harness, "checked");
    harness.run_steps(2);
    assert_eq!(harness.state().document.planned.params, 61706);
    harness.get_by_label("61\u{2009}706");
    harness.get_by_label("conv2d_2");
}

#[test]
fn a_mistake_is_said_and_training_waits_for_its_end() {
    let mut harness = harness();
    harness.step();
    harness.get_by_label("lenet5_mnist").click();
    harness.run_steps(3);
    until(&mut harness, "checked");
    let app = harness.state_mut();
    app.document.text = app.document.text.replace("\"filters\": 16", "\"filtres\": 16");
    app.document.touch();
    app.check();
    until(&mut harness, "mistakes");
    harness.run_steps(2);
    assert!(harness.query_all_by_label_contains("did you mean `filters`?").count() > 0);
    harness.state_mut().go();
    assert!(!harness.state().holds("training"));
}

#[test]
fn the_language_changes_at_once() {
    let mut harness = harness();
    harness.step();
    harness.get_by_label("中文").click();
    harness.run_steps(2);
    harness.get_by_label("评估").click();
    harness.run_steps(2);
    assert_eq!(harness.state().page, Page::Judge);
    harness.get_by_label("请先打开一个网络。");
}
