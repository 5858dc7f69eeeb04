//! What `pumice train --profile` prints.

use crate::check::profile::Profile;
use crate::cli::{numbers, output};
use crate::error::Result;
use crate::gpu::Clock;
use crate::report::table::{Align, Table};
use std::path::Path;

/// Prints the table to stdout; with `json` to stderr, because stdout is for JSON. Writes the trace.
///
/// # Errors
/// A trace that cannot be written.
pub fn show(profile: &Profile, trace: Option<&Path>, json: bool) -> Result<()> {
    if profile.batches() == 0 {
        output::note("nothing was profiled: the run ended before its third step");
        return Ok(());
    }
    let text = text(profile);
    if json {
        text.lines().for_each(output::note);
    } else {
        output::print(&text)?;
    }
    if let Some(file) = trace {
        profile.write_trace(file)?;
        output::note(&format!("{}: open it in chrome://tracing or ui.perfetto.dev", file.display()));
    }
    Ok(())
}

fn text(profile: &Profile) -> String {
    let nodes = profile.nodes();
    let total: f64 = nodes.iter().map(|n| n.seconds).sum();
    let mut table = Table::new(&[
        ("node", Align::Left),
        ("kernels", Align::Left),
        ("", Align::Left),
        ("dispatches", Align::Right),
        ("ms", Align::Right),
        ("share", Align::Right),
    ]);
    let mut row = |node: &str, kernels: &str, segment: &str, dispatches: usize, seconds: f64| {
        let (ms, share) = (numbers::ms(seconds), numbers::percent(seconds / total.max(1e-12)));
        table.row([node, kernels, segment, &dispatches.to_string(), &ms, &share]);
    };
    for n in &nodes {
        row(&n.node, &n.kernels.join(" "), n.segment.name(), n.dispatches, n.seconds);
    }
    row("total", "", "", nodes.iter().map(|n| n.dispatches).sum(), total);
    let clock = match profile.clock() {
        Clock::Adapter => "the adapter's timestamps",
        Clock::Host => {
            "the host's clock, a submission and a wait around each dispatch included: this adapter has no timestamps"
        }
    };
    let (batches, whole) = (profile.batches(), numbers::ms(profile.seconds()));
    format!("{table}\nmeans of {batches} batches by {clock}; a whole batch took {whole} ms\n")
}
