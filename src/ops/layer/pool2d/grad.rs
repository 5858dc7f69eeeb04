//! dx of max pooling and of average pooling.

use super::windows::{Loop, constants, disjoint, divisor, mean_constants, unpooled};
use super::winners::{Winners, place, rows};
use crate::graph::{Kernel, KernelCx, Op, RefCx, ShapeError};
use crate::ops::layer::activation::{self, Activation, ActivationGrad};
use crate::ops::tile::lanes_of;
use crate::ops::window::Window;
use crate::tensor::TensorType;
use std::sync::Arc;

/// Inputs dy `[N, OH, OW, C]`, the argmax of [`super::MaxPool2d`], with `activation` y_in of dx's type. Output dx
/// `[N, H, W, C]`: Σ dy over the windows that the cell won, times the activation's derivative.
#[derive(Debug)]
pub struct MaxPool2dGradInput {
    /// The windows.
    pub window: Window,
    /// The activation that made x, if absorbed; then y_in = x (by fusion).
    pub activation: Option<Activation>,
}

impl MaxPool2dGradInput {
    /// Σ dy of one element of dx.
    fn sum(&self, cx: &RefCx, index: usize) -> f64 {
        let (dy, argmax) = (&cx.inputs[0], &cx.inputs[1].data);
        let channels = dy.shape[3];
        let winners = Winners::of(&self.window, channels);
        let won =
            |&o: &usize| winners.place(argmax, o / channels, o % channels) == place(&self.window, index, o, channels);
        self.window.holders(index, channels).filter(won).map(|o| dy.data[o]).sum()
    }
}

impl Op for MaxPool2dGradInput {
    fn name(&self) -> &'static str {
        "max_pool2d_grad_input"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![unpooled(&self.window, inputs[0])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (window, dy, dx) = (&self.window, cx.inputs[0], cx.outputs[0]);
        let winners = Winners::of(window, dy.channels());
        if let Some(cells) = winners.run {
            let kernel =
                Kernel::new("pool2d_rows", "max_grad_input").read("dy4", cx.input(0)).read("argmax_in", cx.input(1));
            let before = self.activation.map(|activation| (activation, cx.input(2)));
            let kernel = activation::scale(kernel.write("dx4", cx.output(0)), "y_in4", before.as_ref(), &cx.input(0));
            return cx.push(rows(kernel, window, dy.channels(), cells));
        }
        let disjoint = disjoint(window);
        let entry = if disjoint { "max_grad_window" } else { "max_grad_input" };
        let kernel = Kernel::new("pool2d", entry)
            .read("dy", cx.input(0))
            .read("argmax_in", cx.input(1))
            .write("dx", cx.output(0));
        let before = self.activation.map(|activation| (activation, cx.input(2)));
        let kernel = activation::scale(kernel, "y_in", before.as_ref(), &cx.input(0));
        let (over, grid) = if disjoint { (Loop::Owned, dy) } else { (Loop::Holders, dx) };
        cx.push(winners.constants(kernel, window, over, grid.dims[0] * grid.dims[1]));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.sum(cx, i) * activation::factor(self.activation, cx, i)).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| indices.iter().map(|&i| self.sum(cx, i)).collect()))
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let activation = ActivationGrad::of(next, position).filter(|_| self.activation.is_none())?;
        Some(Arc::new(MaxPool2dGradInput { window: self.window, activation: Some(activation) }))
    }
}

/// Input dy `[N, OH, OW, C]`, with `activation` y_in of dx's type. Output dx `[N, H, W, C]`: Σ dy / cells over the
/// windows that hold the cell, times the activation's derivative.
#[derive(Debug)]
pub struct AvgPool2dGradInput {
    /// The windows.
    pub window: Window,
    /// Whether the mean counts padding cells, as zeros.
    pub include_pad: bool,
    /// The activation that made x, if absorbed; then y_in = x (by fusion).
    pub activation: Option<Activation>,
}

impl AvgPool2dGradInput {
    /// Σ dy / cells for one element of dx.
    fn sum(&self, cx: &RefCx, index: usize) -> f64 {
        let dy = &cx.inputs[0];
        let channels = dy.shape[3];
        let share = |o: usize| dy.data[o] / divisor(&self.window, self.include_pad, o, channels);
        self.window.holders(index, channels).map(share).sum()
    }
}

impl Op for AvgPool2dGradInput {
    fn name(&self) -> &'static str {
        "avg_pool2d_grad_input"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![unpooled(&self.window, inputs[0])])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let lanes = lanes_of(cx.inputs[0].channels());
        let (window, dy, dx) = (&self.window, cx.inputs[0], cx.outputs[0]);
        let disjoint = disjoint(window);
        let entry = if disjoint { "avg_grad_window" } else { "avg_grad_input" };
        let kernel = Kernel::new("pool2d", entry).lanes(lanes).read("dy", cx.input(0)).write("dx", cx.output(0));
        let before = self.activation.map(|activation| (activation, cx.input(1)));
        let kernel = activation::scale(kernel, "y_in", before.as_ref(), &cx.input(0));
        let kernel = mean_constants(kernel, window, self.include_pad);
        let (over, grid) = if disjoint { (Loop::Owned, dy) } else { (Loop::Holders, dx) };
        let (channels, items) = (dy.channels() / lanes, grid.items() / lanes);
        cx.push(constants(kernel, window, channels, over, items));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| self.sum(cx, i) * activation::factor(self.activation, cx, i)).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        Some(cx.abs(|cx| indices.iter().map(|&i| self.sum(cx, i)).collect()))
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        let activation = ActivationGrad::of(next, position).filter(|_| self.activation.is_none())?;
        Some(Arc::new(AvgPool2dGradInput { activation: Some(activation), ..*self }))
    }
}
