//! k nearest neighbours (Cover and Hart, "Nearest neighbor pattern classification", 1967): a layer that is fitted by
//! storing samples. It consists of two ops, the search and the vote.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, RefTensor, ShapeError, Value};
use crate::ops::layer::dense::Units;
use crate::ops::registry::{Layer, LayerCx, Registry};
use crate::spec::{Content, Count, Diagnostics, Field, Node, spec_struct, spec_words};
use crate::tensor::{DType, TensorType};
use serde_json::{Value as Json, json};
use std::ops::Range;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<KnnKeys>("knn", "Classes of the nearest stored samples; training stores the training set.");
    registry.ops(&["knn", "vote"]);
}

/// How many samples a layer holds where nobody has said it: `check` and `verify` open no data.
pub const STAND_IN: usize = 1000;
/// Most samples that are compared with a batch of queries in one dispatch.
const CHUNK: usize = 1024;
/// Loop iterations that one invocation may run. On lavapipe, Mesa before 25.0 ends loops after 65,535.
const ITERATIONS: usize = 60_000;
/// Most neighbours.
const MOST: usize = 1024;

spec_words! {
    /// How far two samples are apart.
    pub enum Distance {
        /// Sum of the absolute differences.
        L1 = "l1",
        /// Euclidean distance; only its square is computed.
        L2 = "l2",
    }
}

/// One value, or a list of values from which training chooses the best. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices<T>(pub Vec<T>);

impl<T: Field> Field for Choices<T> {
    fn read(node: &Node, report: &mut Diagnostics) -> Option<Choices<T>> {
        match &node.kind {
            Content::Array(items) if items.is_empty() => {
                report.error(node, "an empty list", "list the values to choose from");
                None
            }
            Content::Array(_) => Vec::read(node, report).map(Choices),
            _ => T::read(node, report).map(|one| Choices(vec![one])),
        }
    }

    fn write(&self) -> Json {
        if let [one] = &self.0[..] { one.write() } else { self.0.write() }
    }

    fn schema() -> Json {
        json!({ "anyOf": [T::schema(), { "type": "array", "items": T::schema(), "minItems": 1 }] })
    }
}

spec_struct! {
    /// The layer `knn`.
    pub struct KnnKeys {
        /// Neighbours that vote: a number, or a list of which training keeps the best on the validation samples.
        pub k: Choices<Count>,
        /// How far two samples are apart, or a list of which training keeps the best.
        pub metric: Choices<Distance> = Choices(vec![Distance::L2]),
        /// Classes that are voted for: a number, or "classes" for those of the data.
        pub units: Units = Units::Classes,
        /// Samples that are stored; by default all that are trained on.
        pub samples: Option<Count>,
    }
}

impl KnnKeys {
    /// The largest number of neighbours that may vote.
    pub fn largest(&self) -> usize {
        self.k.0.iter().map(|k| k.get()).max().expect("a list of choices is not empty")
    }

    /// Whether there is only one choice left.
    pub fn settled(&self) -> bool {
        self.k.0.len() == 1 && self.metric.0.len() == 1
    }
}

impl Layer for KnnKeys {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let x = cx.b.ty(inputs[0]).clone();
        let classes = self.units.count(cx.classes)?;
        let count = self.samples.map_or(STAND_IN.max(self.largest()), Count::get);
        let dims: Vec<usize> = std::iter::once(count).chain(x.dims.iter().copied()).collect();
        let set = TensorType::f32(&dims).with(x.dtype);
        let samples = cx.b.state(&format!("{}.samples", cx.name), set, 0.0, true);
        let labels = TensorType::f32(&[count]).with(DType::I32);
        let labels = cx.b.state(&format!("{}.labels", cx.name), labels, 0.0, true);
        let search = Knn { k: self.largest(), metric: self.metric.0[0] };
        let found = cx.b.op(search, &[inputs[0], samples])?;
        Ok(cx.b.op(Vote { classes }, &[found[1], labels])?[0])
    }

    fn counts_classes(&self) -> bool {
        self.units == Units::Classes
    }
}

