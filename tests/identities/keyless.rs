//! A role for a service account: no user, no key, no rotation; and the move from a key to it.

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use registry_sts::api::{QuayStorage, StorageIdentity};
use serde_json::json;

use crate::account::{Account, says};
use crate::harness::webhook;
use crate::harness::world::{apply, eventually, is};
use crate::prober::key_in_bundle;
use crate::rotations::running;

async fn put_account(account: &Account) {
    apply(&account.world.admin, &webhook::account(&account.world, "quay-app", &json!({}))).await;
    let webhook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "pod-identity-webhook"}, "webhooks": []});
    apply(&account.world.admin, &webhook).await;
}

fn keyless() -> serde_json::Value {
    json!({"trust": "webIdentity", "webIdentity": {"serviceAccountName": "quay-app"}, "deletionPolicy": "Delete"})
}

/// As `OpenShift` tells it. The issuer of this cluster's tokens is none that AWS would take: it has a port.
const OPENSHIFT: &str = "oidc.example.com/openshift";

/// As the administrator tells it: another one in each scenario, since AWS knows its providers in all of them.
fn told(account: &Account) -> String {
    format!("oidc.example.com/{}", account.world.namespace)
}

/// `OpenShift` says the issuer of its tokens.
async fn put_authentication(account: &Account) {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "authentications.config.openshift.io",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/openshift/api/pull/470"}},
        "spec": {"group": "config.openshift.io", "scope": "Cluster",
            "names": {"kind": "Authentication", "plural": "authentications", "singular": "authentication"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}});
    apply(&account.world.admin, &crd).await;
    let authentication = json!({"apiVersion": "config.openshift.io/v1", "kind": "Authentication",
        "metadata": {"name": "cluster"}, "spec": {"serviceAccountIssuer": format!("https://{OPENSHIFT}")}});
    eventually("the kind is known", || async {
        let kind = kube::api::GroupVersionKind::gvk("config.openshift.io", "v1", "Authentication");
        let kind = kube::api::ApiResource::from_gvk(&kind);
        let api: Api<kube::api::DynamicObject> = Api::all_with(account.world.admin.clone(), &kind);
        let object = serde_json::from_value(authentication.clone()).unwrap();
        api.create(&kube::api::PostParams::default(), &object).await.ok()
    })
    .await;
}

async fn put_provider(account: &Account, issuer: &str) {
    let args = json!({"Url": format!("https://{issuer}"), "ClientIDList": ["sts.amazonaws.com"],
        "ThumbprintList": ["0".repeat(40)]});
    // Another scenario may have made it.
    let request = json!({"service": "iam", "call": "create_open_id_connect_provider", "args": args});
    account.world.plane.request(request).await;
}

async fn trust(account: &Account, role: &str) -> serde_json::Value {
    let role = account.aws("get_role", json!({"RoleName": role})).await["Role"].clone();
    assert_eq!(role["PermissionsBoundary"]["PermissionsBoundaryArn"], account.boundary);
    role["AssumeRolePolicyDocument"]["Statement"][0].clone()
}

fn trusting(account: &Account, issuer: &str) -> serde_json::Value {
    json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{issuer}")},
        "Condition": {"StringEquals": {
            format!("{issuer}:sub"): format!("system:serviceaccount:{}:quay-app", account.world.namespace),
            format!("{issuer}:aud"): "sts.amazonaws.com"}}})
}

