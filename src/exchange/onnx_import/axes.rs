//! How the dimensions of an ONNX value lie in a layer's output.
//!
//! ONNX has pictures as `[N, C, H, W]`, Pumice holds them as `[N, H, W, C]`. So a value is described by the axes in the
//! order in which the layer holds them, and by the axes that make up each of ONNX's dimensions. Reshape, Flatten and
//! Transpose then change the description alone.

use crate::exchange::turn;

/// A part of a dimension. None has size 1: such axes have no place in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Axis {
    /// Which one it is.
    id: usize,
    /// How many steps it has.
    pub size: usize,
}

/// The axes of a value, without N.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axes {
    /// In the order of memory.
    held: Vec<Axis>,
    /// Of each of ONNX's dimensions, the outermost first.
    logical: Vec<Vec<Axis>>,
}

impl Axes {
    /// Dimensions of these sizes that are held in the order `order`.
    pub fn new(dims: &[usize], order: &[usize]) -> Axes {
        let axis = |id: usize| Axis { id, size: dims[id] };
        let real = |axis: &Axis| axis.size != 1;
        let logical = (0..dims.len()).map(|i| [axis(i)].into_iter().filter(real).collect()).collect();
        Axes { held: order.iter().map(|&i| axis(i)).filter(real).collect(), logical }
    }

    /// Dimensions that are held in their own order.
    pub fn plain(dims: &[usize]) -> Axes {
        Axes::new(dims, &(0..dims.len()).collect::<Vec<usize>>())
    }

    /// A picture `[C, H, W]` that is held as H, W, C; with one row, and rank 2, it is `[C, W]`.
    pub fn picture([h, w, c]: [usize; 3], rank: usize) -> Axes {
        if rank == 2 { Axes::new(&[c, w], &[1, 0]) } else { Axes::new(&[c, h, w], &[1, 2, 0]) }
    }

    /// The sizes of ONNX's dimensions, without N.
    pub fn dims(&self) -> Vec<usize> {
        self.logical.iter().map(|axes| axes.iter().map(|axis| axis.size).product()).collect()
    }

    /// Elements of a sample.
    pub fn items(&self) -> usize {
        self.held.iter().map(|axis| axis.size).product()
    }

    /// The axes of some dimensions, one after the other.
    fn flat(&self, dims: &[usize]) -> Vec<Axis> {
        dims.iter().filter_map(|&i| self.logical.get(i)).flatten().copied().collect()
    }

    /// Whether these dimensions, one after the other, are the order of memory.
    pub fn is_held_as(&self, dims: &[usize]) -> bool {
        self.flat(dims) == self.held
    }

    /// Whether the order of memory is that of ONNX.
    pub fn is_plain(&self) -> bool {
        self.is_held_as(&(0..self.logical.len()).collect::<Vec<usize>>())
    }

    /// Height, width and channels of a value that is held as a picture: of `[C, H, W]`, or of `[C, W]` with one row.
    pub fn as_picture(&self) -> Option<[usize; 3]> {
        match (self.dims()[..].iter().as_slice(), self.logical.len()) {
            (&[c, h, w], 3) if self.is_held_as(&[1, 2, 0]) => Some([h, w, c]),
            (&[c, w], 2) if self.is_held_as(&[1, 0]) => Some([1, w, c]),
            _ => None,
        }
    }

    /// Of `[C, H, W]` that is held as H, W and channels in another order: which channel each held one is.
    pub fn shuffled_channels(&self) -> Option<Vec<usize>> {
        let part = self.inner(&[0])?;
        let outer = &self.held[..self.held.len() - part.held.len()];
        let count = part.items();
        let numbers: Vec<f32> = (0..count).map(|i| i as f32).collect();
        (outer == self.flat(&[1, 2])).then(|| part.turned(&numbers, 1).into_iter().map(|x| x as usize).collect())
    }

