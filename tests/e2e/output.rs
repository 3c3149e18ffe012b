//! outputSecret: the source is somebody else's and never written; what the registry mounts is a Secret of its own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use registry_sts::api::QuayStorage;
use serde_json::{Value, json};

use crate::harness::audit::{requests, until_quiet};
use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::world::{World, apply, eventually, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// A world in which the operator may read all Secrets of the namespace, create some, and patch the output alone.
async fn world() -> (World, Iam) {
    let world = World::new().await;
    world.bind("registry-sts-read").await;
    let rules = json!([
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["patch"], "resourceNames": ["output"]},
    ]);
    let metadata = json!({"name": "output", "namespace": world.namespace});
    let role =
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "output"},
        "subjects": [{"kind": "ServiceAccount", "name": "registry-sts", "namespace": "registry-sts"}]});
    apply(&world.admin, &role).await;
    apply(&world.admin, &binding).await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.must_not_be_told("hunter2-of-the-database");
    (world, iam)
}

fn spec(iam: &Iam) -> Value {
    json!({"configBundleSecret": "source", "outputSecret": "output",
        "locations": [World::location("default", iam, "quay-user")]})
}

/// The source, as its owner applies it: with labels and annotations of its own.
async fn put_source(world: &World, data: Value) -> Secret {
    // Not stringData: a key that is applied as that is nobody's, and stays when it is applied no more.
    let encoded = |value: &Value| BASE64.encode(value.as_str().unwrap());
    let data: BTreeMap<_, _> = data.as_object().unwrap().iter().map(|(key, value)| (key, encoded(value))).collect();
    let source = json!({"apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {"name": "source", "namespace": world.namespace, "labels": {"app.kubernetes.io/instance": "git"},
            "annotations": {"argocd.argoproj.io/tracking-id": "git"}}});
    apply(&world.admin, &source).await;
    world.bundle("source").await
}

/// That world with a resource that has an output.
async fn ready() -> (World, Iam, Operator) {
    let (world, iam) = world().await;
    put_source(&world, json!({"config.yaml": CONFIG, "ssl.cert": "first"})).await;
    let operator = Operator::start(&world).await;
    world.put_resource_spec("example", spec(&iam)).await;
    world.until_ready("example").await;
    (world, iam, operator)
}

async fn value(world: &World, secret: &str, key: &str) -> Option<String> {
    let data = world.api::<Secret>().get_opt(secret).await.unwrap()?.data?;
    Some(String::from_utf8(data.get(key)?.0.clone()).unwrap())
}

