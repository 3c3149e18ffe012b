//! What people ask of a resource: to look again, to prove again, to leave it alone for a while.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use registry_sts::api::QuayStorage;
use serde_json::{Value, json};

use crate::harness::audit::{Request, requests, until_quiet, until_quiet_for};
use crate::harness::operator::{Operator, ready_world};
use crate::harness::world::{World, apply, condition, eventually, is};
use crate::registry;

const CONFIG: &str = "FEATURE_MAILING: false\n";
const LOOK: &str = "reconcile.fluxcd.io/requestedAt";
const PROVE: &str = "registry-sts.dev/proveAt";

async fn patch(world: &World, patch: &Value) {
    let resources = world.api::<QuayStorage>();
    resources.patch("example", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn annotate(world: &World, annotation: &str, value: &str) {
    patch(world, &json!({"metadata": {"annotations": {annotation: value}}})).await;
}

async fn until_proven_as_asked(world: &World, value: &str) -> QuayStorage {
    let echoed = |r: &QuayStorage| r.status.as_ref().unwrap().last_handled_prove_at.as_deref() == Some(value);
    world.until("example", "proven as asked", echoed).await
}

/// What was asked of the API server since, besides Events and the keeping of watches.
async fn asked_since(world: &World, operator: &Operator, from: usize) -> Vec<(String, String)> {
    let all = until_quiet(world, &operator.credential).await;
    let counts = |r: &&Request| !r.is_event() && !r.is_watch_keeping();
    all.iter().skip(from).filter(counts).map(|r| (r.verb.clone(), r.resource.clone())).collect()
}

fn each(asked: &[(&str, &str)]) -> Vec<(String, String)> {
    asked.iter().map(|(verb, resource)| ((*verb).to_owned(), (*resource).to_owned())).collect()
}

#[tokio::test]
async fn who_asks_for_a_look_gets_one_and_its_echo_and_nothing_is_proven_anew() {
    let (world, iam, operator) = ready_world(CONFIG).await;
    let bundle = world.bundle("bundle").await.metadata.resource_version;
    for value in ["2026-01-02T03:04:05Z", "now"] {
        let from = until_quiet(&world, &operator.credential).await.len();
        annotate(&world, LOOK, value).await;
        let echoed = |r: &QuayStorage| r.status.as_ref().unwrap().last_handled_reconcile_at.as_deref() == Some(value);
        let looked = world.until("example", "looked at as asked", echoed).await;
        assert!(is(&looked, "Ready", "True"));
        assert_eq!(
            asked_since(&world, &operator, from).await,
            each(&[("get", "secrets"), ("get", "secrets"), ("patch", "quaystorages/status")])
        );
    }
    assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, 1);
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, bundle);
    // Neither another annotation nor the removal of this one is a request.
    let from = requests(&world, &operator.credential).len();
    patch(&world, &json!({"metadata": {"annotations": {"team": "blue", LOOK: null}}})).await;
    assert_eq!(asked_since(&world, &operator, from).await, []);
}

#[tokio::test]
async fn who_asks_for_a_proof_gets_one_of_every_location_at_once_whatever_comes_of_it() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let operator = Operator::start(&world).await;
    let mut second = World::location("second", &iam, "quay-user");
    second["storagePath"] = json!("/second");
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user"), second]).await;
    world.until_ready("example").await;
    let from = until_quiet(&world, &operator.credential).await.len();
    assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, 1);

    annotate(&world, PROVE, "monday").await;
    let proven = until_proven_as_asked(&world, "monday").await;
    assert!(is(&proven, "Ready", "True"));
    let asked = asked_since(&world, &operator, from).await;
    assert!(!asked.is_empty() && asked.iter().all(|(_, what)| what == "quaystorages/status"), "{asked:?}");
    assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, 2, "both locations share the new credentials");

    world.deny_assume_role(&iam).await;
    annotate(&world, PROVE, "tuesday").await;
    let refused = until_proven_as_asked(&world, "tuesday").await;
    assert_eq!(condition(&refused, "Ready").unwrap()["reason"], "RoleNotAssumable");
}

#[tokio::test]
async fn a_suspended_resource_is_left_alone_until_it_is_resumed() {
    let (world, iam, operator) = ready_world(CONFIG).await;
    let written = world.config("bundle").await;
    patch(&world, &json!({"spec": {"suspend": true}})).await;
    let suspended = world.until("example", "suspended", |r| is(r, "Suspended", "True")).await;
    assert!(is(&suspended, "Ready", "True"), "what was known stays");
    assert_eq!(suspended.status.unwrap().observed_generation, suspended.metadata.generation);

    let silence = until_quiet(&world, &operator.credential).await.len();
    let new = world.new_key(&iam.user).await;
    world.put_key("quay-user", &new).await;
    let undone = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "bundle", "namespace": world.namespace}, "stringData": {"config.yaml": CONFIG}});
    apply(&world.admin, &undone).await;
    annotate(&world, LOOK, "monday").await;
    annotate(&world, PROVE, "monday").await;
    let heard = until_quiet_for(&world, &operator.credential, Duration::from_secs(3)).await;
    assert_eq!(heard.get(silence..), Some(&[][..]), "nobody looks");
    assert_eq!(world.plane.assume_role_calls(&new.id).await, 0);
    assert_eq!(world.config("bundle").await, CONFIG);

    // Of what the spec says now nothing is known.
    patch(&world, &json!({"spec": {"verification": {"interval": "2h"}}})).await;
    let moved = world.until_reason("example", "Suspended").await;
    assert!(is(&moved, "Ready", "Unknown") && is(&moved, "Suspended", "True"));

    patch(&world, &json!({"spec": {"suspend": false}})).await;
    eventually("the new key stands in the bundle", || async {
        (world.config("bundle").await == written.replace(&iam.key.id, &new.id).replace(&iam.key.secret, &new.secret))
            .then_some(())
    })
    .await;
    let resumed = world.until_ready("example").await;
    assert_eq!(condition(&resumed, "Suspended"), None);
    let resumed = until_proven_as_asked(&world, "monday").await;
    assert_eq!(resumed.status.unwrap().last_handled_reconcile_at.as_deref(), Some("monday"));
    assert_eq!(world.plane.assume_role_calls(&new.id).await, 1, "one proof serves all that was asked meanwhile");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_registry_that_names_another_bundle_meanwhile_is_followed_once_the_resource_is_resumed() {
    registry::kind_is_there().await;
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("first", CONFIG).await;
    world.put_bundle("second", CONFIG).await;
    registry::put_registry(&world, "registry", "first").await;
    let operator = Operator::start(&world).await;
    registry::refer(&world, "example", "registry", World::location("default", &iam, "quay-user")).await;
    registry::until_ready_on(&world, "example", "first").await;
    patch(&world, &json!({"spec": {"suspend": true}})).await;
    world.until("example", "suspended", |r| is(r, "Suspended", "True")).await;
    let silence = until_quiet(&world, &operator.credential).await.len();
    registry::edit(&world, "registry", json!({"configBundleSecret": "second"})).await;
    let heard = until_quiet_for(&world, &operator.credential, Duration::from_secs(2)).await;
    assert_eq!(heard.get(silence..), Some(&[][..]), "nobody looks");

    patch(&world, &json!({"spec": {"suspend": false}})).await;
    registry::until_ready_on(&world, "example", "second").await;
    assert!(world.config("second").await.contains("STSS3Storage"));
}
