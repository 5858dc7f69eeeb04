//! Objects: pictures with boxes, and how precision falls as recall rises.

use super::album::{Album, Eye};
use super::other::each;
use crate::data::BOXES;
use crate::data::draw;
use crate::data::fit::Fit;
use crate::data::objects::{Object, Objects};
use crate::data::rle::Rle;
use crate::error::Result;
use crate::model::Model;
use crate::report::html::{Section, address, escape};
use crate::report::plot::{Chart, Scale, Series};
use crate::show::Canvas;
use crate::task::detect::found::{By, area};
use crate::task::detect::{Detected, Found, Seen, voc};
use crate::task::{Detail, Evaluation, Wanted};
use crate::tensor::Data;
use crate::train::evaluate::Judged;
use std::fmt::Write;
use std::sync::Arc;

/// Pictures that are shown: the worst, and the first.
const SHOWN: [usize; 2] = [6, 6];
/// Objects of at least this score are drawn, and count where a picture is judged.
const SCORE: f64 = Wanted::SCORE;
/// An object is found by a box that overlaps it so much.
const IOU: f64 = 0.5;
/// Classes that are drawn as a curve of their own: those with the most objects.
const CURVES: usize = 5;
/// Points of a curve.
const POINTS: usize = 120;

/// All that was found, and all that was there.
pub struct Detections {
    /// Height and width of the input.
    input: [usize; 2],
    /// Where each lies in the data, how in the input, and what was seen.
    pub pictures: Vec<(usize, Place, Seen)>,
}

/// How a picture lies in the input.
#[derive(Clone, Copy)]
pub struct Place {
    /// Its height and width.
    pub size: [usize; 2],
    /// How it was brought to the input's.
    pub fit: Fit,
}

impl Detections {
    /// Nothing was seen yet.
    pub fn of(model: &Model) -> Detections {
        let dims = model.input.dims();
        Detections { input: [dims[0], dims.get(1).copied().unwrap_or(1)], pictures: Vec::new() }
    }

    /// The objects in pixels of the picture; without such, in pixels of the input.
    fn objects(&self, judged: &Judged) -> Arc<Objects> {
        if let Some(objects) = &judged.truth.objects {
            return objects.clone();
        }
        let [height, width] = self.input.map(|side| side as f64);
        let rows = match &judged.truth.tensor.data {
            Data::F32(rows) => rows.as_slice(),
            _ => &[],
        };
        let object = |row: &[f32]| {
            let corners = [row[1], row[2], row[3], row[4]].map(f64::from);
            let corners = [corners[0] * width, corners[1] * height, corners[2] * width, corners[3] * height];
            Object { class: row[0] as usize, corners, area: area(corners), ignored: false, crowd: false, mask: None }
        };
        let list = rows.chunks_exact(5).filter(|row| row[0] >= 0.0).map(object).collect();
        Arc::new(Objects { size: self.input, fit: Fit::Stretch, list })
    }
}

/// Right boxes, boxes and objects of a picture: each object is found once.
pub fn hits(seen: &Seen) -> [usize; 3] {
    let found: Vec<&Found> = seen.found.iter().filter(|found| found.score >= SCORE).collect();
    let objects: Vec<&Object> = seen.objects.iter().filter(|object| !object.ignored).collect();
    let mut taken = vec![false; objects.len()];
    let mut right = 0;
    for one in &found {
        let fits = |i: &usize| !taken[*i] && objects[*i].class == one.class && one.overlap(objects[*i], By::Box) >= IOU;
        if let Some(i) = (0..objects.len()).find(fits) {
            taken[i] = true;
            right += 1;
        }
    }
    [right, found.len(), objects.len()]
}

/// The harmonic mean of precision and recall of a picture; 1 where nothing is and nothing is found.
pub fn quality(seen: &Seen) -> f64 {
    let [right, found, objects] = hits(seen);
    if found + objects == 0 { 1.0 } else { 2.0 * right as f64 / (found + objects) as f64 }
}

impl Eye for Detections {
    fn see(&mut self, judged: &Judged) {
        let objects = self.objects(judged);
        let wanted = Wanted { top: 1, size: Some(objects.size), score: 0.0 };
        let said = judged.task.decode(judged.output, judged.dims, &wanted);
        let Some(said) = said.downcast_ref::<Detected>() else { return };
        let place = Place { size: objects.size, fit: objects.fit };
        let seen = Seen { found: said.found.clone(), objects: objects.list.clone() };
        self.pictures.push((judged.index, place, seen));
    }

