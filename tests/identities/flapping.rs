//! IAM tells its parts of what is new one after the other: what was made a moment ago is not known yet, or not any more.

use serde_json::{Value, json};

use crate::account::Account;
use crate::rotations::running;

async fn flap(account: &Account, flap: Value) {
    let reply = account.world.plane.request(json!({"peer": "flap", "args": flap})).await;
    assert!(reply.get("error").is_none(), "{reply}");
}

#[tokio::test]
async fn a_user_that_is_not_known_yet_and_a_key_that_is_not_either_stall_nothing() {
    let account = Account::new().await;
    let operator = account.operator().await;
    let of = format!("registry-sts-{}-quay-user", account.world.namespace);
    flap(&account, json!({"actions": ["CreateRole"], "code": "MalformedPolicyDocument", "status": 400, "times": 4,
        "message": "Invalid principal in policy: \"AWS\":\"arn:aws:iam::123456789012:user/registry-sts/x\"", "match": of})).await;
    // The role is assumed with the new key, and as the role's name says whose it is, by nobody else.
    flap(
        &account,
        json!({"actions": ["AssumeRole"], "code": "InvalidClientTokenId", "status": 403, "times": 6,
        "message": "The security token included in the request is invalid.", "match": of}),
    )
    .await;
    flap(
        &account,
        json!({"actions": ["TagUser", "CreateAccessKey"], "code": "Throttling", "status": 400, "times": 3,
        "message": "Rate exceeded", "match": of}),
    )
    .await;
    account.put_identity("quay-user", json!({})).await;
    account.put_registry("quay-user").await;
    account.until_ready("quay-user").await;
    account.until_consumed("quay-user").await;
    let user = account.named("quay-user").await;
    assert_eq!(account.keys(&user).await.len(), 1);
    drop(operator);
}

#[tokio::test]
async fn a_new_key_that_is_refused_now_and_then_is_handed_out_only_once_it_works_for_a_minute() {
    let (account, _operator, user) = running(json!({})).await;
    let old = account.key_in("quay-user").await;
    account.rotate("quay-user").await;
    account.until("quay-user", "two keys", |i| i.status.as_ref().is_some_and(|s| s.keys.len() == 2)).await;
    let new = account.keys(&user).await.into_keys().find(|id| *id != old.id).unwrap();
    // The second proof is refused, so it begins anew.
    flap(
        &account,
        json!({"actions": ["AssumeRole"], "code": "InvalidClientTokenId", "status": 403, "times": 2,
        "message": "The security token included in the request is invalid.", "match": new}),
    )
    .await;
    account.until_rotating("quay-user", "KeepingOldKey").await;
    account.until_consumed("quay-user").await;
    assert_eq!(account.key_in("quay-user").await.id, new);
    assert_eq!(account.keys(&user).await.len(), 2);
}
