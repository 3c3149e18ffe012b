//! HTTP/1.1 as far as the AWS SDK speaks it: requests with a Content-Length, and answers byte by byte.

use std::collections::HashMap;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request as it came.
pub(super) struct Message {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// An answer.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.push((header, value.to_owned()));
        self
    }

    /// Head and body on the wire. What answers HEAD has no body.
    pub(super) fn wire(&self, is_head: bool) -> (Vec<u8>, Vec<u8>) {
        let body = if is_head { Vec::new() } else { self.body.clone() };
        let length = (self.status != 204 && !is_head).then(|| format!("content-length: {}", body.len()));
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let lines: Vec<String> =
            [format!("HTTP/1.1 {} Scripted", self.status)].into_iter().chain(headers).chain(length).collect();
        (format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes(), body)
    }
}

impl Message {
    /// The next request of a connection; none once the client is gone. `rest` keeps what came with the one before.
    pub(super) async fn read(stream: &mut TcpStream, rest: &mut Vec<u8>) -> Option<Self> {
        let end = loop {
            if let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            more(stream, rest).await?;
        };
        let head: Vec<u8> = rest.drain(..end).collect();
        let head = String::from_utf8(head).ok()?;
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        if headers.contains_key("expect") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        while rest.len() < length {
            more(stream, rest).await?;
        }
        let body = rest.drain(..length).collect();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Self { method, path: decoded(path), query: pairs(query), headers, body })
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The fields of a form, as STS is asked.
    pub(super) fn form(&self) -> HashMap<String, String> {
        pairs(std::str::from_utf8(&self.body).unwrap_or_default())
    }
}

async fn more(stream: &mut TcpStream, rest: &mut Vec<u8>) -> Option<()> {
    matches!(stream.read_buf(rest).await, Ok(1..)).then_some(())
}

fn pairs(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decoded(k), decoded(v))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_default()
}
