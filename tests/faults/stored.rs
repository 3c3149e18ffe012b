//! What etcd says of the Secrets: how often each was written, whoever heard an answer, and whether or not there is an API
//! server just now.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::world::World;

/// How often each Secret of the namespace was written, its creation among them.
pub(crate) async fn writes(world: &World) -> BTreeMap<String, u64> {
    let prefix = format!("/registry/secrets/{}/", world.namespace);
    // All keys that begin with the prefix: from it up to the same with a last byte that is one higher.
    let end = prefix.trim_end_matches('/').to_owned() + "0";
    let asked = json!({"key": BASE64.encode(&prefix), "range_end": BASE64.encode(end), "keys_only": true});
    let answer = ask(world.plane.info("etcd"), "/v3/kv/range", &asked).await;
    let stored = answer["kvs"].as_array().into_iter().flatten();
    stored
        .map(|kv| {
            let key = String::from_utf8(BASE64.decode(kv["key"].as_str().unwrap()).unwrap()).unwrap();
            let name = key.strip_prefix(&prefix).unwrap().to_owned();
            (name, kv["version"].as_str().unwrap().parse().unwrap())
        })
        .collect()
}

async fn ask(url: &str, path: &str, body: &Value) -> Value {
    let host = url.strip_prefix("http://").unwrap();
    let mut etcd = TcpStream::connect(host).await.unwrap();
    let body = body.to_string();
    // HTTP/1.0, so that the answer comes in one piece and ends with the connection.
    let request = format!("POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    etcd.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    etcd.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{answer}");
    serde_json::from_str(body).unwrap()
}
