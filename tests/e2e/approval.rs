//! Changes that wait until somebody approves of them.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use registry_sts::api::QuayStorage;
use registry_sts::api::status::PendingStatus;
use serde_json::json;

use crate::harness::audit::until_quiet;
use crate::harness::operator::Operator;
use crate::harness::world::{World, eventually, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";
const APPROVE: &str = "registry-sts.dev/approve";

async fn approve(world: &World, digest: &str) {
    let patch = json!({"metadata": {"annotations": {APPROVE: digest}}});
    let resources = world.api::<QuayStorage>();
    resources.patch("example", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

fn pending(resource: &QuayStorage) -> Option<PendingStatus> {
    resource.status.as_ref()?.config_bundle.as_ref()?.pending.clone()
}

async fn until_pending_but(world: &World, digest: &str) -> PendingStatus {
    let waits = |r: &QuayStorage| pending(r).is_some_and(|pending| pending.digest != digest);
    let waiting = world.until("example", "waiting for approval", waits).await;
    assert!(is(&waiting, "Stalled", "True") && is(&waiting, "Ready", "False"));
    let pending = pending(&waiting).unwrap();
    assert!(message(&waiting, "Ready").contains(&pending.digest), "{}", message(&waiting, "Ready"));
    pending
}

#[tokio::test]
async fn a_change_is_written_once_its_own_digest_is_given_and_the_next_one_waits_anew() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    let before = world.put_bundle("bundle", CONFIG).await.metadata.resource_version;
    let operator = Operator::start(&world).await;
    let spec = json!({"configBundleSecret": "bundle", "apply": "Approve",
        "locations": [World::location("default", &iam, "quay-user")]});
    world.put_resource_spec("example", spec).await;
    let first = until_pending_but(&world, "").await;
    assert!(
        first.diff.contains("+      s3_bucket: ") && first.diff.contains("sts_user_secret_key: ***"),
        "{}",
        first.diff
    );
    assert!(!first.diff.contains("DB_URI") && !first.diff.contains(&iam.key.id), "{}", first.diff);
    approve(&world, "0123456789abcdef").await;
    let other = |r: &QuayStorage| message(r, "Ready").contains("is another change");
    world.until("example", "told that it is another change", other).await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before);
    approve(&world, &first.digest).await;
    let ready = world.until_ready("example").await;
    assert_eq!(pending(&ready), None);
    assert!(world.config("bundle").await.contains(&iam.key.id));

    // What somebody takes out again is not put right by what was approved of before.
    let undone = json!({"stringData": {"config.yaml": CONFIG}});
    world.api::<Secret>().patch("bundle", &PatchParams::default(), &Patch::Merge(&undone)).await.unwrap();
    let again = until_pending_but(&world, &first.digest).await;
    assert_eq!((again.diff.as_str(), world.config("bundle").await.as_str()), (first.diff.as_str(), CONFIG));
    approve(&world, &again.digest).await;
    world.until_ready("example").await;

    // The next key: what was approved of does not count for it, and the old one stays until then.
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    let second = until_pending_but(&world, &again.digest).await;
    until_quiet(&world, &operator.credential).await;
    assert!(world.config("bundle").await.contains(&iam.key.id));
    approve(&world, &second.digest).await;
    world.until_ready("example").await;
    assert!(world.config("bundle").await.contains(&key.id));
    let asked = until_quiet(&world, &operator.credential).await;
    assert_eq!(asked.iter().filter(|r| r.resource == "secrets" && r.is_write()).count(), 3);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn an_output_follows_its_source_once_somebody_approves_of_it() {
    let world = World::new().await;
    world.bind("registry-sts-output").await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("source", CONFIG).await;
    let operator = Operator::start(&world).await;
    let spec = json!({"configBundleSecret": "source", "outputSecret": "output", "apply": "Approve",
        "locations": [World::location("default", &iam, "quay-user")]});
    world.put_resource_spec("example", spec).await;
    let first = until_pending_but(&world, "").await;
    assert!(world.api::<Secret>().get_opt("output").await.unwrap().is_none());
    approve(&world, &first.digest).await;
    world.until_ready("example").await;
    let edit = json!({"stringData": {"ssl.cert": "renewed"}});
    world.api::<Secret>().patch("source", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    let second = until_pending_but(&world, &first.digest).await;
    assert_eq!(second.diff, "~ key ssl.cert\n");
    approve(&world, &second.digest).await;
    eventually("the output follows", || async {
        let data = world.bundle("output").await.data.unwrap();
        (data["ssl.cert"].0 == b"renewed").then_some(())
    })
    .await;
    world.until_ready("example").await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
