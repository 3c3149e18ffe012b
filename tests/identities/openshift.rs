//! The operator's own AWS identity as OpenShift gives it: ROLEARN in the Subscription, a `CredentialsRequest`, and the Secret that
//! answers it, which is mounted.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use crate::account::{Account, says};
use crate::harness::operator::Operator;
use crate::harness::world::{apply, eventually};

fn requests(account: &Account) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("cloudcredential.openshift.io", "v1", "CredentialsRequest");
    let kind = ApiResource::from_gvk_with_plural(&kind, "credentialsrequests");
    Api::namespaced_with(account.world.admin.clone(), account.world.home, &kind)
}

/// The Cloud Credential Operator's kind, and the operator's right to ask.
async fn install(account: &Account) {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "credentialsrequests.cloudcredential.openshift.io"},
        "spec": {"group": "cloudcredential.openshift.io", "scope": "Namespaced",
            "names": {"kind": "CredentialsRequest", "plural": "credentialsrequests", "singular": "credentialsrequest"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}});
    apply(&account.world.admin, &crd).await;
    eventually("the kind is known", || async { requests(account).list(&kube::api::ListParams::default()).await.ok() })
        .await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/overlays/identities/cloud-credentials.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let objects: Vec<Value> = serde_yaml::Deserializer::from_str(&text)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect();
    for object in objects {
        apply(&account.world.admin, &object).await;
    }
}

#[tokio::test]
async fn a_role_of_the_subscription_is_asked_for_and_used_once_its_secret_is_mounted() {
    let account = Account::new().await;
    install(&account).await;
    let role = account.own_role();
    let (file, token) = (account.world.dir.path().join("credentials"), account.world.dir.path().join("token"));
    std::fs::write(&token, "a.b.c").unwrap();
    let variables = [
        ("ROLEARN", role.as_str()),
        ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
        ("REGISTRY_STS_ENABLE_IDENTITIES", "true"),
        ("REGISTRY_STS_CLUSTER_ID", account.cluster.as_str()),
    ];
    let arguments = ["run", "--namespace", &account.world.namespace, "--no-leader-election"];
    let (server, aws) = (account.world.plane.info("server"), account.world.plane.info("aws"));
    let _operator = Operator::start_exactly(&account.world, (server, aws), &arguments, &variables).await;
    let asked =
        eventually("the role is asked for", || async { requests(&account).get_opt("registry-sts").await.unwrap() })
            .await
            .data;
    let spec = &asked["spec"];
    assert_eq!(spec["providerSpec"]["stsIAMRoleARN"], role);
    assert_eq!(spec["cloudTokenPath"], "/var/run/secrets/openshift/serviceaccount/token");
    assert_eq!(spec["serviceAccountNames"], json!(["registry-sts"]));
    assert_eq!(spec["secretRef"], json!({"name": "registry-sts-aws", "namespace": account.world.home}));

    account.put_identity("quay-user", json!({})).await;
    let waits = account.until("quay-user", "without an identity", |i| says(i, "Ready").1 == "NoAwsIdentity").await;
    assert!(says(&waits, "Ready").2.contains("ROLEARN") && says(&waits, "Reconciling").0 == "True");
    // The kubelet brings what the Cloud Credential Operator answered.
    let answer = format!(
        "[default]\nsts_regional_endpoints = regional\nrole_arn = {role}\nweb_identity_token_file = {}\n",
        token.display()
    );
    std::fs::write(&file, answer).unwrap();
    account.until_ready("quay-user").await;
}
