//! A client that sends what it is told, also what no client should.

use serde_json::Value as Json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A reply.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Asserts a status, and that the reason is JSON with these words.
    pub fn refused(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let error = &self.json()["errors"][0];
        assert!(error["message"].is_string() && error["hint"].is_string(), "{self:?}");
        assert!(self.body.contains(words), "`{words}` is not in {self:?}");
    }
}

/// Opens a connection and sends bytes.
pub fn begin(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the service listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
    stream.write_all(bytes).expect("it takes them");
    stream
}

/// Reads a reply up to the end of its body.
pub fn reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let mut one = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut one).unwrap_or_else(|e| panic!("{e} after {}", String::from_utf8_lossy(&bytes)));
        bytes.push(one[0]);
    }
    let head = String::from_utf8(bytes).expect("text").to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    stream.read_exact(&mut body).expect("the whole body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Reply { status, head, body: String::from_utf8(body).expect("text") }
}

/// The head of a request with a body, and further headers, each with its line end.
pub fn head(method: &str, path: &str, length: usize, more: &str) -> Vec<u8> {
    let host = if more.contains("Host:") { "" } else { "Host: localhost\r\n" };
    format!("{method} {path} HTTP/1.1\r\n{host}{more}Content-Length: {length}\r\n\r\n").into_bytes()
}

/// A request on a connection of its own.
pub fn send(address: SocketAddr, method: &str, path: &str, more: &str, body: &[u8]) -> Reply {
    let bytes = [head(method, path, body.len(), more), body.to_vec()].concat();
    reply(&mut begin(address, &bytes))
}

/// A picture or something like it, for a prediction.
pub fn post(address: SocketAddr, path: &str, body: &[u8]) -> Reply {
    send(address, "POST", path, "", body)
}

/// A page.
pub fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, "GET", path, "", b"")
}

/// Files, as a form sends them. They have the names of their paths.
pub fn form(address: SocketAddr, path: &str, files: &[(&str, &[u8])]) -> Reply {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!("--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--xyz--\r\n");
    send(address, "POST", path, "Content-Type: multipart/form-data; boundary=xyz\r\n", &body)
}
