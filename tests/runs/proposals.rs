//! Fast R-CNN from the command line: regions that somebody else proposed come with the data, and with the pictures to predict.

mod gpu;

use image::{Rgb, RgbImage};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn pumice(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pumice")).args(args).current_dir(dir).output().expect("the program starts")
}

/// What a failed command says. It ends with exit code 2.
fn refused(dir: &Path, args: &[&str]) -> String {
    let output = pumice(dir, args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
    error
}

/// A small Fast R-CNN. `data` is the section's own keys.
fn spec(data: &str) -> String {
    format!(
        r#"{{
  "version": 1,
  "input": {{ "height": 48, "width": 64, "channels": 3 }},
  "layers": [
    {{ "op": "conv2d", "filters": 16, "kernel": 3, "stride": 2, "activation": "relu", "init": "he_normal" }},
    {{ "op": "conv2d", "name": "features", "filters": 32, "kernel": 3, "stride": 2, "activation": "relu", "init": "he_normal" }},
    {{ "op": "given_rois", "name": "given", "count": 12 }},
    {{ "op": "sample_rois", "name": "rois", "count": 16, "positive": 0.5 }},
    {{ "op": "roi_align", "name": "cut", "from": ["features", "rois"], "size": 4 }},
    {{ "op": "conv2d", "name": "fc", "filters": 64, "kernel": 4, "stride": 4, "padding": "valid", "activation": "relu", "init": "he_normal" }},
    {{ "op": "roi_head", "name": "head", "from": ["fc", "rois"] }}
  ],
  "loss": "roi",
  "data": {{ "kind": "voc", "path": "data", {data} "augment": [{{ "op": "flip" }}, {{ "op": "zoom_out", "p": 0.3 }}] }},
  "train": {{ "seed": 1, "batch": 4, "epochs": 30, "optimizer": {{ "op": "adam", "lr": 0.003 }}, "schedule": "cosine" }}
}}
"#
    )
}

const PROPOSALS: &str = r#""proposals": "proposals.csv", "fit": "letterbox","#;

/// Random numbers by a linear congruence (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// 40 pictures for training and 16 for the test, each 80 x 50 with a red or a blue square, or one of each, in the form of PASCAL VOC; and
/// regions: near each square, and elsewhere.
fn drawn() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for folder in ["JPEGImages", "Annotations", "ImageSets/Main"] {
        fs::create_dir_all(data.join(folder)).unwrap();
    }
    let (mut random, mut lists) = (Random(7), [String::new(), String::new()]);
    let mut table = String::from("file,x1,y1,x2,y2,score\n");
    for i in 0..56 {
        let mut picture = RgbImage::from_fn(80, 50, |x, y| Rgb([90, 100 + (x % 7) as u8, 95 + (y % 5) as u8]));
        let mut xml = String::from("<annotation>");
        let kinds: &[usize] = [&[0][..], &[1], &[0, 1]][i % 3];
        for &kind in kinds {
            let side = 12 + random.below(12);
            // Two squares lie in different halves.
            let (x, y) = (40 * kind as u64 + random.below(40 - side), random.below(50 - side));
            let colour = [Rgb([220, 40, 40]), Rgb([40, 60, 230])][kind];
            (x..x + side).for_each(|x| (y..y + side).for_each(|y| picture.put_pixel(x as u32, y as u32, colour)));
            let name = ["red", "blue"][kind];
            let [x2, y2] = [x + side, y + side];
            let corners = format!("<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>");
            write!(xml, "<object><name>{name}</name><bndbox>{corners}</bndbox></object>").unwrap();
            for _ in 0..3 {
                let near = |v: u64, random: &mut Random| v as f64 + random.below(5) as f64 - 2.0;
                let corners = [x, y, x2, y2].map(|v| near(v, &mut random).to_string());
                writeln!(table, "{i}.png,{},0.9", corners.join(",")).unwrap();
            }
        }
        for _ in 0..4 {
            let (x, y) = (random.below(60), random.below(30));
            writeln!(table, "{i}.png,{x},{y},{},{},0.1", x + 8 + random.below(12), y + 8 + random.below(12)).unwrap();
        }
        picture.save(data.join(format!("JPEGImages/{i}.png"))).unwrap();
        fs::write(data.join(format!("Annotations/{i}.xml")), xml + "</annotation>").unwrap();
        writeln!(lists[usize::from(i >= 40)], "{i}").unwrap();
    }
    fs::write(data.join("ImageSets/Main/trainval.txt"), &lists[0]).unwrap();
    fs::write(data.join("ImageSets/Main/test.txt"), &lists[1]).unwrap();
    fs::write(data.join("proposals.csv"), table).unwrap();
    fs::write(dir.path().join("net.json"), spec(PROPOSALS)).unwrap();
    dir
}

