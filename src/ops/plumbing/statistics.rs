//! Statistics of a value, for whoever watches a training: computed on the adapter, so that few numbers are read back.

use crate::graph::{Grid, Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::registry::Registry;
use crate::tensor::{DType, TensorType};

pub(crate) fn register(registry: &mut Registry) {
    registry.ops(&["statistics"]);
}

/// Most parts that are put together. An invocation may run 65,535 iterations in all (Mesa before 25.0).
const PARTS: usize = 1 << 14;
/// Fewest elements of a part.
const CHUNK: usize = 256;

/// Input x f32 of any shape. Output 0, f32 `[3]`: the smallest and the largest finite number and the norm √Σ x² over
/// finite numbers; 0 where there is none. Output 1, u32 `[2 + bins]`: how many are 0, how many are not finite, and how
/// many finite ones lie in each of `bins` equal bins from the smallest to the largest; those are in the last one.
#[derive(Debug)]
pub struct Statistics {
    /// Bins of the histogram.
    pub bins: usize,
}

impl Op for Statistics {
    fn name(&self) -> &'static str {
        "statistics"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!(inputs[0].dtype, DType::F32, "statistics are of f32");
        Ok(vec![TensorType::f32(&[3]), TensorType::f32(&[2 + self.bins]).with(DType::U32)])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let ty = cx.inputs[0];
        let whole = ty.batched || ty.dims.is_empty();
        let row: usize = ty.dims.iter().skip(1).product();
        let all = ty.len(cx.batch);
        let windows = if whole { Vec::new() } else { cx.row_windows(ty.dims[0], row) };
        let ranges: Vec<(usize, usize)> = match windows.len() {
            0 | 1 => vec![(0, all)],
            _ => windows.iter().map(|rows| (rows.start * row, rows.len() * row)).collect(),
        };
        let chunk = CHUNK.max(all.div_ceil(PARTS - ranges.len()));
        let source = |cx: &KernelCx, (start, len): (usize, usize)| match ranges.len() {
            1 => cx.input(0),
            _ => cx.input_range(0, start, len),
        };
        let parts: usize = ranges.iter().map(|(_, len)| len.div_ceil(chunk)).sum();
        let (extremes, counts) = (cx.scratch(2 * parts), cx.scratch(2 * parts));
        let (squares, bins) = (cx.scratch(parts), cx.scratch(parts * self.bins));
        let of = |entry, base: usize, len: usize| {
            let items = if ty.batched { ty.items() } else { len };
            let kernel = Kernel::new("statistics", entry).set("CHUNK", chunk).set("ITEMS", items).set("BASE", base);
            let kernel = kernel.set("PER_SAMPLE", usize::from(ty.batched)).set("PARTS", len.div_ceil(chunk));
            kernel.grid(Grid::fixed(len.div_ceil(chunk)))
        };
        let mut base = 0;
        for &range in &ranges {
            let kernel = of("extremes", base, range.1).read("x", source(cx, range));
            cx.push(kernel.write("part_extreme", extremes.clone()).write("part_count", counts.clone()));
            base += range.1.div_ceil(chunk);
        }
        let joined = |entry| Kernel::new("statistics", entry).set("PARTS", parts).set("BINS", self.bins);
        let extent = joined("extent").read("part_extreme_in", extremes).read("part_count_in", counts);
        cx.push(extent.write("extreme", cx.output(0)).write("counts", cx.output(1)));
        base = 0;
        for &range in &ranges {
            let kernel = of("bins", base, range.1).set("BINS", self.bins).read("x", source(cx, range));
            let kernel = kernel.read("extreme_in", cx.output(0)).write("part_square", squares.clone());
            cx.push(kernel.write("part_bins", bins.clone()));
            base += range.1.div_ceil(chunk);
        }
        let total = joined("total").read("part_square_in", squares).read("part_bins_in", bins);
        let total = total.read_write("extreme", cx.output(0)).read_write("counts", cx.output(1));
        cx.push(total.grid(Grid::fixed(self.bins + 1)));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let all = &cx.inputs[0].data;
        let finite = || all.iter().copied().filter(|x| x.is_finite());
        let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        let (low, high) = if low > high { (0.0, 0.0) } else { (low, high) };
        let bin = |x: f64| {
            let share = if high > low { (x - low) / (high - low) } else { 0.0 };
            ((share * self.bins as f64) as usize).min(self.bins - 1)
        };
        let values = match output {
            0 => vec![low, high, finite().map(|x| x * x).sum::<f64>().sqrt()],
            _ => {
                let mut counts = vec![0.0; 2 + self.bins];
                counts[0] = all.iter().filter(|x| **x == 0.0).count() as f64;
                counts[1] = all.iter().filter(|x| !x.is_finite()).count() as f64;
                finite().for_each(|x| counts[2 + bin(x)] += 1.0);
                counts
            }
        };
        indices.iter().map(|&i| values[i]).collect()
    }
}
