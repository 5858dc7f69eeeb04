//! Objects as columns: rows of boxes, and the object of each pixel.

use std::sync::Arc;

use super::dataset::{Column, INSTANCES};
use super::objects::{Object, Objects};
use super::store::{Store, on_all_cores};
use crate::tensor::{Data, HostTensor};

/// The column of boxes, of `most` rows a picture, for an input of `[height, width]`.
pub(super) fn boxes(objects: &[Arc<Objects>], most: usize, input: [usize; 2]) -> Column {
    let mut rows = Vec::with_capacity(objects.len() * most * 5);
    for own in objects {
        let real = learnt(own).map(|object| {
            let [x1, y1, x2, y2] = own.fit.to_input(object.corners, own.size, input);
            [object.class as f32, x1 as f32, y1 as f32, x2 as f32, y2 as f32]
        });
        let padding = std::iter::repeat([-1.0, 0.0, 0.0, 0.0, 0.0]);
        rows.extend(real.chain(padding).take(most).flatten());
    }
    let store = Store::Memory(HostTensor::f32(&[objects.len(), most, 5], rows));
    Column::of_objects(store, objects.to_vec())
}

/// The column [`INSTANCES`]. An object whose pixels nobody knows has those of its box.
pub(super) fn instances(objects: &[Arc<Objects>], input: [usize; 2]) -> Column {
    let [h, w] = input;
    let mut all = vec![0; objects.len() * h * w];
    // Nothing in it can fail.
    on_all_cores(objects.iter().zip(all.chunks_exact_mut(h * w)), None, |(own, place)| {
        label(own, place, input);
        Ok(())
    });
    Column::new(INSTANCES, Store::Memory(HostTensor::new(&[objects.len(), h, w], Data::I32(all))))
}

/// The objects that have rows. Nobody can learn one box from a crowd.
fn learnt(own: &Objects) -> impl Iterator<Item = &Object> {
    own.list.iter().filter(|object| !object.crowd)
}

/// Writes the number of the object of each pixel of the input: that of the picture's pixel that its centre falls into.
fn label(own: &Objects, place: &mut [i32], [height, width]: [usize; 2]) {
    let [h, w] = own.size;
    // Down the columns, as runs are.
    let mut all = vec![0; h * w];
    for (object, number) in learnt(own).zip(1..) {
        let [x1, y1, x2, y2] = object.corners.map(|x| x.round().max(0.0) as usize);
        match &object.mask {
            Some(mask) => mask.runs().for_each(|(start, end)| all[start..end].fill(number)),
            None => (x1..x2.min(w)).for_each(|x| all[x * h + y1.min(h)..x * h + y2.min(h)].fill(number)),
        }
    }
    let [top, left, tall, wide] = own.fit.place(own.size, [height, width]);
    for y in 0..tall {
        for x in 0..wide {
            let (row, column) = ((2 * y + 1) * h / (2 * tall), (2 * x + 1) * w / (2 * wide));
            place[(top + y) * width + left + x] = all[column * h + row];
        }
    }
}
