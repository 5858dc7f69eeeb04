//! RoIPool (Girshick 2015, section 2.1), as torchvision computes it: each region is cut into cells with whole rows and columns of
//! the feature map, and each cell has their maximum. The regions of a sample lie one below the other, as in `roi_align`.

use super::regions::{self, region};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::{Arity, Layer, LayerCx, Registry};
use crate::ops::tile::lanes_of;
use crate::ops::window::picture;
use crate::spec::{Count, Positive, spec_struct};
use crate::tensor::{DType, TensorType};

pub(crate) fn register(registry: &mut Registry) {
    let doc = "The maximum of each cell of regions of a feature map, as pictures of fixed size; the regions come last in `from`.";
    registry.layer::<RoiPoolKeys>("roi_pool", doc);
    registry.ops(&["roi_pool", "roi_pool_grad"]);
}

/// Most rows and columns, so that loops end.
const MAX_SIZE: usize = 64;
/// Loop iterations of an invocation. Software adapters of Mesa before 25.0 end loops after 65,535.
const ITERATIONS: usize = 60_000;

spec_struct! {
    /// The layer `roi_pool`. `from` names a feature map, and then the regions.
    pub struct RoiPoolKeys {
        /// Rows and columns of what is cut out of each region.
        pub size: Count,
        /// Pixels of the input from one cell to the next; by default the power of two that suits the feature map best.
        pub stride: Option<Positive>,
    }
}

impl Layer for RoiPoolKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let [map, rois] = inputs else {
            let what = format!("roi_pool of {} layers", inputs.len());
            return Err(ShapeError::new(
                what,
                "name a feature map and the regions, as in \"from\": [\"c5\", \"rois\"]",
            ));
        };
        let [height, width, _] = picture("roi_pool", &TensorType::batch(&cx.input))?;
        let [h, w, _] = picture("roi_pool", cx.b.ty(*map))?;
        let regions = regions::count("roi_pool", cx.b.ty(*rois))?;
        if self.size.0 > MAX_SIZE {
            return Err(ShapeError::new(format!("a size of {}", self.size.0), format!("use at most {MAX_SIZE}")));
        }
        let power = |cells: usize, input: usize| (input as f64 / cells as f64).log2().round().exp2();
        let stride = self.stride.map_or([power(h, height), power(w, width)], |stride| [stride.get(); 2]);
        let grid = [height as f64 / stride[0], width as f64 / stride[1]];
        let pool = Pool { size: self.size.0, regions, grid };
        Ok(cx.b.op(RoiPool { pool }, inputs)?[0])
    }

    fn arity(&self) -> Arity {
        Arity::Many
    }
}

/// How regions are cut.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pool {
    /// Rows and columns of a region in the output.
    pub size: usize,
    /// Regions of a sample.
    pub regions: usize,
    /// Rows and columns of the feature map, were the input divided by its stride exactly.
    pub grid: [f64; 2],
}

impl Pool {
    /// The rows (axis 0) or columns (axis 1), of `cells`, of part `k` of a region. Corners are rounded in f32, as the kernels do it: no
    /// other choice of f32 and f64 can then differ.
    fn range(&self, corners: [f64; 4], axis: usize, k: usize, cells: usize) -> std::ops::Range<usize> {
        let whole = |x: f64| (x as f32 * self.grid[axis] as f32).round() as i64;
        let (start, end) = (whole(corners[1 - axis]), whole(corners[3 - axis]));
        let (side, size, k) = ((end - start + 1).max(1), self.size as i64, k as i64);
        let clip = |x: i64| (x + start).clamp(0, cells as i64) as usize;
        clip(k * side / size)..clip(((k + 1) * side + size - 1) / size)
    }

    fn constants(&self, kernel: Kernel, [h, w]: [usize; 2], channels: usize) -> Kernel {
        let kernel = kernel.set("ALL", self.regions).set("SIZE", self.size).set("H", h).set("W", w).set("C", channels);
        kernel.set_f("SCALE_H", self.grid[0]).set_f("SCALE_W", self.grid[1])
    }
}

/// Inputs x `[N, H, W, C]`, rois `[N, R, 5]`. Outputs y `[N, R · size, size, C]`; and winner i32 of the same shape: the row · W + column
/// that each maximum comes from; of equal ones the first, and -1 with y = 0 where a cell is empty, or no region.
#[derive(Debug)]
pub struct RoiPool {
    /// How regions are cut.
    pub pool: Pool,
}

