//! RoIAlign (He et al. 2017), as torchvision computes it: each region becomes a small picture of fixed size. Each of its cells
//! is the mean of samples between the cells of the feature map. With several feature maps, a region is cut out of the one
//! that suits its size (Lin et al. 2017).
//!
//! The regions of a sample lie one below the other, as one tall picture. So a convolution whose kernel and stride are the
//! size of a region, without padding, is a dense layer over each.

mod crop;
mod grad;

use super::regions::{self, Regions};
use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::registry::{Arity, Layer, LayerCx, Registry};
use crate::ops::tile::lanes_of;
use crate::ops::window::picture;
use crate::spec::{Count, Positive, spec_struct};
use crate::tensor::TensorType;
use crop::Cell;
pub use crop::{Crop, between};
pub use grad::RoiAlignGrad;

pub(crate) fn register(registry: &mut Registry) {
    let doc =
        "Cuts regions out of one or several feature maps, as pictures of fixed size; the regions come last in `from`.";
    registry.layer::<RoiAlignKeys>("roi_align", doc);
    registry.ops(&["roi_align", "roi_align_grad"]);
}

/// Most rows and columns, and most samples of a cell in one direction, so that loops end.
const MAX_SIZE: usize = 64;
const MAX_SAMPLES: usize = 16;
/// Most grids. No published network has more than 6.
const MAX_LEVELS: usize = 16;

spec_struct! {
    /// The layer `roi_align`. `from` names one or several feature maps, the finest first, and then the regions.
    pub struct RoiAlignKeys {
        /// Rows and columns of what is cut out of each region.
        pub size: Count,
        /// Samples of a cell in each direction.
        pub samples: Count = Count(2),
        /// Whether the middle of a cell lies at its number and a half, and regions may be smaller than a cell.
        pub aligned: bool = false,
        /// Pixels of the input from one cell to the next, for each feature map; by default the power of two that suits its size best.
        pub stride: Option<Vec<Positive>>,
        /// With several feature maps: a region of this side in pixels belongs to the one of `canonical_level`; each doubling to the next.
        pub canonical_size: Positive = Positive(224.0),
        /// With several feature maps: their numbers are the logarithms of their strides to base 2.
        pub canonical_level: Count = Count(4),
        /// While training, cut out only the regions that may be of objects: the first ones of `sample_rois`.
        pub positives: bool = false,
        /// Rows of zeros behind each region, so that convolutions do not reach from one to the next (see `clear_gaps`).
        pub gap: usize = 0,
    }
}

/// Rows and columns that a grid of `cells` would have, were it the input divided by a power of two; and the power.
fn power(cells: usize, input: usize) -> f64 {
    (input as f64 / cells as f64).log2().round()
}

impl RoiAlignKeys {
    fn crop(&self, cx: &LayerCx, maps: &[Value], rois: Value) -> Result<Crop, ShapeError> {
        let [height, width, _] = picture("roi_align", &TensorType::batch(&cx.input))?;
        if maps.len() > MAX_LEVELS || self.size.0 > MAX_SIZE || self.samples.0 > MAX_SAMPLES || self.gap > MAX_SIZE {
            let what = format!("{} feature maps, size {}, {} samples", maps.len(), self.size.0, self.samples.0);
            let hint =
                format!("use at most {MAX_LEVELS}, {MAX_SIZE} and {MAX_SAMPLES}, and a gap of at most {MAX_SIZE}");
            return Err(ShapeError::new(what, hint));
        }
        if let Some(strides) = self.stride.as_ref().filter(|strides| strides.len() != maps.len()) {
            let what = format!("{} strides for {} feature maps", strides.len(), maps.len());
            return Err(ShapeError::new(what, "give one for each"));
        }
        let (mut grids, mut lowest, mut channels) = (Vec::new(), 0.0, None);
        for (i, &map) in maps.iter().enumerate() {
            let [h, w, c] = picture("roi_align", cx.b.ty(map))?;
            if *channels.get_or_insert(c) != c {
                let what = format!("feature maps of {} and {c} channels", channels.unwrap_or(c));
                return Err(ShapeError::new(what, "give all the same number of channels"));
            }
            let strides = match &self.stride {
                Some(strides) => [strides[i].get(); 2],
                None => [power(h, height), power(w, width)].map(f64::exp2),
            };
            grids.push([height as f64 / strides[0], width as f64 / strides[1]]);
            if i == 0 {
                lowest = strides[0].log2().round();
            }
        }
        let all = regions::count("roi_align", cx.b.ty(rois))?;
        let own = cx.b.graph.nodes[rois.node].op().and_then(|op| op.downcast_ref::<Regions>());
        let positives = own.and_then(|regions| regions.positives).filter(|_| self.positives);
        Ok(Crop {
            size: self.size.0,
            gap: self.gap,
            samples: self.samples.0,
            aligned: self.aligned,
            regions: positives.unwrap_or(all),
            input: [height as f64, width as f64],
            grids,
            lowest,
            canonical: [self.canonical_size.get(), self.canonical_level.0 as f64],
        })
    }
}

