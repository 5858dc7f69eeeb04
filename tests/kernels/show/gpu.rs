//! Pictures that need an adapter.

use super::{assert_close, fixture, numbers, tensors};
use crate::common;
use pumice::block_on;
use pumice::check::trace::trace;
use pumice::data::tensors::Tensors;
use pumice::gpu::device::Limits;
use pumice::model::{Model, TrainSpec, load};
use pumice::show::{Method, Request, Sample, Shown, Viewer, method};
use pumice::spec::Source;
use pumice::tensor::{Data, HostTensor};
use std::path::Path;

/// Height, width and channels of the pictures.
const SIZE: [usize; 3] = [12, 10, 3];

fn model(change: impl Fn(String) -> String) -> Model {
    let text = std::fs::read_to_string(fixture("small.json")).expect("the fixtures are part of the project");
    load(Source { file: "small.json".into(), text: change(text) }, &[]).unwrap_or_else(|e| panic!("{e}"))
}

fn viewer(weights: &Tensors) -> Option<Viewer> {
    let session = common::session(Limits::Raised, |_| {})?;
    let made = block_on(Viewer::new(session, &model(|text| text), (Path::new("weights"), weights)));
    Some(made.unwrap_or_else(|e| panic!("{e}")))
}

/// Picture `i` of the fixture.
fn sample(expected: &Tensors, i: usize) -> Sample {
    let each: usize = SIZE.iter().product();
    let input = expected["pictures"].as_f32()[i * each..][..each].to_vec();
    Sample { name: i.to_string(), input, truth: None }
}

fn show(viewer: &mut Viewer, method: Method, request: &Request) -> Shown {
    block_on(method::show(viewer, method, request)).unwrap_or_else(|e| panic!("{e}"))
}

/// The first two pictures were asked about their predicted class, so that is found, too.
#[test]
fn gradients_and_grad_cam_equal_pytorch() {
    let (weights, expected) = (tensors("small.weights.safetensors"), tensors("small.expected.safetensors"));
    let Some(mut viewer) = viewer(&weights) else { return };
    let Data::I32(classes) = &expected["classes"].data else { panic!("classes are i32") };
    for (i, class) in classes.iter().enumerate() {
        let class = (i >= 2).then(|| class.to_string());
        let request = Request { class, samples: vec![sample(&expected, i)], ..Request::default() };
        let pairs = [
            (Method::Saliency, vec![("gradient", "gradient")]),
            (Method::Guided, vec![("gradient", "guided")]),
            (Method::GradCam, vec![("weights", "weights"), ("cam", "cam"), ("map", "map")]),
        ];
        for (method, names) in pairs {
            let found = show(&mut viewer, method, &request);
            assert_eq!(found.pictures[0].about["class"], classes[i], "{method:?}");
            for (own, other) in names {
                let (found, wanted) = (&found.numbers[&format!("{i}/{own}")], &expected[&format!("{i}/{other}")]);
                assert_eq!(found.shape, wanted.shape, "{method:?}");
                assert_close(&numbers(found), &numbers(wanted), 1e-4, &format!("{method:?} {i}/{own}"));
            }
        }
    }
}

