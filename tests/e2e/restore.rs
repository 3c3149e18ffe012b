//! Bundles that get back what stood there when their resource is deleted, where that is safe, and resources that go in any
//! case.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use registry_sts::api::QuayStorage;
use serde_json::{Value, json};

use crate::harness::audit::{requests, until_quiet};
use crate::harness::iam::{Iam, Key};
use crate::harness::operator::Operator;
use crate::harness::world::{World, condition, eventually, is, message};

pub(crate) const RESTORE: &str = "registry-sts-restore";

/// A bundle as it was set up years ago: a user with rights of its own, and its key.
pub(crate) struct Old {
    pub(crate) user: String,
    pub(crate) key: Key,
    pub(crate) config: String,
}

async fn old(world: &World, iam: &Iam) -> Old {
    let (user, key) = world.user_without_role(iam).await;
    let config = format!(
        "# of team blue\nDB_URI: postgresql://quay:hunter2-of-the-database@db/quay\nDISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - S3Storage\n    - s3_bucket: {}  # ours for years\n      storage_path: /datastorage\n      s3_region: us-east-1\n      s3_access_key: {}\n      s3_secret_key: {}\nDISTRIBUTED_STORAGE_PREFERENCE: [default]\n",
        iam.bucket, key.id, key.secret
    );
    Old { user, key, config }
}

pub(crate) fn spec(iam: &Iam, policy: &str) -> Value {
    json!({"configBundleSecret": "bundle", "deletionPolicy": policy,
        "locations": [World::location("default", iam, "quay-user")]})
}

/// A world with a bundle as it was set up years ago.
pub(crate) async fn old_world() -> (World, Iam, Old, Operator) {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    let old = old(&world, &iam).await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", &old.config).await;
    let operator = Operator::start(&world).await;
    (world, iam, old, operator)
}

/// A world in which an old entry gave way to a role, and is kept.
pub(crate) async fn restorable_world() -> (World, Iam, Old, Operator) {
    let (world, iam, old, operator) = old_world().await;
    world.bind(RESTORE).await;
    world.put_resource_spec("example", spec(&iam, "Restore")).await;
    let ready = world.until_ready("example").await;
    assert!(is(&ready, "Restorable", "True"), "{:?}", condition(&ready, "Restorable"));
    assert_eq!(ready.metadata.finalizers.unwrap(), ["registry-sts.dev/restore"]);
    (world, iam, old, operator)
}

pub(crate) async fn backups(world: &World) -> Vec<Secret> {
    let labelled = ListParams::default().labels("registry-sts.dev/backup");
    world.api::<Secret>().list(&labelled).await.unwrap().items
}

/// What a backup has of what stood in the bundle.
fn layers(backup: &Secret) -> Value {
    let value: Value = serde_json::from_slice(&backup.data.as_ref().unwrap()["bundle"].0).unwrap();
    assert_eq!(value["layers"].as_array().unwrap().len(), 1);
    value["layers"].clone()
}

pub(crate) async fn delete(world: &World) {
    world.api::<QuayStorage>().delete("example", &DeleteParams::default()).await.unwrap();
}

