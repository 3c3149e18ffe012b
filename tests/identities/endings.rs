//! The end of a `StorageIdentity`: what was made stays, or goes once nobody uses it.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use registry_sts::api::{QuayStorage, StorageIdentity};
use serde_json::{Value, json};

use crate::account::{Account, says};
use crate::harness::world::eventually;
use crate::rotations::running;

async fn is_there(account: &Account, call: &str, args: Value) -> bool {
    let reply = account.world.plane.request(json!({"service": "iam", "call": call, "args": args})).await;
    assert!(reply.get("error").is_none_or(|error| error["code"] == "NoSuchEntity"), "{reply}");
    reply.get("error").is_none()
}

async fn until_gone(account: &Account) {
    let api: Api<StorageIdentity> = account.world.api();
    eventually("the StorageIdentity is gone", || async {
        api.get_opt("quay-user").await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn with_retain_everything_stays_and_is_found_again_by_one_of_the_same_name() {
    let (account, operator, name) = running(json!({})).await;
    let key = account.key_in("quay-user").await;
    let api: Api<StorageIdentity> = account.world.api();
    api.delete("quay-user", &DeleteParams::default()).await.unwrap();
    until_gone(&account).await;
    assert_eq!(account.keys(&name).await, [(key.id.clone(), true)].into());
    assert!(account.world.api::<Secret>().get_opt("quay-user").await.unwrap().is_some());

    // Git makes it again: another uid, and the same user, role and key.
    account.put_identity("quay-user", json!({})).await;
    let again = account.until_settled("quay-user").await;
    assert_eq!(account.key_in("quay-user").await.id, key.id);
    assert_eq!(account.tags(&name).await["registry-sts.dev/uid"], again.metadata.uid.unwrap());
    drop(operator);
}

#[tokio::test]
async fn with_delete_it_waits_until_nobody_refers_to_it_and_then_everything_goes() {
    let (account, _operator, name) = running(json!({"deletionPolicy": "Delete"})).await;
    let api: Api<StorageIdentity> = account.world.api();
    api.delete("quay-user", &DeleteParams::default()).await.unwrap();
    let waits = account.until("quay-user", "InUse", |i| says(i, "Ready").1 == "InUse").await;
    assert!(says(&waits, "Ready").2.contains("QuayStorage example"), "{:?}", says(&waits, "Ready"));
    assert!(is_there(&account, "get_user", json!({"UserName": name})).await);

    let storages: Api<QuayStorage> = account.world.api();
    storages.delete("example", &DeleteParams::default()).await.unwrap();
    until_gone(&account).await;
    assert!(!is_there(&account, "get_user", json!({"UserName": name})).await);
    assert!(!is_there(&account, "get_role", json!({"RoleName": name})).await);
    eventually("the Secret goes with it", || async {
        account.world.api::<Secret>().get_opt("quay-user").await.unwrap().is_none().then_some(())
    })
    .await;
}
