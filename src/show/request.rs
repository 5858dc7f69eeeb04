//! What is asked for, and what comes back.

use super::canvas::Canvas;
use super::samples::Sample;
use crate::data::tensors::Tensors;
use crate::tensor::{Data, HostTensor};
use serde_json::{Map, Value as Json};

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A layer by its name; each method has one by default.
    pub layer: Option<String>,
    /// A class, by its index or its name; by default the one that the network predicts.
    pub class: Option<String>,
    /// The pictures to look at. Methods that need some do nothing without.
    pub samples: Vec<Sample>,
}

/// A picture, and what it shows.
#[derive(Clone, Debug)]
pub struct Picture {
    /// A name for its file, without the ending: of letters, digits, `.`, `-` and `_`, as far as names of layers and files
    /// are so.
    pub name: String,
    /// The picture.
    pub canvas: Canvas,
    /// What is to be said of it: layer, class, probability and so on.
    pub about: Map<String, Json>,
}

impl Picture {
    /// A picture with what is to be said of it. Slashes in the name become minus signs.
    pub fn new(name: impl Into<String>, canvas: Canvas, about: Json) -> Picture {
        let Json::Object(about) = about else { panic!("what is said of a picture is an object") };
        Picture { name: name.into().replace(['/', '\\', ':'], "-"), canvas, about }
    }
}

/// Pictures, and the numbers behind them.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The pictures in their order.
    pub pictures: Vec<Picture>,
    /// The numbers, by names that each method documents.
    pub numbers: Tensors,
}

impl Shown {
    /// Adds numbers as f32.
    pub fn number(&mut self, name: impl Into<String>, shape: &[usize], values: impl IntoIterator<Item = f64>) {
        let values = values.into_iter().map(|x| x as f32).collect();
        self.numbers.insert(name.into(), HostTensor::f32(shape, values));
    }

    /// Adds indices.
    pub fn indices(&mut self, name: impl Into<String>, indices: impl IntoIterator<Item = usize>) {
        let indices: Vec<i32> = indices.into_iter().map(|i| i as i32).collect();
        self.numbers.insert(name.into(), HostTensor::new(&[indices.len()], Data::I32(indices)));
    }
}
