use serde_json::json;

use super::*;

/// The metadata of Secret quay/bundle with this, too.
fn with(more: &Value) -> ObjectMeta {
    let mut metadata = json!({"name": "bundle", "namespace": "quay"});
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(metadata).unwrap()
}

fn owner_told(more: &Value) -> Option<String> {
    Owner::of(&with(more)).map(|owner| format!("{}: {}", owner.name, owner.by))
}

/// An entry of managedFields, which owns these keys of data.
fn manager(name: &str, time: &str, keys: &[&str]) -> Value {
    let keys: serde_json::Map<String, Value> = keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
    json!({"manager": name, "operation": "Update", "apiVersion": "v1", "time": time, "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": keys, "f:type": {}}})
}

const THEN: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-01-01T00:00:01Z";

#[test]
fn each_tool_is_recognised_by_what_it_leaves_on_a_secret() {
    for (more, told) in [
        (
            json!({"labels": {"reconcile.external-secrets.io/managed": "true"}}),
            "External Secrets: its label reconcile.external-secrets.io/managed=true",
        ),
        (
            json!({"ownerReferences": [{"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "quay", "uid": "u"}]}),
            "External Secrets: its ownerReference to ExternalSecret quay",
        ),
        (
            json!({"ownerReferences": [{"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": "bundle", "uid": "u"}]}),
            "Sealed Secrets: its ownerReference to SealedSecret bundle",
        ),
        (
            json!({"annotations": {"argocd.argoproj.io/tracking-id": "registry:/Secret:quay/bundle"}}),
            "Argo CD: its annotation argocd.argoproj.io/tracking-id=registry:/Secret:quay/bundle",
        ),
        (
            json!({"labels": {"argocd.argoproj.io/instance": "registry"}}),
            "Argo CD: its label argocd.argoproj.io/instance=registry",
        ),
        (
            json!({"labels": {"app.kubernetes.io/instance": "registry"}, "annotations": {"argocd.argoproj.io/sync-wave": "1"}}),
            "Argo CD: its label app.kubernetes.io/instance=registry with argocd.argoproj.io/sync-wave",
        ),
        (
            json!({"labels": {"app.kubernetes.io/instance": "registry"}, "managedFields": [manager("argocd-controller", THEN, &["ssl.cert"])]}),
            "Argo CD: its label app.kubernetes.io/instance=registry with the field manager \"argocd-controller\"",
        ),
        (
            json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}),
            "Flux: its label kustomize.toolkit.fluxcd.io/name=apps",
        ),
        (
            json!({"labels": {"helm.toolkit.fluxcd.io/name": "quay"}}),
            "Flux: its label helm.toolkit.fluxcd.io/name=quay",
        ),
        (
            json!({"managedFields": [manager("kustomize-controller", THEN, &["config.yaml"])]}),
            "Flux: the field manager \"kustomize-controller\" of its config.yaml (metadata.managedFields)",
        ),
        (
            json!({"managedFields": [{"manager": "argocd-controller", "fieldsV1": {"f:stringData": {"f:config.yaml": {}}}}]}),
            "Argo CD: the field manager \"argocd-controller\" of its config.yaml (metadata.managedFields)",
        ),
        (
            json!({"managedFields": [manager("externalsecrets.external-secrets.io/quay", THEN, &["config.yaml"])]}),
            "External Secrets: the field manager \"externalsecrets.external-secrets.io/quay\" of its config.yaml (metadata.managedFields)",
        ),
    ] {
        assert_eq!(owner_told(&more).as_deref(), Some(told), "{more}");
        let mut in_place = more.clone();
        in_place["annotations"]["registry-sts.dev/in-place"] = json!("true");
        assert_eq!(owner_told(&in_place), None, "{more}");
    }
}

#[test]
fn what_people_and_the_quay_operator_leave_on_a_secret_is_no_other_owner() {
    for more in [
        json!({}),
        json!({"labels": {"app.kubernetes.io/instance": "quay", "app.kubernetes.io/managed-by": "Helm"}}),
        json!({"labels": {"reconcile.external-secrets.io/managed": "false"}}),
        json!({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}),
        json!({"ownerReferences": [{"apiVersion": "quay.redhat.com/v1", "kind": "QuayRegistry", "name": "quay", "uid": "u", "controller": true}]}),
        json!({"managedFields": [manager("kubectl-client-side-apply", THEN, &["config.yaml"]), manager("helm", THEN, &["config.yaml"])]}),
        // It keeps certificates there, and not what is ours.
        json!({"managedFields": [manager("external-secrets", THEN, &["ssl.cert"])]}),
        // Copied along from the Secret that this one was made from.
        json!({"annotations": {"argocd.argoproj.io/tracking-id": "registry:/Secret:quay/source"}}),
        json!({"labels": {"app.kubernetes.io/instance": "quay"},
            "annotations": {"argocd.argoproj.io/tracking-id": "registry:apps/Deployment:quay/bundle"}}),
    ] {
        assert_eq!(owner_told(&more), None, "{more}");
    }
}

#[test]
fn the_other_writer_is_the_last_that_wrote_config_yaml_and_never_we_ourselves() {
    let written_by = |entries: Value| last_writer(&with(&json!({"managedFields": entries})));
    assert_eq!(written_by(json!([])), None);
    assert_eq!(written_by(json!([manager("registry-sts", LATER, &["config.yaml"])])), None);
    let both = [manager("flux", THEN, &["config.yaml"]), manager("kubectl-edit", LATER, &["config.yaml"])];
    assert_eq!(written_by(json!(both)).as_deref(), Some("kubectl-edit"));
    let other_data = [manager("reverter", THEN, &["config.yaml"]), manager("cert-manager", LATER, &["ssl.cert"])];
    assert_eq!(written_by(json!(other_data)).as_deref(), Some("reverter"));
    let ours_now = [manager("registry-sts", LATER, &["config.yaml"]), manager("kubectl", THEN, &["ssl.cert"])];
    assert_eq!(written_by(json!(ours_now)).as_deref(), Some("kubectl"));
    let labels = json!([{"manager": "labeller", "time": LATER, "fieldsV1": {"f:metadata": {}}}]);
    assert_eq!(written_by(labels), None);
}

#[test]
fn values_changed_when_the_last_of_their_writers_wrote_whatever_else_was_changed_since() {
    let told = |metadata: &Value| data_changed(&with(metadata)).map(|at| at.to_string());
    assert_eq!(told(&json!({"creationTimestamp": THEN})).as_deref(), Some(THEN));
    let mut labels = manager("kubectl", "2026-01-01T00:00:02Z", &[]);
    labels["fieldsV1"] = json!({"f:metadata": {"f:labels": {}}});
    let (one, other) = (manager("a", THEN, &["AWS_ACCESS_KEY_ID"]), manager("b", LATER, &["AWS_SECRET_ACCESS_KEY"]));
    let managed = json!({"creationTimestamp": "2025-01-01T00:00:00Z", "managedFields": [other, one, labels]});
    assert_eq!(told(&managed).as_deref(), Some(LATER));
}
