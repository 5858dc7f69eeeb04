//! Sends pictures to `pumice serve` over many connections for some time, and says how fast they were answered:
//!
//! ```sh
//! pumice serve runs/first &
//! cargo run --release --example serve_load -- 127.0.0.1:8000 64 60 pictures/*.png
//! ```
//!
//! Each connection sends its next picture when it has the answer to the one before. Answers of another status than 200, and
//! connections that end without an answer, are counted by their reason.

use std::collections::BTreeMap;
use std::io::{Error, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What a connection has seen.
#[derive(Default)]
struct Seen {
    seconds: Vec<f64>,
    wrong: BTreeMap<String, usize>,
}

/// Sends a request and reads its reply. Returns the status, and whether the connection stays open.
fn ask(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Result<(u16, bool), Error> {
    stream.write_all(request)?;
    buffer.clear();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return Err(Error::other(if buffer.is_empty() {
                "closed before the answer"
            } else {
                "closed inside the answer"
            }));
        }
        buffer.extend(&part[..count]);
        let text = String::from_utf8_lossy(buffer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            return Ok((status.ok_or(Error::other("no status"))?, !head.contains("connection: close")));
        }
    }
}

/// Asks until the time is over, or nobody listens any more.
fn client(address: &str, requests: &[Vec<u8>], first: usize, end: Instant) -> Seen {
    let (mut seen, mut buffer) = (Seen::default(), Vec::new());
    let mut stream = None;
    for request in requests.iter().cycle().skip(first) {
        if Instant::now() >= end {
            break;
        }
        let open = match stream.take() {
            Some(open) => open,
            None => match TcpStream::connect(address) {
                Ok(open) => open,
                Err(_) => {
                    *seen.wrong.entry("no connection".into()).or_default() += 1;
                    break;
                }
            },
        };
        let mut open = open;
        // Without it small requests may wait for an acknowledgement.
        open.set_nodelay(true).expect("a TCP connection");
        let start = Instant::now();
        match ask(&mut open, request, &mut buffer) {
            Ok((status, stays)) => {
                match status {
                    200 => seen.seconds.push(start.elapsed().as_secs_f64()),
                    other => *seen.wrong.entry(format!("status {other}")).or_default() += 1,
                }
                stream = stays.then_some(open);
            }
            Err(e) => *seen.wrong.entry(e.to_string()).or_default() += 1,
        }
    }
    seen
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, seconds, files @ ..] = &args[..] else {
        panic!("give ADDRESS CONNECTIONS SECONDS FILE…");
    };
    let connections: usize = connections.parse().expect("a number of connections");
    let time = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let request = |file: &String| {
        let body = std::fs::read(file).unwrap_or_else(|e| panic!("{file}: {e}"));
        let head = format!("POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat()
    };
    let requests: Vec<Vec<u8>> = files.iter().map(request).collect();
    assert!(!requests.is_empty(), "give at least one FILE");
    let start = Instant::now();
    let all: Vec<Seen> = std::thread::scope(|scope| {
        let one = |i: usize| {
            let requests = &requests;
            scope.spawn(move || client(address, requests, i * requests.len() / connections, start + time))
        };
        let threads: Vec<_> = (0..connections).map(one).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });
    let took = start.elapsed().as_secs_f64();
    let mut seconds: Vec<f64> = all.iter().flat_map(|seen| seen.seconds.iter().copied()).collect();
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| seconds.get(((seconds.len() as f64 * share) as usize).min(seconds.len().saturating_sub(1)));
    let ms = |share: f64| at(share).map_or(f64::NAN, |s| s * 1e3);
    println!("{} answers in {took:.1} s: {:.1} a second", seconds.len(), seconds.len() as f64 / took);
    println!("ms: p50 {:.1}, p95 {:.1}, p99 {:.1}, most {:.1}", ms(0.5), ms(0.95), ms(0.99), ms(1.0));
    let mut wrong: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().flat_map(|seen| &seen.wrong).for_each(|(why, count)| *wrong.entry(why).or_default() += count);
    println!("wrong: {wrong:?}");
}
