//! What it costs: few requests for a new resource, none for a settled one.

use std::time::Duration;

use serde_json::json;

use crate::harness::audit::{Request, requests, until_quiet, until_quiet_for};
use crate::harness::operator::{Operator, ready_world};
use crate::harness::world::{World, apply};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// What was asked of the API server for resources, besides Events and the keeping of watches.
fn asked(world: &World, operator: &Operator, from: usize) -> Vec<Request> {
    let asked = requests(world, &operator.credential);
    asked.into_iter().skip(from).filter(|r| !r.is_event() && !r.is_watch_keeping()).collect()
}

#[tokio::test]
async fn a_new_resource_costs_a_read_of_each_secret_and_two_writes_and_then_nothing() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("first", CONFIG).await;
    world.put_bundle("second", CONFIG).await;
    let operator = Operator::start(&world).await;
    let location = World::location("default", &iam, "quay-user");
    world.put_resource("first", "first", std::slice::from_ref(&location)).await;
    world.until_ready("first").await;
    let from = until_quiet(&world, &operator.credential).await.len();
    world.put_resource("second", "second", &[location]).await;
    world.until_ready("second").await;

    until_quiet(&world, &operator.credential).await;
    let calls = world.plane.assume_role_calls(&iam.key.id).await;
    // Not even a watch is to be heard for half a minute.
    let heard = requests(&world, &operator.credential).len();
    let silent = until_quiet_for(&world, &operator.credential, Duration::from_secs(30)).await;
    assert_eq!(silent.get(heard..), Some(&[][..]), "a settled resource asks the API server nothing");
    assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, calls, "a settled resource asks AWS nothing");

    let asked = asked(&world, &operator, from);
    let verbs: Vec<(&str, &str)> = asked.iter().map(|r| (r.verb.as_str(), r.resource.as_str())).collect();
    assert_eq!(
        verbs,
        [("get", "secrets"), ("patch", "secrets"), ("patch", "quaystorages/status")],
        "the key has been read for the other resource: {asked:?}"
    );
    let events = requests(&world, &operator.credential).into_iter().skip(from).filter(Request::is_event).count();
    assert_eq!(events, 1, "that it was proven and written is told once");
    // Both resources share user, key and role: one proof serves both.
    assert_eq!(calls, 1);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn what_changes_in_a_bundle_beside_our_entry_costs_one_read_and_no_write() {
    let (world, _iam, operator) = ready_world(CONFIG).await;
    let from = until_quiet(&world, &operator.credential).await.len();

    // Another Secret of the namespace, another key of the bundle, then a change that has to be answered: when that has
    // been, everything before it has been seen.
    world.put_secret("unrelated", &[("a", "b")]).await;
    let cert = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bundle", "namespace": world.namespace},
        "stringData": {"ssl.key": "new"}});
    apply(&world.admin, &cert).await;
    let reads = crate::harness::world::eventually("the changed bundle is read", || async {
        let asked = asked(&world, &operator, from);
        (!asked.is_empty()).then_some(asked)
    })
    .await;
    assert_eq!(reads.iter().map(|r| (r.verb.as_str(), r.name.as_str())).collect::<Vec<_>>(), [("get", "bundle")]);

    let undone = world.config("bundle").await.replace("s3_region: \"us-east-1\"", "s3_region: \"eu-west-1\"");
    let edit = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bundle", "namespace": world.namespace},
        "stringData": {"config.yaml": undone, "ssl.key": "new"}});
    apply(&world.admin, &edit).await;
    crate::harness::world::eventually("the entry is put right again", || async {
        world.config("bundle").await.contains("s3_region: \"us-east-1\"").then_some(())
    })
    .await;
    let writes = asked(&world, &operator, from).into_iter().filter(|r| r.resource == "secrets" && r.is_write()).count();
    assert_eq!(writes, 1);
    assert_eq!(world.bundle("bundle").await.data.unwrap()["ssl.key"].0, b"new");
}
