//! 3 x 3 convolutions of stride 1 by Winograd's method: `winograd.wgsl`. Operands are transformed to 36 planes, which are
//! multiplied as one 1 x 1 convolution of 36 groups (`image.rs`). That takes a quarter of the multiplications.

use super::geometry::{Geometry, position};
use super::image;
use super::job::{Forward, GradInput, GradWeight};
use super::kernel_choice::{Direction, ImageTile, LEAST, PLANES};
use crate::graph::{Grid, Kernel, KernelCx, RefCx, Target};
use crate::ops::layer::activation;
use crate::ops::plumbing::bias_add::push_grad_bias;
use crate::ops::tile::grouped;
use crate::ops::window::{Axis, Window};

/// Rows and columns of outputs of a tile.
const SIDE: usize = 4;

/// A picture that is read or written: rows, columns, and channels in vec4s.
#[derive(Clone, Copy)]
struct Picture {
    h: usize,
    w: usize,
    vec4s: usize,
}

impl Picture {
    fn x(g: &Geometry) -> Picture {
        Picture { h: g.window.h.input, w: g.window.w.input, vec4s: g.channels / 4 }
    }

    fn y(g: &Geometry) -> Picture {
        Picture { h: g.window.h.output, w: g.window.w.output, vec4s: g.filters / 4 }
    }

    /// Tiles of one sample.
    fn tiles(&self) -> usize {
        self.h.div_ceil(SIDE) * self.w.div_ceil(SIDE)
    }
}

/// Tiles of one sample in the picture that is written, or in dy.
pub fn tiles(direction: Direction, g: &Geometry) -> usize {
    if direction == Direction::GradInput { Picture::x(g).tiles() } else { Picture::y(g).tiles() }
}

/// Whether these kernels take the sizes.
pub fn suits(g: &Geometry) -> bool {
    let axis = |a: &Axis| [a.kernel, a.stride, a.dilation] == [3, 1, 1] && a.before <= 2;
    let vec4s = g.channels.is_multiple_of(4) && g.filters.is_multiple_of(4);
    axis(&g.window.h) && axis(&g.window.w) && g.groups == 1 && vec4s
}

/// Elements of the largest transformed tensor.
pub fn largest(direction: Direction, g: &Geometry, batch: usize) -> usize {
    let most = g.channels.max(g.filters);
    PLANES * (tiles(direction, g) * batch * most).max(g.channels * g.filters)
}

/// An error of these kernels belongs to a whole tile (Barabasz et al. 2020): an output whose own terms are all 0 may come out as some 10⁻⁷ of what its
/// neighbours are. For elements of an output: what `Σ|terms|` would be, if the magnitudes of its tiles were spread evenly over their
/// cells. `cx` has the magnitudes of the op's inputs. 0, if no adapter computes such sizes by these kernels.
pub fn spread(direction: Direction, g: &Geometry, cx: &RefCx, indices: &[usize]) -> Vec<f64> {
    if !suits(g) || g.channels.min(g.filters) < LEAST {
        return vec![0.0; indices.len()];
    }
    let before = [&g.window.h, &g.window.w].map(|axis| axis.before as isize);
    let (a, b) = (&cx.inputs[0].data, &cx.inputs[1].data);
    // The sum of a square of cells of one channel.
    let square = |picture: &[f64], [h, w, c]: [usize; 3], [n, channel]: [usize; 2], corner: [isize; 2], side: isize| {
        let range = |first: isize, most: usize| first.max(0) as usize..(first + side).clamp(0, most as isize) as usize;
        let cells = range(corner[0], h).flat_map(|y| range(corner[1], w).map(move |x| ((n * h + y) * w + x) * c));
        cells.map(|cell| picture[cell + channel]).sum::<f64>()
    };
    let corner = |[h, w]: [usize; 2], before: [isize; 2]| {
        [(h / SIDE * SIDE) as isize - before[0], (w / SIDE * SIDE) as isize - before[1]]
    };
    let (side, reach) = (SIDE as isize, SIDE as isize + 2);
    let mean = |sum: f64| sum / (reach * reach) as f64;
    let filter = |w: &[f64], k: usize, c: usize| g.window_taps().map(|tap| w[g.w_index(k, tap, c)]).sum::<f64>();
    let one = |&index: &usize| match direction {
        Direction::Forward => {
            let [oh, ow, filters] = g.y_dims();
            let [n, h, w, k] = position(index, [cx.n, oh, ow, filters]);
            let cells = |c: usize| mean(square(a, g.x_dims(), [n, c], corner([h, w], before), reach));
            (0..g.channels).map(|c| cells(c) * filter(b, k, c)).sum()
        }
        Direction::GradInput => {
            let [h, w, channels] = g.x_dims();
            let [n, h, w, c] = position(index, [cx.n, h, w, channels]);
            let first = corner([h, w], before.map(|cells| 2 - cells));
            (0..g.filters).map(|k| mean(square(a, g.y_dims(), [n, k], first, reach)) * filter(b, k, c)).sum()
        }
        Direction::GradWeight => {
            let [k, _, _, c] = position(index, g.w_dims());
            let [oh, ow, _] = g.y_dims();
            let tiles = (0..cx.n).flat_map(|n| (0..oh).step_by(SIDE).map(move |h| (n, h)));
            let tiles = tiles.flat_map(|(n, h)| (0..ow).step_by(SIDE).map(move |w| (n, [h, w])));
            let product = |(n, place)| {
                let errors = square(a, g.y_dims(), [n, k], corner(place, [0, 0]), side);
                // Most errors of many networks are 0.
                if errors == 0.0 {
                    0.0
                } else {
                    errors * mean(square(b, g.x_dims(), [n, c], corner(place, before), reach))
                }
            };
            tiles.map(product).sum()
        }
    };
    indices.iter().map(one).collect()
}

