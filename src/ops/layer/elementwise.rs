//! add and mul with NumPy's broadcasting, the sums that undo broadcasting in gradients, and copies. Shapes are aligned
//! from the right. But N always meets N, so `[N, C]` fits `[N, H, W, C]`. More than two inputs are chained.

use crate::graph::{Builder, Grid, Kernel, KernelCx, Op, RefCx, ShapeError, Value};
use crate::ops::flow::Flow;
use crate::ops::layer::activation::{self, Activation, ActivationGrad, ActivationOp};
use crate::ops::registry::{Arity, Layer, LayerCx, Registry};
use crate::ops::tile::lanes_of;
use crate::spec::spec_struct;
use crate::tensor::{DType, TensorType};
use std::sync::Arc;

pub(crate) fn register(registry: &mut Registry) {
    registry.layer::<AddLayer>("add", "Adds its inputs, with NumPy's broadcasting.");
    registry.layer::<MulLayer>("mul", "Multiplies its inputs, with NumPy's broadcasting.");
    registry.ops(&["add", "mul", "copy", "reduce_sum"]);
}

spec_struct! {
    /// The layer `add`.
    pub struct AddLayer {}
}

spec_struct! {
    /// The layer `mul`.
    pub struct MulLayer {}
}

impl Layer for AddLayer {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        let add = |sum: Value, &x: &Value| {
            let same = cx.b.ty(sum) == cx.b.ty(x);
            Ok(cx.b.op(Add { same, ..Add::default() }, &[sum, x])?[0])
        };
        inputs[1..].iter().try_fold(inputs[0], add)
    }

    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        from[1..].iter().try_fold(from[0], |sum, &x| sum.spread(x))
    }
}

impl Layer for MulLayer {
    fn build(&self, cx: &mut LayerCx, inputs: &[Value]) -> Result<Value, ShapeError> {
        inputs[1..].iter().try_fold(inputs[0], |product, &x| Ok(cx.b.op(Mul, &[product, x])?[0]))
    }

    fn arity(&self) -> Arity {
        Arity::Many
    }

    fn flow(&self, from: &[Flow], _: usize) -> Option<Flow> {
        from[1..].iter().try_fold(from[0], |sum, &x| sum.spread(x))
    }
}

/// The invocations for `items` items of a tensor like `ty`: for each sample if it has a batch dimension, else once.
fn grid(ty: &TensorType, items: usize) -> Grid {
    if ty.batched { Grid::per_sample(items) } else { Grid::fixed(items) }
}

/// Most groups of dimensions that the kernels can index.
const GROUPS: usize = 5;

/// The type that both operands are broadcast to.
fn broadcast(a: &TensorType, b: &TensorType) -> Result<TensorType, ShapeError> {
    let rank = a.dims.len().max(b.dims.len());
    let dim = |t: &TensorType, i: usize| (i + t.dims.len()).checked_sub(rank).map_or(1, |k| t.dims[k]);
    let meet = |i: usize| match (dim(a, i), dim(b, i)) {
        (x, 1) => Some(x),
        (1, y) => Some(y),
        (x, y) => (x == y).then_some(x),
    };
    let dims: Option<Vec<usize>> = (0..rank).map(meet).collect();
    let Some(dims) = dims.filter(|_| a.dtype == DType::F32 && b.dtype == DType::F32) else {
        let hint =
            "aligned from the right, dimensions must be equal or 1; change the layers or pick other ones in `from`";
        return Err(ShapeError::new(format!("shapes {a} and {b} cannot be broadcast together"), hint));
    };
    let y = TensorType { dtype: DType::F32, batched: a.batched || b.batched, dims };
    if Groups::of(&y, [a, b]).0.len() > GROUPS {
        let hint = "reshape them to fewer dimensions";
        return Err(ShapeError::new(format!("broadcasting {a} and {b} takes more than {GROUPS} dimensions"), hint));
    }
    Ok(y)
}

/// Strides of `t` in the dimensions of `y`: 0 where `t` is broadcast. If `y` has a batch dimension, N is in front.
fn strides(t: &TensorType, y: &TensorType) -> Vec<usize> {
    let mut stride = 1;
    let mut strides = vec![0; y.dims.len()];
    for (k, &size) in t.dims.iter().enumerate().rev() {
        let i = y.dims.len() - t.dims.len() + k;
        strides[i] = if size == y.dims[i] { stride } else { 0 };
        stride *= size;
    }
    let lead = y.batched.then_some(if t.batched { stride } else { 0 });
    lead.into_iter().chain(strides).collect()
}

