//! A data set that neither adapter nor memory can hold. Batch by batch it gives the same bits as one that lies there.

mod gpu;

use pumice::model;
use pumice::spec::Source;
use pumice::train::Problem;
use pumice::train::problem::Opening;
use std::path::PathBuf;
use std::sync::Mutex;

/// PNG files of ten classes, each with a bright bar at a place of its own. Their size is not that of the input.
fn pictures(each: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for class in 0..10u32 {
        let folder = dir.path().join(class.to_string());
        std::fs::create_dir(&folder).expect("a class folder");
        for i in 0..each {
            let shade = |x: u32, y: u32| (if x / 2 == class { 190 } else { 20 } + (x * 7 + y * 3 + i * 5) % 31) as u8;
            let picture = image::GrayImage::from_fn(20, 17, |x, y| image::Luma([shade(x, y)]));
            picture.save(folder.join(format!("{i}.png"))).expect("a picture");
        }
    }
    dir
}

#[test]
fn every_picture_of_a_folder_is_told_of_once_while_it_is_opened() {
    static TOLD: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());
    let dir = pictures(4);
    std::fs::write(dir.path().join("7/broken.png"), "no picture").expect("a file");
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/models/softmax_regression_mnist.json");
    for stream in ["false", "true"] {
        let data = format!("{{ \"kind\": \"folder\", \"validation\": 0.1, \"stream\": {stream} }}");
        let model = model::load(Source::open(&file).expect("the spec"), &[("data".into(), data)]);
        let progress = Some((|done, all| TOLD.lock().unwrap().push((done, all))) as pumice::data::Progress);
        let opening = Opening { folder: Some(dir.path()), progress, ..Opening::default() };
        let problem =
            Problem::open(&mut model.unwrap_or_else(|e| panic!("{e}")), opening).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((problem.in_files(), problem.skipped.len()), (stream == "true", 1));
        let mut told = std::mem::take(&mut *TOLD.lock().unwrap());
        told.sort_unstable();
        assert_eq!(told, (1..=41).map(|done| (done, 41)).collect::<Vec<_>>());
    }
}
