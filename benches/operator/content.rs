//! What stands in the cluster: the operator's rights, namespaces, keys, and registries with a bundle each.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use registry_sts::api::QuayStorage;

use crate::progress::each;

/// Each has one key Secret, and with it one role.
pub(crate) const NAMESPACES: usize = 10;
/// How many requests are made at the same time where nothing is measured, and where resources are created.
pub(crate) const AT_ONCE: usize = 64;
pub(crate) const KEY: &str = "quay-user";
const BUCKET: &str = "bench-bucket";

pub(crate) fn namespace(registry: usize) -> String {
    format!("bench-{}", registry % NAMESPACES)
}

pub(crate) fn name(registry: usize) -> String {
    format!("registry-{registry:05}")
}

/// Whether it is one of those that are numbered.
pub(crate) fn is_registry(name: &str) -> bool {
    name.starts_with("registry-")
}

pub(crate) fn bundle(name: &str) -> String {
    format!("{name}-config-bundle")
}

/// What the operator is installed with that may see the Secrets of all namespaces.
const INSTALL: [&str; 9] = [
    "crds/quaystorages.yaml",
    "crds/storageidentities.yaml",
    "crds/identitypolicies.yaml",
    "deploy/default/namespace.yaml",
    "deploy/manager/service-account.yaml",
    "deploy/manager/leader.yaml",
    "deploy/rbac/operator.yaml",
    "deploy/rbac/bundle.yaml",
    "deploy/overlays/all-secrets/binding.yaml",
];

/// The CRD, the operator's rights as deploy/ has them, and a key in each namespace.
pub(crate) async fn install(admin: &Client) {
    for file in INSTALL {
        let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            apply(admin, &serde::Deserialize::deserialize(document).unwrap()).await;
        }
    }
    for number in 0..NAMESPACES {
        put_namespace(admin, &namespace(number)).await;
        put_key(admin, &namespace(number), number).await;
    }
    let crds: Api<CustomResourceDefinition> = Api::all(admin.clone());
    let established = kube::runtime::conditions::is_crd_established();
    let waiting = kube::runtime::wait::await_condition(crds, "quaystorages.registry-sts.dev", established);
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("the CRD is not established").unwrap();
}

pub(crate) async fn put_namespace(admin: &Client, name: &str) {
    apply(admin, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await;
}

/// What a key Secret holds with the key of that number.
pub(crate) fn key_data(number: usize) -> Value {
    json!({"AWS_ACCESS_KEY_ID": key_id(number), "AWS_SECRET_ACCESS_KEY": format!("the/secret/of/key/{number:022}")})
}

pub(crate) fn key_id(number: usize) -> String {
    format!("AKIABENCH{number:011}")
}

pub(crate) async fn put_key(admin: &Client, namespace: &str, number: usize) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": KEY, "namespace": namespace},
        "stringData": key_data(number)});
    apply(admin, &secret).await;
}

pub(crate) async fn put_bundle(admin: &Client, namespace: &str, name: &str) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": bundle(name), "namespace": namespace},
        "stringData": {"config.yaml": config(), "ssl.cert": "not ours"}});
    create::<Secret>(admin, namespace, secret).await;
}

pub(crate) async fn put_resource(admin: &Client, namespace: &str, name: &str) {
    let location = json!({
        "name": "default", "roleArn": format!("arn:aws:iam::123456789012:role/{namespace}"), "bucket": BUCKET,
        "region": "us-east-1", "auth": {"accessKey": {"secretRef": {"name": KEY}}},
    });
    let resource = json!({"apiVersion": "registry-sts.dev/v1alpha1", "kind": "QuayStorage",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"configBundleSecret": bundle(name), "locations": [location]}});
    create::<QuayStorage>(admin, namespace, resource).await;
}

pub(crate) async fn put_bundles(admin: &Client, registries: Range<usize>) {
    let admin = admin.clone();
    each("creating bundles", registries, AT_ONCE, |number| {
        let admin = admin.clone();
        async move { put_bundle(&admin, &namespace(number), &name(number)).await }
    })
    .await;
}