/// Dimensions of y, outermost first, as (size, strides of both operands). Neighbouring dimensions are joined where both
/// operands are contiguous. The size of the outermost is 0 if it contains N; nothing depends on it.
struct Groups(Vec<(usize, [usize; 2])>);

impl Groups {
    fn of(y: &TensorType, operands: [&TensorType; 2]) -> Groups {
        let [a, b] = operands.map(|t| strides(t, y));
        let sizes = y.batched.then_some(0).into_iter().chain(y.dims.iter().copied());
        let mut groups: Vec<(usize, [usize; 2])> = Vec::new();
        for ((size, a), b) in sizes.zip(a).zip(b).filter(|((size, _), _)| *size != 1) {
            match groups.last_mut() {
                Some(outer) if outer.1 == [a * size, b * size] => *outer = (outer.0 * size, [a, b]),
                _ => groups.push((size, [a, b])),
            }
        }
        Groups(groups)
    }

    /// 4 where the innermost group is a multiple of four for both operands, else 1.
    fn lanes(&self, y: &TensorType) -> usize {
        match self.0.as_slice() {
            [(_, [1, 1])] => lanes_of(y.items()),
            [.., (size, [1, 1])] => lanes_of(*size),
            _ => 1,
        }
    }

    /// Sets D1…D4 and the strides. The outermost group is number 0; the others are numbered so that the last is 4.
    fn constants(&self, mut kernel: Kernel, lanes: usize) -> Kernel {
        const NAMES: [[&str; 3]; GROUPS] =
            [["", "A0", "B0"], ["D1", "A1", "B1"], ["D2", "A2", "B2"], ["D3", "A3", "B3"], ["D4", "A4", "B4"]];
        let count = self.0.len();
        for (k, &(size, [a, b])) in self.0.iter().enumerate() {
            let innermost = k + 1 == count;
            let [d, a_name, b_name] = NAMES[if k == 0 { 0 } else { GROUPS - count + k }];
            let unit = if innermost { 1 } else { lanes };
            kernel = kernel.set(a_name, a / unit).set(b_name, b / unit);
            if k > 0 {
                kernel = kernel.set(d, if innermost { size / lanes } else { size });
            }
        }
        kernel
    }
}

/// The dispatch of add or mul. The caller pushes it.
fn binary(cx: &KernelCx, entry: &'static str) -> Kernel {
    let y = cx.outputs[0];
    let groups = Groups::of(y, [cx.inputs[0], cx.inputs[1]]);
    let lanes = groups.lanes(y);
    let items = y.items() / lanes;
    let kernel = Kernel::new("elementwise", entry)
        .lanes(lanes)
        .read("a", cx.input(0))
        .read("b", cx.input(1))
        .write("y", cx.output(0))
        .set("ITEMS", items)
        .set("BATCHED", usize::from(y.batched))
        .grid(grid(y, items));
    groups.constants(kernel, lanes)
}

/// Elements of both operands under element `index` of y.
fn pair(cx: &RefCx, index: usize) -> (f64, f64) {
    let rank = cx.inputs.iter().map(|t| t.shape.len()).max().expect("two operands");
    // N is in front of both shapes. So an operand with fewer dimensions
    // has its N there, too, and is not aligned from the right with it.
    // A list beside a larger tensor has no N: it is one number a channel.
    let dim = |k: usize, i: usize| {
        let shape = &cx.inputs[k].shape;
        match (i, (i + shape.len()).checked_sub(rank)) {
            _ if shape.len() == 1 && rank > 1 && i + 1 < rank => 1,
            _ if shape.len() == 1 => shape[0],
            (0, _) => shape.first().copied().unwrap_or(1),
            (_, Some(j)) if j > 0 || shape.len() == rank => shape[j],
            _ => 1,
        }
    };
    let (mut rest, mut at, mut stride) = (index, [0, 0], [1, 1]);
    for i in (0..rank).rev() {
        let size = dim(0, i).max(dim(1, i));
        let coordinate = rest % size;
        rest /= size;
        for k in 0..2 {
            at[k] += if dim(k, i) == 1 { 0 } else { coordinate * stride[k] };
            stride[k] *= dim(k, i);
        }
    }
    (cx.inputs[0].data[at[0]], cx.inputs[1].data[at[1]])
}

