//! Regions that somebody else proposed, for detectors that judge given ones (Girshick 2015): a CSV table with a row for each.
//!
//! - Columns file, x1, y1, x2, y2 in pixels of the upright picture. `pumice predict --out` writes such a table.
//! - With a column score, the best regions of a picture come first; else those that stand first in the file.
//! - With columns width and height, the size of the picture that somebody looked at: a picture whose camera lay on its side is
//!   known by it, and its regions are turned as it is.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::fit::Fit;
use super::table::{Number, Table, quoted};
use super::{objects, picture};
use crate::error::{Diagnostic, Error, Result, shown};

/// What to do about a row that is left out.
const MEND: &str = "correct or remove it";

/// Endings of pictures that are looked for, where a table names them without.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "bmp", "webp", "JPG"];

/// A region as the file says it.
struct Region {
    line: usize,
    corners: [f64; 4],
    score: f64,
    /// Height and width of the picture that it was found in.
    seen: Option<[usize; 2]>,
}

/// The rows of one name.
struct Named {
    name: String,
    /// The first line.
    line: usize,
    regions: Vec<Region>,
}

/// A table of regions.
pub struct Proposals {
    path: PathBuf,
    /// In the order of the file.
    named: Vec<Named>,
    /// What is wrong with rows that are left out.
    wrong: Vec<Error>,
}

/// How regions become rows of the network's tensor.
pub struct Place {
    /// Rows of a picture.
    pub count: usize,
    /// How a picture lies in the input.
    pub fit: Fit,
    /// Height and width of the input.
    pub input: [usize; 2],
}

/// Regions of some pictures.
pub struct Joined {
    /// Of each picture `[count, 5]`, flattened. None: the table does not name it.
    pub rows: Vec<Option<Vec<f32>>>,
    /// What was left out.
    pub wrong: Vec<Error>,
    /// How many pictures have more regions than there are rows.
    pub cut: usize,
}

impl Place {
    /// The rows of a picture without regions.
    pub fn none(&self) -> Vec<f32> {
        self.rows(std::iter::empty())
    }

    fn rows(&self, real: impl Iterator<Item = [f32; 5]>) -> Vec<f32> {
        let padding = std::iter::repeat([-1.0, 0.0, 0.0, 0.0, 0.0]);
        real.chain(padding).take(self.count).flatten().collect()
    }
}

