//! The operator is killed after each call to IAM in turn, before it hears of the answer, and started again: whatever the call
//! was, the key is replaced in the end, nobody who holds a key is ever refused, and no key is left over.

use std::sync::Arc;

use futures::future::join_all;
use kube::api::{Api, DeleteParams};
use registry_sts::api::StorageIdentity;
use serde_json::json;

use crate::account::{Account, says};
use crate::harness::world::eventually;
use crate::prober::Probers;
use crate::scaffold::{Cut, Scaffold};

/// What one life of a key takes: user and role with their policies, and three notes around each key; then the old one is
/// noted, deactivated, noted again, deleted, and its note removed.
const CALLS: [&str; 17] = [
    "CreateUser",
    "PutUserPolicy",
    "CreateRole",
    "PutRolePolicy",
    "TagUser",
    "CreateAccessKey",
    "TagUser",
    "TagUser",
    "TagUser",
    "CreateAccessKey",
    "TagUser",
    "TagUser",
    "TagUser",
    "UpdateAccessKey",
    "TagUser",
    "DeleteAccessKey",
    "UntagUser",
];
/// The calls before which a Secret is written: the process also dies between the two.
const AFTER_SECRETS: [usize; 2] = [8, 12];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_killed_after_any_call_to_iam_leaves_no_key_behind_and_nobody_refused() {
    let after = (1..=CALLS.len()).map(Cut::After);
    let cuts: Vec<Cut> = after.chain(AFTER_SECRETS.map(Cut::Before)).collect();
    let tries = join_all(cuts.into_iter().map(|cut| tokio::spawn(live(cut)))).await;
    let tries: usize = tries.into_iter().map(|lived| lived.unwrap()).sum();
    eprintln!("{} lives, {tries} tries of the role meanwhile", CALLS.len() + AFTER_SECRETS.len());
}

/// A whole life of a key with one cut in it. How often the role was tried.
async fn live(cut: Cut) -> usize {
    let account = Arc::new(Account::new().await);
    let scaffold = Scaffold::new(account.world.plane.info("aws"), cut).await;
    let operators = scaffold.operators(&account).await;
    account.put_identity("quay-user", json!({})).await;
    account.put_registry("quay-user").await;
    account.until_ready("quay-user").await;
    account.until_consumed("quay-user").await;
    let before = account.key_in("quay-user").await;
    let user = account.named("quay-user").await;
    let probers = Probers::start(&account, "quay-user").await;

    account.rotate("quay-user").await;
    let is_other = |four: &str| !before.id.ends_with(four);
    let has_other = |i: &StorageIdentity| {
        let keys = i.status.as_ref().map(|status| status.keys.as_slice()).unwrap_or_default();
        keys.first().is_some_and(|key| is_other(&key.last_four)) && says(i, "Ready").0 == "True"
    };
    account.until("quay-user", "on another key", has_other).await;
    account.until_consumed("quay-user").await;
    account.until_rotating("quay-user", "KeepingOldKey").await;
    account.age(&user, 25).await;
    account.look("quay-user").await;
    account.until_rotating("quay-user", "OldKeyInactive").await;
    account.age(&user, 25).await;
    account.look("quay-user").await;
    account.until_settled("quay-user").await;
    probers.assert_never_refused();

    let after = account.key_in("quay-user").await;
    assert_eq!(account.keys(&user).await.into_iter().collect::<Vec<_>>(), [(after.id.clone(), true)], "{cut:?}");
    let notes = account.tags(&user).await;
    let of_keys: Vec<&String> = notes.keys().filter(|key| key.starts_with("registry-sts.dev/key-")).collect();
    assert_eq!(of_keys, [&format!("registry-sts.dev/key-{}", after.id)], "{cut:?}");
    scaffold.assert_cut(cut, &CALLS);
    let operator = operators.await.unwrap();
    account.world.assert_nothing_secret_was_told(&operator.log()).await;
    probers.tries()
}

