//! A control plane that one install has to itself at a time, and what is left on it.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::files::{identity, printed};
use crate::harness::world::{World, eventually};
use crate::kubectl::kubectl;

/// What crds/ defines.
pub(crate) const KINDS_OF_OURS: [&str; 3] = ["quaystorages", "storageidentities", "identitypolicies"];

static ONE: Mutex<()> = Mutex::const_new(());

/// The cluster, while nobody else installs something there.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().await
}

/// A world with its namespace, in which nothing is installed, and the controllers that end namespaces and make pods of
/// Deployments.
pub(crate) async fn with_namespace(name: &str) -> World {
    let world = World::bare(name.to_owned()).await;
    world.plane.start_controllers().await;
    world.put_namespace().await;
    world
}

/// Waits until the API server has all that it needs to answer for our kinds, which it makes when first asked for them. A
/// definition that is deleted before that may stay for minutes: its finalizer fails, tries again with what it had cached, is
/// told of a conflict, and waits for an event that does not come (kube-apiserver 1.36, `crd_finalizer.go`). In a cluster
/// garbage collection asks within half a minute.
pub(crate) fn until_kinds_are_served(world: &World) {
    for kind in KINDS_OF_OURS {
        // A list in chunks is answered earlier.
        kubectl(world, &["get", &format!("{kind}.registry-sts.dev"), "-A", "-o", "name", "--chunk-size=0"], "");
    }
}

/// Deletes the resources of the world's namespace, and what was granted there.
pub(crate) fn delete_resources_and_grants(world: &World) {
    let resources = ["-n", &world.namespace, "delete", "quaystorage", "--all", "--wait=true", "--timeout=60s"];
    kubectl(world, &resources, "");
    kubectl(world, &["delete", "rolebindings,roles", "-A", "-l", "app.kubernetes.io/part-of=registry-sts"], "");
}

/// What lets the operator at the world's namespace, as its verb prints it.
pub(crate) fn rbac(world: &World, flags: &[&str]) -> String {
    let account = format!("{}/{}", world.home, world.account);
    let mut verb = Command::new(env!("CARGO_BIN_EXE_registry-sts"));
    printed(verb.args(["rbac", "-n", &world.namespace, "--service-account", &account]).args(flags))
}

/// The kinds of which something of ours may be in the cluster.
const KINDS: &str = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,\
    validatingadmissionpolicies,validatingadmissionpolicybindings,roles,rolebindings,serviceaccounts,services,deployments,\
    replicasets,pods,networkpolicies,poddisruptionbudgets,leases,secrets,configmaps";

/// Everything in the cluster that has our name in its own, or is in the operator's namespace.
fn traces(world: &World) -> BTreeSet<String> {
    let all: Value = serde_json::from_str(&kubectl(world, &["get", "-A", "-o", "json", KINDS], "")).unwrap();
    let ours = |object: &&Value| {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        text("name").contains("registry-sts") || text("namespace") == "registry-sts"
    };
    all["items"].as_array().unwrap().iter().filter(ours).map(identity).collect()
}

/// Waits until nothing of that is left.
pub(crate) async fn until_nothing_is_left(world: &World) {
    eventually("nothing is left", || async { traces(world).is_empty().then_some(()) }).await;
}
