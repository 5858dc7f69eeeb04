//! An adapter without enough memory. The refusal is made where buffers are created.

use super::*;
use pumice::{Device, Error, Model, Trainer, block_on};

/// The batch that the error names is smaller than the spec's, and with it the same adapter has enough.
#[test]
fn out_of_memory_names_a_batch_that_fits() {
    if !adapter() {
        return;
    }
    let dir = folder();
    let open = |batch: usize, most: u64| {
        let text = NET.replace(r#""batch": 7"#, &format!(r#""batch": {batch}"#));
        fs::write(dir.path().join("net.json"), text).expect("a spec");
        let model = Model::open(dir.path().join("net.json")).unwrap_or_else(|e| panic!("{e}"));
        let device = block_on(Device::open(None)).unwrap_or_else(|e| panic!("{e}"));
        device.refuse_over(most);
        block_on(Trainer::open(model, &device)).err()
    };
    const LARGE: usize = 50_000;
    assert!(open(LARGE, u64::MAX).is_none());
    let error = open(LARGE, 5 << 20).expect("5 MiB are not enough");
    assert!(matches!(error, Error::Gpu { .. }) && error.exit_code() == 1, "{error}");
    let text = error.to_string();
    let (_, named) = text.split_once("use --batch ").unwrap_or_else(|| panic!("no batch in: {text}"));
    let batch: usize = named.split(',').next().and_then(|n| n.parse().ok()).expect("a number");
    assert!((1000..LARGE).contains(&batch) && text.contains("out of memory for "), "{text}");
    assert!(open(batch, 5 << 20).is_none(), "the batch of {batch} that was named does not fit");
    let none = open(LARGE, 1 << 10).expect("a kilobyte is not enough").to_string();
    assert!(none.contains("not even a batch of 1 fits"), "{none}");
}

/// A checkpoint of `NET`: weights 2 x 9 + 9 + 9 x 2 + 2 = 47 numbers, each with Adam's two moments. The largest tensor has
/// 18 numbers.
#[test]
fn the_plan_says_what_a_checkpoint_takes() {
    let dir = folder();
    let planned = pumice(dir.path(), "plan net.json --json --memory 1");
    let plan: serde_json::Value = serde_json::from_str(&planned.stdout).expect("a plan");
    assert_eq!(plan["checkpoint"]["file"], 3 * 47 * 4);
    assert_eq!(plan["checkpoint"]["memory"], 2 * 18 * 4 + 128, "72 bytes twice, and a buffer of 128");
    let text = pumice(dir.path(), "plan net.json").stdout;
    assert!(text.contains("A checkpoint is a file of 564 bytes; to write it takes another 272 bytes"), "{text}");
}
