//! A way to the API server on which everything that is sent takes a while, and is lost when its sender goes.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) struct SlowNetwork {
    pub(crate) url: String,
    accepting: JoinHandle<()>,
}

impl SlowNetwork {
    /// What the client sends is on its way for so long.
    pub(crate) async fn to(server: &str, delay: Duration) -> Self {
        Self::with(server, delay, Duration::ZERO).await
    }

    /// Each answer is on its way for any time up to so long, each connection for itself.
    pub(crate) async fn with_jitter(server: &str, most: Duration) -> Self {
        Self::with(server, Duration::ZERO, most).await
    }

    async fn with(server: &str, delay: Duration, jitter: Duration) -> Self {
        let server = server.strip_prefix("https://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(carry(client, server, delay, jitter));
            }
        });
        Self { url, accepting }
    }
}

impl Drop for SlowNetwork {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(client: TcpStream, server: TcpStream, delay: Duration, jitter: Duration) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move {
        let mut chunk = [0; 16384];
        while let Ok(read @ 1..) = from_server.read(&mut chunk).await {
            // The time on the way is what is simulated here.
            let mut way = tokio::time::interval(jitter.mul_f64(fastrand::f64()) + Duration::from_micros(1));
            way.tick().await;
            way.tick().await;
            if to_client.write_all(&chunk[..read]).await.is_err() {
                break;
            }
        }
    });
    let mut pending = Vec::new();
    loop {
        let mut chunk = [0; 16384];
        let wait = if pending.is_empty() { Duration::MAX } else { delay };
        match tokio::time::timeout(wait, from_client.read(&mut chunk)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(read)) => pending.extend_from_slice(&chunk[..read]),
            Err(_) => {
                if to_server.write_all(&pending).await.is_err() {
                    break;
                }
                pending.clear();
            }
        }
    }
    back.abort();
}
