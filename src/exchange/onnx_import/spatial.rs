//! Windows of ONNX's operations: kernel, strides, dilations and pads, and where Pumice's keys put the same windows.

use super::node::Node;
use crate::ops::window::Axis;
use serde_json::{Value as Json, json};

/// Largest size of anything in a window. Sums of products then fit.
const MOST: i64 = 1 << 24;

/// Windows over a picture: rows first, then columns.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Cells of the input.
    pub input: [usize; 2],
    /// Taps.
    pub kernel: [usize; 2],
    /// Cells from one window to the next.
    pub stride: [usize; 2],
    /// Cells from one tap to the next.
    pub dilation: [usize; 2],
    /// Padding cells before the input.
    pub before: [usize; 2],
    /// Padding cells after it.
    pub after: [usize; 2],
    /// Whether a last window that does not fit whole counts.
    pub ceil: bool,
}

/// Two whole numbers of at least `least`. A list of one number is that of a row: the other is `otherwise`.
fn pair(list: Option<&[i64]>, otherwise: usize, least: i64, name: &str) -> Result<[usize; 2], String> {
    let whole =
        |&n: &i64| if (least..=MOST).contains(&n) { Ok(n as usize) } else { Err(format!("its {name} has {n}")) };
    match list {
        None | Some([]) => Ok([otherwise; 2]),
        Some([w]) => Ok([otherwise, whole(w)?]),
        Some([h, w]) => Ok([whole(h)?, whole(w)?]),
        Some(list) => Err(format!("its {name} {list:?} is not that of a picture")),
    }
}

/// Pads as the file has them: all before, then all after.
pub fn pads(node: &Node) -> Result<[[usize; 2]; 2], String> {
    let list = node.ints("pads").unwrap_or(&[]);
    let half = list.len() / 2;
    let part = |part: &[i64]| pair(Some(part), 0, 0, "pads");
    Ok([part(&list[..half])?, part(&list[half..])?])
}

impl Windows {
    /// The windows of a node over a picture; `kernel` are the taps of its filters, if it has any.
    ///
    /// # Errors
    /// Settings that are not those of a picture.
    pub fn of(node: &Node, input: [usize; 2], kernel: Option<[usize; 2]>) -> Result<Windows, String> {
        let given = node.ints("kernel_shape").map(|list| pair(Some(list), 1, 1, "kernel_shape")).transpose()?;
        let kernel = match (kernel, given) {
            (Some(kernel), Some(given)) if kernel != given => {
                return Err(format!("its kernel_shape {given:?} is not that of its weight, {kernel:?}"));
            }
            (Some(kernel), _) | (None, Some(kernel)) => kernel,
            (None, None) => return Err("it has no kernel_shape".into()),
        };
        let stride = pair(node.ints("strides"), 1, 1, "strides")?;
        let dilation = pair(node.ints("dilations"), 1, 1, "dilations")?;
        let ceil = node.int("ceil_mode", 0) != 0;
        let mut windows = Windows { input, kernel, stride, dilation, before: [0; 2], after: [0; 2], ceil };
        match node.word("auto_pad", "NOTSET")? {
            "VALID" => windows.ceil = false,
            "NOTSET" | "" => [windows.before, windows.after] = pads(node)?,
            word @ ("SAME_UPPER" | "SAME_LOWER") => {
                for k in 0..2 {
                    let output = input[k].div_ceil(stride[k]);
                    let total = ((output - 1) * stride[k] + windows.extent(k)).saturating_sub(input[k]);
                    let less = total / 2;
                    windows.before[k] = if word == "SAME_UPPER" { less } else { total - less };
                    windows.after[k] = total - windows.before[k];
                }
                windows.ceil = false;
            }
            other => return Err(format!("its auto_pad is `{other}`")),
        }
        Ok(windows)
    }

    /// Cells from the first tap to the last.
    pub fn extent(&self, k: usize) -> usize {
        (self.kernel[k] - 1) * self.dilation[k] + 1
    }

