//! Drawn pictures of circles, squares and triangles that overlap, each with its box and its pixels: for tests, and to learn
//! with. No file is read: picture `i` is drawn by the random numbers of (seed, part, i), and is always the same.

use std::path::Path;
use std::sync::Arc;

use super::dataset::{BOXES, Column, Dataset, IMAGE, INSTANCES, Splits};
use super::fit::Fit;
use super::object_columns;
use super::objects::{Object, Objects};
use super::order::SplitMix64;
use super::reader::{Reader, Want};
use super::registry::Readers;
use super::rle::Rle;
use super::split::Split;
use super::store::{Store, on_all_cores};
use crate::error::{Error, Result};
use crate::spec::{Count, spec_struct};
use crate::tensor::{Data, HostTensor};

pub(super) fn register(readers: &mut Readers) {
    let doc = "Drawn circles, squares and triangles of random size that overlap, with their boxes and pixels. No file is read.";
    readers.reader::<Shapes>("shapes", doc);
}

spec_struct! {
    /// Data of kind `shapes`.
    pub struct Shapes {
        /// Pictures for training.
        pub count: Count = Count(1000),
        /// Pictures for tests.
        pub test: Count = Count(200),
        /// Most objects of a picture. Every picture has at least one.
        pub objects: Count = Count(4),
        /// Other numbers give other pictures.
        pub seed: Count = Count(1),
    }
}

/// The classes.
const NAMES: [&str; 3] = ["circle", "square", "triangle"];

/// The smallest side of an object, as a share of the picture's smaller side.
const SMALLEST: f64 = 0.12;
/// The largest.
const LARGEST: f64 = 0.45;
/// An object is drawn elsewhere where it would hide more of another than this.
const HIDDEN: f64 = 0.5;
/// Values differ by up to so much from the colour of their surface.
const NOISE: u64 = 12;
/// Red, green and blue of an object differ by at least so much from the ground, all together.
const CONTRAST: i32 = 150;
/// A place for an object is sought so often.
const TRIES: usize = 8;
/// Most pictures of a part.
const MOST: usize = 1 << 20;

impl Reader for Shapes {
    fn targets(&self) -> &'static [&'static str] {
        &[BOXES, INSTANCES]
    }

    fn open(&self, _: Option<&Path>, want: &Want) -> Result<Splits> {
        let size = want.picture_size()?;
        if size[0].min(size[1]) < 8 {
            return Err(Error::usage("shapes need pictures of at least 8 x 8", "use a larger input"));
        }
        if self.count.0.max(self.test.0) > MOST || self.objects.0 > 100 {
            let what = format!("`shapes` draws at most {MOST} pictures of at most 100 objects");
            return Err(Error::usage(what, "lower `data.count`, `data.test` or `data.objects`"));
        }
        let names = match &want.names {
            Some(names) if names.len() < NAMES.len() => {
                let what = format!("{} class names for circles, squares and triangles", names.len());
                return Err(Error::usage(what, "give three with `data.class_names`, or none"));
            }
            Some(names) => names.clone(),
            None => NAMES.map(String::from).to_vec(),
        };
        if let Some(classes) = want.classes.filter(|classes| *classes < NAMES.len()) {
            let what = format!("there are 3 classes of shapes, but the model has {classes}");
            return Err(Error::usage(what, "correct `data.classes` and the last layer"));
        }
        want.in_memory(self.count.0, size, 0)?;
        let open = |wanted: bool, split: Split, count: usize| {
            wanted.then(|| {
                let (images, objects) = self.draw(split, count, size);
                let images = Column::new(IMAGE, Store::Memory(images));
                let input = [size[0], size[1]];
                let mut columns = vec![images, object_columns::boxes(&objects, self.objects.0, input)];
                if want.instances {
                    columns.push(object_columns::instances(&objects, input));
                }
                Dataset { columns, classes: names.clone(), features: Vec::new() }
            })
        };
        let train = open(want.train, Split::Train, self.count.0);
        let test = open(want.test, Split::Test, self.test.0);
        Ok(Splits { train, test, ..Splits::default() })
    }

    fn has(&self, _: Option<&Path>, split: Split) -> bool {
        split != Split::Validation
    }

    fn known_classes(&self, _: Option<&Path>) -> Option<usize> {
        Some(NAMES.len())
    }

    fn count_classes(&self, _: Option<&Path>, _: &Want) -> Result<usize> {
        Ok(NAMES.len())
    }
}

impl Shapes {
    fn draw(&self, split: Split, count: usize, size: [usize; 3]) -> (HostTensor, Vec<Arc<Objects>>) {
        let part = if split == Split::Test { 1 << 32 } else { 0 };
        let each: usize = size.iter().product();
        let mut pixels = vec![0; count * each];
        let mut objects: Vec<Option<Arc<Objects>>> = vec![None; count];
        let places = pixels.chunks_exact_mut(each).zip(objects.iter_mut()).enumerate();
        on_all_cores(places, None, |(index, (pixels, own))| {
            let mut random = Random(SplitMix64::new(self.seed.0 as u64, part + index as u64));
            *own = Some(Arc::new(picture(&mut random, pixels, size, self.objects.0)));
            Ok(())
        });
        let [h, w, c] = size;
        let objects = objects.into_iter().map(|own| own.expect("every picture was drawn")).collect();
        (HostTensor::new(&[count, h, w, c], Data::U8(pixels)), objects)
    }
}

