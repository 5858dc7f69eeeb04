//! Random small networks, by a seed.

use pumice::model::Model;
use serde_json::{Value as Json, json};

/// Random numbers by splitmix64 (Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// A layer or block that keeps height and width.
fn block(random: &mut Random, depth: usize) -> Json {
    let activation = random.of(&["relu", "silu", "gelu", "leaky_relu", "tanh", "prelu", "sigmoid", "elu"]);
    let filters = random.of(&[1, 3, 4, 8]);
    let kinds = if depth > 0 { 11 } else { 8 };
    match random.below(kinds) {
        0 | 1 => json!({ "op": "conv2d", "filters": filters, "kernel": random.of(&[1, 3]), "activation": activation }),
        2 => json!({ "op": "conv2d", "filters": filters, "kernel": 3, "norm": "batch", "activation": activation }),
        3 => json!({ "op": "batch_norm", "activation": activation }),
        4 => json!({ "op": "activation", "kind": activation }),
        5 => json!({ "op": "dropout", "rate": 0.3 }),
        6 => json!({ "op": "conv2d", "filters": filters, "kernel": 3, "bias": false, "dilation": 2 }),
        7 => json!({ "op": "layer_norm" }),
        8 => json!({ "op": "residual", "layers": blocks(random, depth - 1), "activation": activation }),
        9 => {
            let branches = [blocks(random, depth - 1), blocks(random, depth - 1), json!([])];
            json!({ "op": "parallel", "branches": branches[..2 + random.below(2)] })
        }
        _ => json!({ "op": "repeat", "times": 1 + random.below(3), "layers": blocks(random, depth - 1) }),
    }
}

fn blocks(random: &mut Random, depth: usize) -> Json {
    (0..1 + random.below(3)).map(|_| block(random, depth)).collect()
}

/// A network of blocks, with names that later layers read, pooling, and one or two losses.
pub fn network(random: &mut Random) -> Model {
    let mut layers = vec![json!({ "op": "conv2d", "filters": 4, "kernel": 3, "name": "stem" })];
    layers.extend(blocks(random, 2).as_array().cloned().unwrap_or_default());
    if random.below(2) == 0 {
        // The layer before has any number of channels.
        layers.push(json!({ "op": "conv2d", "filters": 4, "kernel": 1, "name": "middle" }));
        layers.push(json!({ "op": random.of(&["add", "mul", "concat"]), "from": ["stem", "middle", "stem"] }));
    }
    if random.below(2) == 0 {
        layers.push(json!({ "op": random.of(&["max_pool2d", "avg_pool2d"]), "size": 2 }));
        layers.extend(blocks(random, 1).as_array().cloned().unwrap_or_default());
    }
    layers.push(json!({ "op": random.of(&["flatten", "global_avg_pool2d"]) }));
    layers.push(json!({ "op": "dense", "units": 5, "name": "scores" }));
    let loss = random.of(&[
        json!("cross_entropy"),
        json!("hinge"),
        json!([{ "op": "cross_entropy", "label_smoothing": 0.1 }, { "op": "hinge", "weight": 0.3 }]),
    ]);
    let optimizer = random.of(&[
        json!({ "op": "sgd", "lr": 0.1, "momentum": 0.9 }),
        json!({ "op": "adam", "lr": 0.001 }),
        json!({ "op": "rmsprop", "lr": 0.001 }),
    ]);
    let mut train =
        json!({ "batch": 1 + random.below(9), "optimizer": optimizer, "accumulate": random.of(&[1, 1, 3]) });
    if random.below(3) == 0 {
        train["clip_norm"] = json!(1.5);
    }
    if layers.len() % 2 == 0 {
        train["checkpointing"] = json!("auto");
    }
    let side = 6 + 2 * random.below(3);
    let input = json!({ "height": side, "width": side, "channels": random.of(&[1, 3, 4]) });
    let spec =
        json!({ "version": 1, "name": "random", "input": input, "layers": layers, "loss": loss, "train": train });
    Model::parse(spec.to_string()).unwrap_or_else(|e| panic!("{e}\n{spec:#}"))
}