/// `dy`, summed to the type of `input`.
fn reduce_to(b: &mut Builder, dy: Value, input: Value) -> Value {
    let to = b.ty(input).clone();
    if *b.ty(dy) == to { dy } else { b.one(ReduceSum { to }, &[dy]) }
}

/// Inputs a, b. Output y = f(a + b), broadcast. It also sums the gradients of a value that has several readers. Then
/// `before` may be set: the third input is that value, y_in, and y = (a + b) · f'.
#[derive(Clone, Copy, Default, Debug)]
pub struct Add {
    /// Whether a and b are known to have y's type. Then an op that computes one of them can add the other.
    pub same: bool,
    /// The activation, applied to the sum (by fusion).
    pub activation: Option<Activation>,
    /// The activation that made the value of which a and b are gradients (by fusion).
    pub before: Option<Activation>,
}

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![broadcast(inputs[0], inputs[1])?])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None; 2] };
        inputs.iter().map(|&x| Some(reduce_to(b, dy, x))).collect()
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let Some(before) = self.before else {
            let kernel = binary(cx, "add");
            let kernel = self.activation.iter().fold(kernel, |kernel, activation| activation.constants(kernel));
            return cx.push(kernel);
        };
        let kernel = binary(cx, "add_gradients");
        let before = (before, cx.input(2));
        cx.push(activation::scale(kernel, "y_in", Some(&before), &cx.input(0)));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let one = |&i: &usize| {
            let (a, b) = pair(cx, i);
            self.activation.map_or(a + b, |f| f.eval(a + b)) * activation::factor(self.before, cx, i)
        };
        indices.iter().map(one).collect()
    }

    fn absorb(&self, next: &dyn Op, position: usize) -> Option<Arc<dyn Op>> {
        if self.activation.is_some() || self.before.is_some() {
            return None;
        }
        if let Some(next) = next.downcast_ref::<ActivationOp>() {
            return Some(Arc::new(Add { activation: Some(next.activation), ..*self }));
        }
        let before = ActivationGrad::of(next, position)?;
        Some(Arc::new(Add { before: Some(before), ..*self }))
    }
}

/// Inputs a, b; output y = a · b, broadcast.
#[derive(Debug)]
pub struct Mul;

impl Op for Mul {
    fn name(&self) -> &'static str {
        "mul"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![broadcast(inputs[0], inputs[1])?])
    }

    fn gradient(&self, b: &mut Builder, inputs: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        let Some(dy) = douts[0] else { return vec![None; 2] };
        let mut by = |x: Value, other: Value| {
            let product = b.one(Mul, &[dy, other]);
            Some(reduce_to(b, product, x))
        };
        vec![by(inputs[0], inputs[1]), by(inputs[1], inputs[0])]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        cx.push(binary(cx, "mul"));
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| pair(cx, i)).map(|(a, b)| a * b).collect()
    }
}

/// Input x. Output y = x, in a buffer of its own.
#[derive(Debug)]
pub struct Copy;

impl Op for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        Ok(vec![inputs[0].clone()])
    }

    fn gradient(&self, _: &mut Builder, _: &[Value], _: &[Value], douts: &[Option<Value>]) -> Vec<Option<Value>> {
        vec![douts[0]]
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let y = cx.outputs[0];
        let lanes = lanes_of(y.items());
        let items = y.items() / lanes;
        cx.push(
            Kernel::new("elementwise", "copy")
                .lanes(lanes)
                .read("a", cx.input(0))
                .write("y", cx.output(0))
                .set("ITEMS", items)
                .set("BATCHED", usize::from(y.batched))
                .grid(grid(y, items)),
        );
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        indices.iter().map(|&i| cx.inputs[0].data[i]).collect()
    }
}

/// Most terms of one sum that one invocation adds. Longer sums are split.
const TERMS: usize = 512;
/// Most partial sums of one element.
const PARTS: usize = 4096;

/// Input x. Output y of type `to`, whose dimensions are those of x,
/// or 1, or missing. x is summed over the dimensions that differ.
#[derive(Debug)]
pub struct ReduceSum {
    /// Type of y.
    pub to: TensorType,
}

