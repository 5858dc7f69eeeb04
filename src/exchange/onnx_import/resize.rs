//! Resize and Upsample. Enlargements whose cells are those of `upsample2d` become that layer. All others are sums of cells
//! with fixed weights, along the rows and along the columns: products with two matrices.

use super::axes::Axes;
use super::network::{Network, Value};
use super::node::Node;
use super::picture::{self, Picture, identity, picture, turned};
use super::pointwise::line;
use super::spatial::written;
use serde_json::json;

type Done = Result<(), String>;

/// Most elements of a matrix.
const MOST: usize = 1 << 22;

/// How an axis is resized.
struct Along<'a> {
    node: &'a Node<'a>,
    /// Cells of the input.
    size: usize,
    /// Cells of the output.
    count: usize,
    /// By how much: what the file says, not always count / size.
    scale: f64,
    /// Where the part of the input that is taken begins and ends.
    roi: [f64; 2],
    transform: &'a str,
    mode: &'a str,
    rounding: &'a str,
}

/// How many times as large each dimension becomes, and its size then, N included.
struct Sizes {
    scales: Vec<f64>,
    counts: Vec<f64>,
}

/// The numbers of a constant, one for each dimension: all others have `default`.
fn spread(node: &Node, given: &[f64], dims: &[usize], default: impl Fn(usize) -> f64) -> Result<Vec<f64>, String> {
    let rank = dims.len();
    let axes = node.ints("axes");
    let mut found: Vec<f64> = (0..rank).map(default).collect();
    for (i, &number) in given.iter().enumerate() {
        let axis = axes.map_or(Some(i as i64), |axes| axes.get(i).copied());
        let axis = axis.map(|a| if a < 0 { a + rank as i64 } else { a }).and_then(|a| usize::try_from(a).ok());
        match axis.and_then(|a| found.get_mut(a)) {
            Some(place) => *place = number,
            None => return Err(format!("its scales or sizes {given:?} do not suit its input")),
        }
    }
    Ok(found)
}

/// `dims` are those of the input, with 1 for N.
fn sizes(net: &Network, node: &Node, dims: &[usize]) -> Result<Sizes, String> {
    let old = node.op() == "Upsample" || node.opset < 11;
    let listed = node.input(3).filter(|_| node.op() == "Resize" && !old);
    if let Some(name) = listed {
        let constant = net.needed(Some(name), "sizes")?;
        let given: Vec<f64> =
            constant.whole().ok_or("its sizes are no whole numbers")?.iter().map(|&n| n as f64).collect();
        let policy = node.word("keep_aspect_ratio_policy", "stretch")?;
        // Sizes of a file whose batch is fixed have that, too.
        let kept = |i: usize| dims[i] as f64;
        let mut counts = spread(node, &given, dims, kept)?;
        counts[0] = 1.0;
        let mut scales: Vec<f64> = counts.iter().zip(dims).map(|(n, &d)| n / d as f64).collect();
        if policy != "stretch" {
            let rank = dims.len() as i64;
            let chosen =
                |i: &usize| node.ints("axes").is_none_or(|axes| axes.iter().any(|a| a.rem_euclid(rank) == *i as i64));
            let asked: Vec<usize> = (0..dims.len()).filter(chosen).collect();
            let each = asked.iter().map(|&i| scales[i]);
            let one = match policy {
                "not_larger" => each.fold(f64::INFINITY, f64::min),
                "not_smaller" => each.fold(0.0, f64::max),
                _ => return Err(format!("its keep_aspect_ratio_policy is `{policy}`")),
            };
            for i in asked {
                (scales[i], counts[i]) = (one, (one * dims[i] as f64 + 0.5).floor());
            }
        }
        return Ok(Sizes { scales, counts });
    }
    let given: Vec<f64> = if let Some(attribute) = node.attribute("scales") {
        attribute.floats.iter().map(|&x| f64::from(x)).collect()
    } else {
        let constant = net.needed(node.input(if old { 1 } else { 2 }), "scales")?;
        constant.floats().ok_or("its scales are no numbers")?.iter().map(|&x| f64::from(x)).collect()
    };
    let scales = spread(node, &given, dims, |_| 1.0)?;
    let counts = scales.iter().zip(dims).map(|(scale, &d)| (scale * d as f64).floor()).collect();
    Ok(Sizes { scales, counts })
}

