//! Services that run.

use super::client::{begin, form, get, head, post, reply, send};
use super::{program, pumice};
use crate::common;
use image::{Rgb, RgbImage};
use pumice::gpu::device::Limits;
use pumice::serve::service::{Bounds, Options, Service};
use pumice::tensor::Data;
use pumice::{Device, Run, block_on};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A network with an auxiliary head, which prediction does not compute.
const NET: &str = r#"{ "version": 1, "input": { "height": 8, "width": 8, "channels": 3 },
  "layers": [
    { "op": "conv2d", "filters": 4, "kernel": 3, "activation": "relu", "name": "stem" },
    { "op": "flatten" }, { "op": "dense", "units": "classes", "name": "helper" },
    { "op": "conv2d", "from": "stem", "filters": 6, "kernel": 3, "norm": "batch", "activation": "relu" },
    { "op": "global_avg_pool2d" }, { "op": "dense", "units": "classes", "name": "scores" }
  ],
  "loss": [{ "op": "cross_entropy", "of": "scores" }, { "op": "cross_entropy", "of": "helper", "weight": 0.3 }],
  "data": { "kind": "folder", "path": "pictures" },
  "train": { "seed": 3, "batch": 4, "epochs": 2, "optimizer": "adam" } }"#;

const TABLE: &str = r#"{ "version": 1, "input": { "features": 2 },
  "layers": [{ "op": "dense", "units": "classes" }], "loss": "cross_entropy",
  "data": { "kind": "csv", "path": "table.csv", "target": "y", "test": 0.2 },
  "train": { "seed": 3, "batch": 4, "epochs": 2, "optimizer": "adam" } }"#;

/// A folder with a trained run `net` of pictures and a run `table`. None, with a printed SKIPPED, without an adapter.
fn folder() -> Option<TempDir> {
    common::session(Limits::Raised, |_| {})?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path();
    for (class, shade) in [("dark", 40u8), ("light", 200)] {
        fs::create_dir_all(dir.join("pictures/train").join(class)).expect("a folder");
        for i in 0..8u8 {
            let picture = RgbImage::from_fn(11, 9, |x, y| Rgb([shade + i, shade + x as u8, shade + y as u8]));
            picture.save(dir.join(format!("pictures/train/{class}/{i}.png"))).expect("a picture");
        }
    }
    let rows: String = (0..20).map(|i| format!("{i},{},{}\n", 20 - i, ["a", "b"][i / 10])).collect();
    fs::write(dir.join("table.csv"), format!("one,two,y\n{rows}")).expect("a table");
    for (name, spec) in [("net", NET), ("table", TABLE)] {
        fs::write(dir.join(format!("{name}.json")), spec).expect("a spec");
        let trained = pumice(dir, &format!("train {name}.json --out {name}"));
        assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    }
    Some(folder)
}

/// A service in this program, and how to end it.
struct Running {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(dir: &Path, bounds: Bounds) -> (Running, Device) {
        let options = Options {
            runs: ["net", "table"].map(|name| dir.join(name)).into(),
            address: "127.0.0.1:0".parse().expect("an address"),
            allow_remote: false,
            hosts: Vec::new(),
            bounds,
            note: |line| println!("{line}"),
        };
        let device = block_on(Device::open(None)).unwrap_or_else(|e| panic!("{e}"));
        let service = block_on(Service::open(options, device.clone())).unwrap_or_else(|e| panic!("{e}"));
        let (address, (end, ended)) = (service.address(), oneshot::channel::<()>());
        let run = move || service.run(async { drop(ended.await) }).unwrap_or_else(|e| panic!("{e}"));
        (Running { address, end: Some(end), thread: Some(std::thread::spawn(run)) }, device)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.end.take());
        let ended = self.thread.take().expect("it runs").join();
        assert!(ended.is_ok() || std::thread::panicking(), "the service has panicked");
    }
}

