//! What is written for other programs, and first specs for somebody's own data. Every file lies beside the run.

use crate::session::Desk;
use crate::worker::News;
use pumice::data::{file, tensors};
use pumice::exchange::{onnx_export, torch, torchvision};
use pumice::report::book::{Book, PAGE};
use pumice::report::history::History;
use pumice::report::judged::{Done, judge, whole};
use pumice::show::samples::first_of_classes;
use pumice::show::{Method, Request, Sample, Viewer, method};
use pumice::task::draft::draft;
use pumice::{Error, Result, Run};
use std::path::{Path, PathBuf};

/// Samples whose pictures are drawn.
const SAMPLES: usize = 8;

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Network and weights.
    Onnx,
    /// Weights with PyTorch's names and layouts.
    Pytorch,
    /// Weights with Pumice's names and layouts.
    Safetensors,
    /// A page for a browser.
    Report,
    /// Filters, feature maps, Grad-CAM and saliency as PNG files.
    Pictures,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Onnx, Kind::Pytorch, Kind::Safetensors, Kind::Report, Kind::Pictures];

    /// The file or the folder, in a run folder.
    pub fn place(self, run: &Path, name: &str) -> PathBuf {
        match self {
            Kind::Onnx => run.join(format!("{name}.onnx")),
            Kind::Pytorch => run.join(format!("{name}.pytorch.safetensors")),
            Kind::Safetensors => run.join(format!("{name}.safetensors")),
            Kind::Report => run.join(PAGE),
            Kind::Pictures => run.join("pictures"),
        }
    }
}

impl Desk {
    /// Writes the network as it is now.
    pub(crate) async fn export(&mut self, kind: Kind) -> Result<()> {
        self.save().await?;
        let (Some(trainer), Some(run), Some(device)) = (&mut self.trainer, &self.run, &self.device) else {
            return Err(Error::usage("there is nothing to write yet", "train a step first: that makes the run folder"));
        };
        let place = kind.place(run.dir(), &plain(&trainer.model().name));
        match kind {
            Kind::Onnx | Kind::Pytorch | Kind::Safetensors => {
                let weights = trainer.weights().await?;
                let (model, from) = (trainer.model(), run.weights_path());
                match kind {
                    Kind::Onnx => file::replace(&place, &onnx_export::export(model, (&from, &weights))?)?,
                    Kind::Pytorch => {
                        let names = torchvision::names(&model.name);
                        tensors::write_tensors(&place, &torch::export(model, (&from, &weights), names.as_deref())?)?;
                    }
                    _ => tensors::write_tensors(&place, &weights)?,
                }
            }
            Kind::Report => {
                let (model, problem) = (trainer.model(), trainer.problem());
                let (split, evaluation, eye) = judge(device, run, model, problem).await?;
                let book = Book::new(model, device.caps())?;
                let done = Done { model, problem, split, evaluation, eye };
                whole(&book, &History::read(run)?, device, run, done).await?;
            }
            Kind::Pictures => pictures(run, device, trainer.problem(), &place).await?,
        }
        let bytes = size(&place);
        let place = std::path::absolute(&place).unwrap_or(place);
        (self.tell)(News::Exported(place, bytes));
        Ok(())
    }

    /// Writes a first spec.
    pub(crate) fn draft(&mut self, data: &Path, folder: &Path) -> Result<()> {
        let draft = draft(Some(data), None)?;
        let file = draft.write(folder)?;
        (self.tell)(News::Drafted(file, draft.about));
        Ok(())
    }
}

/// A name that is a file's on every system.
pub fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' };
    name.chars().take(100).map(plain).collect()
}

async fn pictures(run: &Run, device: &pumice::Device, problem: &pumice::train::Problem, folder: &Path) -> Result<()> {
    let mut viewer = Viewer::open(run.dir(), device).await?;
    let split = problem.judged_split();
    let positions = problem.positions(split);
    let sample = |place: usize| {
        let name = format!("{}-{place}", split.word());
        Sample::of_problem(viewer.model(), problem, name, positions[place])
    };
    let samples: Vec<Sample> =
        first_of_classes(problem, positions, SAMPLES)?.into_iter().map(sample).collect::<Result<_>>()?;
    std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
    for what in [Method::Filters, Method::Features, Method::GradCam, Method::Saliency] {
        let samples = if what.takes_pictures() { samples.clone() } else { Vec::new() };
        let request = Request { layer: None, class: None, samples };
        for picture in method::show(&mut viewer, what, &request).await?.pictures {
            picture.canvas.write(&folder.join(format!("{}.png", picture.name)))?;
        }
    }
    Ok(())
}

/// Bytes of a file, or of the files of a folder.
fn size(place: &Path) -> u64 {
    let of = |path: &Path| path.metadata().map_or(0, |about| about.len());
    match std::fs::read_dir(place) {
        Ok(entries) => entries.flatten().map(|entry| of(&entry.path())).sum(),
        Err(_) => of(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_place_of_its_own_in_the_run() {
        let mut all = Kind::ALL.map(|kind| kind.place(Path::new("runs/a"), "lenet"));
        assert_eq!(all[0], Path::new("runs/a/lenet.onnx"));
        all.sort();
        assert!(all.windows(2).all(|two| two[0] != two[1]) && all.iter().all(|file| file.starts_with("runs/a")));
        assert_eq!(plain("a/b c.d"), "a_b_c_d");
    }
}
