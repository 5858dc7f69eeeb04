//! Moving parameters and statistics between a session and files.

use crate::compile::layout::{Entry, Layout};
use crate::data::tensors::Tensors;
use crate::error::{Error, Result, quoted};
use crate::gpu::Session;
use crate::graph::Arena;
use crate::tensor::{DType, Data, HostTensor};
use std::path::Path;

/// Writes the first values of all parameters and statistics. Each depends only on the seed and its name.
pub fn initialise(session: &Session, layout: &Layout, seed: u64) {
    // Stored samples and their labels have other types. They come from files.
    for (name, entry) in saved(layout).filter(|(_, e)| e.ty.dtype == DType::F32) {
        session.write_tensor(name, None, &Data::F32(entry.fill.values(entry.ty.items(), seed, name)));
    }
}

/// Parameters and statistics of the model, by name.
pub fn saved(layout: &Layout) -> impl Iterator<Item = (&String, &Entry)> {
    layout.entries.iter().filter(|(_, e)| e.saved)
}

/// Copies every trainable parameter, or what belongs to it, from one arena of the layout to another. Nothing is done where
/// they are the same.
///
/// # Errors
/// What the adapter reports.
pub async fn copy(session: &mut Session, layout: &Layout, from: Arena, to: Arena) -> Result<()> {
    if from == to {
        return Ok(());
    }
    for (name, tensor) in read_moment(session, layout, from).await? {
        session.write_tensor(&name, Some(to), &tensor.data);
    }
    Ok(())
}

/// Writes the trainable parameters among some tensors into another arena of the layout as well. Nothing is done for
/// [`Arena::Weights`].
pub fn mirror(session: &Session, layout: &Layout, tensors: &Tensors, arena: Arena) {
    let trained = layout.entries.iter().filter(|(_, e)| e.arena == Arena::Weights && e.arena != arena);
    for (name, entry) in trained {
        if let Some(tensor) = tensors.get(name).filter(|tensor| tensor.shape == entry.ty.dims) {
            session.write_tensor(name, Some(arena), &tensor.data);
        }
    }
}

/// Reads parameters and statistics back.
///
/// # Errors
/// What the adapter reports.
pub async fn read(session: &mut Session, layout: &Layout) -> Result<Tensors> {
    let mut found = Tensors::new();
    for (name, _) in saved(layout) {
        found.insert(name.clone(), session.read_tensor(name, None).await?);
    }
    Ok(found)
}

/// Reads one of the optimizer's moments, or the gradient, of every trainable parameter.
///
/// # Errors
/// What the adapter reports.
pub async fn read_moment(session: &mut Session, layout: &Layout, arena: Arena) -> Result<Tensors> {
    let mut found = Tensors::new();
    for (name, _) in layout.entries.iter().filter(|(_, e)| e.arena == Arena::Weights) {
        found.insert(name.clone(), session.read_tensor(name, Some(arena)).await?);
    }
    Ok(found)
}

/// What in a tensor is no number, and where, if anything is: `NaN at 17`.
pub fn not_finite(data: &Data) -> Option<String> {
    let Data::F32(values) = data else { return None };
    let at = values.iter().position(|x| !x.is_finite())?;
    Some(format!("{} at {at}", values[at]))
}

/// Fails for a tensor of a training that must not be written.
///
/// # Errors
/// A value that is NaN or infinite.
pub fn check_finite(name: &str, data: &Data) -> Result<()> {
    let Some(found) = not_finite(data) else { return Ok(()) };
    let hint = "lower train.optimizer.lr or set train.clip_norm; nothing of it was written".into();
    Err(Error::NotFinite { what: format!("training has diverged: tensor `{name}` holds {found}"), hint })
}

/// The first names of a list, in the order of the list.
fn first_names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<String> = names.map(|name| format!("`{}`", quoted(name))).collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    if names.is_empty() { "none".into() } else { names[..names.len().min(SHOWN)].join(", ") + &more }
}

/// Checks that tensors of a file are the model's, and writes them. With `partial`, tensors that are missing or have
/// another shape keep their first values. Returns the names of those, and of tensors that the model does not have.
///
/// # Errors
/// Missing names, and other shapes or types, each named; names that the model does not have; values that are not
/// finite; with `partial`, a file from which nothing would be taken.
pub fn load<'a>(
    session: &Session,
    layout: &'a Layout,
    file: &Path,
    tensors: &Tensors,
    partial: bool,
) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (name, entry) in saved(layout) {
        match tensors.get(name) {
            None => wrong.push(format!("`{name}` {:?} is missing", entry.ty.dims)),
            Some(t) if t.shape != entry.ty.dims => {
                wrong.push(format!("`{name}` is {:?} in the file and {:?} in the model", t.shape, entry.ty.dims));
            }
            Some(t) if t.data.dtype() != entry.ty.dtype => {
                wrong.push(format!("`{name}` is {:?}, not {:?}", t.data.dtype(), entry.ty.dtype));
            }
            Some(_) => {}
        }
    }
    for name in tensors.keys().filter(|name| layout.entries.get(*name).is_none_or(|e| !e.saved)) {
        wrong.push(format!("`{name}` is no tensor of the model"));
    }
    if !wrong.is_empty() && !partial {
        let most = 8;
        let more = if wrong.len() > most { format!(", and {} more", wrong.len() - most) } else { String::new() };
        let what = format!("these are weights of another model: {}{more}", wrong[..wrong.len().min(most)].join(", "));
        let hint = "use the weights of this spec; `train --weights FILE --partial` takes those that fit";
        return Err(Error::file(file, what, hint));
    }
    let fits = |(name, entry): (&'a String, &Entry)| {
        let tensor = tensors.get(name)?;
        (tensor.shape == entry.ty.dims && tensor.data.dtype() == entry.ty.dtype).then_some((name, tensor))
    };
    let taken: Vec<(&String, &HostTensor)> = saved(layout).filter_map(fits).collect();
    if taken.is_empty() && saved(layout).next().is_some() {
        let what = format!("none of its tensors fits one of the model: it has {}", first_names(tensors.keys()));
        let hint = format!(
            "name the layers so that names and shapes agree; the model has {}",
            first_names(saved(layout).map(|s| s.0))
        );
        return Err(Error::file(file, what, hint));
    }
    for (name, tensor) in &taken {
        if let Some(found) = not_finite(&tensor.data) {
            let what = format!("tensor `{name}` holds {found}");
            return Err(Error::file(file, what, "use weights whose values are all finite"));
        }
    }
    taken.iter().for_each(|(name, tensor)| session.write_tensor(name, None, &tensor.data));
    Ok(wrong)
}
