//! A trained network, ready to predict.

use super::evaluate::Watch;
use super::problem::{self, Problem};
use super::run_folder::Run;
use super::{evaluate, measure, parameters};
use crate::compile::build::{self, BuildOptions, Feed};
use crate::compile::layout::Layout;
use crate::compile::{inference_graph, lower};
use crate::data::colour::Colour;
use crate::data::tensors::Tensors;
use crate::data::{FEATURES, PROPOSALS, picture};
use crate::error::{Error, Result};
use crate::gpu::{Bound, Device, Session};
use crate::graph::{NodeKind, Segment, Step};
use crate::model::{InputShape, InputSpec, Model, Normalize};
use crate::task::{self, Evaluation, Prediction, Task, Wanted};
use crate::tensor::{DType, Data, HostTensor, TensorType};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A trained network, bound to a session of its own.
pub struct Network {
    session: Session,
    bound: Bound,
    layout: Layout,
    model: Model,
    task: Arc<dyn Task>,
    /// Parameters and statistics of layers that prediction does not compute, such as those of an auxiliary head.
    pruned: BTreeMap<String, TensorType>,
}

/// The parameters and statistics of a whole model that are not in the layout of its network.
fn pruned(model: &Model, layout: &Layout) -> Result<BTreeMap<String, TensorType>> {
    let options = BuildOptions { training: false, random: false, loss: false, feed: Feed::Host };
    let whole = build::build(model, &options)?;
    let saved = |kind: &NodeKind| matches!(kind, NodeKind::Parameter { .. } | NodeKind::State { saved: true, .. });
    let other = whole.nodes.iter().filter(|node| saved(&node.kind) && !layout.entries.contains_key(&node.name));
    Ok(other.map(|node| (node.name.clone(), node.outputs[0].clone())).collect())
}

/// Samples as a model's input takes them. Bytes of images stay bytes, or
/// are scaled to 0…1 and normalised; features are normalised already.
pub fn input_data(input: &InputSpec, dtype: DType, images: &HostTensor) -> Data {
    let Data::U8(bytes) = &images.data else {
        // Without a layer that compares bytes, numbers go in as they are.
        let bytes = dtype == DType::U8;
        return if bytes { picture::as_bytes(images.data.clone()) } else { images.data.clone() };
    };
    if dtype == DType::U8 {
        return Data::U8(bytes.clone());
    }
    let channels = input.channels();
    let (mean, std) = match &input.normalize {
        Some(Normalize::Values { mean, std }) => (mean.clone(), std.clone()),
        _ => (vec![0.0; channels], vec![1.0; channels]),
    };
    let scale = |(i, &b): (usize, &u8)| {
        let c = i % channels;
        (f32::from(b) / 255.0 - mean[c] as f32) / std[c] as f32
    };
    Data::F32(bytes.iter().enumerate().map(scale).collect())
}

/// What to say where a network takes regions that somebody else proposed, and there are none.
pub fn no_regions() -> Error {
    let hint = "name a table of them: pumice predict RUN FILE… --proposals F.csv, with columns file, x1, y1, x2, y2 in pixels of the picture";
    Error::usage("the model takes regions of the picture that somebody else proposed, and there are none", hint)
}

impl Network {
    /// The network of a run folder, with the weights that are the best so far.
    ///
    /// # Errors
    /// A folder that is no run, or that has no weights yet; or what the adapter reports.
    pub async fn open(run: impl AsRef<Path>, device: &Device) -> Result<Network> {
        let run = Run::open(run.as_ref())?;
        let mut model = run.model()?;
        let weights = run.read_weights()?;
        problem::count_classes(&mut model, None)?;
        let batch = model.train.as_ref().map_or(1, |train| train.batch.get());
        let session = Session::new(device.clone());
        Network::new(session, &model, None, batch, (&run.weights_path(), &weights)).await
    }

