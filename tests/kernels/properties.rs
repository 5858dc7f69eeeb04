//! Properties of every network, tried on random ones: expansion, the pool of buffers, and what a plan says of memory.

mod gpu;
mod networks;

use networks::{Random, network};
use pumice::compile::program::{Buffer, Program};
use pumice::compile::{Samples, TrainingGraphs, memory, recompute};
use pumice::graph::{AGAIN, Access, Caps, Family, Graph, NodeKind, Segment, Value};
use pumice::model::{Checkpointing, Model};
use pumice::tensor::DType;
use std::collections::{HashMap, HashSet};

/// Networks that each property is tried on.
const NETWORKS: u64 = 150;

fn all_caps() -> [Caps; 2] {
    [Caps::default(), Caps { family: Family::Software, subgroup: 8, software: true, ..Caps::default() }]
}

fn graphs(model: &Model, caps: &Caps) -> TrainingGraphs {
    let train = model.train.clone().expect("random networks have a section train");
    let samples = Samples { count: 50, train: 40, eval: 10, stored: DType::U8 };
    TrainingGraphs::new(model, &train, samples, caps, None).unwrap_or_else(|e| panic!("{e}\n{}", model.to_text()))
}

#[test]
fn expanding_again_changes_nothing() {
    for seed in 0..NETWORKS {
        let model = network(&mut Random(seed));
        let once = model.to_text();
        let again = Model::parse(once.clone()).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{once}"));
        assert_eq!(again.to_text(), once, "seed {seed}");
        let names: HashSet<&str> = model.layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names.len(), model.layers.len(), "seed {seed}: layers have names of their own");
        for (i, layer) in model.layers.iter().enumerate() {
            let before = |name: &String| name == "input" || model.layers[..i].iter().any(|other| other.name == *name);
            assert!(layer.from.iter().all(before), "seed {seed}: {} comes after its inputs", layer.name);
        }
    }
}

/// The node at which each value comes to be, and the last that reads it, by a walk from every reader back to the value
/// whose memory it reads.
fn lives(graph: &Graph) -> HashMap<Value, (usize, usize)> {
    let own = |mut value: Value| {
        while let Some(input) = graph.nodes[value.node].op().and_then(|op| op.alias()) {
            value = graph.nodes[value.node].inputs[input];
        }
        value
    };
    let mut lives: HashMap<Value, (usize, usize)> = HashMap::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        // The host writes inputs before the first node runs.
        let start = if matches!(node.kind, NodeKind::Input) { 0 } else { i };
        for out in 0..node.outputs.len() {
            let value = Value { node: i, out };
            if own(value) == value {
                lives.insert(value, (start, i));
            }
        }
        for &input in &node.inputs {
            lives.entry(own(input)).and_modify(|life| life.1 = i);
        }
    }
    for root in graph.roots() {
        lives.entry(own(root)).and_modify(|life| life.1 = usize::MAX);
    }
    lives
}

#[test]
fn no_two_values_that_live_at_once_share_a_slot() {
    for seed in 0..NETWORKS {
        let model = network(&mut Random(seed));
        for graph in [graphs(&model, &Caps::default()).step, graphs(&model, &Caps::default()).eval] {
            let stored = |value: Value| {
                matches!(graph.nodes[value.node].kind, NodeKind::Parameter { .. } | NodeKind::State { .. })
            };
            // Each node has workspace of its own, as many elements as its number, so that sizes differ.
            let scratch: Vec<Vec<usize>> = (0..graph.nodes.len()).map(|i| vec![i; i % 3]).collect();
            let batch = 1 + (seed as usize % 9);
            let views = memory::Views::of(&graph);
            let slots = memory::assign(&graph, &views, batch, &stored, &scratch, &[], true);
            // What lies in each slot: from when, until when, and how large.
            let mut holds: HashMap<usize, Vec<(usize, usize, u64)>> = HashMap::new();
            let lives = lives(&graph);
            for (value, life) in lives.iter().filter(|(value, _)| !stored(**value)) {
                let bytes = graph.ty(*value).bytes(batch) as u64;
                holds.entry(slots.values[value]).or_default().push((life.0, life.1, bytes));
            }
            for (i, spaces) in slots.scratch.iter().enumerate() {
                for (slot, len) in spaces.iter().zip(&scratch[i]) {
                    holds.entry(*slot).or_default().push((i, i, 4 * *len as u64));
                }
            }
            for (slot, mut list) in holds {
                list.sort_unstable();
                assert!(list.iter().all(|held| held.2 <= slots.bytes[slot]), "seed {seed}: slot {slot} is too small");
                let apart = list.windows(2).all(|pair| pair[0].1 < pair[1].0);
                assert!(apart, "seed {seed}: slot {slot} holds {list:?} at once");
            }
        }
    }
}