    /// Other dimensions of as many elements, in ONNX's order. None if a new dimension would be made of parts of old ones
    /// that are neither whole factors nor side by side in memory.
    pub fn reshape(&self, dims: &[usize]) -> Option<Axes> {
        if dims.contains(&0) || dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) != Some(self.items()) {
            return None;
        }
        let mut held = self.held.clone();
        let mut next = held.iter().map(|axis| axis.id + 1).max().unwrap_or(0);
        let mut rest: Vec<Axis> = self.logical.iter().flatten().rev().copied().collect();
        let mut logical = Vec::new();
        for &dim in dims {
            let (mut missing, mut group) = (dim, Vec::new());
            while missing > 1 {
                let axis = rest.pop()?;
                if missing.is_multiple_of(axis.size) {
                    missing /= axis.size;
                    group.push(axis);
                } else if axis.size.is_multiple_of(missing) {
                    let outer = Axis { id: next, size: missing };
                    let inner = Axis { id: next + 1, size: axis.size / missing };
                    next += 2;
                    let at = held.iter().position(|held| *held == axis)?;
                    held.splice(at..=at, [outer, inner]);
                    rest.push(inner);
                    group.push(outer);
                    missing = 1;
                } else {
                    // Axes that follow each other in memory, too, can be cut anew as one.
                    let after = rest.pop()?;
                    let at = held.windows(2).position(|pair| pair == [axis, after])?;
                    let joined = Axis { id: next, size: axis.size * after.size };
                    next += 1;
                    held.splice(at..at + 2, [joined]);
                    rest.push(joined);
                }
            }
            logical.push(group);
        }
        Some(Axes { held, logical })
    }

    /// ONNX's dimensions in another order. `order` is a permutation.
    pub fn transpose(&self, order: &[usize]) -> Axes {
        Axes { held: self.held.clone(), logical: order.iter().map(|&i| self.logical[i].clone()).collect() }
    }

    /// If the innermost part of memory is these dimensions, in any order: that part alone.
    pub fn inner(&self, dims: &[usize]) -> Option<Axes> {
        let part = self.flat(dims);
        let held = self.held.get(self.held.len().checked_sub(part.len())?..)?;
        let logical = dims.iter().map(|&i| self.logical.get(i).cloned()).collect::<Option<Vec<_>>>()?;
        held.iter().all(|axis| part.contains(axis)).then(|| Axes { held: held.to_vec(), logical })
    }

    /// If memory is an outer part, one dimension and an inner part: the sizes of the two parts. `picture` says where a
    /// dimension of size 1 lies: in a picture, behind the others if it is the first.
    pub fn around(&self, dim: usize) -> Option<[usize; 2]> {
        let group = &self.logical[dim];
        let count = |axes: &[Axis]| axes.iter().map(|axis| axis.size).product::<usize>();
        let Some(first) = group.first() else {
            let rank = self.logical.len();
            let order: &[usize] = if rank == 3 && self.is_held_as(&[1, 2, 0]) { &[1, 2, 0] } else { &[0, 1, 2, 3] };
            let place = order.iter().position(|&i| i == dim)?;
            let before = self.flat(&order[..place]);
            let after = order[place..].iter().copied().filter(|&i| i < rank).collect::<Vec<usize>>();
            let after = self.flat(&after);
            let found: Vec<Axis> = before.iter().chain(&after).copied().collect();
            return (found == self.held).then(|| [count(&before), count(&after)]);
        };
        let at = self.held.iter().position(|axis| axis == first)?;
        let end = at + group.len();
        (self.held.get(at..end)? == &group[..]).then(|| [count(&self.held[..at]), count(&self.held[end..])])
    }

    /// The same axes with one dimension of another size. [`Axes::around`] must know it.
    pub fn resized(&self, dim: usize, size: usize) -> Option<Axes> {
        let [outer, _] = self.around(dim)?;
        let next = self.held.iter().map(|axis| axis.id + 1).max().unwrap_or(0);
        let (mut held, mut logical) = (self.held.clone(), self.logical.clone());
        let mut at = 0;
        let mut seen = 1;
        while seen < outer {
            seen *= held[at].size;
            at += 1;
        }
        let new: Vec<Axis> = [Axis { id: next, size }].into_iter().filter(|axis| axis.size != 1).collect();
        held.splice(at..at + self.logical[dim].len(), new.iter().copied());
        logical[dim] = new;
        Some(Axes { held, logical })
    }

    /// The same with the fewest axes, numbered in the order of memory. Values of equal form are held alike.
    pub fn form(&self) -> (Vec<usize>, Vec<Vec<usize>>) {
        let place = |axis: &Axis| self.held.iter().position(|held| held == axis).unwrap_or(usize::MAX);
        // An axis is joined to the one before it if it follows that in memory and in its dimension.
        let follows = |k: usize| {
            k > 0
                && self
                    .logical
                    .iter()
                    .any(|group| group.windows(2).any(|pair| place(&pair[0]) == k - 1 && place(&pair[1]) == k))
        };
        let mut sizes: Vec<usize> = Vec::new();
        let mut number = Vec::new();
        for (k, axis) in self.held.iter().enumerate() {
            match sizes.last_mut() {
                Some(last) if follows(k) => *last *= axis.size,
                _ => sizes.push(axis.size),
            }
            number.push(sizes.len() - 1);
        }
        let group = |axes: &Vec<Axis>| {
            let mut list: Vec<usize> = axes.iter().map(|axis| number[place(axis)]).collect();
            list.dedup();
            list
        };
        (sizes, self.logical.iter().map(group).collect())
    }

    /// Rows of elements in ONNX's order, each as it is held.
    pub fn turned(&self, data: &[f32], rows: usize) -> Vec<f32> {
        let flat: Vec<Axis> = self.logical.iter().flatten().copied().collect();
        let shape: Vec<usize> = [rows].into_iter().chain(flat.iter().map(|axis| axis.size)).collect();
        let place = |axis: &Axis| flat.iter().position(|other| other == axis).map_or(0, |at| at + 1);
        let order: Vec<usize> = [0].into_iter().chain(self.held.iter().map(place)).collect();
        turn::permuted(data, &shape, &order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flattened_picture_remembers_its_order() {
        let flat = Axes::picture([2, 3, 4], 3).reshape(&[24]).expect("it has 24 elements");
        assert!(!flat.is_plain());
        let row: Vec<f32> = (0..24).map(|i| i as f32).collect();
        assert_eq!(flat.turned(&row, 1), turn::columns_to_hwc(&row, 1, [2, 3, 4]));
        assert_eq!(flat.reshape(&[4, 2, 3]).expect("as before").as_picture(), Some([2, 3, 4]));
    }

    #[test]
    fn a_transposed_picture_is_plain() {
        let picture = Axes::picture([5, 7, 3], 3);
        assert!(picture.transpose(&[1, 2, 0]).is_plain());
        assert_eq!(picture.transpose(&[1, 2, 0]).transpose(&[2, 0, 1]), picture);
    }

    #[test]
    fn a_dimension_can_be_split_and_joined() {
        let split = Axes::picture([2, 2, 6], 3).reshape(&[3, 2, 2, 2]).expect("channels in two parts");
        assert_eq!(split.dims(), [3, 2, 2, 2]);
        assert_eq!(split.reshape(&[6, 2, 2]).expect("joined").form(), Axes::picture([2, 2, 6], 3).form());
        assert!(Axes::new(&[6, 4], &[1, 0]).reshape(&[4, 6]).is_none());
        let anew = Axes::plain(&[6, 4, 5]).reshape(&[4, 6, 5]).expect("side by side");
        assert!(anew.is_plain() && anew.dims() == [4, 6, 5]);
    }

    #[test]
    fn parts_of_memory_are_found() {
        let picture = Axes::picture([2, 3, 4], 3);
        assert!(picture.inner(&[0]).is_some() && picture.inner(&[1]).is_none());
        assert_eq!([0, 1, 2].map(|dim| picture.around(dim)), [Some([6, 1]), Some([1, 12]), Some([2, 4])]);
        assert_eq!(picture.resized(0, 9).expect("channels").as_picture(), Some([2, 3, 9]));
        assert_eq!(Axes::picture([2, 3, 1], 3).resized(0, 5).expect("channels").as_picture(), Some([2, 3, 5]));
    }
}
