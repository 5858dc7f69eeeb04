//! `pumice serve`: runs that answer over HTTP.

use super::args::{DeviceArgs, count};
use super::outcome::Outcome;
use super::output;
use crate::serve::service::{Bounds, Options, Service};
use crate::spec::Count;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// The exit code that shells report for a program which Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

#[derive(clap::Args)]
pub struct Args {
    /// The run folders. Each is called as its folder is, or as NAME=RUN says; the first answers where a request names none.
    #[arg(value_name = "RUN", required = true, num_args = 1..)]
    runs: Vec<PathBuf>,
    /// Where to listen. Port 0 takes any that is free.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    addr: SocketAddr,
    /// Allow an address that other machines reach. The service asks nobody for a password.
    #[arg(long)]
    allow_remote: bool,
    /// A name by which browsers may call the service, besides localhost and addresses in numbers. Can be repeated.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Most requests under way at a time; more are answered with 429.
    #[arg(long, value_name = "N", default_value = "256", value_parser = count)]
    queue: Count,
    /// Largest body in MiB; larger ones are answered with 413.
    #[arg(long, value_name = "MIB", default_value = "16", value_parser = mebibytes)]
    body: usize,
    /// Most pixels of a picture, in millions; larger ones are answered with 422.
    #[arg(long, value_name = "MP", default_value = "50", value_parser = count)]
    pixels: Count,
    /// Most seconds for a request: 408 where its body does not come, 503 where its answer does not.
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    timeout: Duration,
    #[command(flatten)]
    device: DeviceArgs,
}

fn mebibytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=256) => Ok(n),
        _ => Err("give a whole number from 1 to 256".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().filter(|s| (0.1..=3600.0).contains(s));
    time.map(Duration::from_secs_f64).ok_or("give a number of seconds from 0.1 to 3600".into())
}

/// Answers until Ctrl-C or SIGTERM.
pub async fn run(args: &Args, json: bool) -> Outcome {
    let bounds = Bounds {
        requests: args.queue.0,
        body: args.body << 20,
        pixels: args.pixels.0.saturating_mul(1_000_000),
        time: args.timeout,
        ..Bounds::default()
    };
    let options = Options {
        runs: args.runs.clone(),
        address: args.addr,
        allow_remote: args.allow_remote,
        hosts: args.host.clone(),
        bounds,
        note: output::note,
    };
    options.check()?;
    let service = Service::open(options, args.device.open().await?).await?;
    let asked = signals();
    let address = format!("http://{}/", service.address());
    match json {
        true => output::print_json(&json!({ "address": address, "runs": service.names() }))?,
        false => output::print(&format!("{} at {address} (Ctrl-C ends it)\n", service.names().join(", ")))?,
    }
    service.run(async move { asked.notified().await })?;
    Ok(ExitCode::SUCCESS)
}

/// Is told when Ctrl-C or SIGTERM come, from now on. The second ends the program at once.
fn signals() -> Arc<Notify> {
    let asked = Arc::new(Notify::new());
    let (times, told) = (Arc::new(AtomicUsize::new(0)), asked.clone());
    let end = move || {
        if times.fetch_add(1, Ordering::SeqCst) > 0 {
            std::process::exit(INTERRUPTED);
        }
        told.notify_one();
    };
    #[cfg(unix)]
    if let Err(e) = terminated(end.clone()) {
        output::note(&format!("SIGTERM will end the service without its last answers ({e})"));
    }
    if let Err(e) = ctrlc::set_handler(end) {
        output::note(&format!("Ctrl-C will end the service without its last answers ({e})"));
    }
    asked
}

/// Calls a function at each SIGTERM.
#[cfg(unix)]
fn terminated(end: impl Fn() + Send + 'static) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])?;
    let listen = move || signals.forever().for_each(|_| end());
    std::thread::Builder::new().name("pumice-signals".into()).spawn(listen).map(drop)
}
