//! Bundles that stay as they are when their resource is deleted, though they were to get back what stood there, and why.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use registry_sts::api::QuayStorage;
use serde_json::json;

use crate::harness::audit::until_quiet;
use crate::harness::operator::Operator;
use crate::harness::world::{World, condition, is, message};
use crate::restore::{RESTORE, backups, delete, event, old_world, restorable_world, spec, until_gone};

#[tokio::test]
async fn an_entry_that_somebody_changed_since_stays_as_they_have_it() {
    let (world, iam, _old, operator) = restorable_world().await;
    // Suspended, so that it is not put right before.
    let suspended = json!({"spec": {"suspend": true}});
    let resources = world.api::<QuayStorage>();
    resources.patch("example", &PatchParams::default(), &Patch::Merge(&suspended)).await.unwrap();
    world.until("example", "suspended", |r| is(r, "Suspended", "True")).await;
    drop(operator);
    let theirs = world.config("bundle").await.replace(&iam.role_arn, &format!("{}-theirs", iam.role_arn));
    let edit = json!({"stringData": {"config.yaml": theirs}});
    world.api::<Secret>().patch("bundle", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    let before = world.bundle("bundle").await.metadata.resource_version;
    delete(&world).await;
    resources
        .patch("example", &PatchParams::default(), &Patch::Merge(&json!({"spec": {"suspend": false}})))
        .await
        .unwrap();
    let operator = Operator::start(&world).await;
    until_gone(&world).await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before);
    let note = event(&world, "Retained").await;
    assert!(note.contains("somebody has changed location default since"), "{note}");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn what_does_not_work_any_more_is_not_put_back() {
    let (world, iam, old, operator) = restorable_world().await;
    world.delete_key(&old.user, &old.key).await;
    let before = world.bundle("bundle").await.metadata.resource_version;
    delete(&world).await;
    until_gone(&world).await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before);
    assert!(world.config("bundle").await.contains(&iam.key.id));
    let note = event(&world, "Retained").await;
    assert!(note.contains("what stood there does not work now"), "{note}");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_location_that_did_not_stand_there_before_is_not_taken_from_a_registry_that_has_blobs_there() {
    let world = World::granted().await;
    world.bind(RESTORE).await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", "FEATURE_MAILING: false\n").await;
    let _operator = Operator::start(&world).await;
    world.put_resource_spec("example", spec(&iam, "Restore")).await;
    let ready = world.until_ready("example").await;
    assert_eq!(condition(&ready, "Restorable").unwrap()["reason"], "NotRestorable");
    let before = world.bundle("bundle").await.metadata.resource_version;
    let backup = backups(&world).await;
    delete(&world).await;
    until_gone(&world).await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before);
    assert_eq!(backup.len(), 1);
    assert!(event(&world, "Retained").await.contains("did not stand there before"));
}

#[tokio::test]
async fn set_after_the_first_write_it_restores_nothing_and_says_so_and_without_it_there_is_no_finalizer() {
    let (world, iam, _old, operator) = old_world().await;
    world.bind(RESTORE).await;
    world.put_resource_spec("example", spec(&iam, "Retain")).await;
    let ready = world.until_ready("example").await;
    assert!(ready.metadata.finalizers.is_none() && condition(&ready, "Restorable").is_none());
    world.put_resource_spec("example", spec(&iam, "Restore")).await;
    let late = world.until("example", "told of it", |r| is(r, "Restorable", "False")).await;
    assert_eq!(condition(&late, "Restorable").unwrap()["reason"], "NoBackup");
    assert!(is(&late, "Ready", "True"), "{}", message(&late, "Ready"));
    until_quiet(&world, &operator.credential).await;
    assert!(world.api::<QuayStorage>().get("example").await.unwrap().metadata.finalizers.is_none());
    let before = world.bundle("bundle").await.metadata.resource_version;
    delete(&world).await;
    until_gone(&world).await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before);
}
