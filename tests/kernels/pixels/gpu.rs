//! A batch of a resident data set.

use super::{CONV, spec};
use crate::common;
use pumice::block_on;
use pumice::compile::build::{BuildOptions, Feed};
use pumice::compile::layout::Layout;
use pumice::compile::{lower, training_graph};
use pumice::gpu::device::Limits;
use pumice::graph::{Fill, Segment, Step, Value};
use pumice::model::{self, Model};
use pumice::spec::Source;
use pumice::tensor::Data;
use pumice::train::parameters;

/// Pictures in the data set.
const COUNT: usize = 7;

/// A batch of three from the middle of an order, in an update of five samples. Checks the masks, the loss and the ring.
fn gathered(model: &Model, pixels: usize) {
    let Some(mut session) = common::session(Limits::Raised, |_| {}) else { return };
    let feed = Feed::Resident { count: COUNT, order: "order", positions: COUNT, stored: pumice::tensor::DType::U8 };
    let options = BuildOptions { training: true, random: true, loss: true, feed };
    let mut graph = training_graph(model, &options, &[], None).expect("it builds");
    let gather = graph.nodes.iter().position(|n| n.op().is_some_and(|o| o.name() == "gather_bytes")).expect("a gather");
    graph.keep.push(("masks".into(), Value { node: gather, out: 0 }));
    let caps = session.device().caps().clone();
    let mut layout = Layout::default();
    layout.add(&graph, &caps).expect("small tensors");
    let options = lower::LowerOptions { batch: 4, reuse: true };
    let program = lower::lower(&graph, &layout, &caps, options).expect("small tensors");
    let bound = block_on(session.bind(program, &layout)).expect("it binds");
    parameters::initialise(&session, &layout, 3);
    let bytes = |len, name: &str, most: f32| -> Vec<u8> {
        Fill::Uniform(most).values(len, 5, name).iter().map(|x| x.abs() as u8).collect()
    };
    let mut masks = bytes(COUNT * pixels, "masks", 3.0);
    masks.iter_mut().step_by(4).for_each(|class| *class = 255);
    session.write_tensor("data/image", None, &Data::U8(bytes(COUNT * pixels * 2, "images", 255.9)));
    session.write_tensor("data/mask", None, &Data::U8(masks.clone()));
    let order: Vec<u32> = vec![3, 0, 6, 5, 2, 1, 4];
    session.write_tensor("data/order", None, &Data::U32(order.clone()));
    let (n, offset, slot) = (3, 2, 9);
    let step = Step { offset: offset as u32, slot, inv_n: 1.0 / 5.0, ..Step::of(n) };
    block_on(session.run(&bound, &[Segment::Forward, Segment::Backward], &step)).expect("a step");

    let of = |p: &u32| masks[*p as usize * pixels..][..pixels].iter().map(|&class| i32::from(class));
    let want: Vec<i32> = order[offset..offset + n].iter().flat_map(of).collect();
    assert_eq!(block_on(session.read_output(&bound, "masks", n)).expect("a kept value").data, Data::I32(want.clone()));
    let scores = block_on(session.read_output(&bound, "output", n)).expect("a kept value");
    let nll = |(row, &class): (&[f32], &i32)| {
        let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        (class != 255).then(|| sum.ln() - f64::from(row[class as usize]))
    };
    let losses: Vec<f64> = scores.as_f32().chunks(3).zip(&want).filter_map(nll).collect();
    // The batch's own mean, times its share of the update.
    let want = losses.iter().sum::<f64>() / losses.len() as f64 * 3.0 / 5.0;
    let loss = f64::from(block_on(session.read_output(&bound, "loss", n)).expect("a kept value").as_f32()[0]);
    assert!((loss - want).abs() < 1e-5 * want, "loss {loss} instead of {want}");
    let ring = block_on(session.read_tensor("data/ring", None)).expect("the ring");
    assert_eq!(ring.as_f32()[2 * slot as usize..][..2], [loss as f32, 0.0], "masks have no hits");
}

#[test]
fn masks_are_gathered_and_the_loss_is_recorded() {
    gathered(&spec(CONV, r#""cross_entropy""#), 15);
    let text = format!(
        r#"{{"version": 1, "input": {{"height": 3, "width": 4, "channels": 2}}, "layers": [{CONV}], "loss": "cross_entropy"}}"#
    );
    let model = model::load(Source { file: "net.json".into(), text }, &[]).unwrap_or_else(|e| panic!("{e}"));
    gathered(&model, 12);
}
