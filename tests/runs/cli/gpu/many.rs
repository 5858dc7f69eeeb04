//! Many files at once: folders, patterns, standard input, and a table of the answers.

use super::*;
use std::io::Write;
use std::process::Stdio;

#[test]
fn folders_patterns_and_standard_input_are_predicted() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let dir = dir.path();
    pumice(dir, "train net.json --out run --epochs 1").ok();
    let pictures = dir.join("pictures");
    fs::create_dir(&pictures).expect("a folder");
    let bright = |i: usize| {
        image::GrayImage::from_fn(8, 8, |_, y| image::Luma([if y as usize == 1 + 2 * (i % 3) { 240 } else { 20 }]))
    };
    // More than are decoded together.
    for i in 0..150 {
        bright(i).save(pictures.join(format!("digit {i:03}.png"))).expect("a picture");
    }
    fs::write(pictures.join("notes.txt"), "no picture").expect("a file");
    fs::write(pictures.join(".hidden.png"), "no picture").expect("a file");
    let list = |json: &str| -> Vec<serde_json::Value> {
        let all: serde_json::Value = serde_json::from_str(json).expect("JSON");
        all["predictions"].as_array().expect("a list").clone()
    };
    let all = list(&pumice(dir, "predict run pictures --json").ok());
    assert_eq!(all.len(), 150);
    for (i, one) in all.iter().enumerate() {
        assert_eq!(one["file"], serde_json::json!(format!("pictures/digit {i:03}.png")));
        assert_eq!(one["classes"], all[i % 3]["classes"], "the same picture has the same answer");
    }
    let some = list(&pumice(dir, "predict run pictures/*14?.png --json").ok());
    assert_eq!(some, all[140..150]);
    pumice(dir, "predict run pictures/*.jpg").fails(2, &["*.jpg", "no file has such a name"]);
    fs::create_dir(dir.join("empty")).expect("a folder");
    pumice(dir, "predict run empty").fails(2, &["empty", "no file in this folder ends with .png"]);
    // A broken one is reported, and the others are predicted.
    fs::write(pictures.join("digit 070.png"), "broken").expect("a file");
    let ended = pumice(dir, "predict run pictures --out answers.csv --top 2");
    ended.fails(2, &["digit 070.png"]);
    let text = fs::read_to_string(dir.join("answers.csv")).expect("a table");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("file,class,probability,class_2,probability_2", 150));
    let best = all[1]["classes"][0]["class"].as_str().expect("a class");
    assert!(lines[2].starts_with(&format!("pictures/digit 001.png,{best},0.")), "{}", lines[2]);
    // Standard input has no name but its own, in answers and in errors.
    let with = |bytes: &[u8]| {
        let mut command = program(dir, "predict run - --json");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(bytes).expect("it reads");
        child.wait_with_output().expect("it ends")
    };
    let output = with(&fs::read(pictures.join("digit 001.png")).expect("a picture"));
    let found = list(&String::from_utf8_lossy(&output.stdout));
    assert_eq!((found[0]["file"].as_str(), &found[0]["classes"]), (Some("-"), &all[1]["classes"]));
    let output = with(b"no picture");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && text.starts_with("error: -: "), "{text}");
}
