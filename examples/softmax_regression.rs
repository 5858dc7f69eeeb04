//! Pumice as a library: trains softmax regression on the bundled digits for one epoch, and reads one digit.
//!
//!     cargo run --release --example softmax_regression

use pumice::{Device, Event, HostTensor, Model, Result, Split, Trainer};

const SPEC: &str = r#"{
    "version": 1,
    "name": "softmax_regression",
    "input": { "height": 28, "width": 28, "channels": 1, "normalize": "auto" },
    "layers": [{ "op": "flatten" }, { "op": "dense", "units": "classes" }],
    "loss": "cross_entropy",
    "data": { "kind": "bundled" },
    "train": { "batch": 32, "optimizer": { "op": "sgd", "lr": 0.02 } },
}"#;

async fn run() -> Result<()> {
    let device = Device::open(None).await?;
    let mut trainer = Trainer::open(Model::parse(SPEC)?, &device).await?;
    while let Some(event) = trainer.step().await? {
        if let Event::Epoch(epoch) = event {
            println!("{}", epoch.to_json());
        }
    }
    let report = trainer.evaluate(Split::Test).await?;
    println!("test set: {} samples, accuracy {:.2} %", report.samples, 100.0 * report.value("accuracy").unwrap_or(0.0));
    let mut network = trainer.into_network().await?;
    // A bar from top to bottom.
    let bar = (0..28 * 28).map(|i| if (13..15).contains(&(i % 28)) && (4..24).contains(&(i / 28)) { 255 } else { 0 });
    let bar = HostTensor::u8(&[1, 28, 28, 1], bar.collect());
    println!("a bar is {}", network.predict(&bar).await?[0]);
    Ok(())
}

fn main() -> Result<()> {
    pumice::block_on(run())
}
