//! A key that changes: proven first, written then; and the old one stays for as long as the new one is refused.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use registry_sts::api::QuayStorage;
use serde_json::{Value, json};

use crate::harness::audit::{Request, requests, until_quiet, until_quiet_for};
use crate::harness::operator::{Operator, ready_world};
use crate::harness::world::{World, condition, eventually, is, message};

const CONFIG: &str = "FEATURE_MAILING: false\n";

/// The operator's writes to the bundle.
fn writes(world: &World, operator: &Operator) -> Vec<Request> {
    let asked = requests(world, &operator.credential);
    asked.into_iter().filter(|r| r.resource == "secrets" && r.is_write()).collect()
}

async fn change(world: &World, data: Value) {
    let patch = json!({"stringData": data});
    world.api::<Secret>().patch("quay-user", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

#[tokio::test]
async fn a_changed_key_is_written_once_it_is_proven_and_the_old_one_stays_while_it_is_refused() {
    let (world, iam, operator) = ready_world(CONFIG).await;
    let before = world.bundle("bundle").await;
    // The new key's user may not assume the role yet.
    let other = world.iam("other").await;
    world.put_key("quay-user", &other.key).await;
    let refused = world.until_reason("example", "RoleNotAssumable").await;
    let four = &iam.key.id[iam.key.id.len() - 4..];
    for kind in ["Ready", "BundleCurrent"] {
        let message = message(&refused, kind);
        let says = format!("The entry in the bundle is left as it is, with the old access key …{four}");
        assert!(message.contains(&says), "{kind}: {message}");
    }
    assert!(is(&refused, "BundleCurrent", "False") && is(&refused, "Reconciling", "True"));
    until_quiet(&world, &operator.credential).await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before.metadata.resource_version);
    assert!(world.plane.assume_role_calls(&other.key.id).await > 0);

    // A third one is proven before it stands in the bundle.
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    world.until_ready("example").await;
    assert!(world.plane.assume_role_calls(&key.id).await > 0);
    let config = world.config("bundle").await;
    assert!(config.contains(&key.id) && config.contains(&key.secret) && !config.contains(&iam.key.id), "{config}");
    assert_eq!(writes(&world, &operator).len(), 2, "the first one and the third, each once");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_key_that_changes_key_by_key_is_written_when_it_is_whole() {
    let (world, iam, operator) = ready_world(CONFIG).await;
    let written = world.config("bundle").await;
    // The new id with the old secret.
    let key = world.new_key(&iam.user).await;
    change(&world, json!({"AWS_ACCESS_KEY_ID": key.id})).await;
    let half = world.until_reason("example", "WrongSecretKey").await;
    let message = message(&half, "Ready");
    assert!(message.contains("The entry in the bundle is left as it is, with the old access key …"), "{message}");
    until_quiet(&world, &operator.credential).await;
    assert_eq!(world.config("bundle").await, written);
    change(&world, json!({"AWS_SECRET_ACCESS_KEY": key.secret})).await;
    world.until_ready("example").await;
    assert_eq!(
        world.config("bundle").await,
        written.replace(&iam.key.id, &key.id).replace(&iam.key.secret, &key.secret)
    );
    assert_eq!(writes(&world, &operator).len(), 2);

    // The other half first, and the Secret without an id for a moment.
    world.delete_key(&iam.user, &iam.key).await;
    let third = world.new_key(&iam.user).await;
    change(&world, json!({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": third.secret})).await;
    let half = world.until_reason("example", "MissingKey").await;
    assert_eq!(condition(&half, "BundleCurrent").unwrap()["status"], "False");
    change(&world, json!({"AWS_ACCESS_KEY_ID": third.id})).await;
    world.until_ready("example").await;
    assert!(world.config("bundle").await.contains(&third.id));
    assert_eq!(writes(&world, &operator).len(), 3);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

/// What was asked of the API server, besides Events and the keeping of watches.
fn told(asked: &[Request]) -> Vec<String> {
    let asked = asked.iter().filter(|r| !r.is_event() && !r.is_watch_keeping());
    asked.map(|r| format!("{} {}/{}", r.verb, r.resource, r.name)).collect()
}

#[tokio::test]
async fn a_changed_key_costs_two_reads_and_two_writes_and_no_polling_before_or_after() {
    let (world, iam, operator) = ready_world(CONFIG).await;
    until_quiet(&world, &operator.credential).await;
    for _ in 0..2 {
        // A request that comes by itself would be among these, or among those of before.
        let from = until_quiet_for(&world, &operator.credential, Duration::from_secs(5)).await.len();
        let (key, calls) = (world.new_key(&iam.user).await, world.plane.assume_role_calls(&iam.key.id).await);
        world.put_key("quay-user", &key).await;
        eventually("the new key stands", || async { world.config("bundle").await.contains(&key.id).then_some(()) })
            .await;
        let asked = until_quiet_for(&world, &operator.credential, Duration::from_secs(5)).await;
        let costs = [
            "get secrets/quay-user",
            "get secrets/bundle",
            "patch secrets/bundle",
            "patch quaystorages/status/example",
        ];
        assert_eq!(told(&asked[from..]), costs);
        assert!(asked[from..].iter().all(|r| r.code == 200 || r.is_event()), "{:?}", &asked[from..]);
        assert_eq!(world.plane.assume_role_calls(&key.id).await, 1, "the new key is proven once");
        assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, calls, "the old one no more");
        world.delete_key(&iam.user, &key).await;
    }
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_key_that_comes_key_by_key_is_asked_about_once_it_is_whole() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_bundle("bundle", CONFIG).await;
    world.put_secret("quay-user", &[]).await;
    let operator = Operator::start(&world).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    world.until_reason("example", "MissingKey").await;
    change(&world, json!({"AWS_ACCESS_KEY_ID": iam.key.id})).await;
    let lacks_the_secret = |r: &QuayStorage| message(r, "Ready").contains("AWS_SECRET_ACCESS_KEY (or");
    world.until("example", "without a secret", lacks_the_secret).await;
    until_quiet(&world, &operator.credential).await;
    assert_eq!(world.config("bundle").await, CONFIG);
    assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, 0);
    let from = requests(&world, &operator.credential).len();
    change(&world, json!({"AWS_SECRET_ACCESS_KEY": iam.key.secret})).await;
    world.until_ready("example").await;
    let asked = until_quiet(&world, &operator.credential).await;
    let costs =
        ["get secrets/quay-user", "get secrets/bundle", "patch secrets/bundle", "patch quaystorages/status/example"];
    assert_eq!(told(&asked[from..]), costs);
    assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, 1);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