impl Proposals {
    /// Reads a table. Rows that say no region are kept as mistakes, for whoever joins it.
    ///
    /// # Errors
    /// A file that is no table, or that ends in the middle; a column that is missing.
    pub fn read(path: &Path) -> Result<Proposals> {
        let table = Table::read(path)?;
        let name = table.column("file")?;
        let [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"].map(|name| table.column(name));
        let corners = [x1?, y1?, x2?, y2?];
        let position = |name: &str| table.header.iter().position(|column| column == name);
        let (score, seen) = (position("score"), position("height").zip(position("width")));
        let mut found = Proposals { path: path.into(), named: Vec::new(), wrong: Vec::new() };
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (line, cells) in &table.rows {
            let own = *places.entry(&cells[name]).or_insert_with(|| {
                found.named.push(Named { name: cells[name].clone(), line: *line, regions: Vec::new() });
                found.named.len() - 1
            });
            // A picture in which nothing was found.
            if corners.iter().all(|&column| cells[column].is_empty()) {
                continue;
            }
            let number = |column: usize| match table.number(&cells[column]) {
                Number::Value(x) => Ok(x),
                _ => Err(table.wrong_cell(*line, column, &format!("{} is no number", quoted(&cells[column])), MEND)),
            };
            let region = || -> Result<Region> {
                let [x1, y1, x2, y2] = corners.map(number);
                let corners = [x1?, y1?, x2?, y2?];
                let score = score.map_or(Ok(0.0), number)?;
                let seen = match seen {
                    Some((height, width)) => Some([number(height)? as usize, number(width)? as usize]),
                    None => None,
                };
                match objects::nothing(corners) {
                    Some(what) => Err(Error::file(path, format!("line {line}: {what}"), MEND)),
                    None => Ok(Region { line: *line, corners, score, seen }),
                }
            };
            match region() {
                Ok(region) => found.named[own].regions.push(region),
                Err(e) => found.wrong.push(e),
            }
        }
        for own in &mut found.named {
            // Of equal scores the first counts.
            own.regions.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        Ok(found)
    }

    /// The regions of pictures, which have these heights and widths. `whole`: these are all pictures of a data set, and a name of another
    /// one is a mistake.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub fn join(mut self, pictures: &[(&Path, [usize; 2])], place: &Place, whole: bool) -> Result<Joined> {
        let mut wrong = std::mem::take(&mut self.wrong);
        let choice = self.choices(pictures, &mut wrong);
        if whole {
            let mut taken = vec![false; self.named.len()];
            choice.iter().flatten().for_each(|&own| taken[own] = true);
            wrong.extend(
                self.named.iter().zip(taken).filter(|(own, taken)| !taken && !self.lies_there(own, pictures)).map(
                    |(own, _)| {
                        let what = format!("line {}: no picture {} in the data set", own.line, quoted(&own.name));
                        let hint = "write the picture's name, or its path below the data's folder, or remove its rows";
                        Error::file(&self.path, what, hint)
                    },
                ),
            );
        }
        let mut joined = Joined { rows: Vec::with_capacity(pictures.len()), wrong, cut: 0 };
        for ((file, size), own) in pictures.iter().zip(choice) {
            let rows = match own {
                Some(own) => Some(self.rows(&self.named[own], (file, *size), place, &mut joined)?),
                None => None,
            };
            joined.rows.push(rows);
        }
        Ok(joined)
    }

    /// The rows of a picture: the best of its regions.
    fn rows(
        &self,
        own: &Named,
        (file, size): (&Path, [usize; 2]),
        place: &Place,
        joined: &mut Joined,
    ) -> Result<Vec<f32>> {
        let mut real = Vec::new();
        for region in &own.regions {
            let corners = match region.seen {
                Some(seen) if seen != size => {
                    let shape = picture::shape(file)?;
                    if seen != shape.stored {
                        let what = format!(
                            "line {}: a picture of {} x {}, and {} has {} x {}",
                            region.line,
                            seen[1],
                            seen[0],
                            shown(file),
                            size[1],
                            size[0]
                        );
                        joined.wrong.push(Error::file(&self.path, what, MEND));
                        continue;
                    }
                    shape.turn(region.corners)
                }
                _ => region.corners,
            };
            match objects::clipped(corners, size) {
                Ok(corners) => real.push(place.fit.to_input(corners, size, place.input)),
                Err(what) => {
                    let what = format!("line {}: {what}", region.line);
                    joined.wrong.push(Error::file(&self.path, what, MEND));
                }
            }
        }
        joined.cut += usize::from(real.len() > place.count);
        Ok(place.rows(real.into_iter().map(|[x1, y1, x2, y2]| [0.0, x1 as f32, y1 as f32, x2 as f32, y2 as f32])))
    }

    /// Which name is that of each picture. One that could be that of several is a mistake.
    fn choices(&self, pictures: &[(&Path, [usize; 2])], wrong: &mut Vec<Error>) -> Vec<Option<usize>> {
        let names: Vec<Vec<&str>> = self.named.iter().map(|own| parts(&own.name)).collect();
        let mut last: HashMap<&str, Vec<usize>> = HashMap::new();
        for (own, parts) in names.iter().enumerate().filter(|(_, parts)| !parts.is_empty()) {
            last.entry(parts[0]).or_default().push(own);
        }
        // The name, and how much of it is that of the picture.
        let mut found: Vec<Option<(usize, usize)>> = Vec::new();
        // How many pictures have most of a name.
        let mut claims: Vec<(usize, usize)> = vec![(0, 0); names.len()];
        for (file, _) in pictures {
            let text = file.to_string_lossy();
            let own = parts(&text);
            let file = own.first().copied().unwrap_or_default();
            let keys = [Some(file), file.rsplit_once('.').map(|(stem, _)| stem)];
            let candidates = keys.iter().flatten().filter_map(|key| last.get(key)).flatten();
            let best = candidates.filter_map(|&name| Some((shared(&names[name], &own)?, name)));
            let best = best.max_by_key(|&(shared, name)| (shared, std::cmp::Reverse(name)));
            if let Some((shared, name)) = best {
                let (most, count) = &mut claims[name];
                match shared.cmp(most) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => *count += 1,
                    std::cmp::Ordering::Greater => (*most, *count) = (shared, 1),
                }
            }
            found.push(best.map(|(shared, name)| (name, shared)));
        }
        for (own, (_, count)) in self.named.iter().zip(&claims).filter(|(_, (_, count))| *count > 1) {
            let what = format!("line {}: {count} pictures could be called {}", own.line, quoted(&own.name));
            wrong.push(Error::file(&self.path, what, "write their paths below the data's folder"));
        }
        let sure = |(name, shared): (usize, usize)| (claims[name] == (shared, 1)).then_some(name);
        found.into_iter().map(|choice| choice.and_then(sure)).collect()
    }

