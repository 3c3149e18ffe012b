//! What RBAC does not grant is a reason that names the command which grants it, and the grant heals without a nudge.

use serde_json::{Value, json};

use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::world::{World, apply, eventually, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

fn rule(verbs: &[&str], names: &[&str]) -> Value {
    json!({"apiGroups": [""], "resources": ["secrets"], "verbs": verbs, "resourceNames": names})
}

/// Grants less than deploy/ does.
async fn grant_part(world: &World, rules: &Value) {
    let metadata = json!({"name": "part", "namespace": world.namespace});
    let role =
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "part"},
        "subjects": [{"kind": "ServiceAccount", "name": "registry-sts", "namespace": "registry-sts"}]});
    apply(&world.admin, &role).await;
    apply(&world.admin, &binding).await;
}

/// A resource that is named as its bundle is.
async fn put(world: &World, name: &str, iam: &Iam, key_secret: &str) {
    world.put_resource(name, name, &[World::location("default", iam, key_secret)]).await;
}

#[tokio::test]
async fn without_a_grant_the_reason_names_the_command_that_grants_it_and_the_grant_heals() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let operator = Operator::start(&world).await;
    put(&world, "bundle", &iam, "quay-user").await;
    let command = format!(
        "kubectl -n {} create rolebinding registry-sts-bundle --clusterrole=registry-sts-bundle --serviceaccount=registry-sts:registry-sts",
        world.namespace
    );
    let failed = world.until_reason("bundle", "KeySecretForbidden").await;
    assert!(is(&failed, "Reconciling", "True"));
    assert!(message(&failed, "Ready").contains(&command), "{}", message(&failed, "Ready"));
    assert!(message(&failed, "BundleCurrent").contains(&command), "{}", message(&failed, "BundleCurrent"));
    assert_eq!(world.config("bundle").await, CONFIG);

    world.grant().await;
    world.until_ready("bundle").await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_bundle_that_may_be_read_but_not_changed_has_its_reason_and_the_grant_heals() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    grant_part(&world, &json!([rule(&["get", "list", "watch"], &[])])).await;
    let _operator = Operator::start(&world).await;
    put(&world, "bundle", &iam, "quay-user").await;
    let failed = world.until_reason("bundle", "BundleForbidden").await;
    assert!(is(&failed, "RoleProven", "True") && is(&failed, "Reconciling", "True"));
    assert!(message(&failed, "Ready").contains("kubectl -n "), "{}", message(&failed, "Ready"));
    assert_eq!(world.config("bundle").await, CONFIG);
    // No watch tells of a grant: it is tried again.
    world.grant().await;
    world.until_ready("bundle").await;
}

#[tokio::test]
async fn a_key_that_may_not_be_read_while_the_bundle_may_heals_with_the_grant() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    grant_part(&world, &json!([rule(&["list", "watch"], &[]), rule(&["get", "patch"], &["bundle"])])).await;
    let _operator = Operator::start(&world).await;
    put(&world, "bundle", &iam, "quay-user").await;
    world.until_reason("bundle", "KeySecretForbidden").await;
    world.grant().await;
    world.until_ready("bundle").await;
}

#[tokio::test]
async fn a_grant_that_is_taken_away_and_given_back_changes_no_bundle() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let operator = Operator::start(&world).await;
    put(&world, "bundle", &iam, "quay-user").await;
    world.until_ready("bundle").await;
    let version = world.bundle("bundle").await.metadata.resource_version;
    drop(operator);
    world.revoke().await;
    let _operator = Operator::start(&world).await;
    world.until_reason("bundle", "KeySecretForbidden").await;
    world.grant().await;
    world.until_ready("bundle").await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, version);
}

#[tokio::test]
async fn where_secrets_may_not_be_watched_changes_are_seen_late_and_status_says_so() {
    let world = World::new().await;
    let iam = world.iam("a").await;
    world.put_bundle("bundle", CONFIG).await;
    grant_part(&world, &json!([rule(&["get", "patch"], &[])])).await;
    let _operator = Operator::start(&world).await;
    put(&world, "bundle", &iam, "quay-user").await;
    world.until_reason("bundle", "KeySecretMissing").await;
    world.put_key("quay-user", &iam.key).await;
    let ready = world.until_reason("bundle", "SecretsUnwatched").await;
    assert!(is(&ready, "Ready", "True"));
    assert!(message(&ready, "Ready").contains("kubectl -n "), "{}", message(&ready, "Ready"));
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    eventually("the rotated key is written", || async { world.config("bundle").await.contains(&key.id).then_some(()) })
        .await;
    world.grant().await;
    world.until_reason("bundle", "ProvenAndWritten").await;
}
