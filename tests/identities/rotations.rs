//! The life of a key: made, handed out, replaced, kept for a while, deactivated, deleted; and who holds it up.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use registry_sts::api::QuayStorage;
use registry_sts::api::storage_identity::KeyState;
use serde_json::{Value, json};

use crate::account::{Account, says};
use crate::harness::operator::Operator;
use crate::harness::scrape::{get, listens, value};
use crate::harness::world::is;
use crate::prober::{Probers, assume};

/// A registry that runs the first key of its identity.
pub(crate) async fn running(otherwise: Value) -> (Arc<Account>, Operator, String) {
    let account = Arc::new(Account::new().await);
    let operator = account.operator().await;
    account.put_identity("quay-user", otherwise).await;
    account.put_registry("quay-user").await;
    account.until_ready("quay-user").await;
    account.until_consumed("quay-user").await;
    let user = account.named("quay-user").await;
    (account, operator, user)
}

async fn edit(account: &Account, spec: Value) {
    let resources = account.world.api::<QuayStorage>();
    resources.patch("example", &PatchParams::default(), &Patch::Merge(&json!({"spec": spec}))).await.unwrap();
}

#[tokio::test]
async fn a_user_a_role_and_a_key_are_made_and_the_registry_uses_them() {
    let (account, operator, user) = running(json!({})).await;
    let ready = account.until_settled("quay-user").await;
    let status = ready.status.clone().unwrap();
    assert_eq!(status.secret_name.as_deref(), Some("quay-user"));
    let storage = account.world.until_ready("example").await;
    assert!(is(&storage, "RoleProven", "True") && is(&storage, "StorageProven", "True"));
    let key = account.key_in("quay-user").await;
    assert!(account.world.config("bundle").await.contains(&key.id));

    assert_eq!(account.keys(&user).await.into_iter().collect::<Vec<_>>(), [(key.id.clone(), true)]);
    assert_eq!(status.keys.len(), 1, "{status:?}");
    assert!(key.id.ends_with(&status.keys[0].last_four) && status.next_rotation_time.is_some());
    let told = account.aws("get_user", json!({"UserName": user})).await;
    assert_eq!(told["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"], account.boundary);

    // What the user may do is to assume exactly that role, and what that may do is what `policy` prints.
    let policy = account.aws("get_user_policy", json!({"UserName": user, "PolicyName": "registry-sts"})).await;
    let statement = &policy["PolicyDocument"]["Statement"][0];
    assert_eq!((&statement["Action"], &statement["Resource"]), (&json!("sts:AssumeRole"), &json!(status.role_arn)));
    let role = account.aws("get_role", json!({"RoleName": user})).await["Role"].clone();
    assert_eq!(role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"], json!(status.user_arn));
    let permissions = account.aws("get_role_policy", json!({"RoleName": user, "PolicyName": "registry-sts"})).await;
    let actions: Vec<&Value> =
        permissions["PolicyDocument"]["Statement"].as_array().unwrap().iter().map(|s| &s["Action"]).collect();
    assert_eq!(actions, [&json!(registry_sts::policy::BUCKET_ACTIONS), &json!(registry_sts::policy::OBJECT_ACTIONS)]);
    account.world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_key_is_replaced_without_anybody_being_refused_and_the_old_one_goes_in_the_end() {
    let (account, operator, user) = running(json!({})).await;
    let old = account.key_in("quay-user").await;
    let probers = Probers::start(&account, "quay-user").await;
    let asked = k8s_openapi::jiff::Timestamp::now();
    account.rotate("quay-user").await;
    account.until_rotating("quay-user", "MakingKey").await;
    account.until_rotating("quay-user", "KeepingOldKey").await;
    // It was proven over a minute before anybody had it.
    assert!(k8s_openapi::jiff::Timestamp::now().duration_since(asked).as_secs() >= 60);
    account.until_consumed("quay-user").await;
    let new = account.key_in("quay-user").await;
    assert_ne!(new.id, old.id);
    let answered = account.look("quay-user").await.status.unwrap();
    assert!(answered.last_handled_rotate_at.is_some());
    // From then on the operator itself never uses the old one: what uses it now is the probers' own.
    let used_by_operator = operators_uses(&account, &old.id).await;

    // Not before both have passed: the overlap, and two hours without a use.
    account.age(&user, 23).await;
    let kept = account.look("quay-user").await;
    assert_eq!(says(&kept, "Rotating").1, "KeepingOldKey");
    assert!(account.keys(&user).await[&old.id]);
    account.age(&user, 2).await;
    let inactive = account.until_rotating_after_look("quay-user", "OldKeyInactive").await;
    assert_eq!(says(&inactive, "Ready").0, "True");
    assert!(!account.keys(&user).await[&old.id]);
    account.age(&user, 25).await;
    account.look("quay-user").await;
    account.until_settled("quay-user").await;
    assert_eq!(account.keys(&user).await.into_iter().collect::<Vec<_>>(), [(new.id.clone(), true)]);
    assert_eq!(operators_uses(&account, &old.id).await, used_by_operator);
    probers.assert_never_refused();
    account.world.assert_nothing_secret_was_told(&operator.log()).await;
    let told = account.world.api::<Event>().list(&ListParams::default()).await.unwrap();
    let reasons: Vec<&str> = told.items.iter().filter_map(|event| event.reason.as_deref()).collect();
    for reason in ["Created", "KeyCreated", "KeyPublished", "KeyDeactivated", "KeyDeleted"] {
        assert!(reasons.contains(&reason), "{reason}: {reasons:?}");
    }
}

/// How often the operator used a key, as the peer recorded it.
async fn operators_uses(account: &Account, key: &str) -> usize {
    let reply = account.world.plane.request(json!({"peer": "recording"})).await;
    let recorded = reply["ok"].as_array().unwrap();
    let is_its = |r: &&Value| r["access_key"] == key && r["headers"].to_string().contains("registry-sts");
    recorded.iter().filter(is_its).count()
}

#[tokio::test]
async fn a_rotation_waits_for_whoever_is_suspended_or_blocked_and_says_who_it_is() {
    let (account, _operator, user) = running(json!({})).await;
    let old = account.key_in("quay-user").await;
    edit(&account, json!({"suspend": true})).await;
    account.rotate("quay-user").await;
    let waits = account.until_rotating("quay-user", "WaitingForConsumers").await;
    assert!(
        says(&waits, "Rotating").2.contains("QuayStorage example: it is suspended"),
        "{:?}",
        says(&waits, "Rotating")
    );
    assert_eq!(says(&waits, "Ready").0, "True");
    account.age(&user, 50).await;
    let waits = account.look("quay-user").await;
    assert_eq!(says(&waits, "Rotating").1, "WaitingForConsumers");
    assert!(account.keys(&user).await[&old.id], "the bundle still has it");

    // It goes on, and its rollout does not: somebody has to approve of the change first.
    edit(&account, json!({"suspend": false, "apply": "Approve"})).await;
    let says_so = |i: &registry_sts::api::StorageIdentity| says(i, "Rotating").2.contains("ApprovalPending");
    let waits = account.until("quay-user", "held up by an approval", says_so).await;
    assert_eq!(says(&waits, "Rotating").1, "WaitingForConsumers");
    // It is approved of, and the rollout does not come to its end.
    account.pods_start(false);
    edit(&account, json!({"apply": "Auto"})).await;
    let stuck = |i: &registry_sts::api::StorageIdentity| says(i, "Rotating").2.contains("(RollingOut)");
    let waits = account.until("quay-user", "held up by a rollout", stuck).await;
    assert!(says(&waits, "Rotating").2.contains("QuayStorage example: Quay does not run its bundle yet"));
    account.age(&user, 50).await;
    account.look("quay-user").await;
    assert!(account.keys(&user).await[&old.id], "pods still have it");
    account.pods_start(true);
    account.until_consumed("quay-user").await;
    // It had been in the Secret for two days by then, and nobody has used the old one for as long.
    account.age(&user, 50).await;
    account.until_rotating_after_look("quay-user", "OldKeyInactive").await;
}

#[tokio::test]
async fn an_old_key_that_is_missed_works_again_and_one_that_nobody_can_vouch_for_is_asked_about() {
    let (account, operator, user) = running(json!({})).await;
    let old = account.key_in("quay-user").await;
    account.rotate("quay-user").await;
    account.until_rotating("quay-user", "KeepingOldKey").await;
    account.age(&user, 25).await;
    account.until_rotating_after_look("quay-user", "OldKeyInactive").await;
    // Somebody puts the old entry back into the bundle, as an older backup does.
    let current = account.key_in("quay-user").await;
    edit(&account, json!({"suspend": true})).await;
    let config =
        account.world.config("bundle").await.replace(&current.id, &old.id).replace(&current.secret, &old.secret);
    let patch = json!({"stringData": {"config.yaml": config}});
    account.world.api::<Secret>().patch("bundle", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    account.look("quay-user").await;
    let missed = account.until_rotating("quay-user", "OldKeyStillUsed").await;
    assert!(account.keys(&user).await[&old.id]);
    assert!(says(&missed, "Rotating").2.contains("example"), "{:?}", says(&missed, "Rotating"));

    // Nobody says what runs Quay any more: so nobody can say that the old key is not used.
    edit(&account, json!({"suspend": false, "restart": []})).await;
    account
        .world
        .until("example", "without a consumer", |r| {
            is(r, "Ready", "True") && crate::harness::world::condition(r, "ConsumerCurrent").is_none()
        })
        .await;
    let asks = account.until_rotating_after_look("quay-user", "ConfirmationNeeded").await;
    let four = &old.id[old.id.len() - 4..];
    let command = format!("registry-sts.dev/retire-key={four}");
    assert!(says(&asks, "Rotating").2.contains(&command), "{:?}", says(&asks, "Rotating"));
    // What an alert goes by.
    let (_, told) =
        get(&format!("http://{}", listens(&operator, "--metrics-address").await), None, "/metrics").await.unwrap();
    let who = format!("{{namespace=\"{}\",name=\"quay-user\",reason=", account.world.namespace);
    for series in ["ready{who}\"Provisioned\"}", "rotating{who}\"ConfirmationNeeded\"}"] {
        let series = format!("registry_sts_identity_{}", series.replace("{who}", &who));
        assert_eq!(value(&told, &series), Some(1.0), "{series}: {told}");
    }
    account.annotate("quay-user", "registry-sts.dev/retire-key", four).await;
    account.age(&user, 25).await;
    account.until_rotating_after_look("quay-user", "OldKeyInactive").await;
    assert!(!account.keys(&user).await[&old.id]);
}

#[tokio::test]
async fn a_lost_secret_is_healed_by_a_rotation_while_the_registry_goes_on() {
    let (account, _operator, user) = running(json!({})).await;
    let old = account.key_in("quay-user").await;
    let probers = Probers::start(&account, "quay-user").await;
    account.world.api::<Secret>().delete("quay-user", &DeleteParams::default()).await.unwrap();
    account.look("quay-user").await;
    let is_other = |i: &registry_sts::api::StorageIdentity| {
        let keys = i.status.as_ref().map(|status| status.keys.as_slice()).unwrap_or_default();
        keys.iter().any(|key| key.state == KeyState::Current && !old.id.ends_with(&key.last_four))
    };
    account.until("quay-user", "on another key", is_other).await;
    let new = account.key_in("quay-user").await;
    account.until_consumed("quay-user").await;
    account.until_rotating_after_look("quay-user", "KeepingOldKey").await;
    account.age(&user, 25).await;
    account.until_rotating_after_look("quay-user", "OldKeyInactive").await;
    account.age(&user, 25).await;
    account.look("quay-user").await;
    account.until_settled("quay-user").await;
    assert_eq!(account.keys(&user).await.into_iter().collect::<Vec<_>>(), [(new.id.clone(), true)]);
    probers.assert_never_refused();
    let role = account.aws("get_role", json!({"RoleName": user})).await["Role"]["Arn"].as_str().unwrap().to_owned();
    assert!(assume(&account.world, &old, &role).await.is_some(), "the old key is gone");
}