impl Layer for RoiAlignKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let (rois, maps) = inputs.split_last().expect("a layer of many inputs has two");
        let crop = self.crop(cx, maps, *rois)?;
        Ok(cx.b.op(RoiAlign { crop }, inputs)?[0])
    }

    fn arity(&self) -> Arity {
        Arity::Many
    }
}

/// Inputs: feature maps `[N, H_i, W_i, C]`, then rois `[N, R, 5]`. Output `[N, regions · (size + gap), size, C]`; 0 for rows that
/// are no region.
#[derive(Debug)]
pub struct RoiAlign {
    /// Where it looks.
    pub crop: Crop,
}

impl Op for RoiAlign {
    fn name(&self) -> &'static str {
        "roi_align"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let crop = &self.crop;
        Ok(vec![TensorType::batch(&[crop.regions * crop.rows(), crop.size, inputs[0].channels()])])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let mut all = vec![None; inputs.len()];
        let Some(dy) = douts[0] else { return all };
        let rois = inputs[inputs.len() - 1];
        for (level, &map) in inputs[..inputs.len() - 1].iter().enumerate() {
            let dims = b.ty(map).dims.clone();
            all[level] = Some(b.one(RoiAlignGrad { crop: self.crop.clone(), level, dims }, &[rois, dy]));
        }
        all
    }

    /// A dispatch for each feature map. The first also writes the zeros.
    fn kernels(&self, cx: &mut KernelCx) {
        let maps = cx.inputs.len() - 1;
        let (y, all) = (cx.outputs[0], cx.inputs[maps].dims[0]);
        let lanes = lanes_of(y.channels());
        for level in 0..maps {
            let x = cx.inputs[level];
            let kernel = Kernel::new("roi_align", "forward").lanes(lanes).set("C", y.channels() / lanes);
            let kernel = self.crop.constants(kernel, level, [x.dims[0], x.dims[1]], all);
            let kernel = kernel.set("FIRST", usize::from(level == 0));
            let kernel = kernel.read("x", cx.input(level)).read("rois", cx.input(maps));
            let kernel = match level {
                0 => kernel.write("y", cx.output(0)),
                _ => kernel.read_write("y", cx.output(0)),
            };
            cx.push(kernel.grid(Grid::per_sample(y.items() / lanes)));
        }
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let maps = cx.inputs.len() - 1;
        let channels = cx.inputs[0].shape[3];
        indices
            .iter()
            .map(|&i| {
                let Some(cell) = Cell::of(&self.crop, cx, maps, i / channels) else { return 0.0 };
                let (x, level) = (&cx.inputs[cell.level], cell.level);
                let [h, w] = [x.shape[1], x.shape[2]];
                let at =
                    |row: usize, column: usize| x.data[((cell.n * h + row) * w + column) * channels + i % channels];
                let rows = self.crop.samples(&cell.region, level, 0, cell.row, h);
                let columns = self.crop.samples(&cell.region, level, 1, cell.column, w);
                let pairs = rows.iter().flatten().flat_map(|a| columns.iter().flatten().map(move |b| (a, b)));
                pairs.map(|(a, b)| at(a.0, b.0) * a.1 * b.1).sum::<f64>() / self.crop.samples.pow(2) as f64
            })
            .collect()
    }

    fn flops(&self, _: &[&TensorType], outputs: &[&TensorType]) -> u64 {
        (outputs[0].items() * self.crop.samples.pow(2) * 8) as u64
    }
}