#[test]
fn a_model_that_takes_regions_needs_data_that_has_them() {
    let dir = drawn();
    assert!(pumice(dir.path(), &["check", "net.json"]).status.success());
    let plan = pumice(dir.path(), &["plan", "net.json"]);
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
    fs::write(dir.path().join("none.json"), spec("")).unwrap();
    let error = refused(dir.path(), &["check", "none.json"]);
    assert!(
        error.contains("none.json:7:5: layers[2]: layer `given` takes regions that somebody else proposed"),
        "{error}"
    );
    assert!(error.contains("`data.proposals`"), "{error}");
    let error = refused(dir.path(), &["train", "none.json", "--out", "run"]);
    assert!(error.contains("`data.proposals`"), "{error}");
    let shapes = ["--set", r#"data={"kind":"shapes"}"#];
    let error = refused(dir.path(), &[&["check", "net.json"][..], &shapes].concat());
    assert!(error.contains("kinds voc, coco and yolo"), "{error}");
    let two = spec(PROPOSALS).replace(
        r#""name": "given", "count": 12 },"#,
        r#""name": "given", "count": 12 }, { "op": "given_rois", "count": 5 },"#,
    );
    fs::write(dir.path().join("two.json"), two).unwrap();
    let error = refused(dir.path(), &["check", "two.json"]);
    assert!(error.contains("another layer `given_rois` has another count"), "{error}");
}

#[test]
fn the_data_set_says_what_of_its_regions_is_left_out() {
    let dir = drawn();
    let table = dir.path().join("data/proposals.csv");
    let rows: String = fs::read_to_string(&table)
        .unwrap()
        .lines()
        .filter(|row| !row.starts_with("3.png"))
        .fold(String::new(), |all, row| all + row + "\n");
    let lines = rows.lines().count();
    fs::write(&table, rows + "5.png,9,9,9,20,1\nother.png,1,1,9,9,1\n").unwrap();
    let output = pumice(dir.path(), &["data", "net.json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    for part in [
        "left out: 2\n".to_string(),
        format!("proposals.csv: line {}: the box (9, 9, 9, 20) is nothing", lines + 1),
        format!("proposals.csv: line {}: no picture \"other.png\"", lines + 2),
        "1 of 56 pictures have no proposals, such as data/JPEGImages/3.png".to_string(),
    ] {
        assert!(text.contains(&part), "`{part}` is not in: {text}");
    }
    let error = refused(dir.path(), &["data", "net.json", "--strict"]);
    assert!(error.contains(&format!("line {}: ", lines + 1)), "{error}");
}

/// The names of the files in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut all: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

/// R-CNN (2014): each region becomes a picture of its own.
#[test]
fn regions_are_cut_out_for_a_classifier_and_with_their_boxes() {
    let dir = drawn();
    let dir = dir.path();
    // Of picture 0, with one red square: one region that is the square, one near it, and five of the background, of which three for each region of
    // the object stay.
    let xml = fs::read_to_string(dir.join("data/Annotations/0.xml")).unwrap();
    let number = |name: &str| -> f64 {
        let rest = xml.split_once(&format!("<{name}>")).unwrap().1;
        rest.split_once('<').unwrap().0.parse().unwrap()
    };
    let [x1, y1, x2, y2] = ["xmin", "ymin", "xmax", "ymax"].map(number);
    // Three quarters of it: an overlap of 0.75. Just over a half: enough for the class, and not for the box.
    let width = x2 - x1;
    let mut table =
        format!("file,x1,y1,x2,y2\n0,{x1},{y1},{},{y2}\n0,{x1},{y1},{},{y2}\n", x1 + 0.75 * width, x1 + 0.55 * width);
    for i in 0..7 {
        table += &format!("0,70,{i},79,{}\n", i + 4);
    }
    fs::write(dir.join("data/proposals.csv"), table).unwrap();
    let said = pumice(dir, &["data", "net.json", "--crops", "crops", "--json"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["crops"], serde_json::json!({ "classes": 8, "boxes": 1 }));
    let crops = dir.join("crops");
    assert_eq!(names(&crops.join("train")), ["background", "red"]);
    assert_eq!(names(&crops.join("train/red")), ["0_0.png", "0_1.png"]);
    assert_eq!(names(&crops.join("train/background")).len(), 6);
    assert_eq!(names(&crops.join("boxes/train")), ["0_0.png", "0_0.xml"]);
    let crop = image::open(crops.join("train/red/0_0.png")).unwrap().into_rgb8();
    assert_eq!(crop.dimensions(), (64, 48), "warped to the spec's input");
    assert_eq!(crop.get_pixel(30, 24).0, [220, 40, 40], "the square");
    // The margin is 227 / 195 of the region about its middle; the square goes on to its right, and ends where the crop does or before it.
    let boxed = fs::read_to_string(crops.join("boxes/train/0_0.xml")).unwrap();
    assert!(boxed.contains("<name>red</name>") && boxed.contains("<xmax>64</xmax>"), "{boxed}");
    let error = refused(dir, &["data", "net.json", "--crops", "crops"]);
    assert!(error.contains("it is there already"), "{error}");
    fs::write(dir.join("none.json"), spec("")).unwrap();
    let error = refused(dir, &["data", "none.json", "--crops", "other"]);
    assert!(error.contains("the data has no regions to cut out"), "{error}");
}
