//! `pumice-studio [SPEC | RUN] [--script FILE]`: opens the window.

use eframe::egui;
use pumice_studio::app::App;
use pumice_studio::script::Script;
use pumice_studio::settings::Settings;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str =
    "pumice-studio [SPEC | RUN] [--script FILE]\n\nOpens the desktop trainer, with a spec or a run folder.\n";

/// What the arguments say: a path, and a script.
fn arguments() -> Result<(Option<PathBuf>, Option<PathBuf>), String> {
    let (mut path, mut script) = (None, None);
    let mut all = std::env::args_os().skip(1);
    while let Some(argument) = all.next() {
        match argument.to_str() {
            Some("--help" | "-h") => {
                print!("{HELP}");
                std::process::exit(0);
            }
            Some("--script") => {
                script = Some(PathBuf::from(all.next().ok_or("--script needs a file")?));
            }
            Some(flag) if flag.starts_with('-') => return Err(format!("there is no flag {flag}; see --help")),
            _ if path.is_some() => return Err("give one spec or one run folder".into()),
            _ => path = Some(PathBuf::from(argument)),
        }
    }
    Ok((path, script))
}

/// What a window needs on Linux and is loaded as it opens: without it the toolkit ends in a panic, so it is looked for
/// before.
#[cfg(target_os = "linux")]
fn needed() -> Result<(), String> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !set("DISPLAY") && !set("WAYLAND_DISPLAY") && !set("WAYLAND_SOCKET") {
        return Err("there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set; start it from a desktop".into());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn needed() -> Result<(), String> {
    Ok(())
}

fn fail(text: &str, code: u8) -> ExitCode {
    eprintln!("error: {text}");
    ExitCode::from(code)
}

fn main() -> ExitCode {
    let (path, script) = match arguments() {
        Ok(found) => found,
        Err(text) => return fail(&text, 2),
    };
    if let Err(text) = needed() {
        return fail(&text, 1);
    }
    let script = match script.map(|file| Script::read(&file)).transpose() {
        Ok(script) => script,
        Err(e) => return fail(&format!("the script cannot be read: {e}"), 2),
    };
    let file = Settings::file();
    let size = file.as_deref().map(Settings::read).unwrap_or_default().window;
    let viewport = egui::ViewportBuilder::default()
        .with_title("Pumice")
        .with_app_id("pumice-studio")
        .with_inner_size(size)
        .with_min_inner_size([640.0, 420.0]);
    let options = eframe::NativeOptions { viewport, ..Default::default() };
    let started = eframe::run_native(
        "Pumice",
        options,
        Box::new(move |cc| {
            cc.egui_ctx.options_mut(|options| options.zoom_with_keyboard = false);
            let mut app = App::new(&cc.egui_ctx, file, script);
            if let Some(path) = path {
                app.open(&path);
            }
            Ok(Box::new(app))
        }),
    );
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let hint = "on Debian, a window needs: apt-get install libxcursor1 libxi6 libxkbcommon-x11-0 libxkbcommon0";
            fail(&format!("the window cannot be opened: {e}; {hint}"), 1)
        }
    }
}
