//! Masks: pictures with the true and the predicted classes laid over them.

use super::album::{Album, Eye};
use crate::data::draw;
use crate::data::mask::{Mask, VOID};
use crate::error::Result;
use crate::model::Model;
use crate::report::html::{Section, escape, image, table};
use crate::show::Canvas;
use crate::task::segment::Segmented;
use crate::task::{Detail, Evaluation, Wanted};
use crate::train::evaluate::Judged;

/// Pictures that are shown: the worst, and the first.
const SHOWN: [usize; 2] = [4, 4];
/// CSS pixels of a picture.
const SIDE: usize = 300;

/// A picture with its masks.
#[derive(Clone)]
pub struct Seen {
    /// Its place among the judged.
    pub index: usize,
    /// The share of right pixels.
    pub right: f64,
    /// The truth, in the size of the input.
    pub truth: Mask,
    /// What the network says, in that size.
    pub said: Mask,
}

/// Masks of the pictures that will be shown.
pub struct Segments {
    /// The class that does not count.
    pub ignore: u8,
    /// Height and width of what is kept of a mask.
    size: [usize; 2],
    count: usize,
    /// The first.
    pub first: Vec<Seen>,
    /// The worst, the worst first.
    pub worst: Vec<Seen>,
    /// Of the first and of the worst, so many are kept.
    shown: [usize; 2],
}

impl Segments {
    /// Nothing was seen yet.
    pub fn of(model: &Model) -> Segments {
        let ignore = model.loss.iter().find_map(|term| term.loss.ignore()).and_then(|class| class.try_into().ok());
        let dims = model.input.dims();
        Segments {
            ignore: ignore.unwrap_or(VOID),
            size: [dims[0], dims.get(1).copied().unwrap_or(1)],
            count: 0,
            first: Vec::new(),
            worst: Vec::new(),
            shown: SHOWN,
        }
    }

    /// The same, which keeps so many of the worst and of the first.
    pub fn keeping(self, shown: [usize; 2]) -> Segments {
        Segments { shown, ..self }
    }

    /// The mask in the size of the network's input.
    fn kept(&self, mask: &Mask) -> Mask {
        let [height, width] = self.size;
        let at =
            |i: usize| mask.classes[(i / width * mask.height / height) * mask.width + i % width * mask.width / width];
        Mask { height, width, classes: (0..height * width).map(at).collect() }
    }
}

impl Eye for Segments {
    fn see(&mut self, judged: &Judged) {
        let tensor = &judged.truth.tensor;
        let &[height, width] = &tensor.shape[..] else { return };
        let truth: Vec<u8> = tensor.data.to_f64().into_iter().map(|x| x.clamp(0.0, 255.0) as u8).collect();
        let wanted = Wanted { top: 1, size: Some([height, width]), score: 0.0 };
        let said = judged.task.decode(judged.output, judged.dims, &wanted);
        let Some(said) = said.downcast_ref::<Segmented>() else { return };
        let counted = || truth.iter().zip(&said.mask.classes).filter(|(truth, _)| **truth != self.ignore);
        let right = counted().filter(|(truth, said)| truth == said).count() as f64 / counted().count().max(1) as f64;
        self.count += 1;
        let enters = self.worst.len() < self.shown[0] || self.worst.last().is_some_and(|last| right < last.right);
        if !enters && self.first.len() >= self.shown[1] {
            return;
        }
        let truth = self.kept(&Mask { height, width, classes: truth });
        let seen = Seen { index: judged.index, right, truth, said: self.kept(&said.mask) };
        if self.first.len() < self.shown[1] {
            self.first.push(seen.clone());
        }
        if enters {
            self.worst.push(seen);
            self.worst.sort_by(|a, b| a.right.total_cmp(&b.right));
            self.worst.truncate(self.shown[0]);
        }
    }