impl ReduceSum {
    /// Dimensions of x, outermost first, as (size, kept). Neighbours that are
    /// both kept or both summed are joined. N comes first, with size `n`.
    fn groups(&self, x: &TensorType, n: usize) -> Vec<(usize, bool)> {
        let missing = x.dims.len() - self.to.dims.len();
        let kept = |i: usize| i >= missing && self.to.dims[i - missing] == x.dims[i];
        let own = x.dims.iter().enumerate().map(|(i, &size)| (size, kept(i))).filter(|d| d.0 != 1);
        let mut groups: Vec<(usize, bool)> = Vec::new();
        for (size, kept) in x.batched.then_some((n, self.to.batched)).into_iter().chain(own) {
            match groups.last_mut() {
                Some(outer) if outer.1 == kept => outer.0 *= size,
                _ => groups.push((size, kept)),
            }
        }
        groups
    }

    fn constants(&self, mut kernel: Kernel, x: &TensorType) -> Kernel {
        const NAMES: [[&str; 2]; GROUPS] = [["", "K0"], ["D1", "K1"], ["D2", "K2"], ["D3", "K3"], ["D4", "K4"]];
        let groups = self.groups(x, 0);
        for (k, &(size, kept)) in groups.iter().enumerate() {
            let [d, keep] = NAMES[if k == 0 { 0 } else { GROUPS - groups.len() + k }];
            kernel = kernel.set(keep, usize::from(kept));
            if k > 0 {
                kernel = kernel.set(d, size);
            }
        }
        let over_batch = x.batched && !self.to.batched;
        let summed = x.items() / self.to.items();
        kernel.set("TERMS", summed).set("OVER_BATCH", usize::from(over_batch))
    }

    /// All of y. `f` is applied to every term.
    fn sums(&self, cx: &RefCx, f: impl Fn(f64) -> f64) -> Vec<f64> {
        let x = &cx.inputs[0];
        let to = self.to.shape(cx.n);
        let rank = x.shape.len();
        // Strides of y in the dimensions of x: 0 where x is summed.
        let mut strides = vec![0; rank];
        let mut stride = 1;
        for (k, &size) in to.iter().enumerate().rev() {
            let i = if self.to.batched && k == 0 { 0 } else { rank - to.len() + k };
            strides[i] = if size == x.shape[i] { stride } else { 0 };
            stride *= size;
        }
        let mut sums = vec![0.0; stride];
        for (index, &term) in x.data.iter().enumerate() {
            let (mut rest, mut o) = (index, 0);
            for (size, stride) in x.shape.iter().zip(&strides).rev() {
                o += rest % size * stride;
                rest /= size;
            }
            sums[o] += f(term);
        }
        sums
    }
}

impl Op for ReduceSum {
    fn name(&self) -> &'static str {
        "reduce_sum"
    }

    fn shape(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, ShapeError> {
        let whole = broadcast(inputs[0], &self.to)?;
        assert_eq!(whole, *inputs[0], "a sum has its terms' dimensions or 1");
        assert!(self.groups(inputs[0], 0).len() <= GROUPS, "broadcast to at most {GROUPS} groups of dimensions");
        Ok(vec![self.to.clone()])
    }

    fn kernels(&self, cx: &mut KernelCx) {
        let (x, y) = (cx.inputs[0], cx.outputs[0]);
        let terms = x.len(cx.batch) / y.len(cx.batch);
        let parts = terms.div_ceil(TERMS).min(PARTS);
        let base = |entry, items: usize| {
            Kernel::new("elementwise", entry)
                .set("ITEMS", y.items())
                .set("BATCHED", usize::from(y.batched))
                .grid(grid(y, items))
        };
        if parts == 1 {
            let kernel = base("reduce_sum", y.items()).read("x", cx.input(0)).write("y", cx.output(0));
            return cx.push(self.constants(kernel, x));
        }
        let scratch = cx.scratch(parts * y.len(cx.batch));
        let kernel = base("reduce_sum_partial", y.items() * parts)
            .read("x", cx.input(0))
            .write("parts", scratch.clone())
            .set("PARTS", parts);
        cx.push(self.constants(kernel, x));
        let kernel =
            base("reduce_sum_parts", y.items()).read("parts_in", scratch).write("y", cx.output(0)).set("PARTS", parts);
        cx.push(kernel);
    }

    fn reference(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Vec<f64> {
        let sums = self.sums(cx, |x| x);
        indices.iter().map(|&o| sums[o]).collect()
    }

    fn magnitude(&self, cx: &RefCx, _: usize, indices: &[usize]) -> Option<Vec<f64>> {
        let sums = self.sums(cx, f64::abs);
        Some(indices.iter().map(|&o| sums[o]).collect())
    }
}
