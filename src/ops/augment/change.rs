//! The words of `data.augment` and their keys.

use crate::spec::{
    Diagnostics, Fraction, KeyDef, Node, NonNegative, Positive, Probability, SpecStruct, spec_struct, spec_words,
};
use serde_json::{Map, Value as Json};

spec_words! {
    /// What a mirror swaps.
    pub enum Axis {
        /// Left and right.
        Horizontal = "horizontal",
        /// Top and bottom.
        Vertical = "vertical",
        /// Each of both, independently.
        Both = "both",
    }
}

spec_struct! {
    /// The picture is mirrored.
    pub struct Flip {
        /// What is swapped.
        pub axis: Axis = Axis::Horizontal,
        /// How probable it is.
        pub p: Probability = Probability(0.5),
    }
}

spec_struct! {
    /// The picture is turned around its centre.
    pub struct Rotate {
        /// The largest angle, either way.
        pub degrees: NonNegative = NonNegative(15.0),
        /// How probable it is.
        pub p: Probability = Probability(1.0),
    }
}

spec_struct! {
    /// The picture is shifted.
    pub struct Shift {
        /// The longest way, as a share of height and width.
        pub share: Fraction = Fraction(0.1),
        /// How probable it is.
        pub p: Probability = Probability(1.0),
    }
}

spec_struct! {
    /// The picture grows or shrinks around its centre.
    pub struct Scale {
        /// The smallest factor.
        pub min: Positive = Positive(0.8),
        /// The largest factor.
        pub max: Positive = Positive(1.25),
        /// How probable it is.
        pub p: Probability = Probability(1.0),
    }
}

spec_struct! {
    /// A part of the picture, at a random place.
    pub struct Crop {
        /// Pixels that are added on every side before a part of the picture's own size is taken. By default an eighth of the shorter side; 0 where `area`
        /// is given.
        pub padding: Option<usize>,
        /// The smallest share of the picture's area that the part has, which is then stretched to the whole. Its sides differ by a third at most.
        pub area: Option<Probability>,
        /// How probable it is.
        pub p: Probability = Probability(1.0),
    }
}

spec_struct! {
    /// The picture becomes a small part of a larger empty one.
    pub struct ZoomOut {
        /// So many times larger at most.
        pub max: Positive = Positive(4.0),
        /// How probable it is.
        pub p: Probability = Probability(0.5),
    }
}

spec_struct! {
    /// All values are multiplied.
    pub struct Brightness {
        /// The factor is 1 - by to 1 + by.
        pub by: NonNegative = NonNegative(0.2),
        /// How probable it is.
        pub p: Probability = Probability(1.0),
    }
}

spec_struct! {
    /// The distance of all values from grey, 0.5, is multiplied.
    pub struct Contrast {
        /// The factor is 1 - by to 1 + by.
        pub by: NonNegative = NonNegative(0.2),
        /// How probable it is.
        pub p: Probability = Probability(1.0),
    }
}

spec_struct! {
    /// The distance of colours from the grey of the same brightness is multiplied.
    pub struct Saturation {
        /// The factor is 1 - by to 1 + by.
        pub by: NonNegative = NonNegative(0.2),
        /// How probable it is.
        pub p: Probability = Probability(1.0),
    }
}

spec_struct! {
    /// The hue of colours is turned.
    pub struct Hue {
        /// The largest part of a whole turn, either way.
        pub by: Fraction = Fraction(0.05),
        /// How probable it is.
        pub p: Probability = Probability(1.0),
    }
}

spec_struct! {
    /// A rectangle at a random place becomes empty (DeVries and Taylor 2017).
    pub struct Cutout {
        /// Its sides, as a share of height and width.
        pub size: Probability = Probability(0.5),
        /// How probable it is.
        pub p: Probability = Probability(1.0),
    }
}

/// Declares the enum of all changes.
macro_rules! changes {
    ($($change:ident = $word:literal: $doc:literal),* $(,)?) => {
        /// A random change. Changes happen in the order of [`Change::WORDS`], whatever the order of the list.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Change { $(#[doc = $doc] $change($change)),* }

        impl Change {
            /// The words of all changes.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// Its word.
            pub fn word(&self) -> &'static str {
                match self { $(Change::$change(_) => $word),* }
            }

            /// How probable it is.
            pub fn p(&self) -> f64 {
                match self { $(Change::$change(keys) => keys.p.get()),* }
            }

            /// Reads the change of a word. Reports what is wrong with its keys.
            pub fn read(word: &str, object: &Node, extra: &[&str], report: &mut Diagnostics) -> Option<Change> {
                let change = match word {
                    $($word => <$change as SpecStruct>::read(object, extra, report).map(Change::$change),)*
                    _ => None,
                };
                change.filter(|change| change.sound(object, report))
            }

            /// Its keys with their values.
            pub fn write(&self) -> Map<String, Json> {
                match self { $(Change::$change(keys) => SpecStruct::write(keys)),* }
            }

            /// The word, the meaning and the keys of every change.
            pub fn all() -> Vec<(&'static str, &'static str, Vec<KeyDef>)> {
                vec![$(($word, $doc, <$change as SpecStruct>::keys())),*]
            }
        }
    };
}

changes! {
    Flip = "flip": "Mirrors the picture.",
    Rotate = "rotate": "Turns the picture around its centre.",
    Shift = "shift": "Shifts the picture.",
    Scale = "scale": "Makes the picture larger or smaller around its centre.",
    Crop = "crop": "Takes a part of the picture at a random place.",
    ZoomOut = "zoom_out": "Makes the picture a small part of a larger empty one.",
    Brightness = "brightness": "Multiplies all values.",
    Contrast = "contrast": "Multiplies the distance from grey.",
    Saturation = "saturation": "Multiplies the distance of colours from grey.",
    Hue = "hue": "Turns the hue of colours.",
    Cutout = "cutout": "Empties a rectangle at a random place.",
}

impl Change {
    /// Its place in [`Change::WORDS`]: the order in which changes happen, and part of the key of its random numbers.
    pub fn rank(&self) -> usize {
        Change::WORDS.iter().position(|word| *word == self.word()).expect("every change has a word")
    }

    /// Whether pixels come from elsewhere, so that masks and boxes move too.
    pub fn moves(&self) -> bool {
        !self.colours() && !matches!(self, Change::Cutout(_))
    }

    /// Whether it changes the values of pixels.
    pub fn colours(&self) -> bool {
        use Change::{Brightness, Contrast, Hue, Saturation};
        matches!(self, Brightness(_) | Contrast(_) | Saturation(_) | Hue(_))
    }

    /// Whether it needs red, green and blue.
    pub fn needs_colour(&self) -> bool {
        matches!(self, Change::Saturation(_) | Change::Hue(_))
    }

    /// Reports numbers that do not fit each other.
    fn sound(&self, object: &Node, report: &mut Diagnostics) -> bool {
        let (key, message, hint) = match self {
            Change::Scale(Scale { min, max, .. }) if min.get() > max.get() => {
                ("min", format!("`min` is {} and `max` is {}", min.get(), max.get()), "let `max` be the larger one")
            }
            Change::ZoomOut(ZoomOut { max, .. }) if max.get() < 1.0 => {
                ("max", format!("expected a number from 1, found {}", max.get()), "use a number such as 4")
            }
            Change::Crop(Crop { area: Some(area), .. }) if area.get() == 0.0 => {
                ("area", "a part without area".to_string(), "use a number such as 0.3")
            }
            _ => return true,
        };
        report.error(object.get(key).unwrap_or(object), message, hint);
        false
    }
}
