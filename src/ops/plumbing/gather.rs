//! Batches from a data set that lies on the adapter, in the epoch's order.
//! No layer inserts these ops: they take the place of a graph's inputs.

use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::registry::Registry;
use crate::ops::tile::lanes_of;
use crate::tensor::{DType, TensorType};

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["gather", "gather_rows"]);
}

/// Checks the order: u32 `[positions]`.
pub(super) fn check_order(order: &TensorType) {
    assert!(order.dtype == DType::U32 && !order.batched && order.dims.len() == 1, "an order is u32 [positions]");
}

/// Which sample of the data set is at position `i` of the batch. Positions past the end are clamped as in the kernels.
fn sample(cx: &RefCx, i: usize) -> usize {
    let (set, order) = (&cx.inputs[0], &cx.inputs[1].data);
    let position = (cx.step.offset as usize + i).min(order.len() - 1);
    (order[position] as usize).min(set.shape[0] - 1)
}

/// Inputs, all of them states: images u8 `[count, h, w, c]`, order u32 `[positions]` and, where samples have classes,
/// labels i32 `[count]`. Output f32 `[N, h, w, c]`: (byte / 255 - mean) / std of sample order[step.offset + n]. With
/// labels also i32 `[N]`, that sample's label.
#[derive(Debug)]
pub struct Gather {
    /// Mean of each channel, on the scale 0…1; or one number for all channels.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel; or one number for all channels.
    pub std: Vec<f32>,
}

impl Gather {
    /// So many channels may have a mean and a deviation of their own.
    pub const CHANNELS: usize = 4;

    /// Mean and deviation of channel `c`.
    fn channel(&self, c: usize) -> (f64, f64) {
        let of = |list: &[f32]| f64::from(list[c.min(list.len() - 1)]);
        (of(&self.mean), of(&self.std))
    }
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let images = inputs[0];
        assert!(images.dtype == DType::U8 && !images.batched && images.dims.len() > 1, "images are u8 [count, …]");
        check_order(inputs[1]);
        let channels = images.channels();
        for list in [&self.mean, &self.std] {
            assert!(list.len() == 1 || list.len() == channels, "one number a channel, or one for all");
            // The kernel has constants for four channels. All further channels take the last ones.
            assert!(list.iter().skip(4).all(|v| *v == list[3]), "channels from the fourth on share mean and deviation");
        }
        let y = TensorType::batch(&images.dims[1..]);
        let Some(labels) = inputs.get(2) else { return Ok(vec![y]) };
        let wanted = TensorType::f32(&images.dims[..1]).with(DType::I32);
        assert_eq!(**labels, wanted, "a label for every image");
        Ok(vec![y, TensorType::batch(&[]).with(DType::I32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        const NAMES: [[&str; 2]; 4] =
            [["MEAN_0", "STD_0"], ["MEAN_1", "STD_1"], ["MEAN_2", "STD_2"], ["MEAN_3", "STD_3"]];
        let y = cx.outputs[0];
        let lanes = lanes_of(y.items());
        let labelled = cx.inputs.len() == 3;
        let entry = if labelled { "gather_labelled" } else { "gather" };
        let mut kernel = Kernel::new("gather", entry)
            .lanes(lanes)
            .read("images", cx.input(0))
            .read("order", cx.input(1))
            .write("y", cx.output(0))
            .set("COUNT", cx.inputs[0].dims[0])
            .set("ORDERED", cx.inputs[1].items())
            .set("ITEMS", y.items() / lanes)
            .set("C", y.channels())
            .grid(Grid::per_sample(y.items() / lanes));
        for (c, [mean, std]) in NAMES.into_iter().enumerate() {
            let channel = self.channel(c);
            kernel = kernel.set_f(mean, channel.0).set_f(std, channel.1);
        }
        if labelled {
            kernel = kernel.read("labels", cx.input(2)).write("y_labels", cx.output(1));
        }
        cx.push(kernel);
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        if output == 1 {
            return indices.iter().map(|&i| cx.inputs[2].data[sample(cx, i)]).collect();
        }
        let images = &cx.inputs[0];
        let items: usize = images.shape[1..].iter().product();
        let channels = images.shape[images.shape.len() - 1];
        let one = |&i: &usize| {
            let (mean, std) = self.channel(i % channels);
            (images.data[sample(cx, i / items) * items + i % items] / 255.0 - mean) / std
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        if output == 1 {
            return None;
        }
        let channels = cx.inputs[0].shape[cx.inputs[0].shape.len() - 1];
        let values = self.reference(cx, output, indices).into_iter().zip(indices);
        let one = |(value, &i): (f64, &usize)| {
            let (mean, std) = self.channel(i % channels);
            value.abs() + 2.0 * (mean / std).abs()
        };
        Some(values.map(one).collect())
    }
}

/// Elements of the rows of input 0 that the order chooses.
pub(super) fn rows(cx: &RefCx, indices: &[usize]) -> Vec<f64> {
    let rows = &cx.inputs[0];
    let items: usize = rows.shape[1..].iter().product();
    indices.iter().map(|&i| rows.data[sample(cx, i / items) * items + i % items]).collect()
}

/// Inputs, both states: rows f32 or i32 `[count, …]`, order u32 `[positions]`. Output `[N, …]`: row order[step.offset +
/// n], unchanged. It gathers the features and targets of tables.
#[derive(Debug)]
pub struct GatherRows;

impl Op for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let rows = inputs[0];
        assert!([DType::F32, DType::I32].contains(&rows.dtype) && !rows.batched, "rows are f32 or i32 [count, …]");
        check_order(inputs[1]);
        Ok(vec![TensorType::batch(&rows.dims[1..]).with(rows.dtype)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let items = cx.outputs[0].items();
        let kernel = Kernel::new("gather", "gather_rows")
            .read("rows", cx.input(0))
            .read("order", cx.input(1))
            .write("y_rows", cx.output(0))
            .set("COUNT", cx.inputs[0].dims[0])
            .set("ORDERED", cx.inputs[1].items())
            .set("ITEMS", items);
        cx.push(kernel.grid(Grid::per_sample(items)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        rows(cx, indices)
    }
}
