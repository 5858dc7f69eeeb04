//! A file of annotations in COCO's form. Such files have hundreds of megabytes: the text is divided into the elements of its
//! lists first, and each element is then parsed alone, on all cores. So a mistake in one of them has its place and leaves
//! the others, and no tree of the whole is ever in memory.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value as Json;

use super::annotated::{Class, Marked, Place};
use super::rle::Rle;
use super::{file, polygon, store};
use crate::error::{Error, Result, quoted};

/// What to do about an annotation that is left out.
const MEND: &str = "correct or remove it";

/// Newlines are counted in advance for so many bytes at once. The line of every annotation is looked up, so that few bytes
/// may be left to count.
const BLOCK: usize = 1 << 10;

/// What a file says.
#[derive(Default, Debug)]
pub(super) struct CocoFile {
    /// The names of the classes, by the numbers of their categories.
    pub names: Vec<String>,
    pub images: Vec<CocoImage>,
    /// What was left out.
    pub wrong: Vec<Error>,
}

/// A picture of a file.
#[derive(Debug)]
pub(super) struct CocoImage {
    pub name: String,
    /// Height and width, where the file says them.
    pub size: Option<[usize; 2]>,
    pub objects: Vec<Marked>,
    /// Its line in the file.
    pub line: usize,
}

/// Reads a file; with `masks`, the pixels of objects, too.
///
/// # Errors
/// A text that is not whole JSON, or that lacks one of COCO's three lists; two pictures of one number.
pub(super) fn read(path: &Path, masks: bool) -> Result<CocoFile> {
    parse(path, &file::read(path)?, masks)
}

/// Reads only the names of the classes.
///
/// # Errors
/// As [`read`].
pub(super) fn read_names(path: &Path) -> Result<Vec<String>> {
    let bytes = file::read(path)?;
    let text = Text::new(path, &bytes);
    Ok(categories(&text, &text.divide()?)?.into_iter().map(|(_, name)| name).collect())
}

/// As [`read`], of the bytes of a file.
pub(super) fn parse(path: &Path, bytes: &[u8], masks: bool) -> Result<CocoFile> {
    let text = Text::new(path, bytes);
    let lists = text.divide()?;
    let categories = categories(&text, &lists)?;
    let classes: HashMap<i64, &str> = categories.iter().map(|(id, name)| (*id, name.as_str())).collect();
    let mut found =
        CocoFile { names: categories.iter().map(|(_, name)| name.clone()).collect(), ..CocoFile::default() };
    let mut places: HashMap<i64, usize> = HashMap::new();
    for (span, image) in text.parsed(&lists.images, image)? {
        let (id, image) = match image {
            Ok((id, image)) => (id, CocoImage { line: text.line(span[0]), ..image }),
            Err(what) => {
                found.wrong.push(text.mistake(span, None, &what, MEND));
                continue;
            }
        };
        if places.insert(id, found.images.len()).is_some() {
            return Err(text.mistake(span, None, &format!("two pictures have the id {id}"), "give each its own"));
        }
        found.images.push(image);
    }
    let sizes: Vec<Option<[usize; 2]>> = found.images.iter().map(|image| image.size).collect();
    let place = |id: i64| places.get(&id).map(|&place| (place, sizes[place]));
    let one = |json: &Json| annotation(json, &classes, &place, masks);
    for (span, annotation) in text.parsed(&lists.annotations, one)? {
        match annotation {
            Ok((place, object)) => {
                found.images[place].objects.push(Marked { line: text.line(span[0]), ..object });
            }
            Err((id, what)) => found.wrong.push(text.mistake(span, id, &what, MEND)),
        }
    }
    Ok(found)
}

/// The bytes of a file, with what finds lines in them.
struct Text<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    /// Newlines before each block.
    newlines: Vec<usize>,
}

/// First byte and last + 1 of an element.
type Span = [usize; 2];

/// Where the elements of the lists are.
#[derive(Default)]
struct Lists {
    images: Vec<Span>,
    annotations: Vec<Span>,
    categories: Vec<Span>,
}

