//! A trained network that is looked at: its weights on the adapter, and any number of programs that read them.

use super::samples::Sample;
use super::scores::{Chosen, Scores};
use crate::compile::layout::Layout;
use crate::compile::lower::{self, LowerOptions};
use crate::compile::show::{self, Gradients, Looking, SCORES, SEED};
use crate::data::tensors::Tensors;
use crate::error::{Error, Result};
use crate::gpu::{Bound, Device, Session};
use crate::graph::{Graph, NodeKind, Segment, Step, Value};
use crate::model::{InputShape, LayerNode, Model};
use crate::spec::suggest;
use crate::task;
use crate::tensor::{Data, HostTensor, TensorType};
use crate::train::{Run, parameters, problem};
use std::path::Path;

/// Values of the input that one program takes at once, about: more pictures of a small network.
const VALUES: usize = 1 << 18;
/// The most pictures that a program takes at once.
const MOST: usize = 32;

/// A trained network that takes pictures, bound to a session of its own.
pub struct Viewer {
    session: Session,
    layout: Layout,
    model: Model,
    /// The forward graph before fusion: it knows every layer's shape.
    graph: Graph,
    scores: Scores,
    forward: View,
}

/// A program that computes something to look at.
pub struct View {
    bound: Bound,
}

impl View {
    /// Whether the program computes a value of a name: a gradient is missing where the value does not depend on the layer.
    pub fn has(&self, name: &str) -> bool {
        self.bound.program().outputs.contains_key(name)
    }

    /// How many pictures it takes at once.
    pub fn batch(&self) -> usize {
        self.bound.program().batch
    }
}

impl Viewer {
    /// The network of a run folder, with the weights that are the best so far.
    ///
    /// # Errors
    /// A folder that is no run, or that has no weights yet; a network that takes no pictures; or what the adapter reports.
    pub async fn open(run: impl AsRef<Path>, device: &Device) -> Result<Viewer> {
        let run = Run::open(run.as_ref())?;
        let mut model = run.model()?;
        Viewer::check(&model)?;
        let weights = run.read_weights()?;
        problem::count_classes(&mut model, None)?;
        Viewer::new(Session::new(device.clone()), &model, (&run.weights_path(), &weights)).await
    }

    /// Fails for a model at which there is nothing to look: one that takes no pictures, or only stores samples.
    ///
    /// # Errors
    /// Such a model.
    pub fn check(model: &Model) -> Result<()> {
        if let InputShape::Features(n) = model.input.shape {
            let what = format!("the model takes {n} features, not pictures");
            return Err(Error::file(&model.source.file, what, "show a run whose input has height, width and channels"));
        }
        if let Some((layer, _)) = model.knn() {
            let what = format!("layer `{}` stores samples: it has neither filters nor gradients", layer.name);
            return Err(model.mistake(&layer.place, what, "show a run that was trained by steps"));
        }
        Ok(())
    }

    /// A model with weights, on a session without other programs.
    ///
    /// # Errors
    /// A model that takes no pictures; weights of another model; or what the adapter reports.
    pub async fn new(mut session: Session, model: &Model, weights: (&Path, &Tensors)) -> Result<Viewer> {
        Viewer::check(model)?;
        let graph = show::forward(model)?;
        let caps = session.device().caps().clone();
        let mut layout = Layout::default();
        layout.add(&graph, &caps)?;
        let batch = (VALUES / model.input_type().items().max(1)).clamp(1, MOST);
        let forward = view(&mut session, &mut layout, model, &Looking::default(), batch).await?;
        parameters::load(&session, &layout, weights.0, weights.1, false)?;
        let dims = graph.ty(show::scores(&graph, model)).dims.clone();
        let task = task::of_graph(model, &graph)?;
        let scores = Scores::of(model, &*task, &dims, graph.decoder.clone());
        Ok(Viewer { session, layout, model: model.clone(), graph, scores, forward })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What its scores stand for.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }

    /// Height, width and channels of the input.
    pub fn size(&self) -> [usize; 3] {
        match self.model.input.shape {
            InputShape::Image { height, width, channels } => [height, width, channels],
            InputShape::Features(_) => panic!("the constructor has refused it"),
        }
    }

    /// The type of a layer's output.
    ///
    /// # Errors
    /// A name that no layer has.
    pub fn layer(&self, name: &str) -> Result<&TensorType> {
        let known: Vec<&str> = self.graph.layers.iter().map(|layer| layer.name.as_str()).collect();
        if !known.contains(&name) {
            let what = format!("the model has no layer `{name}`");
            return Err(Error::usage(what, suggest(name, &known, "`", "the layers are")));
        }
        Ok(self.graph.ty(show::output(&self.graph, name)))
    }

