//! AWS that answers at once: STS gives everybody's role its credentials, and S3 keeps objects and uploads in memory, as the
//! tests' scripted AWS does where its script says nothing.

// What only the tests' script needs.
#[allow(dead_code)]
#[path = "../../../tests/e2e/harness/scripted_aws/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "../../../tests/e2e/harness/scripted_aws/store.rs"]
mod store;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use http::Message;
use store::{About, Store, sts_answer};

const REGION: &str = "us-east-1";

#[derive(Default)]
struct State {
    store: Mutex<Store>,
    sts_calls: AtomicUsize,
    s3_calls: AtomicUsize,
}

pub(crate) struct Aws {
    pub(crate) url: String,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

impl Aws {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        Self { url, serving: tokio::spawn(accept(listener, Arc::clone(&state))), state }
    }

    /// How many calls STS and S3 have had.
    pub(crate) fn calls(&self) -> (usize, usize) {
        (self.state.sts_calls.load(Ordering::Relaxed), self.state.s3_calls.load(Ordering::Relaxed))
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    // Head and body go out in one piece; there is nothing to be gathered.
    let _ = stream.set_nodelay(true);
    let mut rest = Vec::new();
    while let Some(message) = Message::read(&mut stream, &mut rest).await {
        let (head, body) = state.answer(&message).wire(message.method == "HEAD");
        if stream.write_all(&[head, body].concat()).await.is_err() {
            return;
        }
    }
}

impl State {
    fn answer(&self, message: &Message) -> http::Http {
        let form = message.form();
        if let Some(action) = form.get("Action") {
            let call = self.sts_calls.fetch_add(1, Ordering::Relaxed);
            let id = format!("ASIABENCH{call:08}");
            let credentials = [id.as_str(), "the/secret/of/a/session", "the//token//of//a//session"];
            return sts_answer(action, &form, "arn:aws:iam::123456789012:user/bench", credentials);
        }
        self.s3_calls.fetch_add(1, Ordering::Relaxed);
        self.store.lock().unwrap().answer(message, &About::of(message), REGION)
    }
}
