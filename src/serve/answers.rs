//! A prediction: from the request to the words that `predict --json` prints.

use super::app::{App, Bounds};
use super::body;
use super::files::{self, Named};
use super::folders::Written;
use super::refusal::{self, Refusal};
use super::served::Served;
use crate::data::picture;
use crate::error::{Error, Result};
use crate::report::html::base64;
use crate::task::Wanted;
use crate::tensor::HostTensor;
use crate::train::answer::{Outputs, mistake, object};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value as Json, json};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What of the predictions is wanted.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Asked {
    top: usize,
    score: f64,
    invert: bool,
}

/// Reads `top=3&score=0.3&invert=true`.
fn asked(query: &str) -> Result<Asked, Refusal> {
    let mut asked = Asked { top: 3, score: Wanted::SCORE, invert: false };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let known = match key {
            "top" => value.parse().ok().filter(|top| (1..=16_777_216).contains(top)).map(|top| asked.top = top),
            "score" => value.parse().ok().filter(|s| (0.0..=1.0).contains(s)).map(|score| asked.score = score),
            "invert" => value.parse().ok().map(|invert| asked.invert = invert),
            _ => None,
        };
        let hint = "there are top=1 and more, score=0…1, invert=true or false";
        known.ok_or_else(|| Refusal::unreadable("the query has a word or a value that is not known", hint))?;
    }
    Ok(asked)
}

/// Answers a request for a run. It is refused where there is no place, or where it takes too long.
pub async fn predict(app: &Arc<App>, run: Option<&str>, request: Request) -> Result<Response, Refusal> {
    let (head, content) = request.into_parts();
    let begin = || -> Result<_, Refusal> {
        let (run, asked) = (app.run(run)?, asked(head.uri.query().unwrap_or_default())?);
        if let Some(why) = app.engine.trouble() {
            return Err(Refusal::adapter(&why));
        }
        let place = app.places.clone().try_acquire_owned().map_err(|_| Refusal::full())?;
        Ok((run, asked, place))
    };
    let (run, asked, _place) = match begin() {
        Ok(found) => found,
        Err(wrong) => {
            body::drain(content, &app.bounds).await;
            return Err(wrong);
        }
    };
    let held = body::read(content, &app.bounds, &app.held).await?;
    let rows = files::is_json(&head.headers);
    let files = files::files(head, held.bytes.clone(), &app.bounds).await?;
    let answer = timeout(app.bounds.time, compute(app, run, asked, files, rows)).await;
    let late = |_| {
        let what = format!("there is no answer within {} seconds", app.bounds.time.as_secs_f64());
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, what, "send it again later")
    };
    answer.map_err(late)?
}

/// So many outputs are decoded at once. More of them, such as masks and boxes, take a thread for such things.
const FEW: usize = 4096;

/// What was read from a request.
struct Read {
    /// Of each file that could be read its name, where it lies, and height and width if it is a picture.
    files: Vec<(String, Written, Option<[usize; 2]>)>,
    /// How many samples each has.
    counts: Vec<usize>,
    samples: Vec<HostTensor>,
    wrong: Vec<Json>,
}

async fn compute(app: &Arc<App>, run: usize, asked: Asked, files: Vec<Named>, rows: bool) -> Result<Response, Refusal> {
    let coming = app.engine.coming();
    let shared = app.clone();
    let mut read = aside(&app.decoders, move || read(&shared, &shared.runs[run], asked, files, rows)).await??;
    if read.samples.is_empty() {
        return Ok(written(StatusCode::UNPROCESSABLE_ENTITY, Vec::new(), read.wrong));
    }
    let samples = std::mem::take(&mut read.samples);
    let outputs = app.engine.outputs(coming, run, samples).await?;
    let few = !app.runs[run].task.draws() && outputs.scores.iter().map(Vec::len).sum::<usize>() < FEW;
    let say = move |app: &App| {
        let predictions = said(&app.runs[run], asked, &read, &outputs, app.folders.disk());
        predictions.map(|found| written(StatusCode::OK, found, read.wrong)).map_err(|e| failed(&e))
    };
    if few {
        return say(app);
    }
    let shared = app.clone();
    aside(&app.decoders, move || say(&shared)).await?
}

/// Runs what takes time on a thread for such things, as many at a time as there are cores.
async fn aside<T: Send + 'static>(
    decoders: &Arc<Semaphore>,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let broken = || Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the request broke its thread", "report the file");
    let permit = decoders.clone().acquire_owned().await.map_err(|_| broken())?;
    let done = tokio::task::spawn_blocking(move || {
        // It is held until the work is done, even if nobody waits any more.
        let _permit = permit;
        run()
    });
    done.await.map_err(|_| broken())
}