#[tokio::test]
async fn a_role_is_made_that_trusts_the_subject_and_the_audience_of_one_service_account() {
    let account = Account::new().await;
    put_account(&account).await;
    let operator = account.operator().await;
    account.put_identity("keyless", keyless()).await;
    let unknown =
        account.until("keyless", "of an issuer that is unknown", |i| says(i, "Ready").1 == "IssuerUnknown").await;
    assert!(says(&unknown, "Ready").2.contains("--oidc-issuer"), "{:?}", says(&unknown, "Ready"));
    drop(operator);
    let told = told(&account);
    let operator = account.operator_telling(&["--oidc-issuer", &format!("https://{told}")]).await;
    let missing = account.until("keyless", "without a provider", |i| says(i, "Ready").1 == "ProviderMissing").await;
    let command =
        format!("aws iam create-open-id-connect-provider --url https://{told} --client-id-list sts.amazonaws.com");
    assert!(says(&missing, "Ready").2.contains(&command), "{:?}", says(&missing, "Ready"));
    put_provider(&account, &told).await;
    account.look("keyless").await;
    let status = account.until_ready("keyless").await.status.unwrap();
    assert!(status.user_arn.is_none() && status.secret_name.is_none() && status.keys.is_empty());
    let name = account.named("keyless").await;
    assert_eq!(trust(&account, &name).await, trusting(&account, &told));

    // What OpenShift says counts before what was told.
    drop(operator);
    put_authentication(&account).await;
    put_provider(&account, OPENSHIFT).await;
    let _operator = account.operator_telling(&["--oidc-issuer", &format!("https://{told}")]).await;
    account.look("keyless").await;
    account.until_ready("keyless").await;
    assert_eq!(trust(&account, &name).await, trusting(&account, OPENSHIFT));

    let api: Api<StorageIdentity> = account.world.api();
    api.delete("keyless", &DeleteParams::default()).await.unwrap();
    eventually("it is gone", || async { api.get_opt("keyless").await.unwrap().is_none().then_some(()) }).await;
    let reply =
        account.world.plane.request(json!({"service": "iam", "call": "get_role", "args": {"RoleName": name}})).await;
    assert_eq!(reply["error"]["code"], "NoSuchEntity");
}

#[tokio::test]
async fn a_registry_moves_from_a_key_to_none_and_the_old_key_goes_last() {
    let (account, operator, user) = running(json!({"deletionPolicy": "Delete"})).await;
    put_account(&account).await;
    drop(operator);
    let told = told(&account);
    let _operator = account.operator_telling(&["--oidc-issuer", &format!("https://{told}")]).await;
    // Whether OpenShift says another is for the other scenario.
    put_provider(&account, &told).await;
    put_provider(&account, OPENSHIFT).await;
    let key = key_in_bundle(&account.world).await;
    account.put_identity("keyless", keyless()).await;
    let role = account.until_ready("keyless").await.status.unwrap().role_arn.unwrap();

    // 1. The service account says the role; 2. the pods are started again.
    let accounts: Api<ServiceAccount> = account.world.api();
    let annotation = json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": role}}});
    accounts.patch("quay-app", &PatchParams::default(), &Patch::Merge(&annotation)).await.unwrap();
    // 3. The location refers to the other identity: the keyless entry is written once it is proven.
    let storages: Api<QuayStorage> = account.world.api();
    let spec = json!({"spec": account.storage_spec("keyless")});
    storages.patch("example", &PatchParams::default(), &Patch::Merge(&spec)).await.unwrap();
    account
        .world
        .until("example", "keyless", |r| {
            let principal = r.status.as_ref().and_then(|s| s.locations.first()?.principal.clone()).unwrap_or_default();
            principal.contains("quay-app") && is(r, "Ready", "True") && is(r, "ConsumerCurrent", "True")
        })
        .await;
    let config = account.world.config("bundle").await;
    assert!(!config.contains(&key.id) && !config.contains("sts_role_arn"), "{config}");

    // 4. Nobody refers to the old one any more: it goes with its user and key.
    let api: Api<StorageIdentity> = account.world.api();
    api.delete("quay-user", &DeleteParams::default()).await.unwrap();
    eventually("the user is gone", || async {
        let request = json!({"service": "iam", "call": "get_user", "args": {"UserName": user}});
        let reply = account.world.plane.request(request).await;
        (reply["error"]["code"] == "NoSuchEntity").then_some(())
    })
    .await;
    assert!(account.world.api::<Secret>().get_opt("bundle").await.unwrap().is_some());
    account.world.until_ready("example").await;
}