/// The products as one convolution: each plane is a group, each tile a pixel.
fn planes(g: &Geometry, tiles: usize) -> Geometry {
    let h = Axis { input: tiles, output: tiles, ..Axis::POINT };
    let window = Window { h, w: Axis::POINT };
    Geometry { window, channels: PLANES * g.channels, filters: PLANES * g.filters, groups: PLANES }
}

/// Sets the constants of a kernel that reads one picture and writes another.
fn pictures(kernel: Kernel, from: Picture, to: Picture) -> Kernel {
    let kernel = kernel.set("H", from.h).set("W", from.w).set("C", from.vec4s);
    kernel.set("OH", to.h).set("OW", to.w).set("K", to.vec4s)
}

/// The planes of the cells under the tiles of `to`; or, for dw, of the outputs in the tiles of `from`.
fn transformed(
    cx: &mut KernelCx,
    entry: &'static str,
    x: &Target,
    [from, to]: [Picture; 2],
    before: [usize; 2],
) -> Target {
    let items = to.tiles() * from.vec4s;
    let v = cx.scratch(PLANES * items * 4 * cx.batch);
    let kernel = Kernel::new("winograd", entry)
        .texture("x", x.clone())
        .write("v", v.clone())
        .set("PAD_H", before[0])
        .set("PAD_W", before[1])
        .grid(grouped(Grid::per_sample(items), cx.batch, cx.caps));
    cx.push(pictures(kernel, from, to));
    v
}

/// The planes of the filters; turned for dx.
fn filters(cx: &mut KernelCx, g: &Geometry, w: &Target, turn: bool) -> Target {
    let items = g.filters * g.channels / 4;
    let u = cx.scratch(PLANES * items * 4);
    let kernel = Kernel::new("winograd", "filters")
        .read("w", w.clone())
        .write("u", u.clone())
        .set("TURN", usize::from(turn))
        .grid(grouped(Grid::fixed(items), cx.batch, cx.caps));
    cx.push(pictures(kernel, Picture::x(g), Picture::y(g)));
    u
}

/// Pushes y.
pub fn forward(cx: &mut KernelCx, job: &Forward, tile: ImageTile) {
    let g = &job.geometry;
    let (x, y) = (Picture::x(g), Picture::y(g));
    let u = filters(cx, g, &job.w, false);
    let v = transformed(cx, "cells", &job.x, [x, y], [g.window.h.before, g.window.w.before]);
    let m = cx.scratch(PLANES * y.tiles() * g.filters * cx.batch);
    let product = Forward {
        geometry: planes(g, y.tiles()),
        span: 0..PLANES * g.filters,
        x: v,
        w: u,
        b: None,
        scaled: false,
        y: m.clone(),
        activation: None,
    };
    image::forward(cx, &product, tile);
    let kernel = Kernel::new("winograd", "outputs")
        .read("b", job.b.clone().unwrap_or(m.clone()))
        .read("m", m)
        .write("y", job.y.clone())
        .set("BIAS", job.bias())
        .grid(grouped(Grid::per_sample(y.tiles() * y.vec4s), cx.batch, cx.caps));
    let kernel = job.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel));
    cx.push(pictures(kernel, x, y));
}

/// Pushes dx.
pub fn grad_input(cx: &mut KernelCx, job: &GradInput, tile: ImageTile) {
    let g = &job.geometry;
    let (dx, dy) = (Picture::x(g), Picture::y(g));
    let u = filters(cx, g, &job.w, true);
    let v = transformed(cx, "cells", &job.dy, [dy, dx], [2 - g.window.h.before, 2 - g.window.w.before]);
    let m = cx.scratch(PLANES * dx.tiles() * g.channels * cx.batch);
    let product = GradInput {
        geometry: planes(g, dx.tiles()),
        span: 0..PLANES * g.filters,
        dy: v,
        w: u,
        dx: m.clone(),
        add: false,
        before: None,
    };
    image::grad_input(cx, &product, tile);
    let kernel = Kernel::new("winograd", "outputs").read("m", m.clone()).write("dx", job.dx.clone()).set("OUT", 1);
    let kernel = activation::scale(kernel, "y_in", job.before.as_ref(), &m).grid(grouped(
        Grid::per_sample(dx.tiles() * dx.vec4s),
        cx.batch,
        cx.caps,
    ));
    cx.push(pictures(kernel, dy, dx));
}