/// What the command line says.
fn predicted(dir: &Path, args: &str) -> String {
    let output = pumice(dir, &format!("predict {args} --json"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_service_answers_what_predict_prints_whatever_else_it_is_asked() {
    let Some(folder) = folder() else { return };
    let dir = folder.path();
    let bounds = Bounds { body: 20_000, pixels: 10_000, files: 3, ..Bounds::default() };
    let (running, _) = Running::start(dir, bounds);
    let at = running.address;
    let names = ["dark/0", "light/1", "dark/2"].map(|name| format!("pictures/train/{name}.png"));
    let files: Vec<Vec<u8>> = names.iter().map(|name| fs::read(dir.join(name)).expect("a picture")).collect();
    let named: Vec<(&str, &[u8])> = names.iter().zip(&files).map(|(name, file)| (name.as_str(), &file[..])).collect();
    // The run has the parameters of a head that prediction does not compute: both commands do without.
    let all = predicted(dir, &format!("net {}", names.join(" ")));
    assert_eq!(form(at, "/v1/predict", &named).body, all);
    let one = predicted(dir, &format!("net {} --top 1", names[0]));
    assert_eq!(form(at, "/v1/predict/net?top=1", &named[..1]).body, one);
    assert_eq!(post(at, "/v1/predict?top=1", &files[0]).body, one.replace(&names[0], "-"));
    let table = "one,two\n3,17\n15,5\n";
    fs::write(dir.join("new.csv"), table).expect("a table");
    let rows = predicted(dir, "table new.csv").replace("new.csv", "-");
    assert_eq!(post(at, "/v1/predict/table", table.as_bytes()).body, rows);
    let json = "Content-Type: application/json\r\n";
    let list = br#"[[3, 17], { "two": 5, "one": 15 }]"#;
    assert_eq!(send(at, "POST", "/v1/predict/table", json, list).body, rows);
    // Broken bodies harm nobody: many threads send them, and others go on.
    std::thread::scope(|scope| {
        for thread in 0..4usize {
            let (files, all, named) = (&files, &all, &named);
            scope.spawn(move || {
                for i in 0..50usize {
                    let mut broken = files[0].clone();
                    match i % 4 {
                        0 => broken.truncate(1 + (thread * 50 + i) % (broken.len() / 2)),
                        1 => broken[40..].iter_mut().for_each(|byte| *byte ^= 0x5a),
                        2 => broken = b"GIF89a".repeat(1 + i),
                        _ => broken = vec![i as u8; i * 7],
                    }
                    post(at, "/v1/predict", &broken).refused(422, "hint");
                    post(at, "/v1/predict/table", &broken).refused(422, "hint");
                    assert_eq!(form(at, "/v1/predict", named).body, *all);
                }
            });
        }
    });
    refusals(at, &files[0]);
    let mixed = form(at, "/v1/predict", &[named[0], ("no.png", b"nothing")]).json();
    assert_eq!(
        (mixed["predictions"].as_array().map(Vec::len), mixed["errors"][0]["file"].as_str()),
        (Some(1), Some("no.png"))
    );
    let metrics = get(at, "/metrics").body;
    assert!(metrics.contains("pumice_requests_total{path=\"/v1/predict\",status=\"422\"} 4"), "{metrics}");
    assert!(metrics.contains("pumice_requests_open 0") && metrics.contains("pumice_queue_samples 0"), "{metrics}");
}

/// All that is refused, with its status.
fn refusals(at: SocketAddr, picture: &[u8]) {
    post(at, "/v1/predict", &[7; 20_001]).refused(413, "20000 bytes");
    let chunked = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"2710\r\n".to_vec(), vec![0; 10_000], b"\r\n".to_vec()].concat();
    let body = [chunked.as_bytes(), &chunk.repeat(3), b"0\r\n\r\n"].concat();
    reply(&mut begin(at, &body)).refused(413, "20000 bytes");
    let mut large = Vec::new();
    RgbImage::new(200, 60).write_to(&mut std::io::Cursor::new(&mut large), image::ImageFormat::Png).expect("a picture");
    post(at, "/v1/predict", &large).refused(422, "200 x 60");
    form(at, "/v1/predict", &[("a", picture); 4]).refused(422, "3 files");
    send(at, "POST", "/v1/predict", "Content-Type: multipart/form-data\r\n", b"x").refused(422, "hint");
    send(at, "POST", "/v1/predict", "Content-Type: application/json\r\n", b"[[1]]").refused(422, "pictures, not rows");
    post(at, "/v1/predict/table?invert=true", b"one,two\n1,2\n").refused(422, "invert");
    post(at, "/v1/predict?top=none", picture).refused(422, "query");
    post(at, "/v1/predict/other", picture).refused(404, "net, table");
    get(at, "/nothing").refused(404, "openapi");
    get(at, "/v1/predict").refused(405, "POST");
    for path in ["/", "/healthz", "/metrics", "/openapi.json", "/v1/predict"] {
        send(at, "GET", path, "Host: example.com\r\n", b"").refused(403, "Host");
        send(at, "GET", path, "Origin: http://example.com\r\n", b"").refused(403, "another site");
    }
    assert_eq!(send(at, "POST", "/v1/predict", "Origin: http://localhost\r\n", picture).status, 200);
    let page = get(at, "/");
    assert!(page.status == 200 && page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    assert_eq!(get(at, "/healthz").json()["runs"], serde_json::json!(["net", "table"]));
    assert!(get(at, "/openapi.json").json()["paths"]["/v1/predict/{run}"].is_object());
}

#[test]
fn a_full_service_refuses_a_slow_body_ends_and_a_lost_adapter_comes_back() {
    let Some(folder) = folder() else { return };
    let dir = folder.path();
    let picture = fs::read(dir.join("pictures/train/dark/0.png")).expect("a picture");
    let bounds = Bounds { requests: 1, time: Duration::from_secs(5), ..Bounds::default() };
    let (running, device) = Running::start(dir, bounds);
    let at = running.address;
    let whole = post(at, "/v1/predict", &picture).body;
    // It holds the only place until its body is there. Nobody else asks before it has the place.
    let mut slow = begin(at, &head("POST", "/v1/predict", picture.len(), ""));
    comes(|| get(at, "/metrics").body.contains("pumice_requests_open 1\n"));
    post(at, "/v1/predict", &picture).refused(429, "later");
    slow.write_all(&picture).expect("it takes them");
    assert_eq!(reply(&mut slow).body, whole);
    reply(&mut begin(at, &head("POST", "/v1/predict", picture.len(), ""))).refused(408, "5 seconds");
    device.lose_after(1);
    post(at, "/v1/predict", &picture).refused(503, "the device was lost");
    comes(|| get(at, "/healthz").status == 200);
    assert_eq!(post(at, "/v1/predict", &picture).body, whole);
    assert!(get(at, "/metrics").body.contains("pumice_adapter_losses_total 1\n"));
    let run = Run::open(&dir.join("net")).expect("a run");
    let mut weights = run.read_weights().expect("weights");
    weights.insert("scores.bias".into(), pumice::HostTensor::new(&[2], Data::F32(vec![9.0, -9.0])));
    run.write_weights(&weights).expect("they can be written");
    comes(|| post(at, "/v1/predict", &picture).body != whole);
    let other = predicted(dir, "net pictures/train/dark/0.png").replace("pictures/train/dark/0.png", "-");
    assert_eq!(post(at, "/v1/predict", &picture).body, other);
    assert!(get(at, "/metrics").body.contains("pumice_weights_reloads_total 1\n"));
    // Weights of another model are not taken.
    weights.insert("helper.bias".into(), pumice::HostTensor::new(&[3], Data::F32(vec![0.0; 3])));
    run.write_weights(&weights).expect("they can be written");
    let output = pumice(dir, "predict net pictures/train/dark/0.png");
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("helper.bias"));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(post(at, "/v1/predict", &picture).body, other);
}

/// Waits until something is so.
fn comes(is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(unix)]
#[test]
fn a_service_that_is_asked_to_end_answers_what_is_under_way() {
    let Some(folder) = folder() else { return };
    let dir = folder.path();
    let picture = fs::read(dir.join("pictures/train/light/0.png")).expect("a picture");
    let mut command = program(dir, "serve net --addr 127.0.0.1:0 --json");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let address =
        line["address"].as_str().and_then(|a| a.strip_prefix("http://")?.strip_suffix('/')).expect("an address");
    let at: SocketAddr = address.parse().expect("an address");
    let whole = post(at, "/v1/predict", &picture).body;
    let idle = begin(at, b"");
    let mut open = begin(at, &head("POST", "/v1/predict", picture.len(), ""));
    open.write_all(&picture[..20]).expect("it takes them");
    comes(|| get(at, "/metrics").body.contains("pumice_requests_open 1\n"));
    let sent = terminate(child.id());
    assert!(sent, "no signal");
    comes(|| std::net::TcpStream::connect(at).is_err());
    open.write_all(&picture[20..]).expect("it takes them");
    assert_eq!(reply(&mut open).body, whole);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    drop(idle);
}

#[cfg(unix)]
fn terminate(pid: u32) -> bool {
    std::process::Command::new("kill").args(["-s", "TERM", &pid.to_string()]).status().is_ok_and(|s| s.success())
}
