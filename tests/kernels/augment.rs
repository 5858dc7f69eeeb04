//! Random changes of training pictures: what they draw, what they make of pictures and masks, and what a spec may say. The
//! kernels are compared with the references in the rows `augment` of the case table.

mod gpu;

use pumice::error::Error;
use pumice::graph::{Op, RefCx, RefTensor, Step};
use pumice::model::{Model, load};
use pumice::ops::augment::augment_boxes::AugmentBoxes;
use pumice::ops::augment::augment_draw::AugmentDraw;
use pumice::ops::augment::augment_image::{AugmentImage, Colours};
use pumice::ops::augment::augment_mask::AugmentMask;
use pumice::ops::augment::change::Change;
use pumice::ops::augment::map::{HOLE, Map, NUMBERS};
use pumice::spec::Source;
use serde_json::Value as Json;

/// A spec for pictures of 8 x 12 with these changes.
fn text(augment: &str, channels: usize) -> String {
    let input = format!(r#"{{ "height": 8, "width": 12, "channels": {channels} }}"#);
    let data = format!(r#"{{ "kind": "folder", "augment": {augment} }}"#);
    let layers = r#"["flatten", { "op": "dense", "units": 2 }]"#.replace("\"flatten\"", r#"{ "op": "flatten" }"#);
    format!(r#"{{ "version": 1, "input": {input}, "layers": {layers}, "loss": "cross_entropy", "data": {data} }}"#)
}

fn read(text: &str) -> Result<Model, Error> {
    load(Source { file: "net.json".into(), text: text.into() }, &[])
}

fn changes(augment: &str) -> Vec<Change> {
    let model = read(&text(augment, 3)).unwrap_or_else(|e| panic!("{e}"));
    model.data.expect("a section data").augment.into_iter().map(|node| node.change).collect()
}

/// The numbers of the first `count` samples of a step, for pictures of 8 x 12.
fn numbers(augment: &str, step: &Step, count: usize) -> Vec<[f64; NUMBERS]> {
    let draw = AugmentDraw::new(changes(augment), [8, 12]);
    (0..count).map(|sample| draw.numbers(step, 77, sample)).collect()
}

/// All elements of an op's only output.
fn all(op: &dyn Op, inputs: &[RefTensor]) -> Vec<f64> {
    let step = Step::of(inputs[0].shape[0]);
    let cx = RefCx { inputs, n: inputs[0].shape[0], step: &step, salt: 0 };
    let indices: Vec<usize> = (0..inputs[0].data.len()).collect();
    op.reference(&cx, 0, &indices)
}

fn floats(json: &Json) -> Vec<f64> {
    json.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn pictures_and_colours_are_those_of_pytorch_and_torchvision() {
    let json: Json = serde_json::from_str(include_str!("../fixtures/augment/augment.json")).expect("the fixture");
    let mut shape = vec![1];
    shape.extend(floats(&json["size"]).iter().map(|&side| side as usize));
    for case in json["pictures"].as_array().expect("pictures") {
        let mut numbers = floats(&case["map"]);
        numbers.extend([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let inputs =
            [RefTensor::new(shape.clone(), floats(&case["picture"])), RefTensor::new(vec![1, NUMBERS], numbers)];
        let got = all(&AugmentImage { colours: None }, &inputs);
        let wanted = floats(&case["expected"]);
        assert!(got.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{}: {got:?} {wanted:?}", case["map"]);
    }
    let plain = Colours { mean: vec![0.0; 3], std: vec![1.0; 3] };
    for case in json["colours"].as_array().expect("colours") {
        let lists = |key: &str| case[key].as_array().expect("pixels").iter().map(floats).collect::<Vec<_>>();
        for (pixel, wanted) in lists("pixels").iter().zip(lists("expected")) {
            let got = plain.apply(pixel, &floats(&case["numbers"]));
            // torchvision's weights of grey have four digits.
            let near = got.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 3e-4);
            assert!(near, "{}: {pixel:?} became {got:?}, not {wanted:?}", case["numbers"]);
        }
    }
}

#[test]
fn flips_and_padded_parts_are_whole_pixels_and_equally_probable() {
    let drawn = numbers(r#"["flip", { "op": "crop", "padding": 2 }]"#, &Step::of(1), 10_000);
    let mut counts = [[0; 5]; 2];
    for sample in &drawn {
        let Map([[a, b, u], [c, d, v]]) = Map::of(sample, 0);
        assert!((b, c, d) == (0.0, 0.0, 1.0) && a.abs() == 1.0, "{sample:?}");
        let offset = if a < 0.0 { 12.0 - u } else { u };
        assert!(offset.fract() == 0.0 && v.fract() == 0.0, "{sample:?}");
        counts[usize::from(a < 0.0)][(offset + 2.0) as usize] += 1;
        assert!((-2.0..=2.0).contains(&v));
    }
    // Each of the ten pairs has a probability of 0.1: its deviation is 30 of 10,000.
    assert!(counts.concat().iter().all(|&count: &usize| count.abs_diff(1000) < 150), "{counts:?}");
}

#[test]
fn every_change_keeps_within_its_keys() {
    let maps = |augment: &str| -> Vec<[[f64; 3]; 2]> {
        numbers(augment, &Step::of(1), 2000).iter().map(|sample| Map::of(sample, 0).0).collect()
    };
    let extremes = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let within = |(low, high): (f64, f64), wanted: (f64, f64)| {
        let slack = (wanted.1 - wanted.0) * 0.02;
        assert!(low >= wanted.0 - 1e-9 && low <= wanted.0 + slack, "{low} is not just above {}", wanted.0);
        assert!(high <= wanted.1 + 1e-9 && high >= wanted.1 - slack, "{high} is not just below {}", wanted.1);
    };
    let turned = maps(r#"[{ "op": "rotate", "degrees": 40 }]"#);
    within(extremes(&mut turned.iter().map(|m| m[0][1].atan2(m[0][0]).to_degrees())), (-40.0, 40.0));
    // The centre stays.
    assert!(turned.iter().all(|m| (Map(*m).apply(6.0, 4.0)[0] - 6.0).abs() < 1e-9));
    let shifted = maps(r#"[{ "op": "shift", "share": 0.25 }]"#);
    within(extremes(&mut shifted.iter().map(|m| m[0][2])), (-3.0, 3.0));
    within(extremes(&mut shifted.iter().map(|m| m[1][2])), (-2.0, 2.0));
    let scaled = maps(r#"[{ "op": "scale", "min": 0.5, "max": 2 }]"#);
    within(extremes(&mut scaled.iter().map(|m| 1.0 / m[0][0])), (0.5, 2.0));
    for [[wide, _, left], [_, high, top]] in maps(r#"[{ "op": "crop", "area": 0.25 }]"#) {
        // A part whose long side was cut has less area than it was to have: 3 / 4 of it at least.
        assert!(wide * high > 0.25 * 0.75 && wide <= 1.0 && high <= 1.0);
        assert!((3.0 / 4.0 - 1e-9..=4.0 / 3.0 + 1e-9).contains(&(wide / high)));
        assert!(left >= 0.0 && top >= 0.0 && left + wide * 12.0 <= 12.0 + 1e-9 && top + high * 8.0 <= 8.0 + 1e-9);
    }
    let zoomed = maps(r#"[{ "op": "zoom_out", "p": 1 }]"#);
    within(extremes(&mut zoomed.iter().map(|m| m[0][0])), (1.0, 4.0));
    // The whole picture is somewhere in the new one.
    assert!(zoomed.iter().all(|m| m[0][2] <= 0.0 && m[0][2] + 12.0 * m[0][0] >= 12.0 - 1e-9));
    let half = maps(r#"["zoom_out"]"#).iter().filter(|m| m[0][0] == 1.0).count();
    assert!(half.abs_diff(1000) < 100, "{half} of 2,000 stay plain");
    for sample in numbers(r#"[{ "op": "cutout", "size": 0.5 }]"#, &Step::of(1), 100) {
        let hole = &sample[HOLE..];
        assert!((hole[2] - hole[0] - 6.0).abs() < 1e-9 && (hole[3] - hole[1] - 4.0).abs() < 1e-9);
    }
}

#[test]
fn numbers_depend_on_step_seed_and_sample_and_not_on_where_the_batch_begins() {
    let augment = r#"["rotate", "shift"]"#;
    let base = numbers(augment, &Step::of(1), 2);
    assert_ne!(base[0], base[1]);
    for other in [Step { step: 1, ..Step::of(1) }, Step { seed: 1, ..Step::of(1) }] {
        assert_ne!(numbers(augment, &other, 2), base);
    }
    assert_eq!(numbers(augment, &Step { offset: 9, ..Step::of(1) }, 2), base, "a batch that is sent has no offset");
    // What one change draws does not depend on what others there are, nor on their order.
    let alone = numbers(r#"["shift"]"#, &Step::of(1), 1)[0][2];
    assert_eq!(numbers(r#"["shift", "brightness", "hue"]"#, &Step::of(1), 1)[0][2], alone);
    assert_eq!(numbers(r#"["shift", "rotate"]"#, &Step::of(1), 2), base);
}

#[test]
fn a_mask_moves_with_its_picture() {
    let (n, h, w) = (40, 8, 12);
    let classes: Vec<f64> = (0..n * h * w).map(|i| ((i * 7 + i / 12 * 5) % 11) as f64).collect();
    let picture = RefTensor::new(vec![n, h, w, 1], classes.iter().map(|class| class + 1.0).collect());
    let drawn = numbers(r#"[{ "op": "flip", "axis": "both" }, { "op": "crop", "padding": 3 }]"#, &Step::of(n), n);
    let drawn = RefTensor::new(vec![n, NUMBERS], drawn.concat());
    let pixels = all(&AugmentImage { colours: None }, &[picture, drawn.clone()]);
    let mask = AugmentMask { size: [h, w], outside: 255 };
    let mask = all(&mask, &[RefTensor::new(vec![n, h, w], classes.clone()), drawn]);
    assert!(mask.iter().zip(&pixels).all(|(class, x)| if *class == 255.0 { *x == 0.0 } else { *x == class + 1.0 }));
    let outside = mask.iter().filter(|class| **class == 255.0).count();
    assert!(outside > 0 && outside < mask.len() / 2 && mask != classes, "{outside} of {} are outside", mask.len());
}

#[test]
fn boxes_move_with_their_picture() {
    let boxes = |map: [[f64; 3]; 2], plain: &[[f64; 5]]| {
        let numbers = map.concat().into_iter().chain([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).collect();
        let inputs =
            [RefTensor::new(vec![1, plain.len(), 5], plain.concat()), RefTensor::new(vec![1, NUMBERS], numbers)];
        let got = all(&AugmentBoxes { size: [8, 12] }, &inputs);
        got.iter().map(|x| (x * 1e6).round() / 1e6).collect::<Vec<f64>>()
    };
    let mirrored =
        boxes([[-1.0, 0.0, 12.0], [0.0, 1.0, 0.0]], &[[2.0, 0.1, 0.2, 0.4, 0.6], [-1.0, 0.0, 0.0, 0.0, 0.0]]);
    assert_eq!(mirrored, [2.0, 0.6, 0.2, 0.9, 0.6, -1.0, 0.0, 0.0, 0.0, 0.0]);
    // Three of twelve columns leave on the left: one box is clipped, the centre of the other is gone.
    let part = boxes([[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]], &[[0.0, 0.1, 0.5, 0.6, 1.0], [0.0, 0.0, 0.5, 0.4, 1.0]]);
    assert_eq!(part, [0.0, 0.0, 0.5, 0.35, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0]);
    // A picture of half the size in the middle of the new one.
    let small = boxes([[2.0, 0.0, -6.0], [0.0, 2.0, -4.0]], &[[1.0, 0.0, 0.0, 1.0, 0.5]]);
    assert_eq!(small, [1.0, 0.25, 0.25, 0.75, 0.5]);
    // A quarter turn around the centre (6, 4): what was right of it is below. 4 columns of the box become 4 rows.
    let turned = boxes([[0.0, 1.0, 2.0], [-1.0, 0.0, 10.0]], &[[1.0, 0.5, 0.5, 0.5 + 4.0 / 12.0, 0.75]]);
    assert_eq!(turned, [1.0, 0.333333, 0.5, 0.5, 1.0]);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let mistake = |augment: &str, channels| match read(&text(augment, channels)) {
        Err(Error::Spec(list)) if list.len() == 1 => {
            format!("{}: {}; {}", list[0].path, list[0].message, list[0].hint)
        }
        other => panic!("expected one mistake, found {other:?}"),
    };
    for (augment, channels, wanted) in [
        (r#"["flop"]"#, 3, "data.augment[0]: unknown augment `flop`; did you mean `flip`?"),
        (r#"[{ "op": "flip", "angle": 3 }]"#, 3, "data.augment[0].angle: unknown key `angle`"),
        (r#"[{ "op": "flip", "p": 1.5 }]"#, 3, "data.augment[0].p: expected a number from 0 to 1, found 1.5"),
        (r#"["flip", "crop", "flip"]"#, 3, "data.augment[2]: `flip` is there twice; name each change once"),
        (r#"["hue"]"#, 1, "data.augment[0]: `hue` needs 3 channels, found 1; remove it"),
        (r#"["brightness"]"#, 4, "data.augment[0]: `brightness` needs 1 or 3 channels, found 4"),
        (r#"["mixup"]"#, 3, "data.augment[0]: mixup is not there"),
        (r#"[{ "op": "scale", "min": 2, "max": 1 }]"#, 3, "data.augment[0].min: `min` is 2 and `max` is 1"),
        (r#"[{ "op": "zoom_out", "max": 0.5 }]"#, 3, "data.augment[0].max: expected a number from 1, found 0.5"),
        (r#"[{ "op": "crop", "area": 0 }]"#, 3, "data.augment[0].area: a part without area"),
    ] {
        let found = mistake(augment, channels);
        assert!(found.starts_with(wanted), "{found}\nis not\n{wanted}");
    }
    let table = r#"{ "version": 1, "input": { "features": 3 }, "layers": [{ "op": "dense", "units": 1 }], "loss": "mse",
        "data": { "kind": "csv", "target": "y", "augment": ["flip"] } }"#;
    let found = read(table).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(found.contains("`flip` changes pictures, and the samples are rows of numbers"), "{found}");
}

#[test]
fn every_default_is_written_and_read_again() {
    let words: Vec<String> = Change::WORDS.iter().map(|word| format!("{word:?}")).collect();
    let model = read(&text(&format!("[{}]", words.join(", ")), 3)).unwrap_or_else(|e| panic!("{e}"));
    let expanded = model.to_text();
    assert!(expanded.contains("\"degrees\": 15") && expanded.contains("\"axis\": \"horizontal\""), "{expanded}");
    assert_eq!(read(&expanded).unwrap_or_else(|e| panic!("{e}")).to_text(), expanded);
}