impl RoiPool {
    /// The winner of element `i` of the output, as n and the position.
    fn winner(&self, cx: &RefCx, i: usize) -> Option<[usize; 2]> {
        let &[_, h, w, channels] = cx.inputs[0].shape.as_slice() else { unreachable!("x is [N, H, W, C]") };
        let (c, column, line) = (i % channels, i / channels % self.pool.size, i / channels / self.pool.size);
        let (row, r) = (line % self.pool.size, line / self.pool.size);
        let (n, corners) = (r / self.pool.regions, region(cx, 1, r)?.corners);
        let mut best: Option<(f64, usize)> = None;
        for y in self.pool.range(corners, 0, row, h) {
            for x in self.pool.range(corners, 1, column, w) {
                let value = cx.inputs[0].data[((n * h + y) * w + x) * channels + c];
                if best.is_none_or(|(most, _)| value > most) {
                    best = Some((value, y * w + x));
                }
            }
        }
        best.map(|(_, at)| [n, at])
    }
}

impl Op for RoiPool {
    fn name(&self) -> &'static str {
        "roi_pool"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let size = self.pool.size;
        let y = TensorType::batch(&[self.pool.regions * size, size, inputs[0].channels()]);
        Ok(vec![y.clone(), y.with(DType::I32)])
    }

    fn gradient(
        &self,
        b: &mut Builder,
        inputs: &[Value],
        outputs: &[Value],
        douts: &[Option<Value>],
    ) -> Vec<Option<Value>> {
        let dims = b.ty(inputs[0]).dims.clone();
        let grad = RoiPoolGrad { pool: self.pool, dims };
        vec![douts[0].map(|dy| b.one(grad, &[inputs[1], outputs[1], dy])), None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (x, y) = (cx.inputs[0], cx.outputs[0]);
        let lanes = lanes_of(x.channels());
        let kernel = Kernel::new("roi_pool", "forward").lanes(lanes);
        let kernel = self.pool.constants(kernel, [x.dims[0], x.dims[1]], x.channels() / lanes);
        let kernel = kernel.read("x", cx.input(0)).read("rois", cx.input(1)).write("y", cx.output(0));
        cx.push(kernel.write("winner", cx.output(1)).grid(Grid::per_sample(y.items() / lanes)));
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let items: usize = cx.inputs[0].shape[1..].iter().product();
        let channels = cx.inputs[0].shape[3];
        let one = |&i: &usize| match (self.winner(cx, i), output) {
            (Some([_, at]), 1) => at as f64,
            (Some([n, at]), _) => cx.inputs[0].data[n * items + at * channels + i % channels],
            (None, 1) => -1.0,
            (None, _) => 0.0,
        };
        indices.iter().map(one).collect()
    }
}

/// Inputs rois `[N, R, 5]`, winner i32 and dy `[N, R · size, size, C]`. Output dx `[N, H, W, C]`.
#[derive(Debug)]
pub struct RoiPoolGrad {
    /// How regions are cut.
    pub pool: Pool,
    /// The dimensions H, W, C of x.
    pub dims: Vec<usize>,
}

impl Op for RoiPoolGrad {
    fn name(&self) -> &'static str {
        "roi_pool_grad"
    }

    fn shape(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![TensorType::batch(&self.dims)])
    }

    /// One invocation gathers one cell from all regions that hold it, in their order. The regions are dealt to several
    /// dispatches where the loops would be too long.
    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(self.dims[2]);
        let part = (ITERATIONS / (1 + self.pool.size * (1 + self.pool.size))).max(1);
        for start in (0..self.pool.regions).step_by(part) {
            let kernel = Kernel::new("roi_pool", "grad").lanes(lanes);
            let kernel = self.pool.constants(kernel, [self.dims[0], self.dims[1]], self.dims[2] / lanes);
            let kernel = kernel.set("FROM", start).set("TO", (start + part).min(self.pool.regions));
            let kernel = kernel.read("rois", cx.input(0)).read("winner_in", cx.input(1)).read("dy", cx.input(2));
            let kernel = match start {
                0 => kernel.write("dx", cx.output(0)),
                _ => kernel.read_write("dx", cx.output(0)),
            };
            cx.push(kernel.grid(Grid::per_sample(self.dims.iter().product::<usize>() / lanes)));
        }
    }

    /// Every dy goes to its winner.
    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let items: usize = self.dims.iter().product();
        let own = cx.inputs[1].data.len() / cx.n;
        let mut dx = vec![0.0; cx.n * items];
        for (i, (&winner, dy)) in cx.inputs[1].data.iter().zip(&cx.inputs[2].data).enumerate() {
            if winner >= 0.0 {
                dx[i / own * items + winner as usize * self.dims[2] + i % self.dims[2]] += dy;
            }
        }
        indices.iter().map(|&i| dx[i]).collect()
    }
}
