//! Ctrl-C, SIGTERM and SIGHUP: the first finishes the step and writes a checkpoint, the second ends the program.

use crate::cli::output;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The exit code that shells report for a program which Ctrl-C ended: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// How often the program was asked to end.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Whether the program was asked to end.
pub fn stopping() -> bool {
    ASKED.load(Ordering::SeqCst) > 0
}

fn asked() {
    if ASKED.fetch_add(1, Ordering::SeqCst) > 0 {
        std::process::exit(INTERRUPTED.into());
    }
    output::note("finishing the step; Ctrl-C once more ends at once, without a checkpoint");
}

/// Listens from now on.
pub fn listen() {
    if let Err(e) = ctrlc::set_handler(asked) {
        output::note(&format!("Ctrl-C will end the run without a checkpoint ({e})"));
    }
    #[cfg(unix)]
    if let Err(e) = listen_to_others() {
        output::note(&format!("SIGTERM and SIGHUP will end the run without a checkpoint ({e})"));
    }
}

/// The signals of `kill`, of a shutdown, of batch systems and of a closed terminal.
#[cfg(unix)]
fn listen_to_others() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGTERM};
    use signal_hook::iterator::Signals;
    let mut signals = Signals::new([SIGTERM])?;
    if !hang_up_is_ignored() {
        signals.add_signal(SIGHUP)?;
    }
    let listen = move || signals.forever().for_each(|_| asked());
    std::thread::Builder::new().name("pumice-signals".into()).spawn(listen).map(drop)
}

/// Whether the program was started with SIGHUP ignored, as `nohup` does: then it is to outlive its terminal. Linux tells
/// it. Elsewhere output that goes to no terminal is the sign.
#[cfg(unix)]
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    match mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) {
        // Signal 1 is the lowest bit.
        Some(mask) => mask & 1 == 1,
        None => !std::io::IsTerminal::is_terminal(&std::io::stderr()),
    }
}
