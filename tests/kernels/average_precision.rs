//! Average precision against pycocotools, and against a NumPy computation of PASCAL VOC's.
//! `tests/fixtures/average_precision/generate.py` has made the numbers.

use pumice::data::objects::Object;
use pumice::data::rle::Rle;
use pumice::task::detect::{By, Found, Seen, coco, voc};
use serde_json::Value as Json;

fn corners(json: &Json) -> [f64; 4] {
    [0, 1, 2, 3].map(|k| json["corners"][k].as_f64().expect("a number"))
}

fn mask(json: &Json, size: [usize; 2]) -> Option<Rle> {
    Some(Rle::parse(size, json["mask"]["counts"].as_str().expect("a text")).expect("runs"))
}

fn pictures(json: &Json, size: [usize; 2]) -> Vec<Seen> {
    let class = |json: &Json| json["class"].as_u64().expect("a class") as usize;
    let object = |json: &Json| {
        let crowd = json["crowd"].as_bool().expect("whether");
        let area = json["area"].as_f64().expect("an area");
        Object { class: class(json), corners: corners(json), area, ignored: crowd, crowd, mask: mask(json, size) }
    };
    let found = |json: &Json| {
        let score = json["score"].as_f64().expect("a score");
        Found { class: class(json), score, corners: corners(json), mask: mask(json, size) }
    };
    let list = |json: &Json| json.as_array().expect("a list").clone();
    let seen = |picture: &Json| {
        let mut found: Vec<Found> = list(&picture["found"]).iter().map(found).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        Seen { found, objects: list(&picture["objects"]).iter().map(object).collect() }
    };
    list(&json["pictures"]).iter().map(seen).collect()
}

fn near(what: &str, found: f64, expected: &Json) {
    // pycocotools says -1 where nothing counts.
    let expected = expected.as_f64().filter(|x| *x >= 0.0).unwrap_or(f64::NAN);
    let same = (found - expected).abs() < 1e-9 || (found.is_nan() && expected.is_nan());
    assert!(same, "{what}: {found} is not {expected}");
}

#[test]
fn equals_pycocotools_and_voc() {
    let json: Json =
        serde_json::from_str(include_str!("../fixtures/average_precision/average_precision.json")).unwrap();
    let classes = json["classes"].as_u64().unwrap() as usize;
    let seen = pictures(&json, [160, 160]);
    for (by, key) in [(By::Box, "boxes"), (By::Mask, "masks")] {
        let found = coco::judge(&seen, classes, by);
        let stats = &json[key]["stats"];
        let mean = |of: &dyn Fn(&coco::Class) -> Option<f64>| coco::mean(found.iter().map(of));
        near(&format!("{key} AP"), mean(&|class| class.ap(0)), &stats[0]);
        near(&format!("{key} AP50"), mean(&|class| class.at(0)), &stats[1]);
        near(&format!("{key} AP75"), mean(&|class| class.at(5)), &stats[2]);
        for area in 1..=3 {
            near(&format!("{key} AP of area {area}"), mean(&|class| class.ap(area)), &stats[2 + area]);
        }
        for most in 0..3 {
            let recall = mean(&|class| class.recall.map(|recall| recall[most]));
            near(&format!("{key} recall {most}"), recall, &stats[6 + most]);
        }
        for (i, class) in found.iter().enumerate() {
            near(&format!("{key} AP50 of class {i}"), class.at(0).unwrap_or(f64::NAN), &json[key]["ap50"][i]);
        }
    }
    let each: Vec<Option<[f64; 2]>> = (0..classes).map(|class| voc::judge(&seen, class)).collect();
    near("VOC 2007", coco::mean(each.iter().map(|ap| ap.map(|ap| ap[0]))), &json["voc07"]);
    near("VOC 2010", coco::mean(each.iter().map(|ap| ap.map(|ap| ap[1]))), &json["voc10"]);
}