    /// A layer whose output is a picture of several channels: `[height, width, channels]`.
    ///
    /// # Errors
    /// A name that no layer has, or a layer whose output is none.
    pub fn map_layer(&self, name: &str) -> Result<[usize; 3]> {
        let dims = &self.layer(name)?.dims;
        dims.as_slice().try_into().map_err(|_| {
            let what = format!("layer `{name}` puts out {dims:?}, which is no picture");
            let maps = self.map_layers();
            let hint = match maps.is_empty() {
                true => "no layer of this model puts out pictures".into(),
                false => format!("take one of {}", maps.join(", ")),
            };
            Error::usage(what, hint)
        })
    }

    /// The layers whose outputs are pictures.
    pub fn map_layers(&self) -> Vec<&str> {
        let picture = |name: &&str| self.graph.ty(show::output(&self.graph, name)).dims.len() == 3;
        self.graph.layers.iter().map(|layer| layer.name.as_str()).filter(picture).collect()
    }

    /// The last convolution before the scores whose output has more than one pixel, with what stands behind it: the layer
    /// that ends its normalisation, its activation, and the sum of a residual.
    ///
    /// # Errors
    /// A model without one.
    pub fn last_convolution(&self) -> Result<String> {
        const BEHIND: [&str; 5] = ["batch_norm", "layer_norm", "activation", "dropout", "add"];
        let before = self.before(show::scores(&self.graph, &self.model));
        // The scores of a segmenter are a convolution too, and say nothing new.
        let judged = self.model.judged();
        let fits = |layer: &&LayerNode| {
            let value = show::output(&self.graph, &layer.name);
            let dims = &self.graph.ty(value).dims;
            let maps = layer.op.starts_with("conv") && dims.len() == 3 && dims[0] * dims[1] > 1;
            maps && layer.name != judged && before[value.node]
        };
        let Some(mut last) = self.model.layers.iter().rev().find(fits) else {
            let what = "the model has no convolution whose output is a picture";
            let hint = match self.map_layers().is_empty() {
                true => "show its saliency instead",
                false => "name another layer with --layer, or show its saliency",
            };
            return Err(Error::file(&self.model.source.file, what, hint));
        };
        loop {
            let mut readers = self.model.layers.iter().filter(|layer| layer.from.contains(&last.name));
            match (readers.next(), readers.next()) {
                (Some(next), None) if BEHIND.contains(&next.op) && next.name != judged => last = next,
                _ => return Ok(last.name.clone()),
            }
        }
    }

    /// The first layer that has filters, and the name of its weight: `[filters, rows, columns, channels]`.
    ///
    /// # Errors
    /// A name that no layer has, or a layer, or a model, without filters.
    pub fn filters(&self, layer: Option<&str>) -> Result<(String, String)> {
        layer.map(|name| self.layer(name)).transpose()?;
        let of_layer = |index: usize| layer.is_none_or(|name| self.graph.layers[index].name == name);
        let mut weights = self.graph.nodes.iter().filter_map(|node| {
            let parameter = matches!(node.kind, NodeKind::Parameter { .. }) && node.outputs[0].dims.len() == 4;
            node.layer.filter(|&index| parameter && of_layer(index)).map(|index| (index, node.name.clone()))
        });
        weights.next().map(|(index, weight)| (self.graph.layers[index].name.clone(), weight)).ok_or_else(|| {
            let (what, hint) = match layer {
                Some(name) => (format!("layer `{name}` has no filters"), "name a convolution, or leave --layer out"),
                None => ("the model has no filters: no layer is a convolution".into(), "show its saliency instead"),
            };
            Error::file(&self.model.source.file, what, hint)
        })
    }

    /// The layer whose output the head reads: the last layer with parameters before the scores. `input` for a model of a
    /// single layer.
    pub fn features(&self) -> String {
        let scores = show::scores(&self.graph, &self.model);
        let before = self.before(scores);
        let weighted = |i: &usize| {
            let inputs = &self.graph.nodes[*i].inputs;
            inputs.iter().any(|v| matches!(self.graph.nodes[v.node].kind, NodeKind::Parameter { .. }))
        };
        let head = (0..=scores.node).rev().filter(|&i| before[i]).find(weighted);
        let layer = head.and_then(|i| self.graph.nodes[i].layer);
        layer.map_or("input".into(), |index| self.model.layers[index].from[0].clone())
    }

