//! What of a data set is worth a look before it is trained on.

use crate::settings::Language;
use crate::words::say;

/// A ground is dark below the first brightness and light above the second.
const DARK: [f64; 2] = [0.35, 0.65];
/// Of two kinds of ground, both are there from this share on.
const MIXED: f64 = 0.1;
/// Classes are uneven if the largest is so many times the smallest.
const UNEVEN: u64 = 10;
/// A class with fewer samples is hardly learnt.
const FEW: u64 = 5;
/// Pictures are stretched if width to height differs by more than this factor.
const STRETCH: f64 = 1.5;

/// Pictures with a dark and with a light ground.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Grounds {
    /// White strokes on black.
    pub dark: usize,
    /// Black strokes on white.
    pub light: usize,
}

impl Grounds {
    /// Counts a picture by the brightness of its edge, 0 to 1. One in between tells nothing.
    pub fn add(&mut self, edge: f64) {
        self.dark += usize::from(edge < DARK[0]);
        self.light += usize::from(edge > DARK[1]);
    }

    /// Whether most have a light ground; None if both kinds are there, or none.
    fn is_light(self) -> Option<bool> {
        let all = (self.dark + self.light) as f64;
        let share = self.light as f64 / all;
        if share < MIXED {
            Some(false)
        } else if share > 1.0 - MIXED {
            Some(true)
        } else {
            None
        }
    }
}

/// Something worth a look.
#[derive(Clone, PartialEq, Debug)]
pub enum Warning {
    /// Pictures with dark and with light grounds: how many of each were seen.
    Mixed(usize, usize),
    /// Grounds of the other kind than in training.
    Opposite,
    /// The smallest picture, height and width, is below the input.
    Enlarged([usize; 2], [usize; 2]),
    /// A picture has another shape than the input.
    Stretched([usize; 2], [usize; 2]),
    /// Classes without a sample.
    Missing(Vec<usize>),
    /// Classes with very few.
    Few(Vec<usize>),
    /// The smallest and the largest number of a class.
    Uneven(u64, u64),
}

/// Looks at the counts of the classes, the sizes of the smallest and the largest picture, that of the input, and the grounds
/// of training and of this part.
pub fn warnings(
    counts: &[u64],
    sizes: Option<[[usize; 2]; 2]>,
    input: Option<[usize; 2]>,
    grounds: Option<[Grounds; 2]>,
) -> Vec<Warning> {
    let mut found = Vec::new();
    if let Some([train, own]) = grounds {
        match (train.is_light(), own.is_light()) {
            (_, None) if own.dark + own.light > 0 => found.push(Warning::Mixed(own.dark, own.light)),
            (Some(train), Some(own)) if train != own => found.push(Warning::Opposite),
            _ => {}
        }
    }
    if let (Some([small, large]), Some(input)) = (sizes, input) {
        if small[0] < input[0] && small[1] < input[1] {
            found.push(Warning::Enlarged(small, input));
        }
        let shape = |size: [usize; 2]| size[1] as f64 / size[0].max(1) as f64;
        let off = |size: [usize; 2]| (shape(size) / shape(input)).ln().abs();
        let worst = if off(small) > off(large) { small } else { large };
        if off(worst) > STRETCH.ln() {
            found.push(Warning::Stretched(worst, input));
        }
    }
    let with = |own: &dyn Fn(u64) -> bool| -> Vec<usize> {
        counts.iter().enumerate().filter(|(_, count)| own(**count)).map(|(class, _)| class).collect()
    };
    let (missing, few) = (with(&|count| count == 0), with(&|count| count > 0 && count < FEW));
    if !missing.is_empty() {
        found.push(Warning::Missing(missing));
    }
    if !few.is_empty() {
        found.push(Warning::Few(few));
    }
    let there = || counts.iter().copied().filter(|count| *count > 0);
    if let (Some(least), Some(most)) = (there().min(), there().max())
        && most > UNEVEN * least
    {
        found.push(Warning::Uneven(least, most));
    }
    found
}

impl Warning {
    /// As a line. Classes have these names.
    pub fn text(&self, language: Language, classes: &[String]) -> String {
        let size = |[h, w]: [usize; 2]| format!("{w} × {h}");
        let names = |all: &[usize]| {
            let name = |&class: &usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
            all.iter().take(8).map(name).collect::<Vec<String>>().join(", ")
        };
        match self {
            Warning::Mixed(dark, light) => {
                let text = say(language, "Some pictures have a dark ground, others a light one:");
                format!("{text} {dark} / {light}")
            }
            Warning::Opposite => say(
                language,
                "The ground is light where that of the training is dark, or the other way round: invert the pictures.",
            )
            .to_string(),
            Warning::Enlarged(small, input) => {
                let text = say(language, "Small pictures are enlarged, which adds no detail:");
                format!("{text} {} → {}", size(*small), size(*input))
            }
            Warning::Stretched(own, input) => {
                let text = say(language, "Pictures of another shape than the input are stretched or padded:");
                format!("{text} {} → {}", size(*own), size(*input))
            }
            Warning::Missing(all) => format!("{} {}", say(language, "Classes without a sample here:"), names(all)),
            Warning::Few(all) => format!("{} {}", say(language, "Classes with fewer than five:"), names(all)),
            Warning::Uneven(least, most) => {
                let text = say(language, "Classes are uneven; `data.weighted` would draw them alike:");
                format!("{text} {least} … {most}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_on_white_are_told_from_those_on_black() {
        let of = |edges: &[f64]| {
            let mut grounds = Grounds::default();
            edges.iter().for_each(|&edge| grounds.add(edge));
            grounds
        };
        let (black, white) = (of(&[0.0, 0.1, 0.0, 0.5]), of(&[1.0, 0.9, 0.95]));
        assert_eq!(black, Grounds { dark: 3, light: 0 });
        assert_eq!(warnings(&[], None, None, Some([black, black])), []);
        assert_eq!(warnings(&[], None, None, Some([white, white])), [], "white throughout is no mistake");
        assert_eq!(warnings(&[], None, None, Some([black, white])), [Warning::Opposite]);
        let both = of(&[0.0, 1.0, 0.0]);
        assert_eq!(warnings(&[], None, None, Some([both, both])), [Warning::Mixed(2, 1)]);
        assert_eq!(warnings(&[], None, None, Some([of(&[0.5]), of(&[0.5])])), [], "grey tells nothing");
    }

    #[test]
    fn sizes_and_counts_are_looked_at() {
        let small = warnings(&[], Some([[20, 30], [400, 600]]), Some([64, 96]), None);
        assert_eq!(small, [Warning::Enlarged([20, 30], [64, 96])]);
        let wide = warnings(&[], Some([[64, 64], [100, 400]]), Some([64, 64]), None);
        assert_eq!(wide, [Warning::Stretched([100, 400], [64, 64])]);
        assert_eq!(warnings(&[10, 100], None, None, None), []);
        let uneven = warnings(&[0, 3, 40], None, None, None);
        assert_eq!(uneven, [Warning::Missing(vec![0]), Warning::Few(vec![1]), Warning::Uneven(3, 40)]);
        let text = Warning::Few(vec![1]).text(Language::English, &["a".into(), "b".into()]);
        assert!(text.ends_with(" b"), "{text}");
    }
}
