//! What runs Quay: whether it runs what was written, and that it is rolled where that is asked for, by Kubernetes' own
//! Deployment controller.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams, Patch, PatchParams};
use registry_sts::api::QuayStorage;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::harness::audit::{requests, until_quiet};
use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::pods::{kubelet, mount, put_deployment, put_stateful_set, rolled_for, until_available};
use crate::harness::world::{World, condition, eventually, is, message};
use crate::registry;

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";
const CONSUMER: &str = "ConsumerCurrent";

/// A world with Kubernetes' own controllers and a kubelet, a key, and a bundle.
async fn world(config: impl FnOnce(&Iam) -> String) -> (World, Iam, AbortOnDropHandle<()>) {
    let world = World::granted().await;
    world.plane.start_controllers().await;
    let kubelet = kubelet(&world);
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", &config(&iam)).await;
    (world, iam, kubelet)
}

async fn until_consumer(world: &World, reason: &str) -> QuayStorage {
    let says = |r: &QuayStorage| condition(r, CONSUMER).is_some_and(|c| c["reason"] == reason);
    world.until("example", reason, says).await
}

fn rolls(world: &World, operator: &Operator) -> usize {
    let asked = requests(world, &operator.credential);
    asked.iter().filter(|r| r.is_write() && r.resource == "deployments" && r.code == 200).count()
}

async fn generation(world: &World, name: &str) -> Option<i64> {
    world.api::<Deployment>().get(name).await.unwrap().metadata.generation
}