impl Along<'_> {
    /// Where cell `o` of the output lies on the input; None if outside of the part that is taken.
    fn position(&self, o: f64) -> Result<Option<f64>, String> {
        let (size, new) = (self.size as f64, self.scale * self.size as f64);
        let centre = (o + 0.5) / self.scale - 0.5;
        Ok(Some(match self.transform {
            "half_pixel" => centre,
            "half_pixel_symmetric" => size / 2.0 * (1.0 - self.count as f64 / new) + centre,
            "pytorch_half_pixel" if self.count > 1 => centre,
            "pytorch_half_pixel" => 0.0,
            "asymmetric" => o / self.scale,
            "tf_half_pixel_for_nn" => (o + 0.5) / self.scale,
            "align_corners" if new == 1.0 => 0.0,
            "align_corners" => o * (size - 1.0) / (new - 1.0),
            "tf_crop_and_resize" => {
                let [start, end] = self.roi;
                let inner = if new == 1.0 { 0.5 } else { o / (new - 1.0) };
                let at = (start + inner * (end - start)) * (size - 1.0);
                return Ok((0.0..=size - 1.0).contains(&at).then_some(at));
            }
            other => return Err(format!("its coordinate_transformation_mode is `{other}`")),
        }))
    }

    /// The weights of the cells around a position that lies `part` behind the one before it, and how many cells before
    /// that one the first is. `part` is in (0, 1]: of a cell itself, it is 1.
    fn weights(&self, part: f64) -> Result<(i64, Vec<f64>), String> {
        let antialias = self.node.int("antialias", 0) != 0;
        // Shrunk pictures without aliases: each cell is a mean over as many as it covers.
        let scale = if antialias { self.scale.min(1.0) } else { 1.0 };
        let a = self.node.float("cubic_coeff_a", -0.75);
        let (reach, weight): (f64, Box<dyn Fn(f64) -> f64>) = match self.mode {
            "nearest" => {
                let second = match self.rounding {
                    _ if part == 1.0 => true,
                    "round_prefer_floor" => part > 0.5,
                    "round_prefer_ceil" => part >= 0.5,
                    "floor" => false,
                    "ceil" => true,
                    other => return Err(format!("its nearest_mode is `{other}`")),
                };
                return Ok((0, if second { vec![0.0, 1.0] } else { vec![1.0, 0.0] }));
            }
            "linear" | "bilinear" => (1.0, Box::new(|x: f64| (1.0 - x.abs()).max(0.0))),
            // Keys 1981.
            "cubic" => (
                2.0,
                Box::new(move |x: f64| {
                    let x = x.abs();
                    match x {
                        _ if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
                        _ if x < 2.0 => ((x - 5.0) * x + 8.0) * a * x - 4.0 * a,
                        _ => 0.0,
                    }
                }),
            ),
            other => return Err(format!("its mode is `{other}`")),
        };
        let first = (-reach / scale).floor() as i64 + 1;
        let all: Vec<f64> = (first..2 - first).map(|i| weight((i as f64 - part) * scale)).collect();
        let sum: f64 = all.iter().sum();
        Ok((-first, all.iter().map(|x| if antialias { x / sum } else { *x }).collect()))
    }

    /// The weights of all cells of the input in each cell of the output.
    fn matrix(&self) -> Result<Vec<Vec<f32>>, String> {
        let last = self.size as i64 - 1;
        let inside = self.node.int("exclude_outside", 0) != 0;
        let row = |o: usize| {
            let mut row = vec![0.0; self.size];
            let Some(at) = self.position(o as f64)? else { return Ok(row.iter().map(|_| 0.0f32).collect()) };
            let before = at.ceil() as i64 - 1;
            let (skip, weights) = self.weights(at - before as f64)?;
            for (i, weight) in weights.iter().enumerate() {
                let cell = before - skip + i as i64;
                if !inside || (0..=last).contains(&cell) {
                    row[cell.clamp(0, last) as usize] += weight;
                }
            }
            let sum: f64 = row.iter().sum();
            Ok(row.iter().map(|x| (if inside { x / sum } else { *x }) as f32).collect())
        };
        (0..self.count).map(row).collect()
    }
}