    /// Whether a picture of that name lies beside others, though no part has it.
    fn lies_there(&self, own: &Named, pictures: &[(&Path, [usize; 2])]) -> bool {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let Some(last) = parts(&own.name).first().copied() else { return false };
        let beside = pictures.first().and_then(|(file, _)| file.parent()).map(|folder| folder.join(last));
        let places = [Some(PathBuf::from(&own.name)), Some(folder.join(&own.name)), beside];
        let there = |path: &PathBuf| {
            let with = |ending: &&str| PathBuf::from(format!("{}.{ending}", path.display())).is_file();
            path.is_file() || ENDINGS.iter().any(with)
        };
        places.iter().flatten().any(there)
    }
}

impl Joined {
    /// What is worth a word, though nothing is wrong with it.
    pub(super) fn warnings(&self, table: &Path, pictures: &[(&Path, [usize; 2])], count: usize) -> Vec<Diagnostic> {
        let warning = |message: String, hint: &str| Diagnostic {
            file: table.into(),
            line: 0,
            column: 0,
            path: String::new(),
            message,
            hint: hint.into(),
        };
        let without: Vec<&Path> =
            pictures.iter().zip(&self.rows).filter(|(_, rows)| rows.is_none()).map(|((file, _), _)| *file).collect();
        let mut all = Vec::new();
        if let Some(first) = without.first() {
            let what =
                format!("{} of {} pictures have no proposals, such as {}", without.len(), pictures.len(), shown(first));
            all.push(warning(what, "nothing can be found in them: add rows for them"));
        }
        if self.cut > 0 {
            let what =
                format!("{} pictures have more than {count} proposals, and the best {count} are taken", self.cut);
            all.push(warning(what, "raise `count` of the layer `given_rois` to use more"));
        }
        all
    }
}

/// The parts of a path from its end, of whatever system it is.
fn parts(name: &str) -> Vec<&str> {
    name.split(['/', '\\']).filter(|part| !["", ".", ".."].contains(part)).rev().collect()
}

/// How many parts at its end a name has in common with the path of a picture. None, if it is that of another one: more of both is known,
/// and it differs.
fn shared(name: &[&str], picture: &[&str]) -> Option<usize> {
    let same = name.iter().zip(picture).skip(1).take_while(|(a, b)| a == b).count() + 1;
    (same >= 2 || name.len() == 1 || picture.len() == 1).then_some(same)
}