/// The share of each class among labels, `[classes]`. A label past the last class counts as the last class.
pub fn shares(labels: impl ExactSizeIterator<Item = usize>, classes: usize) -> Vec<f64> {
    let mut votes = vec![0.0; classes];
    let count = labels.len().max(1) as f64;
    labels.for_each(|label| votes[label.min(classes - 1)] += 1.0);
    votes.into_iter().map(|v| v / count).collect()
}

/// Inputs x `[N, …]` and samples `[M, …]`, both u8 or both f32. Outputs distances
/// `[N, k]` and indices u32 `[N, k]`, nearest first; among equal distances the lower
/// index comes first. Distances are u32 for bytes, else f32; those of l2 are squared.
#[derive(Debug)]
pub struct Knn {
    /// Neighbours, at most M.
    pub k: usize,
    /// The distance.
    pub metric: Distance,
}

impl Knn {
    fn bytes(x: &TensorType) -> bool {
        x.dtype == DType::U8
    }

    /// Elements that a kernel takes at once.
    fn part(x: &TensorType) -> usize {
        if x.items().is_multiple_of(4) { 4 } else { 1 }
    }

    /// Samples of a chunk. The limit is the loop of `merge`: every sample may move all neighbours by one place.
    fn chunk(&self, samples: usize) -> usize {
        let most = (ITERATIONS / (self.k + 1)).min(CHUNK) / 4 * 4;
        most.min(samples.next_multiple_of(4))
    }

    /// The ranges of samples in which the set is bound.
    fn windows(cx: &KernelCx) -> Vec<Range<usize>> {
        let set = cx.inputs[1];
        // Windows end on multiples of 256 bytes, because WebGPU wants bindings aligned so.
        let limit = cx.caps.max_binding / 256 * 256;
        match set.bytes(0) as u64 <= limit {
            true => std::iter::once(0..set.dims[0]).collect(),
            false => cx.row_windows(set.dims[0], cx.inputs[0].items()),
        }
    }

    fn distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let each = a.iter().zip(b).map(|(a, b)| a - b);
        match self.metric {
            Distance::L1 => each.map(f64::abs).sum(),
            Distance::L2 => each.map(|d| d * d).sum(),
        }
    }

    /// The k nearest samples of query `n`, as (distance, index).
    fn nearest(&self, x: &RefTensor, samples: &RefTensor, n: usize) -> Vec<(f64, usize)> {
        let items: usize = x.shape[1..].iter().product();
        let query = &x.data[n * items..(n + 1) * items];
        let row = |(i, row): (usize, &[f64])| (self.distance(query, row), i);
        let mut all: Vec<(f64, usize)> = samples.data.chunks_exact(items).enumerate().map(row).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.truncate(self.k);
        all
    }
}

