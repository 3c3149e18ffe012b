//! Bundles that other tools keep: nothing is written there, and the tool is named.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::audit::{requests, until_quiet};
use crate::harness::operator::Operator;
use crate::harness::world::{World, is, message};

const CONFIG: &str = "FEATURE_MAILING: false\n";

/// A bundle with this metadata, as a tool with this field manager creates it.
async fn put(world: &World, name: &str, metadata: &Value, manager: &str) {
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"config.yaml": CONFIG},
        "metadata": {"name": name, "namespace": world.namespace}});
    for (key, value) in metadata.as_object().unwrap() {
        secret["metadata"][key] = value.clone();
    }
    let params = PostParams { field_manager: Some(manager.into()), ..PostParams::default() };
    world.api::<Secret>().create(&params, &serde_json::from_value(secret).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_bundle_that_another_tool_keeps_is_left_alone_and_its_owner_may_say_otherwise() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    let namespace = &world.namespace;
    let external = json!([{"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "quay",
        "uid": "00000000-0000-0000-0000-000000000001"}]);
    let sealed = json!([{"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": "sealed",
        "uid": "00000000-0000-0000-0000-000000000002"}]);
    let tracking = format!("registry:/Secret:{namespace}/tracked");
    let cases = [
        (
            "labelled",
            json!({"labels": {"reconcile.external-secrets.io/managed": "true"}}),
            "kubectl",
            "kept by External Secrets",
        ),
        ("external", json!({"ownerReferences": external}), "kubectl", "its ownerReference to ExternalSecret quay"),
        ("sealed", json!({"ownerReferences": sealed}), "kubectl", "kept by Sealed Secrets"),
        (
            "tracked",
            json!({"annotations": {"argocd.argoproj.io/tracking-id": tracking}}),
            "kubectl",
            "its annotation argocd.argoproj.io/tracking-id=registry:/Secret:",
        ),
        (
            "instance",
            json!({"labels": {"app.kubernetes.io/instance": "registry"}}),
            "argocd-controller",
            "its label app.kubernetes.io/instance=registry",
        ),
        ("flux", json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}), "kubectl", "kept by Flux"),
        ("written", json!({}), "kustomize-controller", "the field manager \"kustomize-controller\" of its config.yaml"),
    ];
    let operator = Operator::start(&world).await;
    for (name, metadata, manager, _) in &cases {
        put(&world, name, metadata, manager).await;
        world.put_resource(name, name, &[World::location("default", &iam, "quay-user")]).await;
    }
    for (name, _, _, says) in &cases {
        let owned = world.until_reason(name, "BundleOwnedElsewhere").await;
        let message = message(&owned, "Ready");
        assert!(is(&owned, "Stalled", "True") && is(&owned, "StorageProven", "True"), "{name}");
        for word in [*says, "outputSecret", "registry-sts.dev/in-place: \"true\"", "Nothing was changed"] {
            assert!(message.contains(word), "{name}: {word:?} is not in: {message}");
        }
    }
    let asked = until_quiet(&world, &operator.credential).await;
    assert_eq!(asked.iter().filter(|r| r.resource == "secrets" && r.is_write()).count(), 0);

    let in_place = json!({"metadata": {"annotations": {"registry-sts.dev/in-place": "true"}}});
    for (name, ..) in &cases {
        let secrets = world.api::<Secret>();
        secrets.patch(name, &PatchParams::default(), &Patch::Merge(&in_place)).await.unwrap();
        world.until_ready(name).await;
        assert!(world.config(name).await.contains(&iam.role_arn), "{name}");
    }
    let writes = requests(&world, &operator.credential);
    assert_eq!(writes.iter().filter(|r| r.resource == "secrets" && r.is_write()).count(), cases.len());

    // What already reads as intended is current, whoever keeps it.
    let no_more = json!({"metadata": {"annotations": {"registry-sts.dev/in-place": null}}});
    for (name, ..) in &cases {
        let secrets = world.api::<Secret>();
        secrets.patch(name, &PatchParams::default(), &Patch::Merge(&no_more)).await.unwrap();
    }
    until_quiet(&world, &operator.credential).await;
    for (name, ..) in &cases {
        world.until_ready(name).await;
    }
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