/// No dispatch writes a buffer that it also reads, and none reads a slot that nobody has written.
fn check_dispatches(seed: u64, program: &Program) {
    let mut written: HashSet<Buffer> = program.inputs.values().map(|port| port.range.buffer).collect();
    for d in &program.dispatches {
        let slots = |of: &[Access]| -> HashSet<Buffer> {
            let all = d.bindings.iter().zip(&d.access).filter(|(_, access)| of.contains(access));
            all.map(|(binding, _)| binding.1.buffer).filter(|buffer| matches!(buffer, Buffer::Slot(_))).collect()
        };
        let copied = d.copies.iter().map(|copy| copy.from.buffer).filter(|buffer| matches!(buffer, Buffer::Slot(_)));
        let mut read = slots(&[Access::Read, Access::ReadWrite]);
        let writes = slots(&[Access::Write, Access::ReadWrite]);
        assert!(slots(&[Access::Read]).is_disjoint(&writes), "seed {seed}: {} reads what it writes", d.label);
        read.extend(copied);
        assert!(read.is_subset(&written), "seed {seed}: {} reads a slot before it is written", d.label);
        written.extend(writes);
        for (_, range) in &d.bindings {
            if let Buffer::Slot(i) = range.buffer {
                assert!(range.offset + range.size <= program.slots[i], "seed {seed}: {} passes slot {i}", d.label);
            }
        }
    }
}

#[test]
fn dispatches_read_what_was_written_and_nothing_that_they_write() {
    for seed in 0..NETWORKS {
        let model = network(&mut Random(seed));
        for caps in all_caps() {
            let batch = 1 + (seed as usize % 9);
            let programs = graphs(&model, &caps).lower(batch, &caps).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            programs.iter().for_each(|program| check_dispatches(seed, program));
        }
    }
}

/// Computing values again takes no more memory, repeats nothing that changes the model, and its cost is told.
#[test]
fn recomputing_takes_less_memory_and_repeats_only_what_gives_the_same() {
    let (mut smaller, mut repeated) = (0, 0);
    for seed in 0..NETWORKS {
        let mut model = network(&mut Random(seed));
        let mut graphs = ["off", "auto"].map(|word| {
            let train = model.train.as_mut().expect("random networks have a section train");
            train.checkpointing = if word == "off" { Checkpointing::Off } else { Checkpointing::Auto };
            graphs(&model, &Caps::default())
        });
        let [kept, again] = graphs.each_mut().map(|graphs| {
            let [step, _] = graphs.lower(7, &Caps::default()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            step.slots.iter().sum::<u64>()
        });
        assert!(again <= kept, "seed {seed}: {again} bytes instead of {kept}");
        smaller += usize::from(again < kept);
        let graph = &graphs[1].step;
        let names: HashSet<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names.len(), graph.nodes.len(), "seed {seed}: names are unique");
        let copies = graph.nodes.iter().filter(|node| node.name.ends_with(AGAIN));
        for copy in copies.clone() {
            let op = copy.op().expect("an op");
            let first = graph.find(copy.name.trim_end_matches(AGAIN)).expect("the forward node");
            assert!(op.assigns().is_empty() && copy.segment == Segment::Backward, "seed {seed}: {}", copy.name);
            assert_eq!(graph.nodes[first].segment, Segment::Forward, "seed {seed}: {}", copy.name);
        }
        assert_eq!(recompute::cost(graph).0, copies.count(), "seed {seed}");
        repeated += recompute::cost(graph).0;
    }
    assert!(smaller > 20 && repeated > 100, "{smaller} networks take less, {repeated} nodes run twice");
}

#[test]
fn the_largest_batch_fits_and_the_next_does_not() {
    for seed in 0..NETWORKS / 5 {
        let model = network(&mut Random(seed));
        let train = model.train.clone().expect("random networks have a section train");
        for caps in all_caps() {
            let total = |batch: usize, memory: u64| {
                let mut train = train.clone();
                train.batch.0 = batch;
                pumice::compile::plan::plan(&model, &train, &caps, Some(memory))
            };
            let memory = total(37, 1).expect("a small network can be planned").bytes.total() + 1000;
            let plan = total(1, memory).expect("a small network can be planned");
            let most = plan.largest_batch.expect("the memory is known");
            assert!(most >= 37 || total(most, memory).is_ok_and(|p| p.fits() == Some(true)), "seed {seed}: {most}");
            assert_eq!(total(most, memory).expect("it can be planned").fits(), Some(true), "seed {seed}: {most}");
            let next = total(most + 1, memory);
            assert!(next.is_err() || next.is_ok_and(|p| p.fits() == Some(false)), "seed {seed}: {}", most + 1);
        }
    }
}