/// A failure that is no fault of the request.
fn failed(e: &Error) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string(), "look at the disk of the service")
}

/// Writes the files where the readers of the data find them, and reads them.
fn read(app: &App, served: &Served, asked: Asked, files: Vec<Named>, rows: bool) -> Result<Read, Refusal> {
    let bounds = &app.bounds;
    let pictures = served.input.pictures();
    if rows && pictures {
        return Err(Refusal::unreadable("the run takes pictures, not rows", "send a picture as the body"));
    }
    if asked.invert && !pictures {
        return Err(Refusal::unreadable("invert is for pictures, and the run takes a table", "leave it out"));
    }
    let mut found = Read { files: Vec::new(), counts: Vec::new(), samples: Vec::new(), wrong: Vec::new() };
    for (name, bytes) in files {
        let bytes = if rows { files::table(&bytes, served.input.columns(), bounds)?.into() } else { bytes };
        let file = app.folders.write(&bytes).map_err(|e| failed(&e))?;
        match sample(served, &file.0, asked.invert, bounds) {
            Ok((samples, size)) => {
                found.files.push((name, file, size));
                found.counts.push(samples.shape[0]);
                found.samples.push(samples);
            }
            Err(e) => found.wrong.push(mistake(&called(e, &name))),
        }
    }
    Ok(found)
}

/// The samples of a file, and height and width of a picture.
fn sample(served: &Served, path: &Path, invert: bool, bounds: &Bounds) -> Result<(HostTensor, Option<[usize; 2]>)> {
    let size = if served.input.pictures() { Some(picture::size(path)?) } else { None };
    if let Some((height, width)) = size.filter(|(height, width)| height.saturating_mul(*width) > bounds.pixels) {
        let what = format!("a picture of {width} x {height} is too large");
        return Err(Error::file(path, what, format!("send one of at most {} pixels", bounds.pixels)));
    }
    let samples = served.input.read(path, invert)?.samples;
    if samples.shape[0] > bounds.rows {
        let what = format!("the table has {} rows", samples.shape[0]);
        return Err(Error::file(path, what, format!("send at most {} in one request", bounds.rows)));
    }
    Ok((samples, size.map(Into::into)))
}

/// An error that calls a file as the client did.
fn called(e: Error, name: &str) -> Error {
    match e {
        Error::File { what, hint, .. } => Error::File { file: name.into(), what, hint },
        Error::Io { writing, source, hint, .. } => Error::Io { file: name.into(), writing, source, hint },
        other => other,
    }
}

/// The predictions, as `predict --json` lists them. Pictures are drawn into a folder inside of `folder`.
fn said(served: &Served, asked: Asked, read: &Read, outputs: &Outputs, folder: &Path) -> Result<Vec<Json>> {
    let room = || TempDir::new_in(folder).map_err(|e| Error::write(folder, e));
    let drawing = served.task.draws().then(room).transpose()?;
    let each = read.files.iter().zip(&read.counts).flat_map(|(file, &count)| (1..=count).map(move |row| (file, row)));
    let mut all = Vec::new();
    for (((name, file, size), row), scores) in each.zip(&outputs.scores) {
        let wanted = Wanted { top: asked.top, size: *size, score: asked.score };
        let prediction = served.task.decode(scores, &outputs.dims, &wanted);
        let drawn = match &drawing {
            Some(folder) => in_place(prediction.draw(&file.0, folder.path())?)?,
            None => Map::new(),
        };
        all.push(object(name, size.is_none().then_some(row), &prediction, drawn));
    }
    Ok(all)
}

/// Pictures that were written, as addresses that hold them.
fn in_place(drawn: Map<String, Json>) -> Result<Map<String, Json>> {
    let one = |(key, value): (String, Json)| {
        let Some(path) = value.as_str() else { return Ok((key, value)) };
        let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
        Ok((key, json!(format!("data:image/png;base64,{}", base64(&bytes)))))
    };
    drawn.into_iter().map(one).collect()
}

/// The reply.
fn written(status: StatusCode, found: Vec<Json>, wrong: Vec<Json>) -> Response {
    let mut answer = Map::from_iter([("predictions".to_string(), Json::Array(found))]);
    if !wrong.is_empty() {
        answer.insert("errors".into(), wrong.into());
    }
    refusal::json(status, &Json::Object(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_known_words_alone() {
        let usual = Asked { top: 3, score: Wanted::SCORE, invert: false };
        assert_eq!(asked(""), Ok(usual));
        assert_eq!(asked("top=5&score=0.5&invert=true"), Ok(Asked { top: 5, score: 0.5, invert: true }));
        for wrong in ["top=0", "top=x", "score=2", "score=NaN", "invert=1", "other=1", "top"] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }
}
