//! What `pumice init` writes for boxes is trained on the adapter.

use super::{drawn, said};
use crate::common;
use pumice::gpu::device::Limits;
use serde_json::Value as Json;

#[test]
fn the_written_detector_learns() {
    if common::session(Limits::Raised, |_| {}).is_none() {
        return;
    }
    let dir = drawn("yolo");
    let dir = dir.path();
    said(dir, &["init", "net", "--data", "data"]);
    let events = said(dir, &["train", "net/model.json", "--out", "run", "--epochs", "12", "--json"]);
    let lines = events.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
    let losses: Vec<f64> = lines.filter_map(|event| event["train_loss"].as_f64()).collect();
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(losses.len() >= 12 && last < 0.6 * first, "the loss falls: {losses:?}");
    let found: Json = serde_json::from_str(&said(dir, &["eval", "run", "--split", "train", "--json"])).expect("JSON");
    assert!(found["map50"].as_f64().is_some_and(|map| (0.0..=1.0).contains(&map)), "{found}");
}
