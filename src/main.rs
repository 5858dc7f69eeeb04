//! The program `pumice`: its arguments go to [`pumice::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    quiet_mesa();
    pumice::cli::run(std::env::args_os())
}

/// Where there is no desktop, a layer of Mesa prints `error: XDG_RUNTIME_DIR is invalid` each time a program asks for
/// adapters. A variable keeps the layer out, and it must be there when the program starts: so the program starts itself
/// again, in the same process, with it. If that fails, the message is all that one sees of it.
#[cfg(target_os = "linux")]
fn quiet_mesa() {
    use std::os::unix::process::CommandExt;
    const QUIET: &str = "NODEVICE_SELECT";
    let set = |name: &str| std::env::var_os(name).is_some();
    if [QUIET, "XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "DISPLAY"].into_iter().any(set) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut args = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    // It only returns if it fails.
    let _ = again.args(args).env(QUIET, "1").exec();
}