#[tokio::test]
async fn what_mounts_the_bundle_is_rolled_once_for_each_change_and_nothing_else_is() {
    let (world, iam, _kubelet) = world(|_| CONFIG.to_owned()).await;
    put_deployment(&world, "quay", "bundle").await;
    put_deployment(&world, "web", "another").await;
    let operator = Operator::start(&world).await;
    let spec = |restart: Value| {
        json!({"configBundleSecret": "bundle", "restart": restart,
            "locations": [World::location("default", &iam, "quay-user")]})
    };
    let (quay, web) = (json!({"kind": "Deployment", "name": "quay"}), json!({"kind": "Deployment", "name": "web"}));
    world.put_resource_spec("example", spec(json!([quay, web]))).await;
    let forbidden = until_consumer(&world, "WorkloadForbidden").await;
    assert!(is(&forbidden, "Ready", "True") && is(&forbidden, CONSUMER, "Unknown"));
    let grant = "create rolebinding registry-sts-restart --clusterrole=registry-sts-restart";
    assert!(message(&forbidden, CONSUMER).contains(grant), "{}", message(&forbidden, CONSUMER));
    assert_eq!(rolled_for(&world, "quay").await, None);

    world.bind("registry-sts-restart").await;
    let look = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
    let resources = world.api::<QuayStorage>();
    resources.patch("example", &PatchParams::default(), &Patch::Merge(&look)).await.unwrap();
    let first = eventually("quay is rolled", || rolled_for(&world, "quay")).await;
    let other = until_consumer(&world, "BundleNotMounted").await;
    assert!(message(&other, CONSUMER).contains("Deployment web (spec.restart)"), "{}", message(&other, CONSUMER));
    world.put_resource_spec("example", spec(json!([quay]))).await;
    let current = until_consumer(&world, "RolledOut").await;
    assert!(is(&current, CONSUMER, "True") && is(&current, "Ready", "True"));
    until_available(&world, "quay").await;
    assert_eq!((generation(&world, "web").await, rolled_for(&world, "web").await), (Some(1), None));

    // A settled resource asks for nothing, whatever another key of the bundle or a restart of the operator.
    drop(operator);
    let operator = Operator::start(&world).await;
    world.until_ready("example").await;
    let asked = until_quiet(&world, &operator.credential).await;
    assert!(!asked.iter().any(|r| r.resource == "deployments" || r.resource == "pods"), "{asked:?}");

    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    eventually("quay is rolled again", || async { rolled_for(&world, "quay").await.filter(|now| *now != first) }).await;
    until_consumer(&world, "RolledOut").await;
    assert_eq!((rolls(&world, &operator), generation(&world, "web").await), (1, Some(1)));
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_stateful_set_is_rolled_pod_by_pod() {
    let (world, iam, _kubelet) = world(|_| CONFIG.to_owned()).await;
    world.bind("registry-sts-restart").await;
    put_stateful_set(&world, "quay", "bundle").await;
    let uids = || async {
        let pods = world.api::<Pod>().list(&ListParams::default()).await.unwrap();
        pods.items.into_iter().filter_map(|pod| pod.metadata.uid).collect::<BTreeSet<String>>()
    };
    let before = uids().await;
    let operator = Operator::start(&world).await;
    let spec = json!({"configBundleSecret": "bundle", "restart": [{"kind": "StatefulSet", "name": "quay"}],
        "locations": [World::location("default", &iam, "quay-user")]});
    world.put_resource_spec("example", spec).await;
    until_consumer(&world, "RolledOut").await;
    let after = uids().await;
    assert!(before.len() == 2 && after.len() == 2 && before.is_disjoint(&after), "{before:?} {after:?}");
    let asked = requests(&world, &operator.credential);
    assert_eq!(asked.iter().filter(|r| r.resource == "statefulsets" && r.is_write()).count(), 1);
}

#[tokio::test]
async fn a_bundle_that_needs_no_write_rolls_nothing() {
    let right = |iam: &Iam| {
        let arguments = json!({"sts_role_arn": iam.role_arn, "s3_bucket": iam.bucket, "storage_path": "/datastorage",
            "s3_region": "us-east-1", "sts_user_access_key": iam.key.id, "sts_user_secret_key": iam.key.secret});
        let config = json!({"DISTRIBUTED_STORAGE_CONFIG": {"default": ["STSS3Storage", arguments]},
            "DISTRIBUTED_STORAGE_PREFERENCE": ["default"]});
        config.to_string()
    };
    let (world, iam, _kubelet) = world(right).await;
    world.bind("registry-sts-restart").await;
    let put = Timestamp::now().as_second();
    // Whether pods of the very second run what stands there is not known.
    eventually("that second is over", || async { (Timestamp::now().as_second() > put).then_some(()) }).await;
    put_deployment(&world, "quay", "bundle").await;
    let operator = Operator::start(&world).await;
    let restart = json!([{"kind": "Deployment", "name": "quay"}]);
    let spec = json!({"configBundleSecret": "bundle", "restart": restart,
        "locations": [World::location("default", &iam, "quay-user")]});
    world.put_resource_spec("example", spec).await;
    let current = until_consumer(&world, "RolledOut").await;
    assert!(message(&current, CONSUMER).contains("Nothing had to be written"), "{}", message(&current, CONSUMER));
    assert_eq!((rolls(&world, &operator), rolled_for(&world, "quay").await), (0, None));
    assert!(!requests(&world, &operator.credential).iter().any(|r| r.resource == "secrets" && r.is_write()));
}

#[tokio::test]
async fn a_registry_is_followed_until_its_pods_run_what_was_written_and_is_never_rolled() {
    registry::kind_is_there().await;
    let (world, iam, _kubelet) = world(|_| CONFIG.to_owned()).await;
    world.bind("registry-sts-rollout").await;
    registry::put_registry(&world, "example", "bundle").await;
    let operator = Operator::start(&world).await;
    registry::refer(&world, "example", "example", World::location("default", &iam, "quay-user")).await;
    until_consumer(&world, "WorkloadMissing").await;
    // The Quay operator mounts what it rendered from the bundle, and looks at that again later.
    render(&world, "example-quay-config-secret-a1").await;
    put_deployment(&world, "example-quay-app", "example-quay-config-secret-a1").await;
    until_consumer(&world, "RolledOut").await;
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    let rolling = until_consumer(&world, "RollingOut").await;
    let says = message(&rolling, CONSUMER);
    assert!(says.contains("Deployment example-quay-app mounts what the Quay operator rendered before"), "{says}");
    assert!(is(&rolling, "Ready", "True"), "the bundle is right");

    blocked(&world, "True").await;
    let blocked_now = until_consumer(&world, "RolloutBlocked").await;
    assert!(
        message(&blocked_now, CONSUMER).contains("(ComponentOverrideInvalid)"),
        "{}",
        message(&blocked_now, CONSUMER)
    );
    blocked(&world, "False").await;
    until_consumer(&world, "RollingOut").await;
    render(&world, "example-quay-config-secret-b2").await;
    mount(&world, "example-quay-app", "example-quay-config-secret-b2").await;
    until_consumer(&world, "RolledOut").await;
    until_available(&world, "example-quay-app").await;
    assert_eq!(rolls(&world, &operator), 0);
    until_quiet(&world, &operator.credential).await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

/// As the Quay operator renders it: as JSON, and with what it adds.
async fn render(world: &World, name: &str) {
    let mut config: Value = serde_yaml::from_str(&world.config("bundle").await).unwrap();
    config["FEATURE_STORAGE_REPLICATION"] = json!(false);
    world.put_secret(name, &[("config.yaml", &config.to_string())]).await;
}

async fn blocked(world: &World, status: &str) {
    let condition = json!({"type": "RolloutBlocked", "status": status, "reason": "ComponentOverrideInvalid",
        "message": "hunter2-of-the-database", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let kind =
        kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk("quay.redhat.com", "v1", "QuayRegistry"));
    let registries: Api<kube::api::DynamicObject> = Api::namespaced_with(world.admin.clone(), &world.namespace, &kind);
    let patch = json!({"status": {"conditions": [condition]}});
    registries.patch_status("example", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

#[tokio::test]
async fn the_operator_may_change_nothing_of_a_workload_but_the_one_annotation() {
    let world = World::granted().await;
    world.plane.start_controllers().await;
    world.bind("registry-sts-restart").await;
    let _kubelet = kubelet(&world);
    put_deployment(&world, "quay", "bundle").await;
    let deployments: Api<Deployment> = Api::namespaced(world.operator_client().await, &world.namespace);
    for (what, patch) in [
        ("scaled", json!({"spec": {"replicas": 0}})),
        ("paused", json!({"spec": {"paused": true}})),
        ("labelled", json!({"metadata": {"labels": {"a": "b"}}})),
        ("given another image", json!({"spec": {"template": {"spec": {"serviceAccountName": "admin"}}}})),
        ("annotated", json!({"spec": {"template": {"metadata": {"annotations": {"other": "x"}}}}})),
    ] {
        let refused = deployments.patch("quay", &PatchParams::default(), &Patch::Merge(&patch)).await;
        let refused = refused.expect_err(what).to_string();
        assert!(refused.contains("registry-sts may change"), "{what}: {refused}");
    }
    let ours = json!({"spec": {"template": {"metadata": {"annotations": {"registry-sts.dev/rolled-for": "x"}}}}});
    deployments.patch("quay", &PatchParams::default(), &Patch::Merge(&ours)).await.unwrap();
}

#[tokio::test]
async fn keys_for_a_registry_that_the_quay_operator_gives_a_role_are_warned_of_before_they_are_written() {
    registry::kind_is_there().await;
    let world = World::granted().await;
    world.bind("registry-sts-rollout").await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    registry::put_registry(&world, "example", "bundle").await;
    let env = json!([{"name": "AWS_SHARED_CREDENTIALS_FILE", "value": "/var/run/secrets/cloud/credentials"}]);
    let labels = json!({"app": "example"});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "example-quay-app", "namespace": world.namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "quay", "image": "quay.example/quay", "env": env}]}}}});
    crate::harness::world::apply(&world.admin, &deployment).await;
    let operator = Operator::start(&world).await;
    registry::refer(&world, "example", "example", World::location("default", &iam, "quay-user")).await;
    let ready = world.until_ready("example").await;
    assert!(message(&ready, "BundleCurrent").contains("(ROLEARN)"), "{}", message(&ready, "BundleCurrent"));
    let log = operator.log();
    let (warned, written) = (log.find("a role of its own"), log.find("Wrote location default"));
    assert!(warned.is_some() && warned < written, "{warned:?} {written:?}");
}
