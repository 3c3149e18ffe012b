//! kubectl, as somebody with all rights.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::files::{root, tool};
use crate::harness::world::World;

static KUBECTL: LazyLock<std::path::PathBuf> = LazyLock::new(|| tool("kubectl"));

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) is_success: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs kubectl at the top of the repository, with something on stdin.
pub(crate) fn ended(world: &World, arguments: &[&str], stdin: &str) -> Ended {
    let mut child = Command::new(&*KUBECTL)
        .args(arguments)
        .current_dir(root())
        .env("KUBECONFIG", world.plane.info("kubeconfig"))
        // What it caches of an API server is of another one the next time.
        .env("HOME", world.dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { is_success: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

/// What kubectl prints that succeeds and has nothing to warn of.
pub(crate) fn kubectl(world: &World, arguments: &[&str], stdin: &str) -> String {
    let ended = ended(world, arguments, stdin);
    assert!(ended.is_success && ended.err.is_empty(), "kubectl {}: {}{}", arguments.join(" "), ended.out, ended.err);
    ended.out
}