    fn sections(&self, album: &Album, evaluation: &Evaluation) -> Result<Vec<Section>> {
        if self.count == 0 || !album.pictures() {
            return Ok(Vec::new());
        }
        let mut classes: Vec<u8> = Vec::new();
        for mask in self.first.iter().chain(&self.worst).flat_map(|seen| [&seen.truth, &seen.said]) {
            classes.extend(mask.classes.iter().filter(|class| **class > 0 && **class != self.ignore));
            classes.sort_unstable();
            classes.dedup();
        }
        let one = |&class: &u8| {
            let [r, g, b] = draw::colour(usize::from(class) - 1);
            let name = escape(&album.class(class.into()));
            format!("<li><i style=\"background:rgb({r},{g},{b})\"></i>{name}</li>")
        };
        let legend = format!("<ul class=\"legend\">{}</ul>", classes.iter().map(one).collect::<String>());
        let mut sections = Vec::new();
        // Of few pictures, the worst are the first too.
        let also = self.count > SHOWN[0] + SHOWN[1];
        for (title, list) in [("The worst pictures", &self.worst), ("The first pictures", &self.first)] {
            if title.contains("first") && !also {
                continue;
            }
            let rows = list.iter().map(|seen| self.row(album, seen)).collect::<Result<Vec<String>>>()?;
            let lede = "Left the picture, in the middle the truth, on the right what the network says.";
            sections.push(Section::new(title, lede, format!("{legend}<div class=\"triples\">{}</div>", rows.concat())));
        }
        if let (Some(table), Some(first)) = (iou(evaluation), sections.first_mut()) {
            first.html += &table;
        }
        Ok(sections)
    }
}

impl Segments {
    fn row(&self, album: &Album, seen: &Seen) -> Result<String> {
        let plain = album.canvas(seen.index)?;
        let over = |mask: &Mask| {
            let mut rgb = plain.pixels().to_vec();
            let mut found: Vec<u8> = mask.classes.clone();
            found.sort_unstable();
            found.dedup();
            for class in found.into_iter().filter(|&class| class > 0 && class != self.ignore) {
                let inside = |y: usize, x: usize| mask.classes[y * mask.width + x] == class;
                draw::mask(&mut rgb, mask.height, mask.width, usize::from(class) - 1, inside);
            }
            Canvas::draw([mask.height, mask.width], |y, x| {
                let at = (y * mask.width + x) * 3;
                [rgb[at], rgb[at + 1], rgb[at + 2]]
            })
        };
        let name = album.name(seen.index);
        let pictures = [
            image(&plain, SIDE, &name),
            image(&over(&seen.truth), SIDE, &format!("{name}, true classes")),
            image(&over(&seen.said), SIDE, &format!("{name}, predicted classes")),
        ];
        let right = 100.0 * seen.right;
        Ok(format!(
            "<figure class=\"triple\"><div>{}</div><figcaption>{}: {right:.1} % of the pixels are \
             right</figcaption></figure>",
            pictures.concat(),
            escape(&name)
        ))
    }
}

/// The IoU of each class, with circles whose areas are the shares.
fn iou(evaluation: &Evaluation) -> Option<String> {
    let rows = evaluation.details.iter().find_map(|detail| match detail {
        Detail::Each { key: "iou", rows, .. } => Some(rows),
        _ => None,
    })?;
    let row = |(name, values): &(String, Vec<f64>)| {
        let share = values.first().copied().unwrap_or(f64::NAN);
        let r = 9.0 * share.clamp(0.0, 1.0).sqrt();
        let circle = format!(
            "<svg class=\"share\" viewBox=\"0 0 20 20\" aria-hidden=\"true\"><circle class=\"whole\" cx=\"10\" cy=\"10\" \
             r=\"9\"/><circle class=\"part\" cx=\"10\" cy=\"10\" r=\"{r:.1}\"/></svg>"
        );
        vec![escape(name), format!("{circle} {:.1} %", 100.0 * share)]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    Some(table("Intersection over union of each class", &["class", "IoU"].map(String::from), &rows))
}
