//! Models that are solved for at once: least squares by the normal equation, XᵀX w = Xᵀy. The adapter sums products
//! over a batch. The host adds the batches and solves, in f64.

use crate::compile::update::SUMS;
use crate::compile::{self, Training};
use crate::data::store::Store;
use crate::data::tensors::Tensors;
use crate::data::{Split, VALUES};
use crate::error::{Error, Result};
use crate::gpu::{Bound, Session};
use crate::graph::{Segment, Step};
use crate::host::Instant;
use crate::model::{Model, TrainSpec};
use crate::task::{self, Evaluation, Task};
use crate::tensor::{Data, HostTensor};
use crate::train::evaluate::{Watch, evaluate_each};
use crate::train::event::{Control, Epoch, Event};
use crate::train::problem::Problem;
use crate::train::run_folder::Run;
use crate::train::{bind, parameters};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use std::path::Path;

/// How often the equation is solved: first for the targets, then for what
/// the solution leaves of them. That removes the rounding of f32 sums.
const PASSES: usize = 3;
/// A column's coefficient can be determined in f32 only if other
/// columns leave at least this share of its spread unexplained.
const INDEPENDENT: f64 = 1e-6;
/// A column whose relative spread is at most this counts as constant: f32 cannot resolve it.
const CONSTANT: f64 = 1e-6;

/// A dense layer and its training set, bound to a session.
pub struct NormalEquation {
    session: Session,
    training: Training,
    sums: Bound,
    eval: Bound,
    task: Box<dyn Task>,
    problem: Problem,
    model: Model,
    /// The dense layer's name.
    layer: String,
    batch: usize,
    start: Instant,
    /// The solution.
    found: Tensors,
}

impl NormalEquation {
    /// Compiles and binds the programs, puts the data set on the adapter, and solves. Writes nothing.
    ///
    /// # Errors
    /// Shapes that do not fit, fewer rows than parameters, columns that depend on each other, too little memory, or what
    /// the adapter reports.
    pub async fn new(
        mut session: Session,
        model: &Model,
        train: &TrainSpec,
        problem: Problem,
    ) -> Result<NormalEquation> {
        let caps = session.device().caps().clone();
        let batch = train.batch.get();
        let training = compile::training(model, train, problem.placed(batch, &caps), &caps)?;
        compile::plan::check_memory((model, train), &training, &caps)?;
        let bound = bind::programs(&mut session, &training).await;
        let (sums, eval) = bound.map_err(|e| bind::advised(e, &session, model, train))?;
        problem.upload(&session, model)?;
        session.reserve_staging(&training.layout).await?;
        let layer = model.layers.last().expect("a model has layers").name.clone();
        let task = task::of(model)?;
        let (start, found) = (Instant::now(), Tensors::new());
        let model = model.clone();
        let mut solver =
            NormalEquation { session, training, sums, eval, task, problem, model, layer, batch, start, found };
        let (rows, unknown) = (solver.problem.train.len(), solver.width() + usize::from(solver.has_bias()));
        if rows < unknown {
            let what = format!("{rows} rows do not determine {unknown} coefficients");
            return Err(Error::usage(what, "train on more rows, or choose fewer columns with data.features"));
        }
        solver.found = solver.solve().await?;
        Ok(solver)
    }

