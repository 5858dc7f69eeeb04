//! What a data set is known by, so that a run goes on only with the data that it began with.

use super::problem::Problem;
use crate::data::Column;
use crate::data::store::Store;
use crate::error::{Error, Result};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The numbers of samples, and a checksum of each column. It does not depend on where the data lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    /// Samples of the training, validation and test sets.
    samples: [u64; 3],
    /// By the name of the column. `bytes …` is of the samples themselves; `files …` of the names and sizes of files that
    /// are decoded batch by batch. Only like can be compared with like.
    columns: BTreeMap<String, String>,
}

impl Fingerprint {
    /// That of a data set that is open.
    ///
    /// # Errors
    /// A picture that is gone.
    pub fn of(problem: &Problem) -> Result<Fingerprint> {
        let samples = [&problem.train, &problem.validation, &problem.test].map(|list| list.len() as u64);
        let columns = problem.columns.iter().map(|column| Ok((column.field.to_string(), checksum(column)?)));
        Ok(Fingerprint { samples, columns: columns.collect::<Result<_>>()? })
    }

    /// As it is in a checkpoint.
    pub fn to_json(&self) -> Json {
        json!({ "samples": self.samples, "columns": self.columns })
    }

    /// From a checkpoint; `None` where it is none.
    pub fn from_json(json: &Json) -> Option<Fingerprint> {
        let samples: Option<Vec<u64>> = json["samples"].as_array()?.iter().map(Json::as_u64).collect();
        let columns = json["columns"].as_object()?.iter();
        let columns: Option<_> = columns.map(|(name, sum)| Some((name.clone(), sum.as_str()?.to_string()))).collect();
        Some(Fingerprint { samples: samples?.try_into().ok()?, columns: columns? })
    }

    /// Fails if this data set is not the one that a run began with.
    ///
    /// # Errors
    /// It says what has changed.
    pub fn check(&self, began: &Fingerprint) -> Result<()> {
        let Some(what) = self.difference(began) else { return Ok(()) };
        let what = format!("the data set has changed since the run began: {what}");
        Err(Error::usage(what, "give --data the data that the run began with, or train into a new folder"))
    }

    fn difference(&self, began: &Fingerprint) -> Option<String> {
        let sets = ["training", "validation", "test"].into_iter().zip(self.samples.into_iter().zip(began.samples));
        for (set, (now, then)) in sets {
            if now != then {
                return Some(format!("the {set} set has {now} samples and had {then}"));
            }
        }
        let kind = |sum: &str| sum.split(' ').next().map(str::to_string);
        self.columns.iter().find_map(|(name, now)| {
            let then = began.columns.get(name)?;
            let differs = kind(now) == kind(then) && now != then;
            differs.then(|| format!("as many samples, but another content of the column `{name}`"))
        })
    }
}

fn checksum(column: &Column) -> Result<String> {
    let mut sum = crc32fast::Hasher::new();
    match &column.store {
        Store::Memory(tensor) => {
            sum.update(tensor.data.bytes());
            Ok(format!("bytes {:08x}", sum.finalize()))
        }
        Store::Files { files, .. } => {
            for file in files {
                let size = std::fs::metadata(file).map_err(|e| Error::read(file, e))?.len();
                sum.update(place(file).as_bytes());
                sum.update(&size.to_le_bytes());
            }
            Ok(format!("files {:08x}", sum.finalize()))
        }
    }
}

/// The name of a file and of its folder, which may be its class. Where the data set lies does not matter.
fn place(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    format!("{}/{}\n", folder.to_string_lossy(), file.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_said_and_only_like_is_compared() {
        let print = |samples, sum: &str| Fingerprint { samples, columns: [("image".into(), sum.into())].into() };
        let began = print([60, 20, 0], "bytes 0badcafe");
        let says = |now: &Fingerprint| now.difference(&began);
        assert_eq!(says(&began), None);
        assert_eq!(says(&print([60, 20, 0], "files 12345678")), None);
        assert!(says(&print([61, 20, 0], "bytes 0badcafe")).is_some_and(|what| what.contains("training set has 61")));
        assert!(says(&print([60, 20, 0], "bytes 0badcaff")).is_some_and(|what| what.contains("`image`")));
        assert_eq!(Fingerprint::from_json(&began.to_json()), Some(began));
    }
}
