//! What the window remembers: language, colours, text size, where the editor ends, recent files.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Recent files that are kept.
const RECENT: usize = 12;

/// The languages of the window.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// 中文.
    Chinese,
}

/// All of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The language.
    pub language: Language,
    /// Whether the window is dark.
    pub dark: bool,
    /// Text scale in percent, 80 to 200.
    pub scale: u32,
    /// Width of the editor in points.
    pub editor: f32,
    /// Size of the window in points.
    pub window: [f32; 2],
    /// Specs and run folders, the newest first.
    pub recent: Vec<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        let (language, dark) = (Language::English, false);
        Settings { language, dark, scale: 100, editor: 430.0, window: [1100.0, 720.0], recent: Vec::new() }
    }
}

impl Settings {
    /// The file: `PUMICE_STUDIO_SETTINGS`, else one in the user's folder of settings. None where there is none.
    pub fn file() -> Option<PathBuf> {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = || {
            var("XDG_CONFIG_HOME").or_else(|| var("APPDATA")).or_else(|| var("HOME").map(|home| home.join(".config")))
        };
        var("PUMICE_STUDIO_SETTINGS").or_else(|| folder().map(|folder| folder.join("pumice/studio.json")))
    }

    /// What the file says. One that is missing or broken counts as the defaults.
    pub fn read(file: &Path) -> Settings {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut settings: Settings = serde_json::from_str(&text).unwrap_or_default();
        settings.scale = settings.scale.clamp(80, 200);
        settings
    }

    /// Writes the file. That it cannot be written is no reason to trouble anybody.
    pub fn write(&self, file: &Path) {
        if let (Some(folder), Ok(text)) = (file.parent(), serde_json::to_string_pretty(self)) {
            let _ = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(file, text));
        }
    }

    /// Puts a file first.
    pub fn opened(&mut self, path: &Path) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        self.recent.retain(|old| *old != path);
        self.recent.insert(0, path);
        self.recent.truncate(RECENT);
    }

    /// Changes the text scale by steps of 10 percent.
    pub fn rescale(&mut self, steps: i32) {
        self.scale = self.scale.saturating_add_signed(10 * steps).clamp(80, 200);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_broken_is_the_default() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/studio.json");
        let mut settings = Settings { language: Language::Chinese, dark: true, ..Settings::default() };
        settings.opened(Path::new("/a.json"));
        settings.opened(Path::new("/b.json"));
        settings.opened(Path::new("/a.json"));
        settings.write(&file);
        let read = Settings::read(&file);
        assert_eq!(read, settings);
        assert_eq!(read.recent, [PathBuf::from("/a.json"), PathBuf::from("/b.json")]);
        std::fs::write(&file, "{").expect("written");
        assert_eq!(Settings::read(&file), Settings::default());
    }

    #[test]
    fn the_scale_stays_within_its_bounds() {
        let mut settings = Settings::default();
        settings.rescale(-9);
        assert_eq!(settings.scale, 80);
        settings.rescale(99);
        assert_eq!(settings.scale, 200);
    }
}