/// Waits until the resource is gone, and its backup with it.
pub(crate) async fn until_gone(world: &World) {
    eventually("the resource is gone", || async {
        world.api::<QuayStorage>().get_opt("example").await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(backups(world).await.is_empty());
}

pub(crate) async fn event(world: &World, reason: &str) -> String {
    eventually(reason, || async {
        let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
        events.items.into_iter().find(|event| event.reason.as_deref() == Some(reason)).and_then(|event| event.note)
    })
    .await
}

#[tokio::test]
async fn what_stood_there_is_kept_first_and_comes_back_byte_for_byte_beside_what_others_wrote_since() {
    let (world, iam, old, operator) = restorable_world().await;
    let asked = requests(&world, &operator.credential);
    let writes: Vec<(&str, &str)> = asked
        .iter()
        .filter(|r| r.is_write() && !r.is_event() && r.resource != "quaystorages/status")
        .filter(|r| ["secrets", "quaystorages"].contains(&r.resource.as_str()))
        .map(|r| (r.verb.as_str(), r.resource.as_str()))
        .collect();
    assert_eq!(writes, [("patch", "quaystorages"), ("create", "secrets"), ("patch", "secrets")], "in this order");
    let backup = backups(&world).await.pop().unwrap();
    assert!(backup.metadata.owner_references.is_none() && backup.metadata.finalizers.is_none());
    assert_eq!(backup.type_.as_deref(), Some("Opaque"));

    // A rotated key is no reason to keep more, and others go on writing.
    let from = until_quiet(&world, &operator.credential).await.len();
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    eventually("the key is written", || async { world.config("bundle").await.contains(&key.id).then_some(()) }).await;
    world.until_ready("example").await;
    let asked = until_quiet(&world, &operator.credential).await;
    let asked: Vec<(&str, &str)> = asked[from..]
        .iter()
        .filter(|r| !r.is_watch_keeping() && !r.is_event())
        .map(|r| (r.verb.as_str(), r.name.as_str()))
        .collect();
    let backup_name = backup.metadata.name.as_deref().unwrap();
    let expected =
        [("get", "quay-user"), ("get", "bundle"), ("patch", backup_name), ("patch", "bundle"), ("patch", "example")];
    assert_eq!(asked, expected, "one write more than without a backup");
    assert_eq!(layers(&backups(&world).await[0]), layers(&backup), "but it is noted which entry is ours");
    // What somebody changes of ours is put right, and is not what stood there before.
    let theirs =
        world.config("bundle").await.replace("/datastorage\"\n", "/datastorage\"\n      signature_version: s3v4\n");
    let edit = json!({"stringData": {"config.yaml": theirs}});
    world.api::<Secret>().patch("bundle", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    eventually("it is put right", || async { (!world.config("bundle").await.contains("s3v4")).then_some(()) }).await;
    assert_eq!(layers(&backups(&world).await[0]), layers(&backup));
    let edited = format!("{}FEATURE_MAILING: true  # since\n", world.config("bundle").await);
    let edit = json!({"stringData": {"config.yaml": edited}});
    world.api::<Secret>().patch("bundle", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    until_quiet(&world, &operator.credential).await;
    assert!(old.config.contains(&old.key.id) && !world.config("bundle").await.contains(&old.key.id));

    // The key's Secret goes with the resource, as with `kubectl delete -f`.
    delete(&world).await;
    world.api::<Secret>().delete("quay-user", &DeleteParams::default()).await.unwrap();
    until_gone(&world).await;
    assert_eq!(world.config("bundle").await, format!("{}FEATURE_MAILING: true  # since\n", old.config));
    event(&world, "Restored").await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_resource_that_is_deleted_while_nobody_looks_is_ended_by_the_next_process() {
    let (world, _iam, old, operator) = restorable_world().await;
    drop(operator);
    delete(&world).await;
    assert!(world.api::<QuayStorage>().get_opt("example").await.unwrap().is_some(), "the finalizer holds it");
    let operator = Operator::start(&world).await;
    until_gone(&world).await;
    assert_eq!(world.config("bundle").await, old.config);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn who_changes_to_retain_gets_rid_of_the_backup_and_the_finalizer() {
    let (world, iam, _old, operator) = restorable_world().await;
    world.put_resource_spec("example", spec(&iam, "Retain")).await;
    let finalizers = |r: &QuayStorage| r.metadata.finalizers.clone().unwrap_or_default();
    let retained = world.until("example", "without a finalizer", |r| finalizers(r).is_empty()).await;
    assert!(backups(&world).await.is_empty());
    assert!(is(&retained, "Ready", "True"));
    world.until("example", "told of no restoration", |r| condition(r, "Restorable").is_none()).await;
    until_quiet(&world, &operator.credential).await;
}

#[tokio::test]
async fn a_resource_that_came_back_without_its_finalizer_gets_it_again() {
    let (world, _iam, old, operator) = restorable_world().await;
    until_quiet(&world, &operator.credential).await;
    let stripped = json!({"metadata": {"finalizers": null, "annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
    let resources = world.api::<QuayStorage>();
    resources.patch("example", &PatchParams::default(), &Patch::Merge(&stripped)).await.unwrap();
    world.until("example", "held", |r| r.metadata.finalizers.as_ref().is_some_and(|f| !f.is_empty())).await;
    until_quiet(&world, &operator.credential).await;
    delete(&world).await;
    until_gone(&world).await;
    assert_eq!(world.config("bundle").await, old.config);
}

#[tokio::test]
async fn a_key_that_was_just_written_is_ours_though_nobody_could_report_it() {
    let (world, iam, old, operator) = restorable_world().await;
    let reported = world.api::<QuayStorage>().get("example").await.unwrap().status.unwrap();
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    eventually("the key is written", || async { world.config("bundle").await.contains(&key.id).then_some(()) }).await;
    drop(operator);
    let patch = json!({"status": reported});
    world.api::<QuayStorage>().patch_status("example", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    delete(&world).await;
    let _operator = Operator::start(&world).await;
    until_gone(&world).await;
    assert_eq!(world.config("bundle").await, old.config);
}

#[tokio::test]
async fn nothing_is_written_before_what_stands_is_kept_and_the_grant_is_named() {
    let (world, iam, old, _operator) = old_world().await;
    world.put_resource_spec("example", spec(&iam, "Restore")).await;
    let forbidden = world.until_reason("example", "BackupForbidden").await;
    let grant = "create rolebinding registry-sts-restore --clusterrole=registry-sts-restore";
    assert!(message(&forbidden, "Ready").contains(grant), "{}", message(&forbidden, "Ready"));
    assert_eq!(world.config("bundle").await, old.config);
    world.bind(RESTORE).await;
    world.until_ready("example").await;
    assert_eq!(backups(&world).await.len(), 1);

    // What it was let do is held to what it needs.
    let client = world.operator_client().await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &world.namespace);
    let refused = secrets.delete("bundle", &DeleteParams::default()).await.expect_err("deleted").to_string();
    assert!(refused.contains("registry-sts may delete Secrets with label"), "{refused}");
    let resources: Api<QuayStorage> = Api::namespaced(client, &world.namespace);
    let label = json!({"metadata": {"labels": {"registry-sts.dev/backup": "x"}}});
    let refused = secrets.patch("bundle", &PatchParams::default(), &Patch::Merge(&label)).await.expect_err("labelled");
    assert!(refused.to_string().contains("registry-sts may not label a Secret"), "{refused}");
    for patch in [
        json!({"spec": {"suspend": true}}),
        json!({"metadata": {"labels": {"a": "b"}}}),
        json!({"metadata": {"finalizers": ["registry-sts.dev/restore", "another.dev/finalizer"]}}),
    ] {
        let refused = resources.patch("example", &PatchParams::default(), &Patch::Merge(&patch)).await;
        let refused = refused.expect_err("changed").to_string();
        assert!(refused.contains("registry-sts may"), "{refused}");
    }
}

#[tokio::test]
async fn a_resource_whose_bundle_or_backup_is_gone_goes_at_once() {
    let (world, _iam, _old, _operator) = restorable_world().await;
    let secrets = world.api::<Secret>();
    secrets.delete("bundle", &DeleteParams::default()).await.unwrap();
    delete(&world).await;
    until_gone(&world).await;

    let (world, iam, _old, _operator) = restorable_world().await;
    let backup = backups(&world).await.pop().unwrap().metadata.name.unwrap();
    world.api::<Secret>().delete(&backup, &DeleteParams::default()).await.unwrap();
    delete(&world).await;
    until_gone(&world).await;
    assert!(world.config("bundle").await.contains(&iam.key.id));
}

#[tokio::test]
async fn a_namespace_that_ends_is_not_held_up() {
    let (world, _iam, _old, operator) = restorable_world().await;
    world.plane.start_controllers().await;
    let from = until_quiet(&world, &operator.credential).await.len();
    let namespaces: Api<Namespace> = Api::all(world.admin.clone());
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    eventually("the namespace is gone", || async {
        namespaces.get_opt(&world.namespace).await.unwrap().is_none().then_some(())
    })
    .await;
    let asked = until_quiet(&world, &operator.credential).await;
    let writes = asked[from..].iter().filter(|r| r.is_write() && r.resource == "secrets").count();
    assert_eq!(writes, 0, "nothing is put back there");
}
