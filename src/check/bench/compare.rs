//! A comparison with an earlier run.

use super::Bench;
use crate::error::{Error, Result};
use serde_json::Value as Json;
use std::path::Path;

/// The JSON of an earlier run.
pub struct Earlier(Json);

/// A time of the earlier run divided by that of this run. Above 1, this run is faster.
#[derive(Clone, PartialEq, Debug)]
pub struct Ratio {
    /// Case or workload.
    pub name: String,
    /// The key in `bench --json`.
    pub key: &'static str,
    /// The time of the earlier run, in the unit of the key.
    pub old: f64,
    /// This run's.
    pub new: f64,
}

impl Ratio {
    /// Old over new.
    pub fn value(&self) -> f64 {
        self.old / self.new
    }
}

impl Earlier {
    /// Reads what `bench --json` printed.
    ///
    /// # Errors
    /// A file that cannot be read or is something else.
    pub fn open(file: &Path) -> Result<Earlier> {
        let text = std::fs::read_to_string(file).map_err(|e| Error::read(file, e))?;
        let hint = "give a file that `pumice bench --json > FILE` has written";
        let json: Json = serde_json::from_str(&text).map_err(|e| Error::file(file, format!("no JSON: {e}"), hint))?;
        let known = |key: &str| json[key].as_array().is_some_and(|list| list.iter().all(|x| x["name"].is_string()));
        if !known("cases") || !known("workloads") {
            return Err(Error::file(file, "these are no results of `pumice bench`", hint));
        }
        Ok(Earlier(json))
    }

    /// The name of the earlier run's adapter.
    pub fn adapter(&self) -> &str {
        self.0["adapter"].as_str().unwrap_or("unknown")
    }

    /// Compares this run with the earlier one: first the roofs, which show
    /// how the machines differed, then everything that both runs have.
    pub fn ratios(&self, now: &Bench) -> Vec<Ratio> {
        let now = now.to_json();
        let mut list = Vec::new();
        for key in ["alu_gflops", "load_gbps"] {
            list.extend(ratio("roof", key, &self.0["roof"], &now["roof"]));
        }
        for (group, keys) in [("cases", &["ms"][..]), ("workloads", &["ms_step", "ms_forward", "first_step_s"][..])] {
            for new in now[group].as_array().into_iter().flatten() {
                let earlier = self.0[group].as_array().into_iter().flatten();
                let Some(old) = earlier.into_iter().find(|old| old["name"] == new["name"]) else { continue };
                let name = new["name"].as_str().unwrap_or_default();
                list.extend(keys.iter().filter_map(|key| ratio(name, key, old, new)));
            }
        }
        list
    }
}

fn ratio(name: &str, key: &'static str, old: &Json, new: &Json) -> Option<Ratio> {
    Some(Ratio { name: name.into(), key, old: old[key].as_f64()?, new: new[key].as_f64().filter(|&x| x > 0.0)? })
}
