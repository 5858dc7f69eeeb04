//! The equation of a linear model: one dense layer over the features of a table.

use super::table::{Align, Table};
use crate::data::FEATURES;
use crate::data::tensors::Tensors;
use crate::model::{Model, Normalize};
use crate::ops::layer::dense::DenseKeys;
use crate::task::Unit;

/// Tables of more rows or columns than this are not read by anybody.
const MOST: [usize; 2] = [100, 12];

/// A linear model in the units of its table: an output is the sum of coefficient times feature, plus the intercept.
#[derive(Clone, PartialEq, Debug)]
pub struct Equation {
    /// The names of the features.
    pub features: Vec<String>,
    /// The names of the outputs.
    pub outputs: Vec<String>,
    /// `[feature][output]`.
    pub coefficients: Vec<Vec<f64>>,
    /// For each feature the coefficient of the largest magnitude of a step of one standard deviation.
    pub per_deviation: Vec<f64>,
    /// For each output.
    pub intercepts: Vec<f64>,
}

/// The equation of a linear model. The model sees z = (x - mean) / std, so w x is w / std, and the intercept is
/// b - Σ w mean / std. None for other models, and for those of very many features.
pub fn equation(model: &Model, weights: &Tensors) -> Option<Equation> {
    let data = model.data.as_ref().filter(|_| model.input_field() == FEATURES)?;
    let [layer] = &model.layers[..] else { return None };
    layer.layer.downcast_ref::<DenseKeys>()?;
    let weight = weights.get(&format!("{}.weight", layer.name))?;
    let &[outputs, inputs] = &weight.shape[..] else { return None };
    let (mean, std) = match &model.input.normalize {
        Some(Normalize::Values { mean, std }) => (mean.clone(), std.clone()),
        _ => (vec![0.0; inputs], vec![1.0; inputs]),
    };
    if mean.len() != inputs || inputs > MOST[0] || outputs > MOST[1] {
        return None;
    }
    let w = |o: usize, i: usize| f64::from(weight.as_f32()[o * inputs + i]);
    let bias = weights.get(&format!("{}.bias", layer.name)).map_or(vec![0.0; outputs], |bias| bias.data.to_f64());
    let names = |found: &[String], count: usize, word: &str| -> Vec<String> {
        let own = found.len() == count;
        (0..count).map(|i| if own { found[i].clone() } else { format!("{word} {}", i + 1) }).collect()
    };
    let fits = |names: &&[String]| names.len() == outputs;
    let classes = data.class_names.as_deref().filter(fits);
    let targets = classes.or(Some(data.reader.value_names()).filter(fits)).unwrap_or_default();
    let largest = |i: usize| (0..outputs).map(|o| w(o, i)).fold(0.0, |m: f64, x| if x.abs() > m.abs() { x } else { m });
    Some(Equation {
        features: names(&data.reader.input_names().unwrap_or_default(), inputs, "feature"),
        outputs: names(targets, outputs, "output"),
        coefficients: (0..inputs).map(|i| (0..outputs).map(|o| w(o, i) / std[i]).collect()).collect(),
        per_deviation: (0..inputs).map(largest).collect(),
        intercepts: (0..outputs)
            .map(|o| bias[o] - (0..inputs).map(|i| w(o, i) * mean[i] / std[i]).sum::<f64>())
            .collect(),
    })
}

/// A coefficient: of large ones nobody reads six digits behind the point.
pub fn coefficient(x: f64) -> String {
    if x.abs() < 1e4 { format!("{x:.6}") } else { Unit::Number.text(x) }
}

/// The coefficients of a linear model as a table for terminals. The last column has the largest |w|: what a step of one
/// standard deviation does. None for other models.
pub fn table(model: &Model, weights: &Tensors) -> Option<Table> {
    let found = equation(model, weights)?;
    let mut columns = vec![("feature", Align::Left)];
    match found.outputs.len() {
        1 => columns.push(("coefficient", Align::Right)),
        _ => columns.extend(found.outputs.iter().map(|name| (name.as_str(), Align::Right))),
    }
    columns.push(("per deviation", Align::Right));
    let mut table = Table::new(&columns);
    let number = |x: &f64| coefficient(*x);
    let rows = found.features.iter().zip(&found.coefficients).zip(&found.per_deviation);
    for ((feature, own), most) in rows {
        table.row([feature.clone()].into_iter().chain(own.iter().map(number)).chain([number(most)]));
    }
    let intercepts = found.intercepts.iter().map(number);
    table.row(["intercept".to_string()].into_iter().chain(intercepts).chain([String::new()]));
    Some(table)
}
