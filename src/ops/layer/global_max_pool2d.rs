//! Global max pooling: y[n, c] = the largest x[n, h, w, c]. It is a max pool with one window.

use crate::graph::{ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::layer::flatten::Reshape;
use crate::ops::layer::pool2d::MaxPool2d;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::ops::window::{Padding, Window, picture};
use crate::spec::{Pair, spec_struct};

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<GlobalMaxPool2dKeys>("global_max_pool2d", "Keeps the largest cell of each channel.");
}

spec_struct! {
    /// The layer `global_max_pool2d`; it has no keys. Of equal cells the first in row order wins.
    pub struct GlobalMaxPool2dKeys {}
}

impl Layer for GlobalMaxPool2dKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let x = cx.b.ty(inputs[0]);
        let [h, w, channels] = picture("global_max_pool2d", x)?;
        let (size, one) = (Pair { h, w }, Pair::square(1));
        let window = Window::new("global_max_pool2d", x, size, [size, one], Padding::Valid, false)?;
        let y = cx.b.op(MaxPool2d { window }, inputs)?[0];
        Ok(cx.b.op(Reshape { dims: vec![channels] }, &[y])?[0])
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        from[0].channels().map(Flow::Vector)
    }
}