    /// Binds a model that takes its input from the host, or from a
    /// problem's data on the adapter, and loads its weights.
    ///
    /// # Errors
    /// Weights of another model; or what the adapter reports.
    pub async fn new(
        session: Session,
        model: &Model,
        problem: Option<&Problem>,
        batch: usize,
        weights: (&Path, &Tensors),
    ) -> Result<Network> {
        let mut network = Network::bind(session, model.clone(), problem, batch, Layout::default()).await?;
        network.pruned = pruned(model, &network.layout)?;
        network.replace_weights(weights.0, weights.1)?;
        if let Some(p) = problem {
            p.upload(&network.session, model)?;
        }
        Ok(network)
    }

    /// Binds a model to a session that holds the tensors of `layout`, perhaps the parameters among them.
    pub(super) async fn bind(
        mut session: Session,
        model: Model,
        problem: Option<&Problem>,
        batch: usize,
        mut layout: Layout,
    ) -> Result<Network> {
        let caps = session.device().caps().clone();
        let samples = problem.map(|p| p.placed(batch, &caps));
        let feed = samples.map_or(Feed::Host, |s| Feed::Resident {
            count: s.count,
            order: "eval_order",
            positions: s.eval,
            stored: s.stored,
        });
        let graph = inference_graph(&model, feed, problem.is_some())?;
        layout.add(&graph, &caps)?;
        let task = task::of_graph(&model, &graph)?.into();
        let program = lower::lower(&graph, &layout, &caps, lower::LowerOptions { batch, reuse: true })?;
        let bound = session.bind(program, &layout).await?;
        Ok(Network { session, bound, layout, model, task, pruned: BTreeMap::new() })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What it has learnt.
    pub fn task(&self) -> &dyn Task {
        &*self.task
    }

    /// The same, for whoever decodes outputs elsewhere while the network computes others.
    pub fn shared_task(&self) -> Arc<dyn Task> {
        self.task.clone()
    }

    /// Takes other weights of the same model, from now on. They may hold the tensors of layers that prediction does not
    /// compute. After an error the network is as it was.
    ///
    /// # Errors
    /// Weights of another model, or values that are not finite.
    pub fn replace_weights(&mut self, file: &Path, weights: &Tensors) -> Result<()> {
        let fits = |(name, tensor): &(&String, &HostTensor)| {
            let other = self.pruned.get(*name);
            other.is_some_and(|ty| ty.dims == tensor.shape && ty.dtype == tensor.data.dtype())
        };
        let own = match weights.iter().any(|tensor| fits(&tensor)) {
            false => Cow::Borrowed(weights),
            true => {
                let rest = weights.iter().filter(|tensor| !fits(tensor));
                Cow::Owned(rest.map(|(name, tensor)| (name.clone(), tensor.clone())).collect())
            }
        };
        parameters::load(&self.session, &self.layout, file, &own, false).map(drop)
    }

    /// The layout of the model's persistent tensors.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What the network says about samples: images u8 `[n, h, w, c]`, or f32 of 0…1, of the input's size, as bright as
    /// the training data (the bundled digits are white on black); or rows f32 or f64 `[n, features]`
    /// with the numbers that a table has. They are normalised as in training. Classes come with names and
    /// probabilities, the likeliest first.
    ///
    /// # Errors
    /// Samples of another shape or type, or what the adapter reports.
    pub async fn predict(&mut self, samples: &HostTensor) -> Result<Vec<Prediction>> {
        let dims = self.model.input.dims();
        let table = self.model.input_field() == FEATURES;
        let (wanted, other) = if table { (DType::F32, DType::F64) } else { (DType::U8, DType::F32) };
        if samples.shape.get(1..) != Some(&dims[..]) || ![wanted, other].contains(&samples.data.dtype()) {
            let what = format!("samples {:?} of {:?} do not fit the network", samples.shape, samples.data.dtype());
            let shape: Vec<String> = std::iter::once("n".into()).chain(dims.iter().map(usize::to_string)).collect();
            return Err(Error::usage(what, format!("give {wanted:?} [{}]", shape.join(", "))));
        }
        let samples = measure::features(samples.clone(), &self.model.input);
        let mut all = Vec::with_capacity(samples.shape[0]);
        for part in samples.chunks(self.batch()) {
            let found = self.outputs(&part).await?;
            let (dims, each) = (&found.shape[1..], found.as_f32().len() / found.shape[0]);
            let decode = |output: &[f32]| {
                self.task.decode(output, dims, &Wanted { top: usize::MAX, size: None, score: Wanted::SCORE })
            };
            all.extend(found.as_f32().chunks_exact(each).map(decode));
        }
        Ok(all)
    }

    /// What the network says about a picture of any size, in one of the formats [`picture::FORMATS`].
    ///
    /// # Errors
    /// A file that is no picture, a network that takes no pictures, or what the adapter reports.
    pub async fn predict_file(&mut self, file: impl AsRef<Path>) -> Result<Prediction> {
        let InputShape::Image { height, width, channels } = self.model.input.shape else {
            let what = "the network takes rows of a table, not pictures";
            return Err(Error::usage(what, "give its features to `predict`"));
        };
        let background = self.model.data.as_ref().map_or(Colour::WHITE, |data| data.reader.background());
        let picture = picture::sample(file.as_ref(), [height, width, channels], background)?;
        Ok(self.predict(&picture).await?.remove(0))
    }

    /// Evaluates positions of the problem that the network was bound with. The watcher is told of every sample.
    ///
    /// # Errors
    /// What the adapter or the watcher reports.
    pub async fn evaluate(&mut self, problem: &Problem, positions: &[u32], watch: Watch<'_>) -> Result<Evaluation> {
        let (session, bound) = (&mut self.session, &self.bound);
        evaluate::evaluate_each(session, bound, &*self.task, problem, positions, watch).await
    }

    /// The last layer's outputs for u8 images `[n, h, w, c]` or f32
    /// features `[n, features]`, which are normalised already. n is at most the planned batch.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn outputs(&mut self, images: &HostTensor) -> Result<HostTensor> {
        self.outputs_at(images, &[]).await
    }