/// Pushes dw.
pub fn grad_weight(cx: &mut KernelCx, job: &GradWeight, tile: ImageTile) {
    let g = &job.geometry;
    let (x, y) = (Picture::x(g), Picture::y(g));
    let errors = transformed(cx, "errors", &job.dy, [y, y], [0, 0]);
    let v = transformed(cx, "cells", &job.x, [x, y], [g.window.h.before, g.window.w.before]);
    let du = cx.scratch(PLANES * g.filters * g.channels);
    let product = GradWeight {
        geometry: planes(g, y.tiles()),
        span: 0..PLANES * g.filters,
        dy: errors,
        x: v,
        dw: du.clone(),
        db: None,
    };
    image::grad_weight(cx, &product, tile);
    let kernel = Kernel::new("winograd", "weights").read("m", du).write("dw", job.dw.clone());
    let kernel = kernel.grid(grouped(Grid::fixed(g.filters * x.vec4s), cx.batch, cx.caps));
    cx.push(pictures(kernel, x, y));
    if let Some(db) = &job.db {
        push_grad_bias(cx, g.pixels(), g.filters, db.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{RefTensor, Step};

    const C: usize = LEAST;
    /// Rows and columns of the picture: three tiles, and two of them.
    const SIZE: [usize; 2] = [12, 8];

    /// 3 x 3 filters over a picture with a cell of padding on each side, `C` channels and as many filters.
    fn geometry() -> Geometry {
        let axis = |side| Axis { input: side, output: side, kernel: 3, before: 1, ..Axis::POINT };
        Geometry { window: Window { h: axis(SIZE[0]), w: axis(SIZE[1]) }, channels: C, filters: C, groups: 1 }
    }

    /// A picture that holds 1 at some cells of channel 0, or everywhere in all channels.
    fn picture(cells: Option<&[[usize; 2]]>) -> RefTensor {
        let mut data = vec![f64::from(u8::from(cells.is_none())); SIZE[0] * SIZE[1] * C];
        cells.into_iter().flatten().for_each(|[h, w]| data[(h * SIZE[1] + w) * C] = 1.0);
        RefTensor::new(vec![1, SIZE[0], SIZE[1], C], data)
    }

    fn spread_of(direction: Direction, inputs: [RefTensor; 2], index: usize) -> f64 {
        let step = Step::of(1);
        spread(direction, &geometry(), &RefCx { inputs: &inputs, n: 1, step: &step, salt: 0 }, &[index])[0]
    }

    #[test]
    fn terms_that_are_all_equal_are_spread_as_they_are() {
        let w = || RefTensor::new(vec![C, 3, 3, C], vec![1.0; C * 9 * C]);
        // A tile that touches no padding at its sides: row 5, column 2 of a picture without padding on the left.
        let at = (5 * SIZE[1] + 2) * C;
        let inside = (9 * C) as f64 * 30.0 / 36.0;
        assert!((spread_of(Direction::Forward, [picture(None), w()], at) - inside).abs() < 1e-9, "a column is padding");
        assert!((spread_of(Direction::GradInput, [picture(None), w()], at) - inside).abs() < 1e-9);
        // Six tiles of 16 outputs; of their 36 cells 25 or 30 lie in the picture.
        let all = 16.0 * (4.0 * 25.0 + 2.0 * 30.0) / 36.0;
        assert!((spread_of(Direction::GradWeight, [picture(None), picture(None)], 0) - all).abs() < 1e-9);
    }

    #[test]
    fn terms_of_one_tile_are_a_scale_for_each_other_and_for_nothing_else() {
        // The error at (1, 1) meets the cell at (4, 4) in the tile, though not under the filter.
        let near = spread_of(Direction::GradWeight, [picture(Some(&[[1, 1]])), picture(Some(&[[4, 4]]))], 0);
        assert!((near - 1.0 / 36.0).abs() < 1e-12, "{near}");
        let far = spread_of(Direction::GradWeight, [picture(Some(&[[1, 1]])), picture(Some(&[[9, 1]]))], 0);
        assert_eq!(far, 0.0, "two tiles further down");
        // Another channel of x.
        assert_eq!(spread_of(Direction::GradWeight, [picture(Some(&[[1, 1]])), picture(Some(&[[1, 1]]))], 1), 0.0);
        let narrow = Geometry { channels: C / 2, ..geometry() };
        let (step, inputs) = (Step::of(1), [picture(None), picture(None)]);
        let cx = RefCx { inputs: &inputs, n: 1, step: &step, salt: 0 };
        assert_eq!(
            spread(Direction::GradWeight, &narrow, &cx, &[0]),
            [0.0],
            "these kernels never take so few channels"
        );
    }
}
