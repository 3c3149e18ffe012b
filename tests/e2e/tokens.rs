//! What the operator's own ServiceAccount may mint, whoever bound what: deploy/rbac/audiences.yaml.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

use crate::harness::world::{World, apply, eventually};

#[tokio::test]
async fn the_operator_mints_tokens_for_aws_of_ten_minutes_and_no_others() {
    let world = World::granted().await;
    world.bind("registry-sts-mint").await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "quay-app", "namespace": world.namespace}});
    apply(&world.admin, &account).await;
    let (kubeconfig, _) = world.operator_kubeconfig(world.plane.info("server")).await;
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(Client::try_from(config).unwrap(), &world.namespace);
    let accounts = &accounts;
    let mint = |audiences: &'static [&str], seconds: Option<i64>| async move {
        let audiences = Some(audiences.iter().map(|audience| (*audience).to_owned()).collect());
        let spec = TokenRequestSpec { audiences, expiration_seconds: seconds, ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let minted = accounts.create_token_request("quay-app", &PostParams::default(), &request).await;
        minted.map(drop).map_err(|error| error.to_string())
    };
    // A policy counts some time after it was made, and a grant too.
    eventually("the policy counts", || async {
        let told = mint(&["https://kubernetes.default.svc"], Some(600)).await.err()?;
        told.contains("sts.amazonaws.com only").then_some(())
    })
    .await;
    assert_eq!(mint(&["sts.amazonaws.com"], Some(600)).await, Ok(()));
    for (audiences, seconds, says) in [
        (&[][..], Some(600), "sts.amazonaws.com only"),
        (&["sts.amazonaws.com", "https://kubernetes.default.svc"][..], Some(600), "sts.amazonaws.com only"),
        (&["sts.amazonaws.com"][..], Some(3600), "ten minutes only"),
        (&["sts.amazonaws.com"][..], None, "ten minutes only"),
    ] {
        let told = mint(audiences, seconds).await.unwrap_err();
        assert!(told.contains(says), "{audiences:?} {seconds:?}: {told}");
    }
}
