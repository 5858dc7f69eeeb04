//! What training writes beside the run itself: the diary, the page, and what TensorBoard reads. Nothing of it may end a
//! training: what goes wrong is said once.

use super::args::Args;
use crate::cli::output;
use crate::data::IMAGE;
use crate::error::Result;
use crate::gpu::Device;
use crate::model::Model;
use crate::report::book::Book;
use crate::report::diary::{Diary, command};
use crate::report::history::Start;
use crate::report::tensorboard::Board;
use crate::show::{Canvas, Sample};
use crate::train::{Event, Problem, Run};

/// Pictures of the sheet for TensorBoard.
const SHEET: [usize; 2] = [16, 8];

/// Hears what happens, and writes it down.
pub(super) struct Recorder<'a> {
    run: &'a Run,
    /// What was heard.
    pub(super) diary: Diary<'a>,
    /// The page; None where none is wanted, or where it could not be written.
    pub(super) book: Option<Book>,
    board: Option<Board>,
}

/// Begins the file for TensorBoard, if one is wanted, with a sheet of training samples.
///
/// # Errors
/// A folder that cannot be written, or a picture that cannot be read.
pub(super) fn board(args: &Args, model: &Model, problem: &Problem) -> Result<Option<Board>> {
    let Some(dir) = &args.tensorboard else { return Ok(None) };
    let mut board = Board::create(dir)?;
    if model.input_field() == IMAGE && model.input.dims().len() == 3 {
        let some = problem.train.iter().take(SHEET[0]);
        let one =
            |&position: &u32| Ok(Sample::of_problem(model, problem, String::new(), position)?.canvas(&model.input));
        let pictures = some.map(one).collect::<Result<Vec<Canvas>>>()?;
        board.picture("samples", 0, &Canvas::grid(&pictures, SHEET[1]))?;
    }
    Ok(Some(board))
}

impl<'a> Recorder<'a> {
    /// Opens the diary of a run. `step` is the one from which it goes on.
    ///
    /// # Errors
    /// A folder that cannot be written, or files of it that are damaged.
    pub(super) fn new(
        run: &'a Run,
        model: &Model,
        device: &Device,
        step: u64,
        board: Option<Board>,
        page: bool,
    ) -> Result<Recorder<'a>> {
        let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        let (adapter, version) = (device.caps().name.clone(), format!("pumice {}", env!("CARGO_PKG_VERSION")));
        let diary = Diary::open(run, model, Start { step, command: command(words), adapter, version })?;
        let book = if page { Some(Book::new(model, device.caps())?) } else { None };
        Ok(Recorder { run, diary, book, board })
    }

    /// Hears an event. At the end of an epoch it writes.
    pub(super) fn hear(&mut self, event: &Event) {
        if let Err(e) = self.diary.hear(event) {
            output::note(&format!("the run's diary has a gap: {e}"));
        }
        if let Some(board) = &mut self.board {
            let weights = self.diary.history.weights.last().map_or(&[][..], |line| &line.tensors);
            if let Err(e) = board.hear(event, weights, self.diary.filters.as_ref()) {
                output::note(&format!("no more is written for TensorBoard: {e}"));
                self.board = None;
            }
        }
        let written = match (&self.book, event) {
            (Some(book), Event::Epoch(_) | Event::End { .. }) => {
                Book::write(self.run, &book.plain(&self.diary.history, self.diary.filters.as_ref()))
            }
            _ => Ok(()),
        };
        if let Err(e) = written {
            output::note(&format!("no report is written: {e}"));
            self.book = None;
        }
    }
}
