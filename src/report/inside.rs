//! What happens inside of a network that takes pictures: filters, what layers make of a few pictures, where samples lie
//! among each other, and which units never answer.

use super::html::{Section, address, escape, image, sharp, short};
use super::look::album::Album;
use super::weights::Dead;
use crate::compile::show::{Looking, SCORES};
use crate::data::draw;
use crate::data::tensors::Tensors;
use crate::error::Result;
use crate::gpu::Session;
use crate::host::Instant;
use crate::model::{LayerNode, Model};
use crate::ops::layer::activation::ActivationKind;
use crate::show::canvas::{Canvas, Map};
use crate::show::colour::{grey, signed, viridis};
use crate::show::embedding::pca;
use crate::show::scores::Meaning;
use crate::show::viewer::View;
use crate::show::{Sample, Viewer, samples};
use crate::tensor::HostTensor;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Filters that are drawn at most, and the CSS pixels of one.
const FILTERS: [usize; 2] = [96, 56];
/// Pictures whose way through the network is shown.
const PICTURES: usize = 3;
/// Layers on that way, and channels of each.
const MAPS: [usize; 2] = [8, 8];
/// A map has at most so many pixels a side.
const MAP: usize = 40;
/// Samples in the plane, at least and at most.
const SAMPLES: [usize; 2] = [8, 400];
/// No more samples are looked at after this time.
const PATIENCE: Duration = Duration::from_secs(12);
/// Size of the plane, and pixels of a thumbnail in it.
const PLANE: [f64; 2] = [960.0, 620.0];
const THUMB: f64 = 34.0;

/// What was seen inside.
pub struct Inside {
    /// What is shown.
    pub sections: Vec<Section>,
    /// Layers with dead units.
    pub dead: Vec<Dead>,
    /// How many samples were looked at.
    pub samples: usize,
}

/// The filters of the first convolution `[filters, rows, columns, channels]`, each from its own smallest number to its
/// largest.
pub fn filters(weight: &HostTensor) -> Option<Section> {
    let &[count, rows, columns, channels] = &weight.shape[..] else { return None };
    if rows * columns == 1 || !matches!(channels, 1 | 3) {
        return None;
    }
    let values = weight.data.to_f64();
    let each = rows * columns * channels;
    let one = |k: usize| {
        let own = Map::new([1, each], values[k * each..][..each].to_vec());
        let range = own.most() - own.least();
        let share = |x: f64| if range > 0.0 { (x - own.least()) / range } else { 0.5 };
        let pixel = |y: usize, x: usize| {
            let at = (y * columns + x) * channels;
            let c = |k: usize| grey(share(own.values[at + if channels == 3 { k } else { 0 }]))[0];
            [c(0), c(1), c(2)]
        };
        let picture = Canvas::draw([rows, columns], pixel);
        format!("<li>{}<span>{k}</span></li>", image(&picture, FILTERS[1], &format!("filter {k}")))
    };
    let shown: String = (0..count.min(FILTERS[0])).map(one).collect();
    let lede =
        format!("The {count} filters of the first convolution, {rows} × {columns}: what it looks for in a picture.");
    Some(Section::new("First filters", lede, format!("<ul class=\"strip round\">{shown}</ul>")))
}

/// Looks inside. None for a model that takes no pictures, or that only stores samples.
///
/// # Errors
/// A picture that has changed since the data was opened, or what the adapter reports.
pub async fn look(session: Session, album: &Album<'_>, weights: (&Path, &Tensors)) -> Result<Option<Inside>> {
    let model = album.model;
    if !album.pictures() || Viewer::check(model).is_err() {
        return Ok(None);
    }
    let mut viewer = Viewer::new(session, model, weights).await?;
    let layers = Layers::of(model, &viewer);
    let names = layers.all();
    let view = viewer.look(&Looking { layers: &names, gradients: None }).await?;
    let mut sections: Vec<Section> = ways(&mut viewer, &view, album, &layers).await?.into_iter().collect();
    let seen = gather(&mut viewer, &view, album, &layers).await?;
    sections.extend(plane(&viewer, album, &layers, &seen)?);
    let dead = layers.relu.iter().zip(&seen.most).filter_map(|(name, most)| {
        let units: Vec<usize> = (0..most.len()).filter(|&unit| most[unit] <= 0.0).collect();
        (!units.is_empty()).then(|| Dead { layer: name.clone(), units, of: most.len() })
    });
    Ok(Some(Inside { dead: dead.collect(), samples: seen.places.len(), sections }))
}

/// The layers that are looked at, by name.
struct Layers {
    /// Those whose outputs are drawn.
    maps: Vec<String>,
    /// Those that end with relu.
    relu: Vec<String>,
    /// The one that the head reads; `input` for a model of a single layer.
    features: String,
}