    /// The model.
    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// Writes the solution, and how good it is.
    pub(super) async fn run(&mut self, run: &Run, watch: &mut dyn FnMut(&Event) -> Control) -> Result<&'static str> {
        run.write_weights(&self.found)?;
        let train = self.evaluate(&self.problem.train.clone(), &mut |_| Ok(())).await?;
        let held_back = self.problem.validation.clone();
        let validation =
            if held_back.is_empty() { None } else { Some(self.evaluate(&held_back, &mut |_| Ok(())).await?) };
        let epoch = Epoch {
            epoch: 1,
            step: 0,
            losses: Vec::new(),
            skipped: 0,
            grad_norm: None,
            train_loss: train.loss,
            counted: None,
            metrics: self.task.metrics(),
            validation,
            samples: self.problem.train.len(),
            seconds: self.start.elapsed().as_secs_f64(),
            samples_per_second: None,
            best: true,
        };
        run.append_metrics(&epoch.to_json())?;
        watch(&Event::Epoch(epoch));
        watch(&Event::End { step: 0, reason: "finished", losses: Vec::new() });
        Ok("finished")
    }

    /// How good the solution is on the samples that a finished model is judged on.
    pub(super) async fn judge(&mut self, watch: Watch<'_>) -> Result<(Split, Evaluation)> {
        let split = self.problem.judged_split();
        let positions = self.problem.positions(split).to_vec();
        Ok((split, self.evaluate(&positions, watch).await?))
    }

    /// The data.
    pub(super) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Gives the data back.
    pub(super) fn into_problem(self) -> Problem {
        self.problem
    }

    /// Solves for the parameters, writes them to the adapter and returns them by name.
    ///
    /// # Errors
    /// Columns that depend on each other; or what the adapter reports.
    async fn solve(&mut self) -> Result<Tensors> {
        let centre = Centre::of(&self.problem, self.has_bias());
        let (width, units) = (self.width(), self.units());
        let mut weight = DMatrix::zeros(units, width);
        let mut equation = None;
        for _ in 0..PASSES {
            let [xx, yx] = self.sum(&centre, &weight).await?;
            let equation = match &mut equation {
                Some(equation) => equation,
                empty => empty.insert(Equation::new(xx, &centre, &self.problem)?),
            };
            weight += equation.solve(&yx);
        }
        let rows: Vec<f32> = weight.transpose().iter().map(|&w| w as f32).collect();
        let mut found = Tensors::from([(self.name("weight"), HostTensor::f32(&[units, width], rows))]);
        if self.has_bias() {
            let bias = DVector::from_column_slice(&centre.y) - &weight * DVector::from_column_slice(&centre.x);
            let bias = bias.iter().map(|&b| b as f32).collect();
            found.insert(self.name("bias"), HostTensor::f32(&[units], bias));
        }
        parameters::load(&self.session, &self.training.layout, Path::new("solution"), &found, false)?;
        Ok(found)
    }

    /// Evaluates positions of the problem with the parameters on the adapter.
    ///
    /// # Errors
    /// What the adapter reports.
    async fn evaluate(&mut self, positions: &[u32], watch: Watch<'_>) -> Result<Evaluation> {
        evaluate_each(&mut self.session, &self.eval, &*self.task, &self.problem, positions, watch).await
    }

    fn name(&self, parameter: &str) -> String {
        format!("{}.{parameter}", self.layer)
    }

    fn has_bias(&self) -> bool {
        self.training.layout.entries.contains_key(&self.name("bias"))
    }

    fn units(&self) -> usize {
        self.training.layout.entries[&self.name("weight")].ty.dims[0]
    }

    fn width(&self) -> usize {
        self.training.layout.entries[&self.name("weight")].ty.dims[1]
    }

    /// XᵀX and yᵀX over the training rows, after subtracting the
    /// centre. y is what `weight` `[units, in]` leaves of the targets.
    async fn sum(&mut self, centre: &Centre, weight: &DMatrix<f64>) -> Result<[DMatrix<f64>; 2]> {
        let (units, width) = weight.shape();
        let mut total = [DMatrix::zeros(width, width), DMatrix::zeros(units, width)];
        for positions in self.problem.train.chunks(self.batch) {
            let x = less(numbers(self.problem.samples(), positions), &centre.x);
            let mut y = less(numbers(&self.problem.column(VALUES).store, positions), &centre.y);
            for (row, rest) in x.chunks_exact(width).zip(y.chunks_exact_mut(units)) {
                let row = DVector::from_iterator(width, row.iter().map(|&x| f64::from(x)));
                let explained = weight * row;
                rest.iter_mut().zip(explained.iter()).for_each(|(y, e)| *y = (f64::from(*y) - e) as f32);
            }
            self.session.write_input(&self.sums, "input", &Data::F32(x));
            self.session.write_input(&self.sums, "target", &Data::F32(y));
            self.session.run(&self.sums, &[Segment::Forward, Segment::Backward], &Step::of(positions.len())).await?;
            for (name, total) in SUMS.iter().zip(&mut total) {
                let part = self.session.read_output(&self.sums, name, positions.len()).await?;
                *total += DMatrix::from_row_iterator(total.nrows(), width, part.data.to_f64());
            }
        }
        Ok(total)
    }
}

