//! An operation of an ONNX file, with its settings.

use crate::exchange::proto::{AttributeProto, NodeProto, TensorProto};

/// An operation.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    /// As the file has it.
    pub proto: &'a NodeProto,
    /// The version of the operators.
    pub opset: i64,
}

impl<'a> Node<'a> {
    /// The operator.
    pub fn op(&self) -> &'a str {
        &self.proto.op_type
    }

    /// The name of an input. None if it is left out.
    pub fn input(&self, at: usize) -> Option<&'a str> {
        self.proto.input.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of the first output.
    pub fn output(&self) -> &'a str {
        self.proto.output.first().map_or("", String::as_str)
    }

    /// Its name, or that of its output.
    pub fn name(&self) -> &'a str {
        if self.proto.name.is_empty() { self.output() } else { &self.proto.name }
    }

    /// A setting, if it is given.
    pub fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// A whole number.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    /// A number.
    pub fn float(&self, name: &str, default: f64) -> f64 {
        self.attribute(name).map_or(default, |attribute| plain(attribute.f))
    }

    /// Whole numbers, if they are given.
    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..])
    }

    /// A word.
    ///
    /// # Errors
    /// A text that is not UTF-8.
    pub fn word(&self, name: &str, default: &'a str) -> Result<&'a str, String> {
        let Some(attribute) = self.attribute(name) else { return Ok(default) };
        std::str::from_utf8(&attribute.s).map_err(|_| format!("its setting `{name}` is no text"))
    }

    /// A tensor, if it is given.
    pub fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.attribute(name)?.t.as_ref()
    }
}

/// A number of f32 with as few digits as it needs: 0.1 rather than 0.10000000149.
pub fn plain(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}
