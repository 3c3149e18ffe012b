//! What it was measured on.

use std::process::Command;

use k8s_openapi::jiff::Timestamp;

use crate::plane::Plane;

/// Facts by name, in the order in which they are told.
pub(crate) async fn facts(plane: &Plane, load: String) -> Vec<(&'static str, String)> {
    let apiserver = plane.admin.apiserver_version().await.unwrap();
    vec![
        ("date", Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("processor", field("/proc/cpuinfo", "model name")),
        ("processors seen", std::thread::available_parallelism().unwrap().to_string()),
        ("memory", field("/proc/meminfo", "MemTotal")),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("load before (1, 5, 15 minutes)", load),
        ("operator", said("git", &["describe", "--always", "--dirty"])),
        ("compiler", said("rustc", &["--version"])),
        ("kube-apiserver", apiserver.git_version),
        ("etcd", etcd()),
    ]
}

/// How busy the machine was before anything was started here.
pub(crate) fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(", ")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The value of the first such field.
fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let value = text.lines().filter_map(|line| line.split_once(':')).find(|(field, _)| field.trim() == name);
    value.map_or("unknown", |(_, value)| value.trim()).to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let said = output.ok().filter(|output| output.status.success());
    said.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// As the control plane pins it.
fn etcd() -> String {
    let pinned = read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/controlplane/go.mod"));
    let line = pinned.lines().find_map(|line| line.trim().strip_prefix("go.etcd.io/etcd/server/v3 "));
    line.and_then(|line| line.split(' ').next()).unwrap_or("unknown").to_owned()
}
