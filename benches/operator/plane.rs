//! A control plane of its own, brought up by `tests/controlplane/up.py`, which ends it when its stdin closes: that is, when
//! this value is dropped, or this process ends, however it ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

pub(crate) struct Plane {
    up: Child,
    /// What up.py says of where everything is.
    info: Value,
    pub(crate) admin: Client,
    /// For kubeconfigs and logs.
    pub(crate) dir: tempfile::TempDir,
}

impl Plane {
    pub(crate) async fn start() -> Self {
        let mut up = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/controlplane/up.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed for the control plane");
        let mut ready = String::new();
        BufReader::new(up.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let info: Value = serde_json::from_str(&ready).expect("the control plane did not come up: see its words above");
        let admin = client(info["kubeconfig"].as_str().unwrap()).await;
        Self { up, info, admin, dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn info(&self, what: &str) -> &str {
        self.info[what].as_str().unwrap()
    }

    /// The id of one of the servers.
    pub(crate) fn pid(&self, server: &str) -> u32 {
        u32::try_from(self.info["pids"][server].as_u64().unwrap()).unwrap()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        drop(self.up.stdin.take());
        let _ = self.up.wait();
    }
}

/// A client as a kubeconfig has it.
pub(crate) async fn client(kubeconfig: impl AsRef<std::path::Path>) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}