impl<'a> Text<'a> {
    fn new(path: &'a Path, bytes: &'a [u8]) -> Text<'a> {
        let mut newlines = vec![0];
        for block in bytes.chunks(BLOCK) {
            newlines.push(newlines[newlines.len() - 1] + block.iter().filter(|b| **b == b'\n').count());
        }
        Text { path, bytes, newlines }
    }

    /// The line of a byte, from 1.
    fn line(&self, at: usize) -> usize {
        let block = at / BLOCK;
        self.newlines[block] + self.bytes[block * BLOCK..at].iter().filter(|b| **b == b'\n').count() + 1
    }

    /// The column of a byte, from 1. It takes long where lines are.
    fn column(&self, at: usize) -> usize {
        at - self.bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1) + 1
    }

    fn mistake(&self, span: Span, id: Option<i64>, what: &str, hint: &str) -> Error {
        // A file of a single line is of no use to count lines in.
        let place = match self.newlines[self.newlines.len() - 1] {
            0 => format!("byte {}", span[0] + 1),
            _ => format!("line {}", self.line(span[0])),
        };
        let id = id.map(|id| format!("annotation {id}: ")).unwrap_or_default();
        Error::file(self.path, format!("{place}: {id}{what}"), hint)
    }

    /// Where the elements of the three lists are.
    fn divide(&self) -> Result<Lists> {
        let mut scan = Scan { bytes: self.bytes, at: 0 };
        let lists = scan.lists().map_err(|what| {
            let at = scan.at.min(self.bytes.len());
            let what = format!("line {}, column {}: {what}", self.line(at), self.column(at));
            Error::file(self.path, what, "get the file again, or give one as COCO has them")
        })?;
        let [images, annotations, categories] = lists;
        let need = |list: Option<Vec<Span>>, name: &str| {
            let hint = "give a file of COCO's form, with `images`, `annotations` and `categories`";
            list.ok_or_else(|| Error::file(self.path, format!("no list `{name}` in it"), hint))
        };
        Ok(Lists {
            images: need(images, "images")?,
            annotations: need(annotations, "annotations")?,
            categories: need(categories, "categories")?,
        })
    }

    /// Parses elements on all cores, and makes of each what `make` does, in their order.
    ///
    /// # Errors
    /// An element that is not JSON.
    fn parsed<T: Send>(&self, spans: &[Span], make: impl Fn(&Json) -> T + Sync) -> Result<Vec<(Span, T)>> {
        let mut found: Vec<Option<T>> = spans.iter().map(|_| None).collect();
        // An element takes little time, and a lock is taken for each item.
        let many = spans.len().div_ceil(4096).max(256);
        let items = spans.chunks(many).zip(found.chunks_mut(many)).collect::<Vec<_>>();
        let failures = store::on_all_cores(items.into_iter(), None, |(spans, places)| {
            for (span, place) in spans.iter().zip(places) {
                let json: Json = serde_json::from_slice(&self.bytes[span[0]..span[1]])
                    .map_err(|e| self.mistake(*span, None, &format!("not JSON ({e})"), "get the file again"))?;
                *place = Some(make(&json));
            }
            Ok(())
        });
        match failures.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(spans.iter().copied().zip(found.into_iter().flatten()).collect()),
        }
    }
}

/// Finds the elements of lists without looking into them.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The file ends too early.
const CUT: &str = "the file ends in the middle";

