//! What the operator is installed with, but for its pods.

use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::Value;

use super::world::BOUND;

/// The CRDs and the operator's RBAC as deploy/ has them, once for all tests.
pub(super) async fn install(admin: &Client) {
    static INSTALLED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let files = [
        "crds/quaystorages.yaml",
        "crds/storageidentities.yaml",
        "crds/identitypolicies.yaml",
        "deploy/default/namespace.yaml",
        "deploy/manager/service-account.yaml",
        "deploy/rbac/operator.yaml",
        "deploy/rbac/bundle.yaml",
        "deploy/rbac/mint.yaml",
        "deploy/rbac/audiences.yaml",
        "deploy/rbac/annotate.yaml",
        "deploy/rbac/output.yaml",
        "deploy/rbac/rollout.yaml",
        "deploy/rbac/restore.yaml",
        "deploy/rbac/identities.yaml",
        "deploy/rbac/key.yaml",
        "deploy/manager/leader.yaml",
    ];
    INSTALLED
        .get_or_init(|| async {
            for file in files {
                let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
                let documents = serde_yaml::Deserializer::from_str(&text);
                let objects: Vec<Value> =
                    documents.map(|document| serde::Deserialize::deserialize(document).unwrap()).collect();
                for object in objects {
                    apply(admin, &object).await;
                }
            }
            let crds: Api<
                k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
            > = Api::all(admin.clone());
            let established = kube::runtime::conditions::is_crd_established();
            let waiting = kube::runtime::wait::await_condition(crds, "quaystorages.registry-sts.dev", established);
            tokio::time::timeout(BOUND, waiting).await.expect("the CRD is not established").unwrap();
        })
        .await;
}

/// Server-side apply, as `kubectl apply --server-side` does it.
pub(crate) async fn apply(client: &Client, object: &Value) {
    let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk(group, version, kind));
    let api: Api<kube::api::DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object["metadata"]["name"].as_str().unwrap();
    let applied = api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await;
    applied.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
}