/// Random numbers of one picture.
struct Random(SplitMix64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound.max(1) as u64) as usize
    }

    /// A number from `low` to `high`, in steps of a thousandth of the distance.
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.below(1001) as f64 / 1000.0
    }

    fn colour(&mut self) -> [i32; 3] {
        [0; 3].map(|_| self.below(256) as i32)
    }
}

/// A shape in pixels.
#[derive(Clone, Copy)]
struct Shape {
    class: usize,
    /// Left, top, side.
    place: [f64; 3],
}

impl Shape {
    /// Whether the middle of a pixel lies in it.
    fn has(&self, row: usize, column: usize) -> bool {
        let [left, top, side] = self.place;
        // From 0 to 1 within its square.
        let (y, x) = ((row as f64 + 0.5 - top) / side, (column as f64 + 0.5 - left) / side);
        let inside = (0.0..=1.0).contains(&y) && (0.0..=1.0).contains(&x);
        match self.class {
            0 => (x - 0.5).powi(2) + (y - 0.5).powi(2) <= 0.25,
            1 => inside,
            _ => inside && (x - 0.5).abs() <= y / 2.0,
        }
    }
}

/// Draws a picture. Values are written to `pixels`.
fn picture(random: &mut Random, pixels: &mut [u8], [h, w, channels]: [usize; 3], most: usize) -> Objects {
    let ground = random.colour();
    let wanted = 1 + random.below(most);
    // Colours of objects, their whole pixels, and which object each pixel shows: 0 is none.
    let mut shapes: Vec<(Shape, [i32; 3], usize)> = Vec::new();
    let mut shown = vec![0; h * w];
    for _ in 0..wanted {
        for _ in 0..TRIES {
            let small = h.min(w) as f64;
            let side = random.between(SMALLEST * small, LARGEST * small).max(3.0);
            let left = random.between(0.0, w as f64 - side);
            let top = random.between(0.0, h as f64 - side);
            let shape = Shape { class: random.below(NAMES.len()), place: [left, top, side] };
            let colour = contrasting(random, ground);
            if let Some((next, whole)) = covered(&shown, shape, &shapes, [h, w]) {
                shown = next;
                shapes.push((shape, colour, whole));
                break;
            }
        }
    }
    for (pixel, &object) in pixels.chunks_exact_mut(channels).zip(&shown) {
        let colour = if object == 0 { ground } else { shapes[object - 1].1 };
        let noise = random.below(2 * NOISE as usize + 1) as i32 - NOISE as i32;
        let value = |x: i32| (x + noise).clamp(0, 255) as u8;
        match channels {
            1 => pixel[0] = value((299 * colour[0] + 587 * colour[1] + 114 * colour[2] + 500) / 1000),
            _ => pixel.iter_mut().zip(colour).for_each(|(place, x)| *place = value(x)),
        }
    }
    let list = (1..=shapes.len()).map(|k| object(&shown, k, shapes[k - 1].0.class, [h, w])).collect();
    Objects { size: [h, w], fit: Fit::Stretch, list }
}

/// A colour that is seen on the ground, in grey, too.
fn contrasting(random: &mut Random, ground: [i32; 3]) -> [i32; 3] {
    for _ in 0..4 * TRIES {
        let colour = random.colour();
        let sum = |colour: [i32; 3]| colour.iter().sum::<i32>();
        if (sum(colour) - sum(ground)).abs() >= CONTRAST {
            return colour;
        }
    }
    ground.map(|x| if x > 127 { 0 } else { 255 })
}

/// What pixels show once a shape is laid on top, and how many pixels it has. None if it would hide too much of another.
fn covered(
    shown: &[usize],
    shape: Shape,
    others: &[(Shape, [i32; 3], usize)],
    [h, w]: [usize; 2],
) -> Option<(Vec<usize>, usize)> {
    let (mut next, mut whole) = (shown.to_vec(), 0);
    let [left, top, side] = shape.place;
    for row in top as usize..((top + side) as usize + 1).min(h) {
        for column in left as usize..((left + side) as usize + 1).min(w) {
            if shape.has(row, column) {
                next[row * w + column] = others.len() + 1;
                whole += 1;
            }
        }
    }
    let mut left = vec![0; others.len() + 2];
    next.iter().for_each(|&object| left[object] += 1);
    let seen = |k: usize| left[k + 1] as f64 >= (1.0 - HIDDEN) * others[k].2 as f64;
    (whole > 0 && (0..others.len()).all(seen)).then_some((next, whole))
}

/// The object of number `k`: the pixels that are seen of it, and the box around them.
fn object(shown: &[usize], k: usize, class: usize, [h, w]: [usize; 2]) -> Object {
    let mask = Rle::from_fn([h, w], |y, x| shown[y * w + x] == k);
    let [mut x1, mut y1, mut x2, mut y2] = [w, h, 0, 0];
    for i in (0..h * w).filter(|i| shown[*i] == k) {
        let (y, x) = (i / w, i % w);
        [x1, y1, x2, y2] = [x1.min(x), y1.min(y), x2.max(x + 1), y2.max(y + 1)];
    }
    let corners = [x1, y1, x2, y2].map(|x| x as f64);
    Object { class, corners, area: mask.area() as f64, ignored: false, crowd: false, mask: Some(mask) }
}
