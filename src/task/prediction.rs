//! What a model says about one sample.

use super::metric::Unit;
use crate::error::Result;
use serde_json::{Map, Value as Json, json};
use std::any::Any;
use std::fmt::{self, Debug, Display, Formatter};
use std::path::Path;
use std::sync::Arc;

/// The decoded output for one sample. It prints as one line for people.
#[derive(Clone, PartialEq, Debug)]
pub enum Prediction {
    /// Class names with their probabilities, the likeliest first.
    Classes(Vec<(String, f64)>),
    /// Names and values.
    Values(Vec<(String, f32)>),
    /// An answer of the task's own type, such as a mask.
    Other(Arc<dyn Answer>),
}

/// An answer of a type that only its task knows.
pub trait Answer: Debug + Send + Sync {
    /// The keys that `predict --json` writes about a sample.
    fn to_json(&self) -> Map<String, Json>;

    /// One line for people.
    fn text(&self) -> String;

    /// As a table: the names of its columns, and rows of numbers and texts. There is at least one row.
    fn table(&self) -> (Vec<String>, Vec<Vec<Json>>) {
        (vec!["answer".into()], vec![vec![json!(self.text())]])
    }

    /// Writes pictures into the folder `dir`, which need not exist. Their names begin with that of `picture`, the file
    /// that was judged. Returns the keys that `predict --json` writes about them.
    ///
    /// # Errors
    /// A picture that cannot be read, or a full disk.
    fn draw(&self, picture: &Path, dir: &Path) -> Result<Map<String, Json>> {
        let _ = (picture, dir);
        Ok(Map::new())
    }

    /// The answer itself, for [`Prediction::downcast_ref`].
    fn as_any(&self) -> &dyn Any;
}

/// Two answers are the same if they are so in all that `Debug` shows.
impl PartialEq for dyn Answer {
    fn eq(&self, other: &dyn Answer) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Prediction {
    /// The keys that `predict --json` writes about a sample.
    pub fn to_json(&self) -> Map<String, Json> {
        let (key, value) = match self {
            Prediction::Classes(classes) => {
                let one = |(class, p): &(String, f64)| json!({ "class": class, "probability": p });
                ("classes", classes.iter().map(one).collect())
            }
            Prediction::Values(values) => ("values", values.iter().map(|(_, value)| json!(value)).collect()),
            Prediction::Other(answer) => return answer.to_json(),
        };
        Map::from_iter([(key.to_string(), value)])
    }

    /// As a table: the names of its columns, and its rows. Classes and values are one row; objects have one each.
    pub fn table(&self) -> (Vec<String>, Vec<Vec<Json>>) {
        match self {
            Prediction::Classes(classes) => {
                let name = |i: usize, key: &str| if i == 0 { key.to_string() } else { format!("{key}_{}", i + 1) };
                let names = (0..classes.len()).flat_map(|i| [name(i, "class"), name(i, "probability")]);
                let values = classes.iter().flat_map(|(class, p)| [json!(class), json!(p)]);
                (names.collect(), vec![values.collect()])
            }
            Prediction::Values(values) => (
                values.iter().map(|(name, _)| name.clone()).collect(),
                vec![values.iter().map(|(_, x)| json!(x)).collect()],
            ),
            Prediction::Other(answer) => answer.table(),
        }
    }

    /// The likeliest class and its probability; None for other answers than classes.
    pub fn best(&self) -> Option<(&str, f64)> {
        let Prediction::Classes(classes) = self else { return None };
        classes.first().map(|(class, probability)| (class.as_str(), *probability))
    }

    /// The answer as the type of its task, such as [`super::segment::Segmented`]. None if it is another.
    pub fn downcast_ref<T: 'static>(&self) -> Option<&T> {
        let Prediction::Other(answer) = self else { return None };
        answer.as_any().downcast_ref()
    }

    /// Writes what is a picture into a folder, as [`Answer::draw`] does.
    ///
    /// # Errors
    /// A picture that cannot be read, or a full disk.
    pub fn draw(&self, picture: &Path, dir: &Path) -> Result<Map<String, Json>> {
        match self {
            Prediction::Other(answer) => answer.draw(picture, dir),
            _ => Ok(Map::new()),
        }
    }
}

impl Display for Prediction {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let parts: Vec<String> = match self {
            Prediction::Classes(classes) => {
                classes.iter().map(|(class, p)| format!("{class} {}", Unit::Share.text(*p))).collect()
            }
            Prediction::Values(values) => values.iter().map(|(name, value)| format!("{name} {value}")).collect(),
            Prediction::Other(answer) => return f.write_str(&answer.text()),
        };
        f.write_str(&parts.join(", "))
    }
}
