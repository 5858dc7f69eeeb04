//! Pumice as a library: trains softmax regression on the bundled digits for one epoch and says how good it is.
//!
//!     cargo run --release --example softmax_regression

use pumice::gpu::device::Limits;
use pumice::gpu::{Device, Session};
use pumice::model::load;
use pumice::spec::Source;
use pumice::train::{Control, Event, Opening, Problem, Run, Trainer};
use std::error::Error;

const SPEC: &str = r#"{
    "version": 1,
    "name": "softmax_regression",
    "input": { "height": 28, "width": 28, "channels": 1, "normalize": { "mean": [0.1307], "std": [0.3081] } },
    "layers": [{ "op": "flatten" }, { "op": "dense", "units": "classes" }],
    "loss": "cross_entropy",
    "data": { "kind": "bundled" },
    "train": { "batch": 32, "optimizer": { "op": "sgd", "lr": 0.02 } },
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut model = load(Source { file: "softmax_regression.json".into(), text: SPEC.into() }, &[])?;
    let train = model.train.clone().ok_or("the spec has a section `train`")?;
    let problem = Problem::open(&mut model, Opening { seed: train.seed, ..Opening::default() })?;

    let session = Session::new(Device::open(None, Limits::Raised)?);
    let mut trainer = Trainer::new(session, &model, train, problem)?;

    let folder = std::env::temp_dir().join(format!("pumice-example-{}", std::process::id()));
    let run = Run::create(&folder)?;
    trainer.train(&run, None, &mut |event| {
        if let Event::Epoch(epoch) = event {
            println!("{}", epoch.to_json());
        }
        Control::Continue
    })?;
    let (set, report) = trainer.final_evaluation(&run)?;
    println!(
        "{set} set: {} samples, accuracy {:.2} %",
        report.samples,
        100.0 * report.value("accuracy").unwrap_or(0.0)
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