impl Scan<'_> {
    /// `images`, `annotations` and `categories`.
    fn lists(&mut self) -> Result<[Option<Vec<Span>>; 3], String> {
        const NAMES: [&[u8]; 3] = [b"images", b"annotations", b"categories"];
        if self.bytes.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        let mut lists = [None, None, None];
        self.expect(b'{', "an object with `images`, `annotations` and `categories`")?;
        if self.next()? == b'}' {
            return Ok(lists);
        }
        loop {
            if self.next()? != b'"' {
                return Err("expected a key".into());
            }
            let key = self.value()?;
            let key = &self.bytes[key[0] + 1..key[1] - 1];
            self.expect(b':', "`:`")?;
            match NAMES.iter().position(|name| *name == key) {
                Some(k) if lists[k].is_none() => lists[k] = Some(self.elements()?),
                Some(k) => return Err(format!("a second list `{}`", String::from_utf8_lossy(NAMES[k]))),
                None => drop(self.value()?),
            }
            match self.next()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err("expected `,` or `}`".into()),
            }
        }
        self.at += 1;
        match self.bytes[self.at..].iter().position(|b| !b.is_ascii_whitespace()) {
            Some(more) => {
                self.at += more;
                Err("text after the end".into())
            }
            None => Ok(lists),
        }
    }

    /// The elements of a list.
    fn elements(&mut self) -> Result<Vec<Span>, String> {
        self.expect(b'[', "a list")?;
        let mut all = Vec::new();
        if self.next()? == b']' {
            self.at += 1;
            return Ok(all);
        }
        loop {
            all.push(self.value()?);
            match self.next()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err("expected `,` or `]`".into()),
            }
        }
        self.at += 1;
        Ok(all)
    }

    /// The next byte that is no space; it is not taken.
    fn next(&mut self) -> Result<u8, String> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied().ok_or_else(|| CUT.to_string())
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), String> {
        match self.next()? {
            found if found == byte => {
                self.at += 1;
                Ok(())
            }
            found => Err(format!("expected {what}, found `{}`", char::from(found).escape_default())),
        }
    }

    /// A whole value: a text, or up to the bracket that closes it, or up to what cannot be part of a number or word.
    fn value(&mut self) -> Result<Span, String> {
        self.next()?;
        let start = self.at;
        let (mut depth, mut text) = (0usize, false);
        loop {
            let byte = *self.bytes.get(self.at).ok_or(CUT)?;
            match byte {
                b'\\' if text => self.at += 1,
                b'"' => text = !text,
                _ if text => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => break,
                b'}' | b']' => depth -= 1,
                b',' | b':' if depth == 0 => break,
                byte if depth == 0 && byte.is_ascii_whitespace() => break,
                _ => {}
            }
            self.at += 1;
            if depth == 0 && !text && matches!(byte, b'"' | b'}' | b']') {
                break;
            }
        }
        match self.at > start {
            true => Ok([start, self.at]),
            false => Err("a value is missing".into()),
        }
    }
}

/// Ids and names of the categories, sorted by id.
fn categories(text: &Text, lists: &Lists) -> Result<Vec<(i64, String)>> {
    let one = |json: &Json| {
        let id = id(json, "id")?;
        let name = json["name"].as_str().map(str::trim).filter(|name| !name.is_empty());
        Ok::<_, String>((id, name.ok_or("a category without a `name`")?.to_string()))
    };
    let mut all: Vec<(i64, String)> = Vec::new();
    for (span, category) in text.parsed(&lists.categories, one)? {
        let (id, name) = category.map_err(|what| text.mistake(span, None, &what, "correct the category"))?;
        if let Some((other, _)) = all.iter().find(|(other, own)| *other == id || *own == name) {
            let what = format!("the category {id} `{}`: its id or name is that of {other}, too", quoted(&name));
            return Err(text.mistake(span, None, &what, "give each its own"));
        }
        all.push((id, name));
    }
    all.sort_unstable();
    match all.is_empty() {
        true => Err(Error::file(text.path, "`categories` is empty", "name the classes there")),
        false => Ok(all),
    }
}

/// A whole number.
fn id(json: &Json, key: &str) -> Result<i64, String> {
    let whole = |x: f64| (x.fract() == 0.0 && x.abs() < 9e15).then_some(x as i64);
    let found = json[key].as_i64().or_else(|| json[key].as_f64().and_then(whole));
    found.ok_or_else(|| match &json[key] {
        Json::Null => format!("no `{key}`"),
        other => format!("`{key}` is {}, not a whole number", quoted(&other.to_string())),
    })
}

