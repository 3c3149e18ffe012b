//! With the Quay operator: the QuayRegistry says which bundle, which environment, which version, and is followed.

use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use registry_sts::api::QuayStorage;
use serde_json::{Value, json};

use crate::harness::audit::{until_quiet, until_quiet_for};
use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::world::{World, apply, eventually, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";
const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const ROLE: &str = "arn:aws:iam::123456789012:role/quay";

fn registries(world: &World) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("quay.redhat.com", "v1", "QuayRegistry"));
    Api::namespaced_with(world.admin.clone(), &world.namespace, &kind)
}

/// A registry whose object storage is not the Quay operator's.
pub(crate) async fn put_registry(world: &World, name: &str, bundle: &str) {
    let registry = json!({"apiVersion": "quay.redhat.com/v1", "kind": "QuayRegistry",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"configBundleSecret": bundle, "components": [{"kind": "objectstorage", "managed": false}]}});
    apply(&world.admin, &registry).await;
}

pub(crate) async fn edit(world: &World, registry: &str, spec: Value) {
    let patch = json!({"spec": spec});
    registries(world).patch(registry, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

async fn runs(world: &World, registry: &str, version: &str) {
    let patch = json!({"status": {"currentVersion": version}});
    registries(world).patch_status(registry, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

pub(crate) async fn refer(world: &World, name: &str, registry: &str, location: Value) {
    world.put_resource_spec(name, json!({"registryRef": {"name": registry}, "locations": [location]})).await;
}

pub(crate) async fn until_ready_on(world: &World, name: &str, bundle: &str) {
    let is_on = |resource: &QuayStorage| {
        let seen = resource.status.as_ref().and_then(|status| status.config_bundle.as_ref());
        seen.is_some_and(|seen| seen.secret_name == bundle)
    };
    world.until(name, "ready on another bundle", |resource| is_on(resource) && is(resource, "Ready", "True")).await;
}

async fn install(world: &World) {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/fixtures/quayregistries.yaml"));
    apply(&world.admin, &serde_yaml::from_str(&text.unwrap()).unwrap()).await;
    let crds: Api<CustomResourceDefinition> = Api::all(world.admin.clone());
    let established = kube::runtime::conditions::is_crd_established();
    let waiting = kube::runtime::wait::await_condition(crds, "quayregistries.quay.redhat.com", established);
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("the CRD is not established").unwrap();
}

/// The kind is one for the whole cluster: so whichever scenario is first plays how it comes to be, and the others wait.
pub(crate) async fn kind_is_there() {
    static INSTALLED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    INSTALLED
        .get_or_init(|| async {
            let (world, iam) = world().await;
            let operator = Operator::start(&world).await;
            refer(&world, "example", "registry", World::location("default", &iam, "quay-user")).await;
            // One that needs no registry is not kept waiting by a kind that is not there.
            world.put_bundle("other", CONFIG).await;
            world.put_resource("other", "other", &[World::location("default", &iam, "quay-user")]).await;
            world.until_ready("other").await;
            let waiting = world.until_reason("example", "RegistryMissing").await;
            assert!(message(&waiting, "Ready").contains("this cluster has no kind QuayRegistry"));
            assert!(is(&waiting, "Reconciling", "True") && is(&waiting, "BundleCurrent", "Unknown"));

            install(&world).await;
            world.put_bundle("bundle", CONFIG).await;
            put_registry(&world, "registry", "bundle").await;
            world.until_ready("example").await;
            assert!(world.config("bundle").await.contains("STSS3Storage"));
            world.assert_nothing_secret_was_told(&operator.log()).await;
        })
        .await;
}

/// A world with a key in `quay-user`.
async fn world() -> (World, Iam) {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    (world, iam)
}

#[tokio::test]
async fn the_kind_may_be_installed_later_and_no_nudge_is_needed() {
    kind_is_there().await;
}

#[tokio::test]
async fn the_bundle_that_the_registry_names_is_written_and_when_it_names_another_that_one_is() {
    kind_is_there().await;
    let (world, iam) = world().await;
    let operator = Operator::start(&world).await;
    refer(&world, "example", "registry", World::location("default", &iam, "quay-user")).await;
    world.until_reason("example", "RegistryMissing").await;
    put_registry(&world, "registry", "").await;
    let unnamed = world.until_reason("example", "BundleNotNamed").await;
    assert!(is(&unnamed, "Reconciling", "True"));

    world.put_bundle("first", CONFIG).await;
    edit(&world, "registry", json!({"configBundleSecret": "first"})).await;
    let ready = world.until_ready("example").await;
    assert_eq!(ready.status.unwrap().config_bundle.unwrap().secret_name, "first");
    let first = world.bundle("first").await.metadata.resource_version;

    world.put_bundle("second", CONFIG).await;
    edit(&world, "registry", json!({"configBundleSecret": "second"})).await;
    until_ready_on(&world, "example", "second").await;
    assert!(world.config("second").await.contains("STSS3Storage"));
    assert_eq!(world.bundle("first").await.metadata.resource_version, first, "the first is left as it is");

    // It is still the same Quay, and its blobs are where they were: a new bundle is no consent to another place.
    world.put_bundle("third", CONFIG).await;
    let mut elsewhere = World::location("default", &iam, "quay-user");
    elsewhere["storagePath"] = json!("/elsewhere");
    refer(&world, "example", "registry", elsewhere).await;
    world.until_reason("example", "WouldMoveData").await;
    edit(&world, "registry", json!({"configBundleSecret": "third"})).await;
    let is_third = |r: &QuayStorage| message(r, "Ready").contains("though the entry is gone");
    world.until("example", "asked for consent on the third", is_third).await;
    assert_eq!(world.config("third").await, CONFIG);
    edit(&world, "registry", json!({"configBundleSecret": "second"})).await;
    refer(&world, "example", "registry", World::location("default", &iam, "quay-user")).await;
    until_ready_on(&world, "example", "second").await;

    // What the Quay operator reports of the registry all day long is none of our business.
    until_quiet(&world, &operator.credential).await;
    let heard = until_quiet(&world, &operator.credential).await.len();
    for day in 1..4 {
        let patch = json!({"status": {"lastUpdated": format!("day {day}")}});
        registries(&world).patch_status("registry", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
    let silent = until_quiet_for(&world, &operator.credential, Duration::from_secs(3)).await;
    assert_eq!(silent.get(heard..), Some(&[][..]), "a settled resource asks the API server nothing");

    registries(&world).delete("registry", &kube::api::DeleteParams::default()).await.unwrap();
    let missing = world.until_reason("example", "RegistryMissing").await;
    assert!(missing.status.unwrap().config_bundle.is_some(), "what was written is not forgotten");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn object_storage_of_the_quay_operator_is_refused_before_anything_is_written_and_heals() {
    kind_is_there().await;
    let (world, iam) = world().await;
    world.put_bundle("bundle", CONFIG).await;
    put_registry(&world, "registry", "bundle").await;
    edit(&world, "registry", json!({"components": [{"kind": "objectstorage", "managed": true}]})).await;
    let operator = Operator::start(&world).await;
    refer(&world, "example", "registry", World::location("default", &iam, "quay-user")).await;
    let managed =
        world.until("example", "proven and stalled", |r| is(r, "RoleProven", "True") && is(r, "Stalled", "True"));
    let managed = managed.await;
    let says = message(&managed, "Ready");
    assert!(says.contains("{kind: objectstorage, managed: false} in its spec.components"), "{says}");
    edit(&world, "registry", json!({"components": []})).await;
    world.until("example", "told otherwise", |r| message(r, "Ready").contains("does not declare")).await;
    assert_eq!(world.config("bundle").await, CONFIG);

    let override_config = json!({"kind": "quay", "managed": true, "overrides": {"env": [
        {"name": "QUAY_OVERRIDE_CONFIG", "value": r#"{"DISTRIBUTED_STORAGE_CONFIG": {"default": ["hush-hush-hush"]}}"#}]}});
    world.must_not_be_told("hush-hush-hush");
    let own = json!({"kind": "objectstorage", "managed": false});
    edit(&world, "registry", json!({"components": [own, override_config]})).await;
    world.until_reason("example", "EnvironmentOverrides").await;
    assert_eq!(world.config("bundle").await, CONFIG);

    let noted = json!({"kind": "quay", "managed": true, "overrides": {"env": [
        {"name": "AWS_SECRET_ACCESS_KEY", "value": "hush-hush-hush"}]}});
    edit(&world, "registry", json!({"components": [own, noted]})).await;
    let ready = world.until_ready("example").await;
    assert!(message(&ready, "BundleCurrent").contains("superuser page"), "{}", message(&ready, "BundleCurrent"));
    assert!(world.config("bundle").await.contains("STSS3Storage"));
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_bundle_has_one_owner_of_a_location_whether_it_is_named_or_its_registry_is() {
    kind_is_there().await;
    let (world, iam) = world().await;
    world.put_bundle("bundle", CONFIG).await;
    world.put_bundle("elsewhere", CONFIG).await;
    put_registry(&world, "registry", "bundle").await;
    let _operator = Operator::start(&world).await;
    let mut location = World::location("default", &iam, "quay-user");
    refer(&world, "one", "registry", location.clone()).await;
    world.until_ready("one").await;
    location["maximumChunkSizeGb"] = json!(4);
    world.put_resource("two", "bundle", std::slice::from_ref(&location)).await;
    let claimed = world.until_reason("two", "LocationClaimed").await;
    assert!(message(&claimed, "Ready").contains("QuayStorage one"), "{}", message(&claimed, "Ready"));
    // The registry gives the bundle up, and the other has it to itself.
    edit(&world, "registry", json!({"configBundleSecret": "elsewhere"})).await;
    world.until_ready("two").await;
    until_ready_on(&world, "one", "elsewhere").await;
    edit(&world, "registry", json!({"configBundleSecret": "bundle"})).await;
    world.until_reason("one", "LocationClaimed").await;
}

fn web_identity(registry: &str, bucket: &str, annotate: bool) -> Value {
    json!({"name": "default", "bucket": bucket, "region": "us-east-1", "auth": {"webIdentity": {
        "serviceAccountName": format!("{registry}-quay-app"), "roleArn": ROLE, "annotateServiceAccount": annotate}}})
}

#[tokio::test]
async fn a_quay_that_is_too_old_for_web_identity_is_said_so_until_it_is_upgraded() {
    kind_is_there().await;
    let (world, iam) = world().await;
    let before = world.put_bundle("bundle", CONFIG).await;
    put_registry(&world, "registry", "bundle").await;
    runs(&world, "registry", "3.13.4").await;
    let _operator = Operator::start(&world).await;
    refer(&world, "example", "registry", web_identity("registry", &iam.bucket, false)).await;
    let old = world.until_reason("example", "QuayTooOld").await;
    assert!(message(&old, "Ready").contains("runs Quay 3.13.4"), "{}", message(&old, "Ready"));
    assert!(is(&old, "Stalled", "True"));
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before.metadata.resource_version);
    runs(&world, "registry", "3.13.5").await;
    // The next thing that is missing is a grant.
    world.until_reason("example", "TokenForbidden").await;
}

async fn account(world: &World, registry: &str, annotations: &Value) -> Api<ServiceAccount> {
    let metadata = json!({"name": format!("{registry}-quay-app"), "namespace": world.namespace,
        "annotations": annotations, "labels": {"quay-operator/quayregistry": registry}});
    apply(&world.admin, &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})).await;
    world.api()
}

#[tokio::test]
async fn the_service_account_is_annotated_once_where_it_is_asked_for_and_never_over_what_stands_there() {
    kind_is_there().await;
    let (world, iam) = world().await;
    world.bind("registry-sts-mint").await;
    for registry in ["bare", "taken"] {
        world.put_bundle(registry, CONFIG).await;
        put_registry(&world, registry, registry).await;
    }
    let accounts = account(&world, "bare", &json!({"somebody": "else's"})).await;
    account(&world, "taken", &json!({ROLE_ARN: "arn:aws:iam::123456789012:role/other"})).await;
    let taken = accounts.get("taken-quay-app").await.unwrap().metadata.resource_version;
    let _operator = Operator::start(&world).await;
    refer(&world, "taken", "taken", web_identity("taken", &iam.bucket, true)).await;
    refer(&world, "bare", "bare", web_identity("bare", &iam.bucket, true)).await;

    let mismatch = world.until_reason("taken", "AnnotationMismatch").await;
    assert!(message(&mismatch, "Ready").contains("role/other"), "{}", message(&mismatch, "Ready"));
    let forbidden = world.until_reason("bare", "AnnotateForbidden").await;
    let grant = "create rolebinding registry-sts-annotate --clusterrole=registry-sts-annotate";
    assert!(message(&forbidden, "Ready").contains(grant), "{}", message(&forbidden, "Ready"));
    world.bind("registry-sts-annotate").await;
    let annotated = eventually("the account is annotated", || async {
        let account = accounts.get("bare-quay-app").await.unwrap();
        account.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(ROLE_ARN)).then_some(account)
    })
    .await;
    let annotations = annotated.metadata.annotations.unwrap();
    assert_eq!((annotations[ROLE_ARN].as_str(), annotations["somebody"].as_str()), (ROLE, "else's"));
    let told = eventually("an Event tells of it", || async {
        let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
        events.items.into_iter().find(|event| event.reason.as_deref() == Some("AccountAnnotated"))
    })
    .await;
    assert!(told.note.unwrap().contains("Restart Quay's pods"));
    // It goes on: whether the cluster has a webhook is another scenario's business.
    world.until("bare", "past the annotation", |r| !message(r, "Ready").contains("nnotat")).await;
    assert_eq!(accounts.get("taken-quay-app").await.unwrap().metadata.resource_version, taken);
    let version = accounts.get("bare-quay-app").await.unwrap().metadata.resource_version;
    assert_eq!(version, annotated.metadata.resource_version, "it is annotated once");
}

/// What the operator's own ServiceAccount may change, whoever bound what: deploy/rbac/annotate.yaml.
#[tokio::test]
async fn the_operator_adds_that_one_annotation_to_service_accounts_and_changes_nothing_else() {
    let world = World::granted().await;
    world.bind("registry-sts-annotate").await;
    for registry in ["bare", "taken", "good"] {
        account(&world, registry, &json!({"a": "1"})).await;
    }
    let plain = json!({"name": "plain", "namespace": world.namespace});
    apply(&world.admin, &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": plain})).await;
    account(&world, "taken", &json!({"a": "1", ROLE_ARN: ROLE})).await;
    let (kubeconfig, _) = world.operator_kubeconfig(world.plane.info("server")).await;
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(Client::try_from(config).unwrap(), &world.namespace);
    let accounts = &accounts;
    let patched = |name: &'static str, patch: Value| async move {
        let patched = accounts.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.map(drop).map_err(|error| error.to_string())
    };
    let annotate = |annotations: Value| json!({"metadata": {"annotations": annotations}});
    // A policy counts some time after it was made, and a grant too.
    eventually("the policy counts", || async {
        let told = patched("plain", annotate(json!({ROLE_ARN: ROLE}))).await.err()?;
        told.contains("<registry>-quay-app").then_some(())
    })
    .await;
    let other = "arn:aws:iam::123456789012:role/other";
    let with = |more: Value| {
        let mut patch = annotate(json!({ROLE_ARN: ROLE}));
        patch.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        patch
    };
    let labelled =
        json!({"metadata": {"annotations": {ROLE_ARN: ROLE}, "labels": {"quay-operator/quayregistry": "x"}}});
    for (name, patch, says) in [
        ("taken-quay-app", annotate(json!({ROLE_ARN: other})), "where there is none"),
        ("taken-quay-app", annotate(json!({ROLE_ARN: null})), "where there is none"),
        ("bare-quay-app", annotate(json!({"b": "2"})), "where there is none"),
        ("bare-quay-app", annotate(json!({ROLE_ARN: "no role"})), "with a role"),
        ("bare-quay-app", annotate(json!({ROLE_ARN: ROLE, "b": "2"})), "no other annotation"),
        ("bare-quay-app", annotate(json!({ROLE_ARN: ROLE, "a": "2"})), "no other annotation"),
        ("bare-quay-app", annotate(json!({ROLE_ARN: ROLE, "a": null})), "no other annotation"),
        ("bare-quay-app", labelled, "nothing else"),
        ("bare-quay-app", with(json!({"imagePullSecrets": [{"name": "x"}]})), "nothing else"),
        ("bare-quay-app", with(json!({"secrets": [{"name": "x"}]})), "nothing else"),
        ("bare-quay-app", with(json!({"automountServiceAccountToken": true})), "nothing else"),
    ] {
        let told = patched(name, patch.clone()).await.expect_err(&patch.to_string());
        assert!(told.contains(says), "{patch}: {told}");
    }
    assert_eq!(patched("good-quay-app", annotate(json!({ROLE_ARN: ROLE}))).await, Ok(()));
}
