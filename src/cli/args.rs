//! Arguments that several subcommands share.

use crate::error::Result;
use crate::gpu::Device;
use crate::model::{self, Model};
use crate::spec::{Count, Source};
use clap::Args;
use std::path::PathBuf;

/// A spec and changes to it.
#[derive(Args)]
pub struct SpecArgs {
    /// The spec: a JSON file.
    #[arg(value_name = "SPEC")]
    pub spec: PathBuf,
    /// Override a value, such as train.optimizer.lr=0.01 or layers[0].filters=8.
    #[arg(long, value_name = "PATH=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

impl SpecArgs {
    /// Reads the spec.
    ///
    /// # Errors
    /// A file that cannot be read, and all mistakes in it.
    pub fn load(&self) -> Result<Model> {
        model::load(Source::open(&self.spec)?, &self.set)
    }
}

/// `PATH=VALUE` in its parts.
pub fn assignment(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("write it as PATH=VALUE, for example train.batch=16")?;
    Ok((pair.0.trim().to_string(), pair.1.trim().to_string()))
}

/// A whole number from 1 to the largest that a spec takes.
pub fn count(text: &str) -> std::result::Result<Count, String> {
    match text.parse() {
        Ok(n @ 1..=16_777_216) => Ok(Count(n)),
        _ => Err("give a whole number from 1 to 16777216".into()),
    }
}

/// A number from 0 to 1.
pub fn share(text: &str) -> std::result::Result<f64, String> {
    text.parse().ok().filter(|x| (0.0..=1.0).contains(x)).ok_or("give a number from 0 to 1".into())
}

/// The choice of an adapter.
#[derive(Args)]
pub struct DeviceArgs {
    /// Index or part of a name from `pumice devices`, or `software` [default: $PUMICE_DEVICE, else the fastest kind].
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
}

impl DeviceArgs {
    /// What the flag or the environment chooses.
    pub fn choice(&self) -> Option<String> {
        self.device.clone().or_else(|| std::env::var("PUMICE_DEVICE").ok()).filter(|name| !name.is_empty())
    }

    /// Opens the adapter.
    ///
    /// # Errors
    /// No adapter, or an unknown name.
    pub async fn open(&self) -> Result<Device> {
        Device::open(self.choice().as_deref()).await
    }
}