    fn sections(&self, album: &Album, evaluation: &Evaluation) -> Result<Vec<Section>> {
        if self.pictures.is_empty() || !album.pictures() {
            return Ok(Vec::new());
        }
        let mut order: Vec<usize> = (0..self.pictures.len()).collect();
        let first: Vec<usize> = order.iter().copied().take(SHOWN[1]).collect();
        order.sort_by(|&a, &b| quality(&self.pictures[a].2).total_cmp(&quality(&self.pictures[b].2)));
        order.truncate(SHOWN[0]);
        let masks = self.pictures.iter().flat_map(|(.., seen)| &seen.found).any(|found| found.mask.is_some());
        let lede = match masks {
            true => {
                "Dashed white boxes are the truth; boxes and masks in colour are what the network finds, with how sure it is."
            }
            false => {
                "Dashed white boxes are the truth; boxes in colour are what the network finds, with how sure it is."
            }
        };
        let mut sections = vec![self.show(album, "The worst pictures", lede, &order)?];
        if self.pictures.len() > SHOWN[0] + SHOWN[1] {
            sections.push(self.show(album, "The first pictures", lede, &first)?);
        }
        sections.extend(self.curves(album, evaluation));
        Ok(sections)
    }
}

impl Detections {
    fn show(&self, album: &Album, title: &str, lede: &str, list: &[usize]) -> Result<Section> {
        let figures = list.iter().map(|&i| self.figure(album, i)).collect::<Result<Vec<String>>>()?;
        Ok(Section::new(title, lede, format!("<div class=\"grid\">{}</div>", figures.concat())))
    }

    /// The picture with the masks of what is found laid over it, if there are some. The surest lie on top.
    fn masked(&self, canvas: Canvas, place: &Place, seen: &Seen) -> Canvas {
        let masks = seen.found.iter().filter(|found| found.score >= SCORE);
        let masks: Vec<(usize, &Rle)> = masks.rev().filter_map(|one| Some((one.class, one.mask.as_ref()?))).collect();
        if masks.is_empty() {
            return canvas;
        }
        let (height, width) = (canvas.height(), canvas.width());
        let mut rgb = canvas.pixels().to_vec();
        let whole = [0.0, 0.0, place.size[1] as f64, place.size[0] as f64];
        let [left, top, right, bottom] = place.fit.to_input(whole, place.size, self.input);
        // Which pixel of the picture lies under the middle of a cell; None beside the picture.
        let under = |i: usize, cells: usize, [start, end]: [f64; 2], size: usize| {
            let at = ((i as f64 + 0.5) / cells as f64 - start) / (end - start) * size as f64;
            (at >= 0.0 && at < size as f64).then_some(at as usize)
        };
        for (class, mask) in masks {
            let pixels = mask.pixels();
            draw::mask(&mut rgb, height, width, class, |y, x| {
                let row = under(y, height, [top, bottom], place.size[0]);
                let column = under(x, width, [left, right], place.size[1]);
                row.zip(column).is_some_and(|(y, x)| pixels[y * place.size[1] + x])
            });
        }
        Canvas::draw([height, width], |y, x| {
            let at = (y * width + x) * 3;
            [rgb[at], rgb[at + 1], rgb[at + 2]]
        })
    }

