//! What losses that judge every pixel share (`shaders/lib/pixels.wgsl`): which pixels count, and what their classes are.

use crate::graph::{Classes, Kernel, RefCx, ShapeError};
use crate::ops::layer::softmax::MAX_CLASSES;
use crate::ops::registry::TargetType;
use crate::tensor::{DType, TensorType};

/// Which pixels count, and what the units of the output stand for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pixels {
    /// Pixels of this class do not count.
    pub ignore: Option<i32>,
    /// Whether a single unit stands for class 1, and class 0 has the logit 0. Otherwise each unit stands for a class.
    pub single: bool,
}

/// Masks as targets: one class index for each pixel of an output `[N, H, W, C]`, i32 `[N, H, W]`, stored as bytes.
pub fn mask(output: &TensorType) -> TargetType {
    let pixels = &output.dims[..output.dims.len() - 1];
    TargetType { field: "mask", ty: TensorType::batch(pixels).with(DType::I32), stored: DType::U8 }
}

impl Pixels {
    /// The classes that masks may hold, beside an output.
    pub fn classes(self, output: &TensorType) -> Classes {
        Classes { count: if self.single { 2 } else { output.channels() }, ignore: self.ignore }
    }

    /// The class of the first unit.
    pub fn first(self) -> usize {
        usize::from(self.single)
    }

    /// Checks that a loss, called `of` in messages, gets logits x `[N, …, C]` and masks i32 `[N, …]`.
    ///
    /// # Errors
    /// Other shapes, or more classes than the kernels can loop over.
    pub fn check(self, x: &TensorType, mask: &TensorType, of: &str) -> Result<(), ShapeError> {
        let units = x.channels();
        if !x.batched || x.dims.is_empty() || x.dtype != DType::F32 || (self.single && units != 1) {
            let shape = if self.single { "[N, height, width, 1]" } else { "[N, height, width, classes]" };
            let what = format!("{of} of masks needs an output of shape {shape}, found {x}");
            return Err(ShapeError::new(what, "end with a convolution that has a filter for each class"));
        }
        let pixels = &x.dims[..x.dims.len() - 1];
        if *mask != TensorType::batch(pixels).with(DType::I32) {
            let what = format!("{of} compares an output of shape {x} with masks of shape {mask}");
            return Err(ShapeError::new(what, "give one class index for each pixel of the output, as i32"));
        }
        if units > MAX_CLASSES {
            return Err(ShapeError::new(format!("{of} over {units} classes"), format!("use at most {MAX_CLASSES}")));
        }
        Ok(())
    }

    /// Sets the constants of kernels that read logits `x` with `lanes` lanes.
    pub fn constants(self, kernel: Kernel, x: &TensorType, lanes: usize) -> Kernel {
        let kernel = kernel.lanes(lanes).set("C", x.channels() / lanes).set("PIXELS", x.items() / x.channels());
        // Masks hold no negative numbers.
        kernel.set("FIRST", self.first()).set_f("IGNORE", f64::from(self.ignore.unwrap_or(-1)))
    }

    /// The class of pixel `i` of all samples, whose logits are input 0 and whose masks are input 1. A number that is no
    /// class is moved to the nearest one, as in the kernels. None: the pixel does not count.
    pub fn class(self, cx: &RefCx, i: usize) -> Option<usize> {
        let number = cx.inputs[1].data[i];
        let last = units(cx) + self.first() - 1;
        (self.ignore.map(f64::from) != Some(number)).then(|| number.clamp(0.0, last as f64) as usize)
    }

    /// The logits of all classes of pixel `i`.
    pub fn logits(self, cx: &RefCx, i: usize) -> Vec<f64> {
        let units = units(cx);
        let own = &cx.inputs[0].data[i * units..][..units];
        if self.single { vec![0.0, own[0]] } else { own.to_vec() }
    }
}

/// The units of the logits, input 0.
pub fn units(cx: &RefCx) -> usize {
    cx.inputs[0].shape.last().copied().unwrap_or(1)
}
