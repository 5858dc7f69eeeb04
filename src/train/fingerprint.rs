//! What a data set is known by, so that a run goes on only with the data that it began with.

use super::problem::Problem;
use crate::data::store::Store;
use crate::data::{BOXES, Column};
use crate::error::{Error, Result};
use crate::tensor::Data;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// The numbers of samples, and a checksum of each column in each part. It does not depend on where the data lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    /// Samples of the training, validation and test sets.
    samples: [u64; 3],
    /// By the part (`training`, with what is held back for validation, or `test`) and the name of the column. `u8 …` and the
    /// like are of the samples themselves; `files …` of the names and sizes of files that are decoded batch by batch. Only
    /// like can be compared with like.
    columns: BTreeMap<String, String>,
}

impl Fingerprint {
    /// That of a data set that is open.
    ///
    /// # Errors
    /// A picture that is gone.
    pub fn of(problem: &Problem) -> Result<Fingerprint> {
        let samples = [&problem.train, &problem.validation, &problem.test].map(|list| list.len() as u64);
        let trained = problem.train.len() + problem.validation.len();
        let mut columns = BTreeMap::new();
        for column in problem.columns.iter() {
            for (part, range) in [("training", 0..trained), ("test", trained..column.store.count())] {
                if !range.is_empty() {
                    columns.insert(format!("{part} {}", column.field), checksum(column, range)?);
                }
            }
        }
        Ok(Fingerprint { samples, columns })
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

    /// Fails if what is open of this data set is not what a run was trained and judged with. Parts that are not open are
    /// not compared.
    ///
    /// # Errors
    /// It says what has changed.
    pub fn check_open(&self, began: &Fingerprint) -> Result<()> {
        let mut there = began.clone();
        for (then, now) in there.samples.iter_mut().zip(self.samples).filter(|(_, now)| *now == 0) {
            *then = now;
        }
        let Some(what) = self.difference(&there) else { return Ok(()) };
        let what = format!("the run's own data set has changed since the training: {what}");
        Err(Error::usage(what, "name the folder with --data, if it is to be judged as it is now"))
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
            let (part, field) = name.split_once(' ').unwrap_or(("", name));
            differs.then(|| format!("as many samples, but another content of the column `{field}` of the {part} set"))
        })
    }
}

/// That of some samples of a column. Rows of objects that are only padding do not count: how many there are depends on the
/// other parts.
fn checksum(column: &Column, range: Range<usize>) -> Result<String> {
    let mut sum = crc32fast::Hasher::new();
    match &column.store {
        Store::Memory(tensor) => {
            let bytes = tensor.data.bytes();
            let each = bytes.len() / column.store.count().max(1);
            let bytes = &bytes[range.start * each..range.end * each];
            match (column.field, &tensor.data) {
                (BOXES, Data::F32(_)) => {
                    let size = 5 * size_of::<f32>();
                    let real = |row: &&[u8]| !row[..4].starts_with(&(-1f32).to_le_bytes());
                    for sample in bytes.chunks_exact(each.max(size)) {
                        let rows = sample.chunks_exact(size).filter(real);
                        sum.update(&(rows.clone().count() as u64).to_le_bytes());
                        rows.for_each(|row| sum.update(row));
                    }
                }
                _ => sum.update(bytes),
            }
            let kind = format!("{:?}", tensor.data.dtype()).to_lowercase();
            Ok(format!("{kind} {:08x}", sum.finalize()))
        }
        Store::Files { files, .. } => {
            for file in &files[range] {
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
        let print =
            |samples, sum: &str| Fingerprint { samples, columns: [("training image".into(), sum.into())].into() };
        let began = print([60, 20, 0], "u8 0badcafe");
        let says = |now: &Fingerprint| now.difference(&began);
        assert_eq!(says(&began), None);
        assert_eq!(says(&print([60, 20, 0], "files 12345678")), None);
        assert!(says(&print([61, 20, 0], "u8 0badcafe")).is_some_and(|what| what.contains("training set has 61")));
        assert!(says(&print([60, 20, 0], "u8 0badcaff")).is_some_and(|what| what.contains("`image`")));
        assert_eq!(Fingerprint::from_json(&began.to_json()), Some(began));
    }
}