    /// As [`Network::outputs`], for a network that takes regions that somebody else proposed: those of each sample, `[n, regions, 5]`
    /// flattened, as [`crate::data::PROPOSALS`] has them.
    ///
    /// # Errors
    /// No regions, where the network takes some; what the adapter reports.
    pub async fn outputs_at(&mut self, images: &HostTensor, regions: &[f32]) -> Result<HostTensor> {
        if let Some(input) = self.bound.program().inputs.get(PROPOSALS) {
            if regions.len() != images.shape[0] * input.ty.items() {
                return Err(no_regions());
            }
            self.session.write_input(&self.bound, PROPOSALS, &Data::F32(regions.to_vec()));
        }
        self.output(images, "output").await
    }

    /// For a layer `knn`: the nearest stored samples, u32 `[n, k]`, for images as in [`Network::outputs`].
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn neighbours(&mut self, images: &HostTensor) -> Result<HostTensor> {
        self.output(images, "neighbours").await
    }

    /// The planned batch.
    pub fn batch(&self) -> usize {
        self.bound.program().batch
    }

    /// Gives the session back, for another model.
    pub fn into_session(self) -> Session {
        self.session
    }

    async fn output(&mut self, images: &HostTensor, name: &str) -> Result<HostTensor> {
        let n = images.shape[0];
        let dtype = self.bound.program().inputs["input"].ty.dtype;
        self.session.write_input(&self.bound, "input", &input_data(&self.model.input, dtype, images));
        self.session.run(&self.bound, &[Segment::Forward], &Step::of(n)).await?;
        self.session.read_output(&self.bound, name, n).await
    }
}
