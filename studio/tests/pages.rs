//! The pages as a person clicks them, without a window: egui's tree of widgets for screen readers is what is clicked.

use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use pumice_studio::app::{App, Page};
use pumice_studio::export::Kind;
use pumice_studio::gallery::{Fact, Gallery};
use pumice_studio::worker::Ask;
use std::time::{Duration, Instant};

fn harness() -> Harness<'static, App> {
    let mut app = App::new(&eframe::egui::Context::default(), None, None);
    app.gallery = Gallery::resting();
    Harness::builder().with_size([1100.0, 720.0]).allow_missing_glyphs().build_ui_state(|ui, app| app.show(ui), app)
}

/// Runs frames until a condition of [`App::holds`] comes about.
fn until(harness: &mut Harness<App>, condition: &str) {
    let begin = Instant::now();
    while !harness.state().holds(condition) {
        assert!(begin.elapsed() < Duration::from_secs(300), "`{condition}` did not come about");
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

/// Opens a model of the shelf and waits for its data and its adapter.
fn opened(name: &str) -> Harness<'static, App> {
    let mut harness = harness();
    harness.step();
    let (_, text) = pumice_studio::shelf::SHELF.iter().find(|(own, _)| *own == name).expect("a model of the shelf");
    harness.state_mut().open_shelf(name, text);
    until(&mut harness, "opened");
    harness
}

#[test]
fn the_data_is_counted_filtered_and_drawn() {
    let mut harness = opened("lenet5_mnist");
    harness.get_by_label("Data").click();
    harness.run_steps(2);
    until(&mut harness, "counted");
    until(&mut harness, "sheet");
    harness.run_steps(2);
    let counted = harness.state().showing.counted.clone().expect("counted");
    assert_eq!(counted.samples, 8000);
    assert_eq!(counted.counts.iter().sum::<u64>(), 8000);
    // White digits on black throughout, and as many of each as of any other: nothing to warn of.
    assert_eq!(counted.warnings, []);
    harness.get_by_role_and_label(Role::Button, "3").click();
    harness.run_steps(2);
    assert_eq!(harness.state().showing.class, Some(3));
    until(&mut harness, "sheet");
    harness.run_steps(2);
    let (shown, all) = harness.state().showing.shown(5);
    assert_eq!(all as u64, counted.counts[3]);
    assert!(shown.iter().all(|&place| counted.of[place] == [3]));
    assert!(harness.query_all_by_label_contains(": 3").count() > 0, "samples say their class");
    harness.get_by_label_contains("test").click();
    harness.run_steps(2);
    until(&mut harness, "counted");
    assert_eq!(harness.state().showing.counted.as_ref().expect("counted").samples, 2000);
}

#[test]
fn training_sees_other_pictures_than_the_plain_ones() {
    let mut harness = harness();
    harness.step();
    let (_, text) = pumice_studio::shelf::SHELF.iter().find(|(own, _)| *own == "lenet5_mnist").expect("a model");
    let text = text.replace("\"kind\": \"bundled\"", "\"kind\": \"bundled\", \"augment\": [\"shift\"]");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shifted.json");
    std::fs::write(&file, text).expect("written");
    harness.state_mut().open(&file);
    until(&mut harness, "checked");
    assert_eq!(harness.state().document.mistakes, []);
    until(&mut harness, "opened");
    harness.get_by_label("Data").click();
    harness.run_steps(2);
    until(&mut harness, "counted");
    until(&mut harness, "sheet");
    harness.run_steps(2);
    let plain = harness.state().showing.sample(0).cloned().expect("a plain sample");
    harness.get_by_label("as training sees them").click();
    harness.run_steps(2);
    until(&mut harness, "sheet");
    let seen = harness.state().showing.sample(0).cloned().expect("a changed sample");
    assert_eq!(plain.caption, seen.caption);
    assert_ne!(plain.picture, seen.picture);
}

#[test]
fn values_are_judged_by_their_residuals() {
    let mut harness = opened("diabetes_regression");
    harness.get_by_label("Judge").click();
    harness.run_steps(2);
    harness.get_by_label("Judge the samples").click();
    harness.run_steps(1);
    until(&mut harness, "judged");
    harness.run_steps(3);
    let judged = harness.state().judging.judged.clone().expect("judged");
    let pumice_studio::verdict::More::Values(names, rows) = &*judged.more else { panic!("values") };
    assert_eq!((names.len(), rows.len()), (1, harness.state().watched.opened.samples[2]));
    harness.get_by_label("Worst mistakes");
}

#[test]
fn what_is_kept_says_its_place_and_a_failure_is_said_whole() {
    let mut harness = opened("lenet5_mnist");
    let folder = tempfile::tempdir().expect("a folder");
    harness.get_by_label("Keep").click();
    harness.run_steps(2);
    assert!(harness.query_all_by_label_contains("train first").count() > 0);
    harness.state_mut().worker.ask(Ask::Export(Kind::Onnx));
    until(&mut harness, "message");
    assert!(harness.state().message.as_deref().is_some_and(|text| text.contains("train a step first")));
    harness.state_mut().message = None;
    harness.state_mut().worker.ask(Ask::Runs(folder.path().to_path_buf()));
    harness.state_mut().worker.ask(Ask::Step);
    until(&mut harness, "step 1");
    for kind in [Kind::Onnx, Kind::Pytorch, Kind::Safetensors] {
        harness.state_mut().keeping.written = None;
        harness.state_mut().worker.ask(Ask::Export(kind));
        until(&mut harness, "written");
        harness.run_steps(2);
        let (place, bytes) = harness.state().keeping.written.clone().expect("written");
        // 61,706 numbers of four bytes.
        assert!(place.is_file() && bytes > 4 * 61_706, "{}: {bytes}", place.display());
        assert!(harness.query_all_by_label_contains("Written").count() > 0);
    }
}

#[test]
fn a_folder_of_pictures_becomes_a_spec() {
    let folder = tempfile::tempdir().expect("a folder");
    for class in ["apple", "pear"] {
        let own = folder.path().join("fruit").join(class);
        std::fs::create_dir_all(&own).expect("made");
        for i in 0..3u8 {
            let pixels = vec![i * 40; 32 * 32];
            let file = own.join(format!("{i}.png"));
            image::save_buffer(file, &pixels, 32, 32, image::ColorType::L8).expect("written");
        }
    }
    let mut harness = harness();
    harness.step();
    harness.state_mut().data_field = folder.path().join("fruit").display().to_string();
    harness.state_mut().folder_field = folder.path().join("mine").display().to_string();
    harness.run_steps(2);
    harness.get_by_label("New from my own data").click();
    harness.run_steps(10);
    harness.get_by_label("Look and write").click();
    harness.run_steps(1);
    until(&mut harness, "page 2");
    until(&mut harness, "checked");
    harness.run_steps(2);
    assert!(folder.path().join("mine/model.json").is_file());
    assert!(harness.state().found.as_deref().is_some_and(|found| found.contains("2 classes")));
    assert_eq!(harness.state().document.mistakes, []);
}

#[test]
fn the_gallery_says_what_fits() {
    let mut harness = harness();
    harness.state_mut().gallery = Gallery::default();
    harness.step();
    until(&mut harness, "gallery");
    harness.run_steps(2);
    let place = |name: &str| pumice_studio::shelf::SHELF.iter().position(|(own, _)| *own == name).expect("a model");
    let Some(Fact::Planned(plan, _)) = &harness.state().gallery.facts[place("resnet50")] else { panic!("planned") };
    // The published count.
    assert_eq!(plan.params, 25_557_032);
}

#[test]
fn the_editor_completes_from_the_schema() {
    let mut harness = opened("lenet5_mnist");
    harness.run_steps(2);
    let editor = harness.get_all_by_role(Role::MultilineTextInput).next().expect("the editor");
    editor.focus();
    harness.run_steps(2);
    let text = harness.state().document.text.clone();
    let at = text.find("\"kernel\"").expect("a key");
    let app = harness.state_mut();
    app.document.text.insert_str(at, "\"dila\", ");
    app.document.touch();
    app.typing.go = Some(app.document.text[..at].chars().count() + 5);
    app.check();
    harness.run_steps(3);
    assert_eq!(harness.state().typing.offers.first().map(|offer| offer.word.as_str()), Some("dilation"));
    harness.key_press(egui::Key::Enter);
    harness.run_steps(2);
    assert!(harness.state().document.text.contains("\"dilation\", \"kernel\""));
    assert!(harness.state().typing.offers.is_empty());
}

#[test]
fn escape_closes_the_list_and_not_the_editor() {
    let mut harness = opened("lenet5_mnist");
    harness.run_steps(2);
    harness.get_all_by_role(Role::MultilineTextInput).next().expect("the editor").focus();
    harness.run_steps(2);
    harness.state_mut().typing.go = Some(0);
    harness.run_steps(2);
    let at = harness.state().document.text.find("\"seed\"").expect("a key");
    harness.state_mut().typing.go = Some(at);
    harness.run_steps(2);
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Space);
    harness.run_steps(2);
    assert!(!harness.state().typing.offers.is_empty());
    harness.key_press(egui::Key::Escape);
    harness.run_steps(2);
    assert!(harness.state().typing.offers.is_empty());
    let editor = harness.get_all_by_role(Role::MultilineTextInput).next().expect("the editor");
    assert!(editor.is_focused());
}

#[test]
fn the_part_that_is_judged_is_one_that_the_data_has() {
    let mut harness = opened("unet_nuclei");
    assert_eq!(harness.state().watched.opened.samples[2], 0, "it has no test part");
    harness.get_by_label("Judge").click();
    harness.run_steps(2);
    assert_eq!(harness.state().split, pumice::Split::Validation);
}
