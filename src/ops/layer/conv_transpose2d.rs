//! Transposed convolution (ONNX ConvTranspose, PyTorch ConvTranspose2d): each cell of
//! x adds its filters to y, `stride` cells apart. It is dx of a convolution. So all
//! of its nodes are those of that convolution, with the roles of x and y exchanged.

use crate::graph::{Fill, Init, ShapeError, Value, pytorch_default};
use crate::ops::flow::Flow;
use crate::ops::layer::batch_norm::{self, BatchNormKeys};
use crate::ops::layer::conv2d::{Conv2dGradInput, Norm};
use crate::ops::matmul::{Geometry, MAX_TAPS};
use crate::ops::plumbing::bias_add::BiasAdd;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::window::{Axis, Cells, Padding, Window, picture, times};
use crate::spec::{Count, Pair, spec_struct};
use crate::tensor::TensorType;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<ConvTranspose2dKeys>("conv_transpose2d", "Enlarges pictures with learnt filters.");
}

spec_struct! {
    /// The layer `conv_transpose2d`. A pair is one number for both directions, or `[h, w]`. Its weight is
    /// `[input channels, kernel_h, kernel_w, filters / groups]`, as of the convolution whose gradient it is.
    pub struct ConvTranspose2dKeys {
        /// Filters, the channels of the output.
        pub filters: Count,
        /// Rows and columns of a filter.
        pub kernel: Pair,
        /// Cells of the output from one cell of the input to the next.
        pub stride: Pair = Pair::square(1),
        /// "same" (output = input · stride), "valid", or cells cut off on each side.
        pub padding: Padding = Padding::Same,
        /// Rows and columns added below and to the right; smaller than stride or dilation.
        pub output_padding: Cells = Cells::default(),
        /// Cells from one tap of a filter to the next.
        pub dilation: Pair = Pair::square(1),
        /// Groups of channels that are convolved apart.
        pub groups: Count = Count(1),
        /// Whether each filter adds a number of its own.
        pub bias: bool = true,
        /// A normalisation between convolution and activation.
        pub norm: Option<Norm>,
    }
}

impl ConvTranspose2dKeys {
    /// Rows and columns that `output_padding` adds. PyTorch's rule limits them.
    fn added(&self) -> Result<[usize; 2], ShapeError> {
        let Cells { h, w } = self.output_padding;
        if [h, w] != [0, 0] && self.padding == Padding::Same {
            let what = "output_padding does not go with \"padding\": \"same\", which gives input · stride".to_string();
            return Err(ShapeError::new(what, "leave it out, or give padding as a number"));
        }
        if h >= self.stride.h.max(self.dilation.h) && h > 0 || w >= self.stride.w.max(self.dilation.w) && w > 0 {
            let added = times(Pair { h, w });
            let what = format!("an output_padding of {added} is not smaller than the stride or the dilation");
            return Err(ShapeError::new(what, "choose a smaller output_padding"));
        }
        Ok([h, w])
    }

    /// The axis of the convolution whose dx this is: from `output` cells to `input` windows.
    fn axis(
        &self,
        input: usize,
        [kernel, stride, dilation]: [usize; 3],
        pad: Option<usize>,
        add: usize,
    ) -> Option<Axis> {
        let extent = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
        let Some(pad) = pad else {
            return Axis::new(input.checked_mul(stride)?, [kernel, stride, dilation], None, false);
        };
        let whole = (input - 1).checked_mul(stride)?.checked_add(extent)?.checked_add(add)?;
        let output = whole.checked_sub(2 * pad).filter(|&n| n > 0)?;
        Some(Axis { input: output, output: input, kernel, stride, dilation, before: pad, after: pad })
    }

    /// The convolution whose dx this is. Its x is our output, its y our input.
    fn geometry(&self, x: &TensorType) -> Result<Geometry, ShapeError> {
        let [height, width, channels] = picture("conv_transpose2d", x)?;
        let (filters, groups) = (self.filters.get(), self.groups.get());
        if !channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
            return Err(ShapeError::new(
                format!("{groups} groups do not divide the {channels} channels of {x} and {filters} filters"),
                "choose groups, filters and channels so that groups divides both",
            ));
        }
        if self.kernel.h.saturating_mul(self.kernel.w) > MAX_TAPS {
            let what = format!("a kernel of {} has more than {MAX_TAPS} taps", times(self.kernel));
            return Err(ShapeError::new(what, "use a smaller kernel"));
        }
        let added = self.added()?;
        let [pad_h, pad_w] = self.padding.cells();
        let h = self.axis(height, [self.kernel.h, self.stride.h, self.dilation.h], pad_h, added[0]);
        let w = self.axis(width, [self.kernel.w, self.stride.w, self.dilation.w], pad_w, added[1]);
        let (Some(h), Some(w)) = (h, w) else {
            let what = format!("conv_transpose2d's padding cuts off all of the output from {x}");
            return Err(ShapeError::new(what, "pad less, or make the kernel or stride larger"));
        };
        Ok(Geometry { window: Window { h, w }, channels: filters, filters: channels, groups })
    }

    /// The weight that interpolates, for as many filters as channels.
    fn bilinear(&self, geometry: &Geometry) -> Result<Fill, ShapeError> {
        let (channels, filters) = (geometry.filters, geometry.channels);
        if channels != filters {
            let what = format!("the init `bilinear` keeps every channel, but {channels} channels become {filters}");
            return Err(ShapeError::new(what, format!("use {channels} filters, or another init")));
        }
        Ok(Fill::Bilinear { kernel: [self.kernel.h, self.kernel.w], channels: geometry.group_channels() })
    }
}

impl Layer for ConvTranspose2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let geometry = self.geometry(cx.b.ty(inputs[0]))?;
        let taps = self.kernel.h * self.kernel.w;
        // PyTorch takes the second dimension of the weight as what goes in, also here.
        let fan_in = taps * geometry.group_channels();
        let w = match cx.init {
            Some(Init::Bilinear) => cx.parameter("weight", &geometry.w_dims(), self.bilinear(&geometry)?),
            _ => cx.weight_and_bias(&geometry.w_dims(), fan_in, taps * geometry.filters, false)?.0,
        };
        let mut y = cx.b.op(Conv2dGradInput { geometry, activation: None }, &[inputs[0], w])?[0];
        if self.bias {
            let fill = if cx.init.is_some() { Fill::Constant(0.0) } else { pytorch_default(fan_in) };
            let bias = cx.parameter("bias", &[self.filters.get()], fill);
            y = cx.b.op(BiasAdd { cancelled: cx.training && self.norm.is_some() }, &[y, bias])?[0];
        }
        match self.norm {
            Some(Norm::Batch) => batch_norm::build(&BatchNormKeys::default(), cx, "norm.", y),
            None => Ok(y),
        }
    }

    fn flow(&self, from: &[Flow], index: usize) -> Option<Flow> {
        from[0].enlarged(self.filters.get(), self.stride, index)
    }
}