/// What it takes to take over a user and a role that somebody made by hand, with more rights than they are to have and no
/// boundary; to make their key; and to delete it all.
const TAKEN_OVER_AND_DELETED: [&str; 20] = [
    "TagUser",
    "PutUserPermissionsBoundary",
    "PutUserPolicy",
    "DeleteUserPolicy",
    "DetachUserPolicy",
    "TagRole",
    "PutRolePermissionsBoundary",
    "UpdateAssumeRolePolicy",
    "PutRolePolicy",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "TagUser",
    "CreateAccessKey",
    "TagUser",
    "TagUser",
    "DeleteAccessKey",
    "DeleteUserPolicy",
    "DeleteUser",
    "DeleteRolePolicy",
    "DeleteRole",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_killed_while_it_takes_over_corrects_or_deletes_leaves_nothing_half_done() {
    let cuts = (1..=TAKEN_OVER_AND_DELETED.len()).map(Cut::After);
    for lived in join_all(cuts.map(|cut| tokio::spawn(taken_over(cut)))).await {
        lived.unwrap();
    }
}

/// From what somebody made by hand to nothing, with one cut in it.
async fn taken_over(cut: Cut) {
    let account = Arc::new(Account::new().await);
    let name = format!("registry-sts-of-{}", account.world.namespace);
    account.put_policy(json!({"takeOver": [name]})).await;
    account.give_rights().await;
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
            .to_string();
    let anybody = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}]});
    let args = json!({"PolicyName": format!("{name}-more"), "PolicyDocument": everything});
    let more = account.aws("create_policy", args).await["Policy"]["Arn"].clone();
    let path = "/registry-sts/";
    account.aws("create_user", json!({"UserName": name, "Path": path})).await;
    let trust = anybody.to_string();
    account.aws("create_role", json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust})).await;
    for kind in ["user", "role"] {
        let of = if kind == "user" { "UserName" } else { "RoleName" };
        account.aws(&format!("attach_{kind}_policy"), json!({(of): name, "PolicyArn": more})).await;
        let args = json!({(of): name, "PolicyName": "more", "PolicyDocument": everything});
        account.aws(&format!("put_{kind}_policy"), args).await;
    }

    let scaffold = Scaffold::new(account.world.plane.info("aws"), cut).await;
    let operators = scaffold.operators(&account).await;
    let named = json!({"userName": name, "roleName": name, "deletionPolicy": "Delete"});
    account.put_identity("quay-user", named).await;
    account.until_settled("quay-user").await;
    let key = account.key_in("quay-user").await;
    assert_eq!(account.keys(&name).await.into_iter().collect::<Vec<_>>(), [(key.id, true)], "{cut:?}");
    for (kind, of) in [("user", "UserName"), ("role", "RoleName")] {
        let inline = account.aws(&format!("list_{kind}_policies"), json!({(of): name})).await;
        assert_eq!(inline["PolicyNames"], json!(["registry-sts"]), "{cut:?}");
        let attached = account.aws(&format!("list_attached_{kind}_policies"), json!({(of): name})).await;
        assert_eq!(attached["AttachedPolicies"], json!([]), "{cut:?}");
    }

    let api: Api<StorageIdentity> = account.world.api();
    api.delete("quay-user", &DeleteParams::default()).await.unwrap();
    eventually("the StorageIdentity is gone", || async {
        api.get_opt("quay-user").await.unwrap().is_none().then_some(())
    })
    .await;
    for (call, of) in [("get_user", "UserName"), ("get_role", "RoleName")] {
        let request = json!({"service": "iam", "call": call, "args": {(of): name}});
        assert_eq!(account.world.plane.request(request).await["error"]["code"], "NoSuchEntity", "{cut:?}");
    }
    scaffold.assert_cut(cut, &TAKEN_OVER_AND_DELETED);
    let operator = operators.await.unwrap();
    account.world.assert_nothing_secret_was_told(&operator.log()).await;
}