impl Layers {
    fn of(model: &Model, viewer: &Viewer) -> Layers {
        let pictures = viewer.map_layers();
        let drawn = |layer: &&LayerNode| {
            let plain = ["dropout", "batch_norm", "layer_norm", "pad2d", "crop2d"].contains(&layer.op);
            !plain && pictures.contains(&layer.name.as_str())
        };
        let all: Vec<String> = model.layers.iter().filter(drawn).map(|layer| layer.name.clone()).collect();
        let maps = match all.len() {
            n if n <= MAPS[0] => all,
            n => (0..MAPS[0]).map(|i| all[i * (n - 1) / (MAPS[0] - 1)].clone()).collect(),
        };
        let rectifies = |layer: &&LayerNode| {
            layer.output_activation().is_some_and(|kind| [ActivationKind::Relu, ActivationKind::Relu6].contains(&kind))
        };
        let relu = model.layers.iter().filter(rectifies).map(|layer| layer.name.clone()).collect();
        Layers { maps, relu, features: viewer.features() }
    }

    fn all(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.maps.iter().chain(&self.relu).chain([&self.features]) {
            if !names.contains(&name.as_str()) && name != "input" {
                names.push(name);
            }
        }
        names
    }
}

/// The way of a few pictures through the network.
async fn ways(viewer: &mut Viewer, view: &View, album: &Album<'_>, layers: &Layers) -> Result<Option<Section>> {
    if layers.maps.is_empty() || album.positions.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = layers.maps.iter().map(|name| format!("act/{name}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chosen = samples::first_of_classes(album.problem, album.positions, 64)?;
    // Spread over the classes.
    let count = chosen.len().min(PICTURES);
    let mut html = String::new();
    for place in (0..count).map(|i| chosen[i * chosen.len() / count]) {
        let sample = Sample::of_problem(album.model, album.problem, album.name(place), album.positions[place])?;
        let found = viewer.run(view, &sample.input, None, &names).await?;
        let picture = sample.canvas(&album.model.input);
        let truth = sample.truth.map(|class| album.class(class)).unwrap_or_else(|| sample.name.clone());
        let mut row = format!(
            "<figure>{}<figcaption><b>{}</b></figcaption></figure>",
            image(&picture, 132, &sample.name),
            escape(&short(&truth, 20))
        );
        for (name, values) in layers.maps.iter().zip(&found) {
            let [height, width, channels] = viewer.map_layer(name)?;
            let (sheet, shown) = sheet(values, [height, width, channels]);
            let alt = format!("{name}: {shown} of {channels} channels");
            write!(
                row,
                "<figure><img class=\"px\" src=\"{}\" width=\"{}\" height=\"132\" alt=\"{}\" loading=\"lazy\"/>\
                 <figcaption><b>{}</b> {height} × {width} × {channels}</figcaption></figure>",
                sharp(&sheet),
                132 * sheet.width() / sheet.height(),
                escape(&alt),
                escape(&short(name, 22))
            )
            .expect("text takes everything");
        }
        write!(html, "<div class=\"way\">{row}</div>").expect("text takes everything");
    }
    let lede = format!(
        "What layers make of {count} pictures, from the input to the right: of each layer the {} channels that answer \
         most. Dark blue is nothing, yellow the most of the layer.",
        MAPS[1]
    );
    Ok(Some(Section::new("The way of a picture", lede, html)))
}

/// The channels that answer most, in two rows, and how many they are.
fn sheet(values: &[f32], [height, width, channels]: [usize; 3]) -> (Canvas, usize) {
    let most = values.iter().fold(0.0f64, |most, &x| most.max(f64::from(x).abs())).max(f64::MIN_POSITIVE);
    let negative = values.iter().any(|&x| x < 0.0);
    let mut order: Vec<(f64, usize)> = (0..channels)
        .map(|c| (values.iter().skip(c).step_by(channels).map(|&x| f64::from(x).abs()).sum::<f64>(), c))
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let shown = channels.min(MAPS[1]);
    let mut channels_shown: Vec<usize> = order.iter().take(shown).map(|(_, c)| *c).collect();
    channels_shown.sort_unstable();
    let side = height.max(width);
    let [high, wide] = [height, width].map(|own| if side > MAP { (own * MAP / side).max(1) } else { own });
    let gap = usize::from(high.max(wide) > 3);
    let columns = shown.div_ceil(2).max(1);
    let rows = shown.div_ceil(columns);
    let mut all = Canvas::new([rows * (high + gap) - gap, columns * (wide + gap) - gap], [120; 3]);
    for (k, c) in channels_shown.into_iter().enumerate() {
        let of = |y: usize, x: usize| {
            let (y, x) = (y * height / high, x * width / wide);
            let v = f64::from(values[(y * width + x) * channels + c]) / most;
            if negative { signed(v) } else { viridis(v) }
        };
        all.paste(&Canvas::draw([high, wide], of), k / columns * (high + gap), k % columns * (wide + gap));
    }
    (all, shown)
}

/// What was read of the samples.
struct Gathered {
    /// Places among the judged samples.
    places: Vec<usize>,
    /// `[n, dimensions]`.
    features: Vec<f64>,
    dimensions: usize,
    truths: Vec<Option<usize>>,
    said: Vec<usize>,
    /// For each layer with relu the most that each unit answers.
    most: Vec<Vec<f32>>,
}

async fn gather(viewer: &mut Viewer, view: &View, album: &Album<'_>, layers: &Layers) -> Result<Gathered> {
    let begin = Instant::now();
    let count = album.positions.len().min(SAMPLES[1]);
    let places: Vec<usize> = (0..count).map(|i| i * album.positions.len() / count).collect();
    let dims = match layers.features.as_str() {
        "input" => viewer.size().to_vec(),
        name => viewer.layer(name)?.dims.clone(),
    };
    let pooled = dims.len() == 3 && layers.features != "input";
    let dimensions = if pooled { dims[2] } else { dims.iter().product() };
    let mut names: Vec<String> = vec![SCORES.into()];
    names.extend(layers.relu.iter().map(|name| format!("act/{name}")));
    if layers.features != "input" {
        names.push(format!("act/{}", layers.features));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let units = layers.relu.iter().map(|name| Ok(viewer.layer(name)?.dims.last().copied().unwrap_or(1)));
    let most = units.map(|units: Result<usize>| Ok(vec![f32::NEG_INFINITY; units?])).collect::<Result<_>>()?;
    let mut seen =
        Gathered { places: Vec::new(), features: Vec::new(), dimensions, truths: Vec::new(), said: Vec::new(), most };
    // In an order in which the first few are spread over all, should time run out.
    let order: Vec<usize> = (0..8).flat_map(|start| places.iter().copied().skip(start).step_by(8)).collect();
    for part in order.chunks(view.batch()) {
        if begin.elapsed() > PATIENCE {
            break;
        }
        let read = |&i: &usize| Sample::of_problem(album.model, album.problem, String::new(), album.positions[i]);
        let samples: Vec<Sample> = part.iter().map(read).collect::<Result<_>>()?;
        let inputs: Vec<f32> = samples.iter().flat_map(|sample| sample.input.iter().copied()).collect();
        let found = viewer.run(view, &inputs, None, &names).await?;
        for scores in found[0].chunks_exact(found[0].len() / part.len()) {
            seen.said.push(viewer.scores().predicted(scores));
        }
        for (most, values) in seen.most.iter_mut().zip(&found[1..]) {
            for row in values.chunks_exact(most.len()) {
                most.iter_mut().zip(row).for_each(|(most, &x)| *most = most.max(x));
            }
        }
        let features = if layers.features == "input" { &inputs } else { &found[found.len() - 1] };
        for values in features.chunks_exact(features.len() / part.len()) {
            let mut mean = vec![0.0; dimensions];
            let times = (values.len() / dimensions) as f64;
            values.iter().enumerate().for_each(|(i, &x)| mean[i % dimensions] += f64::from(x) / times);
            seen.features.extend(mean);
        }
        seen.truths.extend(samples.iter().map(|sample| sample.truth));
        seen.places.extend(part);
    }
    Ok(seen)
}

/// The samples in a plane.
fn plane(viewer: &Viewer, album: &Album, layers: &Layers, seen: &Gathered) -> Result<Option<Section>> {
    let n = seen.places.len();
    if n < SAMPLES[0] || seen.features.iter().any(|x| !x.is_finite()) {
        return Ok(None);
    }
    let found = pca::pca(&seen.features, seen.dimensions, 2);
    let points: Vec<[f64; 2]> = found.points.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
    let judged = !matches!(viewer.scores().meaning, Meaning::Values);
    let places = scaled(&points);
    let class = |i: usize| seen.truths[i].unwrap_or(seen.said[i]);
    let wrong = |i: usize| judged && seen.truths[i].is_some_and(|truth| truth != seen.said[i]);
    let labelled = seen.truths.iter().any(Option::is_some);
    let mut svg = format!(
        "<svg class=\"plane\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{n} samples by what the network makes of \
         them\">",
        PLANE[0], PLANE[1]
    );
    for (i, [x, y]) in places.iter().enumerate() {
        let [r, g, b] = if labelled { draw::colour(class(i)) } else { [140; 3] };
        let ring = if wrong(i) { " class=\"wrong\"" } else { "" };
        let mark: String = album.class(class(i)).chars().take(2).collect();
        let mark = if labelled { escape(&mark) } else { String::new() };
        write!(
            svg,
            "<g{ring}><title>{}</title><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\" fill=\"rgb({r},{g},{b})\"/><text \
             x=\"{x:.1}\" y=\"{:.1}\">{mark}</text></g>",
            escape(&told(album, seen, i, labelled)),
            y + 3.5
        )
        .expect("text takes everything");
    }
    let mut laid: Vec<[f64; 2]> = Vec::new();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&i| !wrong(i));
    for i in order {
        let [x, y] = places[i];
        let free = laid.iter().all(|p| (p[0] - x).abs() > THUMB + 8.0 || (p[1] - y).abs() > THUMB + 8.0);
        if !free || laid.len() >= 90 {
            continue;
        }
        laid.push([x, y]);
        let canvas = album.canvas(seen.places[i])?;
        let side = canvas.height().max(canvas.width());
        let [high, wide] = [canvas.height(), canvas.width()].map(|own| THUMB * own as f64 / side as f64);
        let small = match side > 64 {
            true => canvas.resized([canvas.height() * 64 / side, canvas.width() * 64 / side].map(|side| side.max(1))),
            false => canvas,
        };
        let [r, g, b] = if labelled { draw::colour(class(i)) } else { [140; 3] };
        let ring = if wrong(i) { " class=\"wrong\"" } else { "" };
        write!(
            svg,
            "<g{ring}><title>{}</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\" \
             fill=\"rgb({r},{g},{b})\"/><image href=\"{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" \
             height=\"{high:.1}\"/></g>",
            escape(&told(album, seen, i, labelled)),
            x - wide / 2.0 - 3.0,
            y - high / 2.0 - 3.0,
            wide + 6.0,
            high + 6.0,
            address(&small),
            x - wide / 2.0,
            y - high / 2.0
        )
        .expect("text takes everything");
    }
    let explained = 100.0 * found.explained.iter().sum::<f64>();
    let lede = format!(
        "{n} samples by the {} numbers that {} makes of them, projected onto the two directions in which they differ \
         most ({explained:.0} % of the variance). Neighbours look alike to the network.{}",
        seen.dimensions,
        layers.features,
        if labelled { " Marks are true classes; a thick ring is a mistake." } else { "" }
    );
    let html = format!("<div class=\"scroll wide\" tabindex=\"0\">{svg}</svg></div>");
    Ok(Some(Section::new("How it sees the samples", lede, html)))
}

fn told(album: &Album, seen: &Gathered, i: usize, labelled: bool) -> String {
    let name = album.name(seen.places[i]);
    match seen.truths[i].filter(|_| labelled) {
        Some(truth) if truth == seen.said[i] => format!("{name}: {}", album.class(truth)),
        Some(truth) => format!("{name}: {}, taken for {}", album.class(truth), album.class(seen.said[i])),
        None => name,
    }
}

/// Points in the plane, with one scale for both directions where that fits.
fn scaled(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let ends = |k: usize| {
        let all = || points.iter().map(move |p| p[k]);
        [all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max)]
    };
    let [x, y] = [ends(0), ends(1)];
    let room = [PLANE[0] - 2.0 * THUMB, PLANE[1] - 2.0 * THUMB];
    let scale = (room[0] / (x[1] - x[0]).max(1e-12)).min(room[1] / (y[1] - y[0]).max(1e-12));
    let middle = |[a, b]: [f64; 2]| (a + b) / 2.0;
    let one = |p: &[f64; 2]| [PLANE[0] / 2.0 + (p[0] - middle(x)) * scale, PLANE[1] / 2.0 - (p[1] - middle(y)) * scale];
    points.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_drawn_one_by_one() {
        let weight = HostTensor::f32(&[4, 3, 3, 1], (0..36).map(|x| x as f32).collect());
        let found = filters(&weight).unwrap();
        assert_eq!(found.html.matches("<img").count(), 4);
        assert_eq!(filters(&HostTensor::f32(&[4, 1, 1, 1], vec![0.0; 4])), None);
        assert_eq!(filters(&HostTensor::f32(&[4, 9], vec![0.0; 36])), None);
    }

    #[test]
    fn the_channels_that_answer_most_are_shown() {
        // Channel c of 10 is c everywhere.
        let values: Vec<f32> = (0..4 * 10).map(|i| (i % 10) as f32).collect();
        let (all, shown) = sheet(&values, [2, 2, 10]);
        assert_eq!((shown, all.height(), all.width()), (8, 4, 8));
        assert_eq!([all.at(0, 0), all.at(3, 7)], [viridis(2.0 / 9.0), viridis(1.0)]);
        let places = scaled(&[[0.0, 0.0], [1.0, 1.0]]);
        assert!(places.iter().flatten().all(|x| x.is_finite()) && places[1][1] < places[0][1]);
    }
}