    /// A picture with its boxes, in the network's size.
    fn figure(&self, album: &Album, i: usize) -> Result<String> {
        let (index, place, seen) = &self.pictures[i];
        let canvas = self.masked(album.canvas(*index)?, place, seen);
        let (height, width) = (canvas.height() as f64, canvas.width() as f64);
        let name = album.name(*index);
        let [right, found, objects] = hits(seen);
        let many = match found - right {
            0 => String::new(),
            1 => ", 1 box too many".into(),
            more => format!(", {more} boxes too many"),
        };
        let said = format!("{name}: {right} of {objects} objects found{many}");
        let mut svg = format!(
            "<svg class=\"boxes\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\"><image href=\"{}\" \
             width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"/>",
            escape(&said),
            address(&canvas)
        );
        let corners = |corners: [f64; 4]| {
            let [x1, y1, x2, y2] = place.fit.to_input(corners, place.size, self.input);
            [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height]
        };
        for (class, objects) in [("under", &seen.objects), ("truth", &seen.objects)] {
            for object in objects {
                let [x, y, w, h] = corners(object.corners);
                write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" \
                     height=\"{:.1}\"><title>{}</title></rect>",
                    w.max(0.0),
                    h.max(0.0),
                    escape(&album.class(object.class))
                )
                .expect("text takes everything");
            }
        }
        let letter = (height.max(width) / 26.0).max(4.0);
        for one in seen.found.iter().filter(|found| found.score >= SCORE).rev() {
            let [x, y, w, h] = corners(one.corners);
            let label = format!("{} {:.0} %", album.class(one.class), 100.0 * one.score);
            // A name that would reach beyond the right edge ends where its box does.
            let ends = x + 0.62 * letter * label.chars().count() as f64 > width;
            let (at, anchor) = if ends { (x + w - letter * 0.2, "end") } else { (x + letter * 0.2, "start") };
            write!(
                svg,
                "<rect class=\"under\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0:.1}\" height=\"{1:.1}\"/><rect class=\"found\" \
                 x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0:.1}\" height=\"{1:.1}\"/><text x=\"{2:.1}\" y=\"{3:.1}\" \
                 font-size=\"{letter:.1}\" text-anchor=\"{anchor}\">{4}</text>",
                w.max(0.0),
                h.max(0.0),
                at.min(width),
                (y - letter * 0.3).max(letter),
                escape(&label)
            )
            .expect("text takes everything");
        }
        Ok(format!("<figure>{svg}</svg><figcaption>{}</figcaption></figure>", escape(&said)))
    }

    /// Precision over recall, of the classes with the most objects.
    fn curves(&self, album: &Album, evaluation: &Evaluation) -> Option<Section> {
        let seen: Vec<Seen> = self.pictures.iter().map(|(.., seen)| seen.clone()).collect();
        let classes = album.problem.classes.len().max(1);
        let mut counts: Vec<(usize, usize)> = (0..classes)
            .map(|class| (seen.iter().flat_map(|s| &s.objects).filter(|o| o.class == class).count(), class))
            .collect();
        counts.sort_by_key(|&(count, class)| (usize::MAX - count, class));
        let series = counts.iter().take(CURVES).filter_map(|&(_, class)| {
            let curve = voc::curve(&seen, class)?;
            let step = curve.len().div_ceil(POINTS).max(1);
            let points = curve.iter().step_by(step).chain(curve.last()).map(|&(recall, precision)| [recall, precision]);
            Some(Series { name: album.class(class), points: points.collect(), noise: false })
        });
        let chart = Chart {
            title: "Precision over recall, at an overlap of 0.5".into(),
            across: "recall".into(),
            series: series.collect(),
            scale: Scale::Share,
            range: Some([[0.0, 1.0], [0.0, 1.0]]),
            ..Chart::default()
        };
        let figure = chart.figure()?;
        let each = evaluation.details.iter().filter_map(|detail| match detail {
            Detail::Each { of, kinds, rows, .. } => Some(each(of, kinds, rows)),
            Detail::Confusion(_) => None,
        });
        let html = format!("<div class=\"grid\">{figure}<div>{}</div></div>", each.collect::<String>());
        let lede = "Each box that the network adds, from the surest on, finds an object (recall rises) or none (precision \
                    falls). The best curve runs along the top.";
        Some(Section::new("Precision and recall", lede, html))
            .filter(|_| album.problem.columns.iter().any(|c| c.field == BOXES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_lie_over_the_picture_as_it_lies_in_the_input() {
        let size = [2, 4];
        let mask = Rle::from_fn(size, |y, x| y == 0 && x < 2);
        let corners = [0.0, 0.0, 2.0, 1.0];
        let sure = Found { class: 0, score: 0.9, corners, mask: Some(mask) };
        let seen = Seen { found: vec![Found { score: 0.1, ..sure.clone() }, sure], objects: Vec::new() };
        let eye = Detections { input: [8, 8], pictures: Vec::new() };
        let place = Place { size, fit: Fit::Letterbox };
        let found = eye.masked(Canvas::draw([8, 8], |_, _| [0; 3]), &place, &seen);
        // The picture fills rows 2 to 5; a cell of it is two of the input.
        let changed = |i: usize| found.pixels()[3 * i..][..3] != [0; 3];
        let wanted = |i: usize| (2..4).contains(&(i / 8)) && i % 8 < 4;
        assert!((0..64).all(|i| changed(i) == wanted(i)));
    }

    #[test]
    fn a_picture_is_judged_by_what_it_finds() {
        let object = |x: f64, class| {
            let corners = [x, 0.0, x + 10.0, 10.0];
            Object { class, corners, area: 100.0, ignored: false, crowd: false, mask: None }
        };
        let found = |x: f64, class, score| Found { class, score, corners: [x, 0.0, x + 10.0, 10.0], mask: None };
        let seen = |found: Vec<Found>, objects: Vec<Object>| Seen { found, objects };
        assert_eq!(quality(&seen(vec![], vec![])), 1.0);
        let two = vec![object(0.0, 0), object(50.0, 1)];
        // Right, twice the same object, another class, and one that is not sure.
        let list = vec![found(1.0, 0, 0.9), found(0.0, 0, 0.8), found(50.0, 0, 0.7), found(50.0, 1, 0.1)];
        assert_eq!(hits(&seen(list.clone(), two.clone())), [1, 3, 2]);
        assert!((quality(&seen(list, two)) - 0.4).abs() < 1e-12);
    }
}
