//! The operator as a process: the release binary, with a token of its `ServiceAccount`; and what the kernel says of it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::plane::Plane;

/// The kernel tells times to user space in hundredths of a second, whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    /// The part that is no file's: the binary itself is one, whose pages the kernel can take back.
    pub(crate) own: f64,
    pub(crate) peak: f64,
}

pub(crate) struct Operator {
    child: Child,
    log: PathBuf,
    pub(crate) credential: Credential,
    /// Just before it was started.
    pub(crate) started: SystemTime,
}

/// A token of the operator's `ServiceAccount`.
pub(crate) struct Credential {
    pub(crate) kubeconfig: PathBuf,
    /// What the API server's audit log calls it.
    pub(crate) name: String,
}

impl Credential {
    pub(crate) async fn issue(plane: &Plane) -> Self {
        let accounts: Api<ServiceAccount> = Api::namespaced(plane.admin.clone(), "registry-sts");
        let spec = TokenRequestSpec { expiration_seconds: Some(7200), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let issued = accounts.create_token_request("registry-sts", &PostParams::default(), &request).await.unwrap();
        let token = issued.status.unwrap().token.unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let id = claims["jti"].as_str().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {
                "server": plane.info("server"), "certificate-authority": plane.info("ca_file")}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        let path = plane.dir.path().join(format!("kubeconfig-{id}"));
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        Self { kubeconfig: path, name: format!("JTI={id}") }
    }
}

/// The binary that is measured.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("REGISTRY_STS_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_registry-sts").into(), PathBuf::from)
}

impl Operator {
    /// Starts the operator for the whole cluster, with a Lease that no other has had.
    pub(crate) async fn start(plane: &Plane, aws: &str) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let lease = format!("bench-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        Self::spawn(plane, aws, &["--lease-namespace", "registry-sts", "--lease-name", &lease]).await
    }

    /// Starts one of several processes that elect a leader among them.
    pub(crate) async fn start_as_candidate(plane: &Plane, aws: &str) -> Self {
        Self::spawn(plane, aws, &["--lease-namespace", "registry-sts", "--lease-name", "bench"]).await
    }

    async fn spawn(plane: &Plane, aws: &str, flags: &[&str]) -> Self {
        let credential = Credential::issue(plane).await;
        let log = credential.kubeconfig.with_extension("log");
        let started = SystemTime::now();
        let child = Command::new(binary())
            .arg("run")
            .args(flags)
            .env_clear()
            .env("KUBECONFIG", &credential.kubeconfig)
            .env("AWS_ENDPOINT_URL", aws)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .expect("the operator's binary is needed");
        Self { child, log, credential, started }
    }

    pub(crate) fn memory(&self) -> Memory {
        memory(self.child.id())
    }

    /// The time that it has spent on processors, its own and the kernel's on its behalf, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name before it, in parentheses, may have spaces.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
        ticks / TICKS_PER_SECOND
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it as Kubernetes does.
    pub(crate) async fn stop(mut self) {
        self.signal("-TERM");
        let ended = self.ended().await;
        assert!(ended.success(), "{ended}");
    }

    async fn ended(&mut self) -> ExitStatus {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                ticks.tick().await;
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
            }
        })
        .await
        .expect("it did not end in time")
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("--- the operator's last lines, newest first\n{}", tail.join("\n"));
        }
    }
}

/// The memory of a process.
pub(crate) fn memory(pid: u32) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mib = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    Memory { now: mib("VmRSS:"), own: mib("RssAnon:"), peak: mib("VmHWM:") }
}