/// A batch of one picture, with targets for a loss whose gradient at the scores is 1 for a class and else 0: the mean
/// squared error from targets that lie half the number of scores below the score of the class.
fn traced(weights: &Tensors, picture: &[f32], class: Option<usize>) -> Option<Tensors> {
    let mut session = common::session(Limits::Raised, |_| {})?;
    let linear = |text: String| {
        text.replace(r#""units": 5, "activation": "softmax""#, r#""units": 5"#).replace("cross_entropy", "mse")
    };
    let (model, train) = (model(linear), TrainSpec::default());
    let mut run = |targets: Vec<f32>| {
        let shape = [&[1], &SIZE[..]].concat();
        let batch = Tensors::from([
            ("input".to_string(), HostTensor::f32(&shape, picture.to_vec())),
            ("target".to_string(), HostTensor::f32(&[1, 5], targets)),
        ]);
        let (weights, batch) = ((Path::new("weights"), weights), (Path::new("batch"), &batch));
        block_on(trace(&mut session, &model, &train, weights, batch, 0)).unwrap_or_else(|e| panic!("{e}"))
    };
    let first = run(vec![0.0; 5]);
    let Some(class) = class else { return Some(first) };
    let mut targets = first["act/scores"].as_f32().to_vec();
    targets[class] -= 2.5;
    Some(run(targets))
}

/// The head of the network in f64, from the trace's activations: the gradient of a score at the last convolution is
/// that of two dense layers with a relu between.
#[test]
fn grad_cam_and_saliency_follow_from_a_trace() {
    let (weights, expected) = (tensors("small.weights.safetensors"), tensors("small.expected.safetensors"));
    let Some(mut viewer) = viewer(&weights) else { return };
    let class = 3;
    let one = sample(&expected, 1);
    let Some(trace) = traced(&weights, &one.input, Some(class)) else { return };
    let request = Request { class: Some(class.to_string()), samples: vec![one], ..Request::default() };

    let gradient = numbers(&trace["grad/input"]);
    let map: Vec<f64> = gradient.chunks(3).map(|pixel| pixel.iter().fold(0.0, |m: f64, x| m.max(x.abs()))).collect();
    let saliency = show(&mut viewer, Method::Saliency, &request);
    assert_close(&numbers(&saliency.numbers["1/map"]), &map, 1e-4, "saliency");

    let (hidden, last) = (numbers(&trace["act/hidden"]), numbers(&trace["act/last"]));
    let (inner, outer) = (numbers(&weights["hidden.weight"]), numbers(&weights["scores.weight"]));
    let at_last = |j: usize| -> f64 {
        (0..16).filter(|&u| hidden[u] > 0.0).map(|u| outer[class * 16 + u] * inner[u * 210 + j]).sum()
    };
    let mean = |k: usize| (0..30).map(|pixel| at_last(pixel * 7 + k)).sum::<f64>() / 30.0;
    let a: Vec<f64> = (0..7).map(mean).collect();
    let raw: Vec<f64> =
        last.chunks(7).map(|pixel| pixel.iter().zip(&a).map(|(x, a)| x * a).sum::<f64>().max(0.0)).collect();
    let most = raw.iter().copied().fold(0.0, f64::max);
    assert!(most > 0.0, "the class is seen");
    let cam: Vec<f64> = raw.iter().map(|x| x / most).collect();
    let found = show(&mut viewer, Method::GradCam, &request);
    assert_close(&numbers(&found.numbers["1/weights"]), &a, 1e-4, "weights");
    assert_close(&numbers(&found.numbers["1/cam"]), &cam, 1e-4, "map");
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let sum: f64 = scores.iter().map(|x| x.exp()).sum();
    scores.iter().map(|x| x.exp() / sum).collect()
}

/// Two places of the patch, hidden by hand. The pictures are not normalised, so grey is 0.5; patches of 12 x 10 are 2 x 2.
#[test]
fn occlusion_drops_the_probability_by_what_a_hidden_part_costs() {
    let (weights, expected) = (tensors("small.weights.safetensors"), tensors("small.expected.safetensors"));
    let Some(mut viewer) = viewer(&weights) else { return };
    let picture = sample(&expected, 0);
    let request = Request { class: Some("2".into()), samples: vec![picture.clone()], ..Request::default() };
    let found = show(&mut viewer, Method::Occlusion, &request);
    let drops = &found.numbers["0/drop"];
    assert_eq!(drops.shape, [11, 9]);
    let probability = |input: &[f32]| Some(softmax(&numbers(&traced(&weights, input, None)?["act/scores"]))[2]);
    for [top, left] in [[0, 0], [7, 4]] {
        let mut hidden = picture.input.clone();
        for (y, x) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            hidden[((top + y) * 10 + left + x) * 3..][..3].fill(0.5);
        }
        let (Some(plain), Some(less)) = (probability(&picture.input), probability(&hidden)) else { return };
        let found = f64::from(drops.as_f32()[top * 9 + left]);
        assert!((found - (plain - less)).abs() < 1e-5, "{top}, {left}: {found} instead of {}", plain - less);
    }
}

/// What a trace finds in the pictures is what `maximise` says, and far more than in the noise that they began as.
#[test]
fn pictures_excite_what_they_are_made_for() {
    let weights = tensors("small.weights.safetensors");
    let Some(mut viewer) = viewer(&weights) else { return };
    let request = Request { layer: Some("middle".into()), ..Request::default() };
    let found = show(&mut viewer, Method::Maximise, &request);
    let each: usize = SIZE.iter().product();
    let mean = |input: &[f32], k: usize| {
        let trace = traced(&weights, input, None)?;
        Some(numbers(&trace["act/middle"]).iter().skip(k).step_by(8).sum::<f64>() / 30.0)
    };
    for (k, &activation) in found.numbers["activations"].as_f32().iter().enumerate() {
        let picture = &found.numbers["maximised"].as_f32()[k * each..][..each];
        assert!(picture.iter().all(|x| (0.0..=1.0).contains(x)));
        let (Some(own), Some(plain)) = (mean(picture, k), mean(&vec![0.5; each], k)) else { return };
        assert!((own - f64::from(activation)).abs() < 1e-4, "{k}: {own} instead of {activation}");
        assert!(own > plain + 0.05, "{k}: {own} after {plain}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let weights = tensors("small.weights.safetensors");
    let expected = tensors("small.expected.safetensors");
    let Some(mut viewer) = viewer(&weights) else { return };
    let samples = vec![sample(&expected, 0)];
    let named = |layer: &str| Request { layer: Some(layer.into()), samples: samples.clone(), ..Request::default() };
    let class = |class: &str| Request { class: Some(class.into()), samples: samples.clone(), ..Request::default() };
    let channel = Request { class: Some("8".into()), ..named("middle") };
    let cases = [
        (Method::Features, named("lasst"), ["no layer `lasst`", "did you mean `last`?"]),
        (Method::Features, named("hidden"), ["`hidden` puts out [16]", "first, max_pool2d_1, middle, last"]),
        (Method::GradCam, named("flatten_1"), ["`flatten_1` puts out [210]", "no picture"]),
        (Method::Filters, named("hidden"), ["`hidden` has no filters", "--layer"]),
        (Method::Saliency, class("5"), ["no class `5`", "from 0 to 4"]),
        (Method::GradCam, class("cat"), ["no class `cat`", "from 0 to 4"]),
        (Method::Maximise, channel, ["no channel `8`", "from 0 to 7"]),
    ];
    for (method, request, words) in cases {
        let error = block_on(method::show(&mut viewer, method, &request)).expect_err("must fail");
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2, "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
}