    /// Rows and columns of the output.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn output(&self) -> Result<[usize; 2], String> {
        let mut found = [0; 2];
        for (k, found) in found.iter_mut().enumerate() {
            let padded = self.input[k] + self.before[k] + self.after[k];
            let Some(room) = padded.checked_sub(self.extent(k)) else {
                return Err(format!("its window of {} cells is larger than {padded} cells", self.extent(k)));
            };
            *found = if self.ceil { room.div_ceil(self.stride[k]) } else { room / self.stride[k] } + 1;
            // A last window that would start behind the input does not count.
            if self.ceil && (*found - 1) * self.stride[k] >= self.input[k] + self.before[k] {
                *found -= 1;
            }
        }
        Ok(found)
    }

    /// The same windows over a picture that has its padding already.
    pub fn padded(&self) -> Windows {
        let input = [0, 1].map(|k| self.input[k] + self.before[k] + self.after[k]);
        Windows { input, before: [0; 2], after: [0; 2], ..*self }
    }

    fn axes(&self, padding: [Option<usize>; 2], ceil: bool) -> Option<[Axis; 2]> {
        let axis =
            |k: usize| Axis::new(self.input[k], [self.kernel[k], self.stride[k], self.dilation[k]], padding[k], ceil);
        Some([axis(0)?, axis(1)?])
    }

    /// The keys `padding` and `ceil_mode` with which Pumice has at least these windows, and how many more of them come
    /// before and after. Cells of the padding must not matter: how many there are behind the last window is not kept.
    /// `pool` limits the padding to half a window.
    pub fn placed(&self, pool: bool) -> Result<Option<Placed>, String> {
        let wanted = self.output()?;
        let starts = |axes: &[Axis; 2]| {
            [0, 1].map(|k| (axes[k].before, axes[k].output)) == [0, 1].map(|k| (self.before[k], wanted[k]))
        };
        let fits = |padding: [usize; 2]| !pool || [0, 1].iter().all(|&k| padding[k] <= self.kernel[k] / 2);
        let same_too = self.axes([None; 2], false).filter(starts).is_some();
        // An exact "same" reads best where the sides differ.
        if same_too && self.before != self.after {
            return Ok(Some(Placed { padding: json!("same"), ceil: false, more: [[0; 2]; 2] }));
        }
        let cells = self.before.map(Some);
        for ceil in [false, true] {
            if fits(self.before) && (pool || !ceil) && self.axes(cells, ceil).filter(starts).is_some() {
                return Ok(Some(Placed { padding: written(self.before), ceil, more: [[0; 2]; 2] }));
            }
        }
        if same_too {
            return Ok(Some(Placed { padding: json!("same"), ceil: false, more: [[0; 2]; 2] }));
        }
        // More padding, and windows that are cut off again.
        let mut padding = [0; 2];
        for (k, padding) in padding.iter_mut().enumerate() {
            let least = self.before[k].max(self.after[k]);
            *padding = (least..least + self.stride[k])
                .find(|p| (p - self.before[k]).is_multiple_of(self.stride[k]))
                .unwrap_or(least);
        }
        let Some(axes) = self.axes(padding.map(Some), false).filter(|_| fits(padding)) else { return Ok(None) };
        let mut more = [[0; 2]; 2];
        for k in 0..2 {
            more[k][0] = (padding[k] - self.before[k]) / self.stride[k];
            let Some(rest) = axes[k].output.checked_sub(more[k][0] + wanted[k]) else { return Ok(None) };
            more[k][1] = rest;
        }
        Ok(Some(Placed { padding: written(padding), ceil: false, more }))
    }
}

/// Where Pumice puts windows.
pub struct Placed {
    /// The key `padding`.
    pub padding: Json,
    /// The key `ceil_mode`.
    pub ceil: bool,
    /// Windows before and after those that are wanted, of rows and of columns.
    pub more: [[usize; 2]; 2],
}

/// A pair as a spec has it: one number where both are the same.
pub fn written([h, w]: [usize; 2]) -> Json {
    if h == w { json!(h) } else { json!([h, w]) }
}
