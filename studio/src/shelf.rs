//! The models that come with the program.

use std::path::PathBuf;

/// Names and texts.
pub const SHELF: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shelf.rs"));

/// What the comment that a spec begins with says first, on one line.
pub fn about(text: &str) -> String {
    let comment: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//")).map(str::trim).collect();
    let comment = comment.join(" ");
    let mut said = String::new();
    for sentence in comment.split_inclusive(". ") {
        said.push_str(sentence);
        if said.len() >= 20 {
            break;
        }
    }
    said.trim().to_string()
}

/// The models in two parts: those that train as they stand, and those that want data of one's own.
pub fn parts() -> [Vec<usize>; 2] {
    let own = [r#""kind": "bundled""#, r#""kind": "shapes""#, r#""../data/"#];
    (0..SHELF.len()).fold([Vec::new(), Vec::new()], |mut parts, i| {
        parts[usize::from(!own.iter().any(|mark| SHELF[i].1.contains(mark)))].push(i);
        parts
    })
}

/// Where a model of the shelf lies, if the program is run beside the project's sources: its data lies beside it then.
pub fn file(name: &str) -> Option<PathBuf> {
    let below = PathBuf::from("assets/models").join(format!("{name}.json"));
    let here = std::env::current_dir().ok();
    let own = std::env::current_exe().ok();
    let above = [here.as_deref(), own.as_deref()].into_iter().flatten().flat_map(std::path::Path::ancestors);
    above.map(|folder| folder.join(&below)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_need_no_data_come_first() {
        let [ready, wanting] = parts();
        let name = |i: &usize| SHELF[*i].0;
        assert_eq!(ready.len() + wanting.len(), SHELF.len());
        assert!(ready.iter().map(name).any(|name| name == "lenet5_mnist"));
        assert!(wanting.iter().map(name).any(|name| name == "lenet5_fashion"));
    }

    #[test]
    fn every_model_says_what_it_is() {
        assert!(SHELF.len() > 20);
        assert!(SHELF.iter().all(|(_, text)| about(text).len() >= 20));
        assert!(SHELF.iter().any(|(name, _)| *name == "lenet5_mnist"));
    }
}