#[tokio::test]
async fn the_output_is_made_from_what_is_proven_and_follows_the_source_which_is_never_written() {
    let (world, iam) = world().await;
    let old = world.new_key(&iam.user).await;
    world.put_key("quay-user", &old).await;
    world.delete_key(&iam.user, &old).await;
    let source = put_source(&world, json!({"config.yaml": CONFIG, "ssl.cert": "first", "gone.crt": "x"})).await;
    let operator = Operator::start(&world).await;
    world.put_resource_spec("example", spec(&iam)).await;
    world.until_reason("example", "UnknownAccessKey").await;
    assert!(world.api::<Secret>().get_opt("output").await.unwrap().is_none(), "nothing unproven is written");

    world.put_key("quay-user", &iam.key).await;
    let ready = world.until_ready("example").await;
    assert!(message(&ready, "BundleCurrent").contains("Secret output"), "{}", message(&ready, "BundleCurrent"));
    let output = world.bundle("output").await;
    assert_eq!(output.type_.as_deref(), Some("Opaque"));
    assert!(output.metadata.owner_references.is_none() && output.metadata.finalizers.is_none());
    let labels: Vec<String> = output.metadata.labels.unwrap().into_keys().collect();
    assert_eq!(labels, ["registry-sts.dev/output"]);
    let annotations = output.metadata.annotations.unwrap();
    assert_eq!(annotations["registry-sts.dev/output-of"], format!("{}/example", world.namespace));
    assert_eq!(annotations.len(), 2, "{annotations:?}");
    let config = world.config("output").await;
    assert!(config.starts_with(CONFIG) && config.contains(&iam.key.id), "{config}");
    assert_eq!(value(&world, "output", "ssl.cert").await.unwrap(), "first");
    let now = world.bundle("source").await;
    assert_eq!(now.metadata.resource_version, source.metadata.resource_version);

    let from = until_quiet(&world, &operator.credential).await.len();
    let edited = format!("# of Git\n{CONFIG}");
    let source = put_source(&world, json!({"config.yaml": edited, "ssl.cert": "renewed"})).await;
    eventually("the output follows", || async {
        (value(&world, "output", "ssl.cert").await.as_deref() == Some("renewed")).then_some(())
    })
    .await;
    assert!(world.config("output").await.starts_with(&edited) && world.config("output").await.contains(&iam.key.id));
    assert_eq!(value(&world, "output", "gone.crt").await, None);
    let asked = until_quiet(&world, &operator.credential).await;
    let asked: Vec<(&str, &str, &str)> = asked[from..]
        .iter()
        .filter(|r| !r.is_watch_keeping() && !r.is_event())
        .map(|r| (r.verb.as_str(), r.resource.as_str(), r.name.as_str()))
        .collect();
    assert_eq!(
        asked,
        [
            ("get", "secrets", "source"),
            ("get", "secrets", "output"),
            ("patch", "secrets", "output"),
            ("patch", "quaystorages/status", "example")
        ]
    );
    let now = world.bundle("source").await;
    assert_eq!(now.metadata.resource_version, source.metadata.resource_version);
    let managers: Vec<_> = now.metadata.managed_fields.unwrap().into_iter().filter_map(|f| f.manager).collect();
    assert_eq!(managers, ["test"], "nobody but its owner has written the source");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_proof_that_fails_later_keeps_its_entry_in_the_output_while_the_source_is_followed() {
    let (world, iam, _operator) = ready().await;
    world.delete_key(&iam.user, &iam.key).await;
    let other = world.new_key(&iam.user).await;
    world.delete_key(&iam.user, &other).await;
    world.put_key("quay-user", &other).await;
    let old = format!(
        "{CONFIG}DISTRIBUTED_STORAGE_CONFIG:\n  default:\n  - S3Storage\n  - {{s3_bucket: {}, storage_path: /datastorage, s3_access_key: a, s3_secret_key: b}}\n",
        iam.bucket
    );
    put_source(&world, json!({"config.yaml": old, "ssl.cert": "renewed"})).await;
    eventually("the output follows", || async {
        (value(&world, "output", "ssl.cert").await.as_deref() == Some("renewed")).then_some(())
    })
    .await;
    let config = world.config("output").await;
    assert!(config.contains(&iam.key.id) && !config.contains("\n  - S3Storage"), "{config}");
}

#[tokio::test]
async fn an_output_that_is_edited_or_deleted_is_put_right_and_a_fight_ends() {
    let (world, _iam, operator) = ready().await;
    let secrets = world.api::<Secret>();
    let right = world.bundle("output").await.data;
    secrets.delete("output", &DeleteParams::default()).await.unwrap();
    eventually("the output is there again", || async {
        let output = secrets.get_opt("output").await.unwrap();
        output.is_some_and(|output| output.data == right).then_some(())
    })
    .await;
    let edit = json!({"stringData": {"ssl.cert": "somebody else's", "more": "of it"}});
    secrets.patch("output", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    let undone = world.until_reason("example", "EntryUndone").await;
    assert!(is(&undone, "Reconciling", "True"), "it is put right in a minute");
    let writes = until_quiet(&world, &operator.credential).await;
    let writes = writes.iter().filter(|r| r.resource == "secrets" && r.is_write()).count();
    assert_eq!(writes, 2, "once at the beginning, and once after it was deleted");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_resource_that_is_deleted_leaves_its_output_and_one_that_is_created_again_adopts_it_without_a_write() {
    let (world, iam, operator) = ready().await;
    let before = world.bundle("output").await;
    world.api::<QuayStorage>().delete("example", &DeleteParams::default()).await.unwrap();
    eventually("it is gone", || async {
        world.api::<QuayStorage>().get_opt("example").await.unwrap().is_none().then_some(())
    })
    .await;
    drop(operator);
    let operator = Operator::start(&world).await;
    world.put_resource_spec("example", spec(&iam)).await;
    world.until_ready("example").await;
    let asked = until_quiet(&world, &operator.credential).await;
    assert!(!asked.iter().any(|r| r.resource == "secrets" && r.is_write()), "{asked:?}");
    let after = world.bundle("output").await;
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
    assert_eq!(after.metadata.uid, before.metadata.uid);

    // Another Secret of the namespace is nobody's business; a settled resource asks nothing.
    world.put_secret("unrelated", &[("a", "b")]).await;
    let quiet = until_quiet(&world, &operator.credential).await;
    assert_eq!(quiet.len(), asked.len(), "{:?}", &quiet[asked.len()..]);
}

#[tokio::test]
async fn a_secret_of_somebody_else_under_the_outputs_name_is_refused_and_untouched_until_it_is_gone() {
    let (world, iam) = world().await;
    put_source(&world, json!({"config.yaml": CONFIG})).await;
    let foreign = world.put_secret("output", &[("config.yaml", "SOMETHING: else\n")]).await;
    let operator = Operator::start(&world).await;
    world.put_resource_spec("example", spec(&iam)).await;
    let taken = world.until_reason("example", "OutputSecretTaken").await;
    assert!(is(&taken, "Stalled", "True") && is(&taken, "RoleProven", "True"));
    let output = world.bundle("output").await;
    assert_eq!(output.metadata.resource_version, foreign.metadata.resource_version);
    assert!(!requests(&world, &operator.credential).iter().any(|r| r.resource == "secrets" && r.is_write()));

    world.api::<Secret>().delete("output", &DeleteParams::default()).await.unwrap();
    world.until_ready("example").await;
    // Another resource that names the same output comes too late, and an output is no bundle to be changed in place.
    world.put_resource_spec("another", spec(&iam)).await;
    let taken = world.until_reason("another", "OutputSecretTaken").await;
    assert!(message(&taken, "Ready").contains("/example"), "{}", message(&taken, "Ready"));
    world.put_resource("another", "output", &[World::location("second", &iam, "quay-user")]).await;
    let refused = world.until_reason("another", "OutputSecretRefused").await;
    assert!(message(&refused, "Ready").contains("/example"), "{}", message(&refused, "Ready"));
    world.until_ready("example").await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn without_a_grant_the_reason_names_the_command_and_the_operator_may_create_nothing_but_outputs() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    put_source(&world, json!({"config.yaml": CONFIG})).await;
    world.bind("registry-sts-read").await;
    let operator = Operator::start(&world).await;
    world.put_resource_spec("example", spec(&iam)).await;
    let failed = world.until_reason("example", "BundleForbidden").await;
    let command = format!(
        "may not create Secret output. Grant it: kubectl -n {} create rolebinding registry-sts-output --clusterrole=registry-sts-output --serviceaccount=registry-sts:registry-sts",
        world.namespace
    );
    assert!(message(&failed, "Ready").contains(&command), "{}", message(&failed, "Ready"));
    world.bind("registry-sts-output").await;
    world.until_ready("example").await;
    drop(operator);

    let secrets = kube::Api::<Secret>::namespaced(world.operator_client().await, &world.namespace);
    let label = json!({"registry-sts.dev/output": "x"});
    for (name, labels, kind) in
        [("plain", json!({}), "Opaque"), ("token", label, "kubernetes.io/service-account-token")]
    {
        let secret = json!({"metadata": {"name": name, "labels": labels,
            "annotations": {"kubernetes.io/service-account.name": "default"}}, "type": kind});
        let created = secrets.create(&kube::api::PostParams::default(), &serde_json::from_value(secret).unwrap()).await;
        let refused = created.expect_err(name).to_string();
        assert!(refused.contains("registry-sts may create Secrets"), "{refused}");
    }
}
