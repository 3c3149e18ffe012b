//! What somebody changes in AWS by hand is put right.

use serde_json::{Value, json};

use crate::account::{Account, says};
use crate::harness::operator::Operator;
use crate::harness::world::eventually;
use crate::rotations::running;

async fn made() -> (std::sync::Arc<Account>, Operator, String) {
    running(json!({})).await
}

async fn role(account: &Account, name: &str) -> Value {
    account.aws("get_role", json!({"RoleName": name})).await["Role"].clone()
}

#[tokio::test]
async fn policies_trust_and_boundary_are_put_right() {
    let (account, _operator, name) = made().await;
    let before = role(&account, &name).await;
    let policy = |kind: &str| json!({(kind): name, "PolicyName": "registry-sts"});
    let permissions = account.aws("get_role_policy", policy("RoleName")).await;
    let assume = account.aws("get_user_policy", policy("UserName")).await;

    account.aws("delete_role_policy", policy("RoleName")).await;
    account.aws("delete_user_policy", policy("UserName")).await;
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let args = json!({"RoleName": name, "PolicyName": "more", "PolicyDocument": everything.to_string()});
    account.aws("put_role_policy", args).await;
    let administrator = json!({"PolicyName": format!("{name}-more"), "PolicyDocument": everything.to_string()});
    let arn = account.aws("create_policy", administrator).await["Policy"]["Arn"].clone();
    account.aws("attach_role_policy", json!({"RoleName": name, "PolicyArn": arn})).await;
    account.aws("attach_user_policy", json!({"UserName": name, "PolicyArn": arn})).await;
    let anybody = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}]});
    account.aws("update_assume_role_policy", json!({"RoleName": name, "PolicyDocument": anybody.to_string()})).await;
    account.aws("delete_user_permissions_boundary", json!({"UserName": name})).await;
    account.aws("delete_role_permissions_boundary", json!({"RoleName": name})).await;
    account.look("quay-user").await;
    account.until_settled("quay-user").await;

    assert_eq!(account.aws("get_role_policy", policy("RoleName")).await, permissions);
    assert_eq!(account.aws("get_user_policy", policy("UserName")).await, assume);
    let after = role(&account, &name).await;
    assert_eq!(after["AssumeRolePolicyDocument"], before["AssumeRolePolicyDocument"]);
    assert_eq!(after["PermissionsBoundary"]["PermissionsBoundaryArn"], account.boundary);
    let user = account.aws("get_user", json!({"UserName": name})).await;
    assert_eq!(user["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"], account.boundary);
    for (list, kind) in [("list_attached_role_policies", "RoleName"), ("list_attached_user_policies", "UserName")] {
        assert_eq!(account.aws(list, json!({(kind): name})).await["AttachedPolicies"], json!([]), "{list}");
    }
    assert_eq!(
        account.aws("list_role_policies", json!({"RoleName": name})).await["PolicyNames"],
        json!(["registry-sts"])
    );
}

#[tokio::test]
async fn a_user_that_was_deleted_is_made_again_and_the_trust_that_names_its_ghost_is_rewritten() {
    let (account, _operator, name) = made().await;
    let old = account.key_in("quay-user").await;
    account.aws("delete_access_key", json!({"UserName": name, "AccessKeyId": old.id})).await;
    account.aws("delete_user_policy", json!({"UserName": name, "PolicyName": "registry-sts"})).await;
    account.aws("delete_user", json!({"UserName": name})).await;
    let ghost = role(&account, &name).await["AssumeRolePolicyDocument"].to_string();
    assert!(ghost.contains("AIDA"), "{ghost}");
    account.look("quay-user").await;
    account.until_settled("quay-user").await;
    let trust = role(&account, &name).await["AssumeRolePolicyDocument"].to_string();
    assert!(trust.contains(&format!("user/registry-sts/{name}")) && !trust.contains("AIDA"), "{trust}");
    account.until_consumed("quay-user").await;
    assert_ne!(account.key_in("quay-user").await.id, old.id);
}

#[tokio::test]
async fn a_key_that_was_deleted_is_replaced_at_once() {
    let (account, _operator, name) = made().await;
    let old = account.key_in("quay-user").await;
    account.aws("delete_access_key", json!({"UserName": name, "AccessKeyId": old.id})).await;
    account.look("quay-user").await;
    let new = replaced(&account, &old.id).await;
    assert_eq!(account.keys(&name).await.into_iter().collect::<Vec<_>>(), [(new, true)]);
}

#[tokio::test]
async fn a_key_that_somebody_deactivated_is_replaced_and_never_activated_again() {
    let (account, _operator, name) = made().await;
    let old = account.key_in("quay-user").await;
    let args = json!({"UserName": name, "AccessKeyId": old.id, "Status": "Inactive"});
    account.aws("update_access_key", args).await;
    account.look("quay-user").await;
    let new = replaced(&account, &old.id).await;
    account.until_rotating_after_look("quay-user", "OldKeyInactive").await;
    assert_eq!(account.keys(&name).await, [(old.id.clone(), false), (new.clone(), true)].into());
    account.age(&name, 25).await;
    account.look("quay-user").await;
    account.until_settled("quay-user").await;
    assert_eq!(account.keys(&name).await, [(new, true)].into());
}

#[tokio::test]
async fn a_second_key_that_somebody_else_made_is_left_alone_and_stops_a_rotation() {
    let (account, _operator, name) = made().await;
    let foreign = account.world.new_key(&name).await;
    let seen = account.look("quay-user").await;
    assert_eq!(says(&seen, "Ready").0, "True");
    account.rotate("quay-user").await;
    let says_so = |i: &registry_sts::api::StorageIdentity| says(i, "Ready").1 == "ForeignKey";
    let stopped = account.until("quay-user", "stopped", says_so).await;
    assert!(
        says(&stopped, "Ready").2.contains(&foreign.id[foreign.id.len() - 4..])
            && says(&stopped, "Stalled").0 == "True"
    );
    assert_eq!(account.keys(&name).await.len(), 2);
    account.world.delete_key(&name, &foreign).await;
    account.look("quay-user").await;
    account.until_rotating("quay-user", "KeepingOldKey").await;
}

/// Until the Secret and the bundle have another key, and Quay runs it.
async fn replaced(account: &Account, old: &str) -> String {
    let new = eventually("there is another key", || async {
        Some(account.key_in("quay-user").await.id).filter(|id| id != old)
    })
    .await;
    account.until_consumed("quay-user").await;
    new
}