/// What is subtracted from features and targets. With a bias: their means over the training rows. That takes the bias
/// out of the equation, and keeps the digits of f32 sums for the differences between rows. Without a bias: zeros.
struct Centre {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Centre {
    fn of(problem: &Problem, bias: bool) -> Centre {
        let mean = |values: Vec<f32>| {
            let rows = problem.train.len();
            let width = values.len() / rows;
            let column = |c: usize| values[c..].iter().step_by(width).map(|&x| f64::from(x)).sum::<f64>();
            (0..width).map(|c| if bias { column(c) / rows as f64 } else { 0.0 }).collect()
        };
        let of = |store| mean(numbers(store, &problem.train));
        Centre { x: of(problem.samples()), y: of(&problem.column(VALUES).store) }
    }
}

/// A column of some rows of a table, `[positions, width]`, flattened.
fn numbers(column: &Store, positions: &[u32]) -> Vec<f32> {
    match column.read(positions).expect("a table lies in memory") {
        Data::F32(numbers) => numbers,
        other => panic!("the columns of a table of values are f32, not {:?}", other.dtype()),
    }
}

/// Rows, after subtracting a centre.
fn less(rows: Vec<f32>, centre: &[f64]) -> Vec<f32> {
    rows.iter().zip(centre.iter().cycle()).map(|(&x, centre)| (f64::from(x) - centre) as f32).collect()
}

/// XᵀX, factorised. Columns are scaled to length 1, so that their units do not matter.
struct Equation {
    lengths: DVector<f64>,
    factor: Cholesky<f64, Dyn>,
}

impl Equation {
    fn new(xx: DMatrix<f64>, centre: &Centre, problem: &Problem) -> Result<Equation> {
        let rows = problem.train.len() as f64;
        let constant = |c: usize| xx[(c, c)] <= rows * (CONSTANT * centre.x[c]).powi(2);
        if let Some(column) = (0..xx.nrows()).find(|&c| constant(c)) {
            let what = format!("column {} has the same value in every row: XᵀX is singular", name(problem, column));
            return Err(Error::usage(what, "leave it out with data.features"));
        }
        let lengths = xx.diagonal().map(f64::sqrt);
        let scaled = DMatrix::from_fn(xx.nrows(), xx.ncols(), |i, j| xx[(i, j)] / lengths[i] / lengths[j]);
        let sound = |factor: &Cholesky<f64, Dyn>| factor.l_dirty().diagonal().iter().all(|l| l * l > INDEPENDENT);
        match Cholesky::new(scaled.clone()).filter(sound) {
            Some(factor) => Ok(Equation { lengths, factor }),
            None => {
                let names: Vec<String> = dependent(scaled).into_iter().map(|c| name(problem, c)).collect();
                let what = format!("columns {} depend on each other linearly: XᵀX is singular", names.join(", "));
                Err(Error::usage(what, "leave one of them out with data.features"))
            }
        }
    }

    /// The weight `[units, in]` that solves for yᵀX `[units, in]`.
    fn solve(&self, yx: &DMatrix<f64>) -> DMatrix<f64> {
        let mut xy = yx.transpose();
        let scale = |xy: &mut DMatrix<f64>| {
            for (mut row, length) in xy.row_iter_mut().zip(self.lengths.iter()) {
                row /= *length;
            }
        };
        scale(&mut xy);
        self.factor.solve_mut(&mut xy);
        scale(&mut xy);
        xy.transpose()
    }
}

fn name(problem: &Problem, column: usize) -> String {
    problem.features.get(column).map_or(format!("{column}"), |name| format!("`{name}`"))
}

/// The columns that take part in combinations which are nearly zero. `scaled` is XᵀX with ones on its diagonal.
fn dependent(scaled: DMatrix<f64>) -> Vec<usize> {
    // A column whose part is smaller than this takes part only by rounding.
    const PART: f64 = 1e-2;
    let count = scaled.nrows();
    let eigen = scaled.symmetric_eigen();
    let least = eigen.eigenvalues.min();
    let near = (0..count).filter(|&k| eigen.eigenvalues[k] <= least.max(10.0 * INDEPENDENT));
    let combinations: Vec<usize> = near.collect();
    let part = |c: usize| combinations.iter().any(|&k| eigen.eigenvectors[(c, k)].abs() > PART);
    (0..count).filter(|&c| part(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_depend_on_each_other_are_named() {
        // Column 3 is the sum of columns 0 and 2; column 1 is independent.
        let x: DMatrix<f64> = DMatrix::from_row_slice(
            6,
            4,
            &[
                1.0, 2.0, 0.5, 1.5, -1.0, 1.0, 2.0, 1.0, 0.5, -1.0, 1.0, 1.5, 2.0, 0.0, -1.0, 1.0, 0.0, 1.5, -2.0,
                -2.0, -1.5, 0.5, 1.0, -0.5,
            ],
        );
        let xx = x.transpose() * &x;
        let scaled = DMatrix::from_fn(4, 4, |i, j| xx[(i, j)] / (xx[(i, i)] * xx[(j, j)]).sqrt());
        assert_eq!(dependent(scaled), [0, 2, 3]);
    }
}
