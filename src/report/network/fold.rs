//! Blocks of layers that repeat one another.

use crate::compile::plan::Row;
use crate::model::{LayerNode, Model};
use serde_json::Value as Json;

/// Longest block that is looked for.
const LONGEST: usize = 40;

/// Layers that are drawn once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// The first layer.
    pub first: usize,
    /// How many layers it has.
    pub len: usize,
    /// How often it occurs, one after the other.
    pub times: usize,
}

/// What makes a layer equal to another one: its keys without its name, the shape of its output, its parameters, and how
/// far back its inputs are. 0 is the layer before.
#[derive(Clone, PartialEq, Debug)]
pub struct Sign {
    what: Json,
    output: Vec<usize>,
    params: u64,
    back: Vec<usize>,
}

/// The index of a layer by its name, plus 1; 0 for the input.
fn place(model: &Model, name: &str) -> usize {
    model.layers.iter().position(|layer| layer.name == name).map_or(0, |index| index + 1)
}

/// The signs of all layers.
pub fn signs(model: &Model, rows: &[Row]) -> Vec<Sign> {
    let sign = |(i, (layer, row)): (usize, (&LayerNode, &Row))| {
        let mut what = layer.layer.write();
        what.insert("op".into(), layer.op.into());
        what.insert("activation".into(), format!("{:?}", layer.activation).into());
        let back = layer.from.iter().map(|name| i - place(model, name)).collect();
        Sign { what: Json::Object(what), output: row.output.clone(), params: row.params, back }
    };
    model.layers.iter().zip(rows).enumerate().map(sign).collect()
}

/// The blocks that repeat, from the first layer to the last. A block is folded only if all that it takes is the layer
/// before it, and nothing but its last layer is taken from outside.
pub fn fold(signs: &[Sign]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut first = 0;
    while first < signs.len() {
        match best(signs, first) {
            Some(block) => {
                first += block.len * block.times;
                blocks.push(block);
            }
            None => first += 1,
        }
    }
    blocks
}

/// The block from a layer on that saves the most layers, of those that save two.
fn best(signs: &[Sign], first: usize) -> Option<Block> {
    let longest = ((signs.len() - first) / 2).min(LONGEST);
    let of = |len: usize| {
        let same = |k: usize| (0..len).all(|i| signs.get(first + k * len + i) == signs.get(first + i));
        let times = 1 + (1..).take_while(|&k| first + (k + 1) * len <= signs.len() && same(k)).count();
        Block { first, len, times }
    };
    let saved = |block: &Block| (block.times - 1) * block.len;
    let all = (1..=longest).map(of).filter(|block| saved(block) >= 2 && closed(signs, block));
    // Of equal ones the shortest.
    all.fold(None, |best: Option<Block>, block| match best {
        Some(best) if saved(&best) >= saved(&block) => Some(best),
        _ => Some(block),
    })
}

fn closed(signs: &[Sign], block: &Block) -> bool {
    let inner = (0..block.len).all(|i| signs[block.first + i].back.iter().all(|&back| back <= i));
    let end = block.first + block.len * block.times;
    let outside = signs.iter().enumerate().skip(end);
    // Layer j takes layer j - 1 - back. That may be the last of the block, or one before the block.
    let taken = |(j, sign): (usize, &Sign)| sign.back.iter().all(|&back| j - back >= end || j - back <= block.first);
    inner && outside.into_iter().all(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(what: &str, back: &[usize]) -> Sign {
        Sign { what: what.into(), output: vec![1], params: 0, back: back.to_vec() }
    }

    #[test]
    fn a_residual_block_that_repeats_is_folded() {
        let block = || [sign("conv", &[0]), sign("conv", &[0]), sign("add", &[0, 2])];
        let all: Vec<Sign> =
            [sign("stem", &[0])].into_iter().chain((0..3).flat_map(|_| block())).chain([sign("dense", &[0])]).collect();
        assert_eq!(fold(&all), [Block { first: 1, len: 3, times: 3 }]);
    }

    #[test]
    fn what_is_taken_from_inside_is_not_folded() {
        let mut all = vec![sign("conv", &[0]); 4];
        assert_eq!(fold(&all), [Block { first: 0, len: 1, times: 4 }]);
        // This one takes the second.
        all.push(sign("concat", &[0, 2]));
        assert_eq!(fold(&all), []);
        // Two equal layers are drawn as they are.
        assert_eq!(fold(&vec![sign("conv", &[0]); 2]), []);
    }
}
