//! Two clusters that share an AWS account, with the same manifest: neither touches what is the other's.

use std::collections::BTreeSet;

use kube::api::{Api, DeleteParams};
use registry_sts::api::StorageIdentity;
use serde_json::{Value, json};

use crate::account::{Account, says};
use crate::harness::operator::Operator;
use crate::harness::world::eventually;

/// What a cluster has in AWS: the user with its tags, keys and policy, and the role with its tags, trust and policy.
async fn belongings(account: &Account, name: &str) -> Value {
    let (user, role) = (json!({"UserName": name}), json!({"RoleName": name}));
    let keys: BTreeSet<String> = account.keys(name).await.into_keys().collect();
    json!({
        "tags": account.tags(name).await, "keys": keys,
        "trust": account.aws("get_role", role.clone()).await["Role"]["AssumeRolePolicyDocument"],
        "policies": [account.aws("list_user_policies", user).await, account.aws("list_role_policies", role).await],
    })
}

/// The calls to IAM with which an operator changed something of a user or role of this name.
async fn changes(account: &Account, name: &str, since: usize) -> Vec<String> {
    let reply = account.world.plane.request(json!({"peer": "recording"})).await;
    let recorded = reply["ok"].as_array().unwrap();
    let is_change = |r: &&Value| {
        let action = r["action"].as_str().unwrap_or_default();
        let of = &r["parameters"];
        let asks = ["Get", "List"].iter().any(|asks| action.starts_with(asks));
        r["service"] == "iam" && !asks && (of["UserName"] == name || of["RoleName"] == name)
    };
    recorded.iter().skip(since).filter(is_change).map(|r| r["action"].as_str().unwrap().to_owned()).collect()
}

async fn recorded(account: &Account) -> usize {
    account.world.plane.request(json!({"peer": "recording"})).await["ok"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_manifest_on_two_clusters_makes_two_users_and_neither_touches_the_others() {
    let one = Account::of_cluster(|_| "one".to_owned()).await;
    let two = Account::beside(&one, "two").await;
    let first = one.operator().await;
    one.put_identity("quay-user", json!({})).await;
    one.until_settled("quay-user").await;
    let of_one = one.named("quay-user").await;
    let before = belongings(&one, &of_one).await;
    drop(first);
    // The other cluster has the same namespace, and the same resource, and has never seen a user.
    one.forget_identity("quay-user").await;
    let mark = recorded(&one).await;
    let second: Operator = two.operator().await;
    two.put_identity("quay-user", json!({})).await;
    two.until_settled("quay-user").await;
    let of_two = two.named("quay-user").await;
    assert_ne!(of_one, of_two);
    assert_eq!(belongings(&one, &of_one).await, before);
    assert_eq!(changes(&one, &of_one, mark).await, [""; 0]);

    // Nor where it is told to: the user carries the tags of the other.
    two.put_identity("another", json!({"userName": of_one, "roleName": of_one})).await;
    let taken = two.until("another", "refused", |i| says(i, "Ready").1 == "IdentityTaken").await;
    assert!(says(&taken, "Ready").2.contains("of cluster one"), "{:?}", says(&taken, "Ready"));
    // What it has made it does not leave behind under another name either.
    two.put_identity("quay-user", json!({"userName": "registry-sts-another"})).await;
    two.until("quay-user", "refused for its name", |i| says(i, "Ready").1 == "IdentityRenamed").await;
    assert_eq!(two.keys(&of_two).await.len(), 1);
    assert_eq!(belongings(&one, &of_one).await, before);
    assert_eq!(changes(&one, &of_one, mark).await, [""; 0]);
    drop(second);

    // And the other way round, to the end: the first has lost its Secret, replaces its key, and deletes what is its own.
    two.forget_identity("quay-user").await;
    let identities: Api<StorageIdentity> = one.world.api();
    identities.delete("another", &DeleteParams::default()).await.unwrap();
    let before = belongings(&two, &of_two).await;
    let mark = recorded(&two).await;
    let _first = one.operator().await;
    one.put_identity("quay-user", json!({"deletionPolicy": "Delete"})).await;
    one.until_ready("quay-user").await;
    assert_eq!(one.named("quay-user").await, of_one);
    assert_eq!(one.keys(&of_one).await.len(), 2);
    identities.delete("quay-user", &DeleteParams::default()).await.unwrap();
    eventually("it is gone", || async { identities.get_opt("quay-user").await.unwrap().is_none().then_some(()) }).await;
    for (call, of) in [("get_user", "UserName"), ("get_role", "RoleName")] {
        let request = json!({"service": "iam", "call": call, "args": {(of): of_one}});
        assert_eq!(one.world.plane.request(request).await["error"]["code"], "NoSuchEntity");
    }
    assert_eq!(belongings(&two, &of_two).await, before);
    assert_eq!(changes(&two, &of_two, mark).await, [""; 0]);
}