    /// Which nodes a value depends on.
    fn before(&self, value: Value) -> Vec<bool> {
        let mut before = vec![false; self.graph.nodes.len()];
        before[value.node] = true;
        for i in (0..=value.node).rev().filter(|&i| i == value.node || !self.graph.nodes[i].inputs.is_empty()) {
            if before[i] {
                self.graph.nodes[i].inputs.iter().for_each(|v| before[v.node] = true);
            }
        }
        before
    }

    /// Reads a parameter.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn parameter(&mut self, name: &str) -> Result<HostTensor> {
        self.session.read_tensor(name, None).await
    }

    /// Compiles and binds a program.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn look(&mut self, looking: &Looking<'_>) -> Result<View> {
        let batch = self.forward.batch();
        view(&mut self.session, &mut self.layout, &self.model, looking, batch).await
    }

    /// A program with gradients of the scores with respect to one layer's output, or to the batch as `input`.
    ///
    /// # Errors
    /// Scores that do not depend on the layer, or what the adapter reports.
    pub async fn look_back(&mut self, gradients: Gradients<'_>, layers: &[&str]) -> Result<View> {
        let view = self.look(&Looking { layers, gradients: Some(gradients) }).await?;
        match gradients.to.iter().find(|layer| !view.has(&format!("grad/{layer}"))) {
            None => Ok(view),
            Some(layer) => {
                let of = gradients.of.map_or("the scores do".into(), |of| format!("layer `{of}` does"));
                let what = format!("{of} not depend on `{layer}`, or there is no gradient between them");
                Err(Error::usage(what, "name another layer"))
            }
        }
    }

    /// Runs a program for pictures, `[n, height, width, channels]` normalised and flattened, at most its batch. `seeds`
    /// are the directions of the gradients, one a picture. Returns kept values by `names`, each `[n, …]`.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn run(
        &mut self,
        view: &View,
        inputs: &[f32],
        seeds: Option<&[f32]>,
        names: &[&str],
    ) -> Result<Vec<Vec<f32>>> {
        let n = inputs.len() / self.model.input_type().items();
        execute(&mut self.session, view, n, (inputs, seeds), names).await
    }

    /// The scores of pictures of any number: one row each.
    ///
    /// # Errors
    /// What the adapter reports.
    pub async fn score(&mut self, pictures: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        let mut all = Vec::with_capacity(pictures.len());
        let each: usize = self.scores.dims.iter().product();
        for part in pictures.chunks(self.forward.batch()) {
            let (inputs, n) = (part.concat(), part.len());
            let found = execute(&mut self.session, &self.forward, n, (&inputs, None), &[SCORES]).await?;
            all.extend(found[0].chunks_exact(each).map(<[f32]>::to_vec));
        }
        Ok(all)
    }

    /// The class of a picture that a word names, or the one that is predicted.
    ///
    /// # Errors
    /// A class that the model has not, or what the adapter reports.
    pub async fn choose(&mut self, sample: &Sample, class: Option<&str>) -> Result<Chosen> {
        let class = class.map(|word| self.scores.class(word)).transpose()?;
        let scores = self.score(&[&sample.input]).await?.remove(0);
        let class = class.unwrap_or_else(|| self.scores.predicted(&scores));
        Ok(self.scores.choose(&scores, class))
    }
}

/// Binds a program.
async fn view(
    session: &mut Session,
    layout: &mut Layout,
    model: &Model,
    looking: &Looking<'_>,
    batch: usize,
) -> Result<View> {
    let graph = show::graph(model, looking)?;
    let caps = session.device().caps().clone();
    layout.add(&graph, &caps)?;
    let program = lower::lower(&graph, layout, &caps, LowerOptions { batch, reuse: true })?;
    Ok(View { bound: session.bind(program, layout).await? })
}

/// Runs a program for `n` pictures, and reads what it keeps.
async fn execute(
    session: &mut Session,
    view: &View,
    n: usize,
    (inputs, seeds): (&[f32], Option<&[f32]>),
    names: &[&str],
) -> Result<Vec<Vec<f32>>> {
    let known = &view.bound.program().inputs;
    for (name, data) in [("input", Some(inputs)), (SEED, seeds)] {
        if let Some(data) = data.filter(|_| known.contains_key(name)) {
            session.write_input(&view.bound, name, &Data::F32(data.to_vec()));
        }
    }
    session.run(&view.bound, &[Segment::Forward, Segment::Backward], &Step::of(n)).await?;
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let tensor = session.read_output(&view.bound, name, n).await?;
        found.push(tensor.as_f32().to_vec());
    }
    Ok(found)
}