/// The scale of an axis if `upsample2d` gives this matrix.
fn enlarged(matrix: &[Vec<f32>], size: usize, bilinear: bool) -> Option<usize> {
    let scale = matrix.len() / size;
    if scale == 0 || scale > 256 || scale * size != matrix.len() {
        return None;
    }
    let fits = |o: usize| {
        let mut row = vec![0.0f64; size];
        let at = if bilinear { ((o as f64 + 0.5) / scale as f64 - 0.5).max(0.0) } else { (o / scale) as f64 };
        let first = at.floor() as usize;
        row[first] += 1.0 - at.fract();
        row[(first + 1).min(size - 1)] += at.fract();
        row.iter().zip(&matrix[o]).all(|(a, &b)| (a - f64::from(b)).abs() < 1e-6)
    };
    (0..matrix.len()).all(fits).then_some(scale)
}

/// Resize and Upsample of a picture's rows and columns.
pub fn resize(net: &mut Network, node: &Node) -> Done {
    let x = picture(net, node.input(0))?;
    let dims: Vec<usize> = [1].into_iter().chain(net.value(node.input(0))?.axes.dims()).collect();
    let found = sizes(net, node, &dims)?;
    if found.scales[..2] != [1.0, 1.0] {
        return Err(format!("its scales are {:?}: only rows and columns are resized", found.scales));
    }
    let mode = node.word("mode", "nearest")?;
    let old = node.op() == "Upsample" || node.opset < 11;
    let transform = node.word("coordinate_transformation_mode", if old { "asymmetric" } else { "half_pixel" })?;
    let rounding = node.word("nearest_mode", if old { "floor" } else { "round_prefer_floor" })?;
    let mut rois = vec![0.0; 2 * dims.len()];
    if transform == "tf_crop_and_resize" {
        let constant = net.needed(node.input(1), "roi")?;
        let given = constant.floats().ok_or("its roi has whole numbers")?;
        let (starts, ends) = given.split_at(given.len() / 2);
        let wide = |part: &[f32]| part.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        rois = spread(node, &wide(starts), &dims, |_| 0.0)?;
        rois.extend(spread(node, &wide(ends), &dims, |_| 1.0)?);
    }
    let mut matrices = Vec::new();
    for k in 0..2 {
        let size = x.dims[k];
        // A single row has no dimension of its own.
        let axis = if x.rank == 3 { Some(k + 2) } else { (k == 1).then_some(2) };
        let Some(axis) = axis else {
            matrices.push(identity(1));
            continue;
        };
        let count = found.counts[axis];
        if !(count >= 1.0 && count * size as f64 <= MOST as f64) {
            return Err(format!("it makes {count} cells of {size}"));
        }
        let (count, scale) = (count as usize, found.scales[axis]);
        let roi = [rois[axis], rois[axis + dims.len()]];
        matrices.push(Along { node, size, count, scale, roi, transform, mode, rounding }.matrix()?);
    }
    if x.dims[2] > picture::MOST {
        return Err(format!("it has {} channels, which are too many", x.dims[2]));
    }
    let beyond = if transform == "tf_crop_and_resize" { node.float("extrapolation_value", 0.0) } else { 0.0 };
    let layer = resized(net, &x, &matrices, beyond);
    let dims = [matrices[0].len(), matrices[1].len(), x.dims[2]];
    net.set(node.output(), Value { layer, axes: Axes::picture(dims, x.rank) });
    Ok(())
}

/// The layer that holds the resized picture. `beyond` is the value of cells without weights.
fn resized(net: &mut Network, x: &Picture, matrices: &[Vec<Vec<f32>>], beyond: f64) -> usize {
    let [h, w, c] = [matrices[0].len(), matrices[1].len(), x.dims[2]];
    let from = x.held(net);
    for bilinear in [false, true] {
        let [rows, columns] = [0, 1].map(|k| enlarged(&matrices[k], x.dims[k], bilinear));
        if let (Some(rows), Some(columns)) = (rows, columns) {
            let mut keys = json!({ "scale": written([rows, columns]) });
            if bilinear {
                keys["mode"] = json!("bilinear");
            }
            return net.push("upsample2d", keys, &[from], &[h, w, c]);
        }
    }
    let from = line(net, from, [1.0, -beyond]);
    // Each product turns the outermost dimension into the innermost: H W C, W C H, C H W, H W C.
    let rows = turned(net, from, &matrices[0]);
    let columns = turned(net, rows, &matrices[1]);
    let layer = turned(net, columns, &identity(c));
    let layer = line(net, layer, [1.0, beyond]);
    net.shaped(layer, &[h, w, c])
}
