//! One control plane and one AWS peer for all tests of this binary, brought up by `tests/controlplane/up.py`, which
//! ends them when its stdin closes: that is, when this process ends, however it ends.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};
use tokio::sync::oneshot;

pub(crate) struct ControlPlane {
    /// What up.py says of where everything is.
    info: Value,
    stdin: Mutex<ChildStdin>,
    replies: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    next: AtomicU64,
}

static SHARED: LazyLock<ControlPlane> = LazyLock::new(ControlPlane::start);

impl ControlPlane {
    pub(crate) fn shared() -> &'static Self {
        static READER: std::sync::Once = std::sync::Once::new();
        let shared = &*SHARED;
        READER.call_once(|| {
            let stdout = STDOUT.lock().unwrap().take().unwrap();
            std::thread::spawn(move || shared.read_replies(stdout));
        });
        shared
    }

    // It outlives every test, and ends itself when the pipe to it is closed.
    #[allow(clippy::zombie_processes)]
    fn start() -> Self {
        let mut up = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/controlplane/up.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed for the control plane");
        let stdin = up.stdin.take().unwrap();
        let mut stdout = BufReader::new(up.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        let info = serde_json::from_str(&ready).expect("the control plane did not come up: see its words above");
        *STDOUT.lock().unwrap() = Some(stdout);
        Self { info, stdin: Mutex::new(stdin), replies: Mutex::default(), next: AtomicU64::new(1) }
    }

    fn read_replies(&self, stdout: BufReader<std::process::ChildStdout>) {
        for line in stdout.lines().map_while(Result::ok) {
            let reply: Value = serde_json::from_str(&line).unwrap();
            let waiting = reply["id"].as_u64().and_then(|id| self.replies.lock().unwrap().remove(&id));
            if let Some(waiting) = waiting {
                let _ = waiting.send(reply);
            }
        }
    }

    pub(crate) fn info(&self, what: &str) -> &str {
        self.info[what].as_str().unwrap()
    }

    /// One request to up.py, as its README has them.
    pub(crate) async fn request(&self, mut request: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        request["id"] = json!(id);
        let (sender, reply) = oneshot::channel();
        self.replies.lock().unwrap().insert(id, sender);
        writeln!(self.stdin.lock().unwrap(), "{request}").unwrap();
        reply.await.expect("the control plane is gone")
    }

    /// A call to the AWS peer as its administrator.
    pub(crate) async fn aws(&self, service: &str, call: &str, args: Value) -> Value {
        let mut reply = self.request(json!({"service": service, "call": call, "args": args})).await;
        assert!(reply.get("error").is_none(), "{service} {call}: {}", reply["error"]);
        reply["ok"].take()
    }

    /// Starts the controllers of namespaces, garbage, `Deployments` and `ReplicaSets`, if they do not run yet. They work on
    /// what every test has made, also on what those had made that never asked for them.
    pub(crate) async fn start_controllers(&self) {
        let reply = self.request(json!({"controllers": "start"})).await;
        assert!(reply.get("error").is_none(), "controllers: {}", reply["error"]);
    }

    /// Starts radosgw, if it does not run yet, and says where it and the issuer of service accounts' tokens are.
    pub(crate) async fn radosgw(&self) -> Value {
        let mut reply = self.request(json!({"rgw": "start"})).await;
        assert!(reply.get("error").is_none(), "radosgw: {}", reply["error"]);
        reply["ok"].take()
    }

    /// A user of radosgw: `access_key`, `secret_key`, `arn`.
    pub(crate) async fn radosgw_user(&self, uid: &str) -> Value {
        let mut reply = self.request(json!({"rgw": "create-user", "args": {"uid": uid}})).await;
        assert!(reply.get("error").is_none(), "user {uid}: {}", reply["error"]);
        reply["ok"].take()
    }

    /// A call to radosgw as its administrator.
    pub(crate) async fn at_radosgw(&self, service: &str, call: &str, args: Value) -> Value {
        let request = json!({"service": service, "call": call, "args": args, "at": "rgw"});
        let mut reply = self.request(request).await;
        assert!(reply.get("error").is_none(), "{service} {call}: {}", reply["error"]);
        reply["ok"].take()
    }

    /// How many `AssumeRole` calls the AWS peer has had with an access key.
    pub(crate) async fn assume_role_calls(&self, access_key: &str) -> usize {
        let reply = self.request(json!({"peer": "recording"})).await;
        let recorded = reply["ok"].as_array().unwrap();
        recorded.iter().filter(|r| r["action"] == "AssumeRole" && r["access_key"] == access_key).count()
    }

    pub(crate) async fn start_recording(&self) {
        static STARTED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
        STARTED
            .get_or_init(|| async {
                self.request(json!({"peer": "start-recording"})).await;
            })
            .await;
    }
}

/// The reader of replies needs the shared value, which exists only after the first line was read.
static STDOUT: Mutex<Option<BufReader<std::process::ChildStdout>>> = Mutex::new(None);