impl Op for Knn {
    fn name(&self) -> &'static str {
        "knn"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let [x, samples] = [inputs[0], inputs[1]];
        assert_eq!((&samples.dims[1..], samples.dtype), (&x.dims[..], x.dtype), "samples are like the queries");
        if self.k > samples.dims[0] {
            let what = format!("k is {} and {} samples are stored", self.k, samples.dims[0]);
            return Err(ShapeError::new(what, "use a smaller k, or more samples"));
        }
        if self.k > MOST {
            return Err(ShapeError::new(format!("k is {}, over {MOST}", self.k), format!("use a k of at most {MOST}")));
        }
        let most = match (self.metric, Knn::bytes(x)) {
            // 255² for each byte; the sum must fit u32.
            (Distance::L2, true) => 66_051.min(ITERATIONS * Knn::part(x)),
            _ => ITERATIONS * Knn::part(x),
        };
        if x.items() > most {
            let what = format!("a sample has {} numbers, and its distances take at most {most}", x.items());
            return Err(ShapeError::new(what, "use smaller images, or l1"));
        }
        let dtype = if Knn::bytes(x) { DType::U32 } else { DType::F32 };
        let y = TensorType::batch(&[self.k]);
        Ok(vec![y.clone().with(dtype), y.with(DType::U32)])
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![None, None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (x, count) = (cx.inputs[0], cx.inputs[1].dims[0]);
        let (items, part, bytes) = (x.items(), Knn::part(x), Knn::bytes(x));
        let (rows, chunk) = (cx.batch.div_ceil(4), self.chunk(count));
        let (tile, progress) = (cx.scratch(chunk * rows * 4), cx.scratch(cx.batch));
        let best = [cx.output(0), cx.output(1)];
        let start = Kernel::new("knn", "start").write("best", best[0].clone()).write("best_index", best[1].clone());
        let start = start.write("progress", progress.clone()).set("K", self.k);
        cx.push(start.grid(Grid::per_sample(self.k)));
        for window in Knn::windows(cx) {
            let times = chunk.div_ceil(4 * 64);
            let common = |kernel: Kernel| {
                kernel.set("FIRST", window.start).set("COUNT", window.len()).set("CHUNK", chunk).set("ROWS", rows)
            };
            let distances = common(Kernel::new("knn", "distances"))
                .read("x", cx.input(0))
                .read("samples", cx.input_range(1, window.start * items, window.len() * items))
                .read("position", progress.clone())
                .write("tile4", tile.clone())
                .set("L1", usize::from(self.metric == Distance::L1))
                .set("BYTES", usize::from(bytes))
                .set("WIDE", usize::from(part == 4))
                .set("PARTS", items / part)
                .set("TIMES", times)
                .grid(Grid::tiles(1, 4, times, 64));
            let merge = common(Kernel::new("knn", "merge"))
                .read("tile", tile.clone())
                .read_write("progress", progress.clone())
                .read_write("best", best[0].clone())
                .read_write("best_index", best[1].clone())
                .set("K", self.k)
                .grid(Grid::per_sample(1));
            for _ in 0..window.len().div_ceil(chunk) {
                cx.push(distances.clone());
                cx.push(merge.clone());
            }
        }
    }

    fn reference(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Vec<f64> {
        let mut row = (usize::MAX, Vec::new());
        let one = |&i: &usize| {
            if row.0 != i / self.k {
                row = (i / self.k, self.nearest(&cx.inputs[0], &cx.inputs[1], i / self.k));
            }
            let (distance, index) = row.1[i % self.k];
            if output == 0 { distance } else { index as f64 }
        };
        indices.iter().map(one).collect()
    }

    fn magnitude(&self, cx: &RefCx, output: usize, indices: &[usize]) -> Option<Vec<f64>> {
        // All terms of a distance are positive or 0, so the distance is its own magnitude.
        (output == 0).then(|| self.reference(cx, output, indices))
    }

    fn flops(&self, inputs: &[&TensorType], _: &[&TensorType]) -> u64 {
        2 * inputs[1].items() as u64
    }
}

/// Inputs indices u32 `[N, k]` and labels i32 `[M]`. Output `[N, classes]`, the share of each class among the k
/// neighbours. Where several shares are largest, the lowest of these classes wins.
#[derive(Debug)]
pub struct Vote {
    /// How many classes there are.
    pub classes: usize,
}

impl Op for Vote {
    fn name(&self) -> &'static str {
        "vote"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        assert_eq!([inputs[0].dtype, inputs[1].dtype], [DType::U32, DType::I32], "indices and labels");
        Ok(vec![TensorType::batch(&[self.classes])])
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], _: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![None, None]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let kernel = Kernel::new("knn", "vote")
            .read("indices", cx.input(0))
            .read("labels", cx.input(1))
            .write("y", cx.output(0))
            .set("K", cx.inputs[0].items())
            .set("LABELS", cx.inputs[1].items())
            .set("CLASSES", self.classes)
            .grid(Grid::per_sample(self.classes));
        cx.push(kernel);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let (found, labels) = (&cx.inputs[0], &cx.inputs[1].data);
        let k = found.shape[1];
        let one = |&i: &usize| {
            let row = &found.data[i / self.classes * k..][..k];
            let label = |&index: &f64| labels[(index as usize).min(labels.len() - 1)] as usize;
            shares(row.iter().map(label), self.classes)[i % self.classes]
        };
        indices.iter().map(one).collect()
    }
}
