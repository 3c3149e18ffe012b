//! An operator that may see the Secrets of all namespaces, on a control plane that this binary has to itself: it works on
//! whatever is there.

// A test that cannot go on has failed, and says on stderr why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

// Of what the scenarios are played on not all is needed here.
#[allow(dead_code, unused_imports)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
#[allow(dead_code)]
#[path = "../faults/line.rs"]
mod line;

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams};
use kube::{Client, Config};
use serde_json::{Value, json};

use harness::operator::Operator;
use harness::world::{World, apply, eventually};
use line::Line;

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// Lets the operator at all Secrets of the cluster.
async fn grant_everywhere(world: &World) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "registry-sts-bundle"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "registry-sts-bundle"},
        "subjects": [{"kind": "ServiceAccount", "name": "registry-sts", "namespace": "registry-sts"}],
    });
    apply(&world.admin, &binding).await;
}

/// How Secrets were listed and watched: the verb, the namespace, and how many were asked for.
fn looks(world: &World, credential: &str) -> BTreeSet<(String, String, bool)> {
    let log = std::fs::read_to_string(world.plane.info("audit_log")).unwrap();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0] == credential)
        .filter(|event| event["objectRef"]["resource"] == "secrets")
        .filter(|event| event["verb"] == "list" || event["verb"] == "watch")
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let of_one = text(&event["requestURI"]).contains("limit=1");
            (text(&event["verb"]), text(&event["objectRef"]["namespace"]), of_one)
        })
        .collect()
}

#[tokio::test]
async fn one_watch_sees_all_namespaces_and_without_that_right_each_has_one_of_its_own() {
    let (mut one, two) = (World::new().await, World::new().await);
    one.namespaces.clear();
    grant_everywhere(&one).await;
    let (iam_one, iam_two) = (one.put_example(CONFIG).await, two.put_example(CONFIG).await);
    let mut line = Line::to(one.plane.info("server")).await;
    // As it is run by default: what it may see is asked before it leads.
    let operator = Operator::start_as_candidate_through(&one, &format!("https://{}", line.address), "wide").await;
    for (world, iam) in [(&one, &iam_one), (&two, &iam_two)] {
        world.until_ready("example").await;
        world.rotate_example(iam).await;
    }
    let everywhere = [("list".to_owned(), String::new(), true), ("watch".to_owned(), String::new(), false)];
    let mut expected = BTreeSet::from(everywhere);
    assert_eq!(looks(&one, &operator.credential), expected, "Secrets are never listed, and one watch tells of all");

    // The watch that is there goes on whoever may have it: it has to be asked for anew.
    let bindings: Api<ClusterRoleBinding> = Api::all(one.admin.clone());
    bindings.delete("registry-sts-bundle", &DeleteParams::default()).await.unwrap();
    one.grant().await;
    two.grant().await;
    line.unplug().await;
    line.heal().await;
    for (world, iam) in [(&one, &iam_one), (&two, &iam_two)] {
        eventually("its namespace is watched", || async {
            let own = ("watch".to_owned(), world.namespace.clone(), false);
            looks(&one, &operator.credential).contains(&own).then_some(())
        })
        .await;
        world.rotate_example(iam).await;
        for (verb, of_one) in [("list", true), ("watch", false)] {
            expected.insert((verb.to_owned(), world.namespace.clone(), of_one));
        }
    }
    assert_eq!(looks(&one, &operator.credential), expected);
    one.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_process_that_waits_for_leadership_is_ready_and_tells_of_no_resource() {
    let mut world = World::granted().await;
    // The other scenario works on all namespaces.
    world.namespaces = vec![world.namespace.clone()];
    let lease = ["--lease-namespace", "registry-sts", "--lease-name", "standby"];
    let leader = Operator::start_telling(&world, &lease, &[]).await;
    eventually("one leads", || async { leader.log().contains("leading").then_some(()) }).await;
    let both = ["--metrics-address", "127.0.0.1:0", "--health-address", "127.0.0.1:0"];
    let standby = Operator::start_telling(&world, &[lease.as_slice(), both.as_slice()].concat(), &[]).await;
    let address = eventually("it listens", || async {
        let log = standby.log();
        let line = log.lines().find(|line| line.contains("listening"))?;
        Some(format!("http://{}", line.split_once("address=")?.1.trim()))
    })
    .await;
    let get = |path: &'static str| {
        let client = Client::try_from(Config::new(address.parse().unwrap())).unwrap();
        async move { client.request_text(http::Request::get(path).body(Vec::new()).unwrap()).await.ok() }
    };
    eventually("it is ready", || get("/readyz")).await;
    let told = get("/metrics").await.unwrap();
    assert!(told.contains("\nregistry_sts_leader 0\n") && !told.contains("registry_sts_ready{"), "{told}");
}