pub(crate) async fn put_resources(admin: &Client, registries: Range<usize>) {
    let admin = admin.clone();
    each("creating resources", registries, AT_ONCE, |number| {
        let admin = admin.clone();
        async move { put_resource(&admin, &namespace(number), &name(number)).await }
    })
    .await;
}

/// Makes the resources as new: no status, and the bundles as they were.
pub(crate) async fn reset(admin: &Client, registries: Range<usize>) {
    let (admin, config) = (admin.clone(), Arc::new(config()));
    each("making resources as new", registries, AT_ONCE, |number| {
        let (admin, config) = (admin.clone(), Arc::clone(&config));
        async move {
            let (namespace, name) = (namespace(number), name(number));
            let secrets: Api<Secret> = Api::namespaced(admin.clone(), &namespace);
            let was = json!({"stringData": {"config.yaml": *config}});
            let params = PatchParams::default();
            secrets.patch_metadata(&bundle(&name), &params, &Patch::Merge(&was)).await.unwrap();
            let resources: Api<QuayStorage> = Api::namespaced(admin, &namespace);
            let none = json!({"status": null});
            resources.patch_status(&name, &params, &Patch::Merge(&none)).await.unwrap();
        }
    })
    .await;
}

/// A config.yaml of 2 KiB, as a Quay has it that keeps its blobs on a disk so far.
fn config() -> String {
    let mut text = "\
# Quay of the bench
SERVER_HOSTNAME: quay.example.com
PREFERRED_URL_SCHEME: https
DB_URI: postgresql://quay:hunter2-of-the-database@quay-database.example.com:5432/quay
DB_CONNECTION_ARGS: {autorollback: true, threadlocals: true}
DISTRIBUTED_STORAGE_CONFIG:
  archive:
    - LocalStorage
    - {storage_path: /datastorage/registry}
DISTRIBUTED_STORAGE_PREFERENCE: [archive]
DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: []
BUILDLOGS_REDIS:
  host: quay-redis.example.com
  port: 6379
USER_EVENTS_REDIS: {host: quay-redis.example.com, port: 6379}
SUPER_USERS:
  - admin
  - operations # on call
TAG_EXPIRATION_OPTIONS: [0s, 1d, 1w, 2w, 4w]
DEFAULT_TAG_EXPIRATION: 2w
"
    .to_owned();
    let features = "ANONYMOUS_ACCESS APP_SPECIFIC_TOKENS BUILD_SUPPORT CHANGE_TAG_EXPIRATION DIRECT_LOGIN \
        EXTENDED_REPOSITORY_NAMES GARBAGE_COLLECTION GENERAL_OCI_SUPPORT HELM_OCI_SUPPORT INVITE_ONLY_USER_CREATION \
        MAILING PARTIAL_USER_AUTOCOMPLETE PROXY_CACHE PROXY_STORAGE QUOTA_MANAGEMENT REPO_MIRROR REQUIRE_TEAM_INVITE \
        RESTRICTED_V1_PUSH SECURITY_NOTIFICATIONS SECURITY_SCANNER SIGNING STORAGE_REPLICATION SUPER_USERS \
        TEAM_SYNCING USER_CREATION USER_INITIALIZE USER_LAST_ACCESSED USER_LOG_ACCESS USER_METADATA USER_RENAME";
    for feature in features.split_whitespace() {
        writeln!(text, "FEATURE_{feature}: true # as it was decided").unwrap();
    }
    text
}

/// Server-side apply, as `kubectl apply --server-side` does it.
async fn apply(client: &Client, object: &Value) {
    let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object["metadata"]["name"].as_str().unwrap();
    let applied = api.patch(name, &PatchParams::apply("bench").force(), &Patch::Apply(object)).await;
    applied.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
}

pub(crate) async fn create<K>(client: &Client, namespace: &str, object: Value)
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}
