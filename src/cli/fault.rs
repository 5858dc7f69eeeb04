//! What is said when the program itself is at fault, that is, when it panics. The exit code is then 101.

use super::output;
use crate::error::printable;
use crate::gpu;
use std::panic::PanicHookInfo;

/// Says, in place of Rust's own message, what failed and what a report needs. `args` are the program's arguments.
pub(super) fn explain(args: Vec<String>) {
    std::panic::set_hook(Box::new(move |info| {
        // A device that is lost makes wgpu panic there. It is caught, and told as an error.
        if std::thread::current().name() != Some(gpu::WAIT_THREAD) {
            output::note(&report(&message(info), &args, gpu::last_adapter()));
        }
    }));
}

fn message(info: &PanicHookInfo) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let place = info.location().map_or(String::new(), |at| format!(" ({}:{})", at.file(), at.line()));
    format!("{}{place}", text.unwrap_or("no message"))
}

fn report(message: &str, args: &[String], adapter: Option<String>) -> String {
    let command: Vec<String> = args.iter().map(|arg| printable(arg)).collect();
    let lines = [
        format!("error: pumice itself failed: {}; this is a fault of the program, not of its input", printable(message)),
        "What was written before is whole: a run goes on with --resume. Please report it, with the spec and these lines:".into(),
        format!("  version  {}", env!("CARGO_PKG_VERSION")),
        format!("  system   {} {}", std::env::consts::OS, std::env::consts::ARCH),
        format!("  adapter  {}", adapter.as_deref().map_or("none opened".into(), printable)),
        format!("  command  {}", command.join(" ")),
    ];
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_what_a_reader_needs() {
        let args = ["pumice", "train", "a\nb.json"].map(String::from);
        let text = report("index out of bounds (src/x.rs:7)", &args, Some("llvmpipe".into()));
        for part in
            ["error: pumice itself failed: index out of bounds (src/x.rs:7)", "llvmpipe", r"pumice train a\nb.json"]
        {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        assert!(text.contains(env!("CARGO_PKG_VERSION")) && text.contains("report it"), "{text}");
    }
}