/// A picture with its id.
fn image(json: &Json) -> Result<(i64, CocoImage), String> {
    let id = id(json, "id").map_err(|what| format!("a picture: {what}"))?;
    let name = json["file_name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| format!("the picture {id} has no `file_name`"))?.to_string();
    let side = |key: &str| json[key].as_u64().filter(|x| (1..=1 << 24).contains(x)).map(|x| x as usize);
    Ok((
        id,
        CocoImage { name, size: side("height").zip(side("width")).map(|(h, w)| [h, w]), objects: Vec::new(), line: 0 },
    ))
}

/// The picture of an annotation, as its place in the list, and its object. The error has the id, if there is one.
fn annotation(
    json: &Json,
    classes: &HashMap<i64, &str>,
    place: &impl Fn(i64) -> Option<(usize, Option<[usize; 2]>)>,
    masks: bool,
) -> Result<(usize, Marked), (Option<i64>, String)> {
    let own = id(json, "id").ok();
    let wrong = |what: String| (own, what);
    let of = id(json, "image_id").map_err(wrong)?;
    let (place, size) = place(of).ok_or_else(|| wrong(format!("no picture has the id {of}")))?;
    let category = id(json, "category_id").map_err(wrong)?;
    let class = classes.get(&category).ok_or_else(|| wrong(format!("no category has the id {category}")))?;
    let numbers = json["bbox"].as_array().map(|all| all.iter().filter_map(Json::as_f64).collect::<Vec<f64>>());
    let Some(&[x, y, w, h]) = numbers.as_deref() else {
        return Err(wrong("`bbox` is not a list of four numbers: x, y, width, height".into()));
    };
    let crowd = matches!(json["iscrowd"].as_f64(), Some(x) if x != 0.0) || json["iscrowd"] == Json::Bool(true);
    let (mask, outlines) = match masks {
        true => segmentation(&json["segmentation"], size).map_err(wrong)?,
        false => (None, Vec::new()),
    };
    let object = Marked {
        class: Class::Name(class.to_string()),
        place: Place::Pixels([x, y, x + w, y + h]),
        outlines,
        mask,
        area: json["area"].as_f64().filter(|area| area.is_finite() && *area >= 0.0),
        ignored: crowd,
        crowd,
        id: own,
        line: 0,
    };
    Ok((place, object))
}

/// The pixels of an object; or its outlines, where the size of the picture is not known yet.
type Pixels = (Option<Rle>, Vec<Vec<f64>>);

/// Runs, or polygons.
fn segmentation(json: &Json, size: Option<[usize; 2]>) -> Result<Pixels, String> {
    match json {
        Json::Null => Ok((None, Vec::new())),
        Json::Array(all) if all.is_empty() => Ok((None, Vec::new())),
        Json::Array(all) => {
            let polygon = |one: &Json| -> Option<Vec<f64>> { one.as_array()?.iter().map(Json::as_f64).collect() };
            let polygons: Option<Vec<Vec<f64>>> = all.iter().map(polygon).collect();
            let polygons = polygons.ok_or("`segmentation` holds something that is no list of numbers")?;
            match size {
                None => Ok((None, polygons)),
                Some(size) => {
                    let mask = polygon::pixels(size, &polygons);
                    Ok((
                        Some(mask.ok_or("a polygon without three corners, or far outside of its picture")?),
                        Vec::new(),
                    ))
                }
            }
        }
        Json::Object(runs) => {
            let side = |k: usize| runs.get("size")?.get(k)?.as_u64().filter(|x| (1..=1 << 24).contains(x));
            let own = side(0).zip(side(1)).map(|(h, w)| [h as usize, w as usize]);
            let own = own.ok_or("`segmentation.size` is not a height and a width")?;
            let count = |count: &Json| count.as_u64().and_then(|count| u32::try_from(count).ok());
            let mask = match runs.get("counts") {
                Some(Json::String(text)) => Rle::parse(own, text),
                Some(Json::Array(all)) => {
                    all.iter().map(count).collect::<Option<Vec<u32>>>().and_then(|all| Rle::new(own, all))
                }
                _ => None,
            };
            let [h, w] = own;
            Ok((
                Some(mask.ok_or_else(|| format!("`segmentation.counts` are no runs of {w} x {h} pixels"))?),
                Vec::new(),
            ))
        }
        _ => Err("`segmentation` is neither polygons nor runs".into()),
    }
}
