//! The service: it listens, answers, and ends.

use super::app::App;
pub use super::app::Bounds;
use super::engine::Engine;
use super::folders::Folders;
use super::guard::Hosts;
use super::metrics::Metrics;
use super::served::{self, Served};
use super::{openapi, page, routes, watch};
use crate::error::{Error, Result};
use crate::gpu::Device;
use crate::host;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections that are open at the same time. More wait until one is closed.
const CONNECTIONS: usize = 1024;

/// How long it is waited after a connection could not be taken, for want of file handles perhaps.
const BREATH: Duration = Duration::from_millis(50);

/// How long each answer, once the service is to end, tells its client to close the connection, before connections are
/// closed that have no request.
const FAREWELL: Duration = Duration::from_millis(250);

/// What a service is to be.
pub struct Options {
    /// Run folders, each as `DIR` or `NAME=DIR`.
    pub runs: Vec<PathBuf>,
    /// Where it listens. Port 0 means any.
    pub address: SocketAddr,
    /// Whether others than this machine may reach it.
    pub allow_remote: bool,
    /// Further names by which it may be called.
    pub hosts: Vec<String>,
    /// What may be taken.
    pub bounds: Bounds,
    /// Is told what happens, a line each.
    pub note: fn(&str),
}

impl Options {
    /// Checks what can be checked before an adapter is opened.
    ///
    /// # Errors
    /// An address that others reach, unless that is allowed; two runs of one name.
    pub fn check(&self) -> Result<()> {
        let address = self.address;
        if !address.ip().is_loopback() && !self.allow_remote {
            let what = format!("{address} can be reached from other machines, and the service asks for no password");
            return Err(Error::usage(what, "listen on 127.0.0.1, or say --allow-remote"));
        }
        served::named(&self.runs).map(drop)
    }
}

/// A service that listens already, and answers once it runs.
pub struct Service {
    app: Arc<App>,
    listener: TcpListener,
    note: fn(&str),
}

impl Service {
    /// Opens the runs on a device, and the address.
    ///
    /// # Errors
    /// An address that others reach, unless that is allowed, or that is taken; a folder that is no run; what the adapter
    /// reports.
    pub async fn open(options: Options, device: Device) -> Result<Service> {
        options.check()?;
        let Options { runs, address, hosts, bounds, note, .. } = options;
        let taken = |e| Error::usage(format!("the service cannot listen on {address}: {e}"), "give another --addr");
        let listener = TcpListener::bind(address).map_err(taken)?;
        listener.set_nonblocking(true).map_err(taken)?;
        let (mut all, mut networks) = (Vec::new(), Vec::new());
        for (name, dir) in served::named(&runs)? {
            let (served, network) = Served::open(name, &dir, &device).await?;
            all.push(served);
            networks.push(network);
        }
        let (runs, metrics) = (Arc::new(all), Arc::new(Metrics::new()));
        let app = App {
            engine: Arc::new(Engine::start(runs.clone(), networks, device, metrics.clone(), note)?),
            page: page::page(&runs),
            openapi: openapi::openapi(&runs),
            runs,
            metrics,
            bounds,
            hosts: Hosts::of(address.ip(), &hosts),
            places: Arc::new(Semaphore::new(bounds.requests)),
            decoders: Arc::new(Semaphore::new(host::cores())),
            held: Arc::new(AtomicUsize::new(0)),
            ending: AtomicBool::new(false),
            folders: Folders::new()?,
        };
        Ok(Service { app: Arc::new(app), listener, note })
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If the system does not know.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// The names of its runs.
    pub fn names(&self) -> Vec<&str> {
        self.app.runs.iter().map(|run| run.name.as_str()).collect()
    }

    /// Answers until `end` comes. Then no new request is taken, and those under way are answered.
    ///
    /// # Errors
    /// No threads left.
    pub fn run(self, end: impl Future<Output = ()>) -> Result<()> {
        let Service { app, listener, note } = self;
        let threads = |e: std::io::Error| Error::usage(format!("no thread can be started ({e})"), "end other programs");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(threads)?;
        let (stop, stopped) = mpsc::channel::<()>();
        let (runs, engine) = (app.runs.clone(), app.engine.clone());
        let watching = std::thread::Builder::new().name("pumice-weights".into());
        let watching = watching.spawn(move || watch::watch(&runs, &engine, &stopped, note)).map_err(threads)?;
        runtime.block_on(listen(app.clone(), listener, note, end)).map_err(threads)?;
        drop(stop);
        // It only sleeps and reads.
        let _ = watching.join();
        app.engine.end();
        Ok(())
    }
}

async fn listen(
    app: Arc<App>,
    listener: TcpListener,
    note: fn(&str),
    end: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (graceful, time) = (GracefulShutdown::new(), app.bounds.time);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let service = TowerToHyperService::new(routes::routes(app.clone()));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(time);
    let serve = |stream: TcpStream, place| {
        // Answers are small. If it cannot be set they come a little later.
        let _ = stream.set_nodelay(true);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            // A client that goes away harms nobody.
            let _ = connection.await;
            drop(place);
        });
    };
    let mut end = std::pin::pin!(end);
    loop {
        let next = async {
            let place = connections.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            (accepted, place) = next => match accepted {
                Ok((stream, _)) => serve(stream, Some(place)),
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            () = &mut end => break,
        }
    }
    note("finishing the requests under way");
    // Who is connected already may have sent a request.
    while let Ok(Ok((stream, _))) = timeout(Duration::from_millis(1), listener.accept()).await {
        serve(stream, None);
    }
    drop(listener);
    // Not before: clients that are told to close come again at once.
    app.ending.store(true, Ordering::Relaxed);
    if connections.available_permits() < CONNECTIONS {
        // An idle connection that were closed now might have a request on its way.
        tokio::time::sleep(FAREWELL).await;
    }
    if timeout(time, graceful.shutdown()).await.is_err() {
        note("some requests have not ended in time");
    }
    Ok(())
}
