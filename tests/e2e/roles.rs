//! Roles and keys that do not work: what is said, that the bundle is untouched, and that it heals by itself.

use crate::harness::iam::{Iam, Key};
use crate::harness::operator::Operator;
use crate::harness::world::{World, condition, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// Creates a resource that fails with `reason`, asserts all that a failure has to say, and returns the operator.
async fn fails(world: &World, key: &Key, iam: &Iam, reason: &str, says: &[&str]) -> Operator {
    world.put_key("quay-user", key).await;
    let before = world.put_bundle("bundle", CONFIG).await;
    let operator = Operator::start(world).await;
    world.put_resource("example", "bundle", &[World::location("default", iam, "quay-user")]).await;

    let failed = world.until_reason("example", reason).await;
    assert!(is(&failed, "Ready", "False") && is(&failed, "RoleProven", "False"));
    assert_eq!(condition(&failed, "RoleProven").unwrap()["reason"], reason);
    assert!(is(&failed, "Reconciling", "True"), "it is tried again");
    assert_eq!(condition(&failed, "Stalled"), None);
    let message = message(&failed, "Ready");
    for word in says {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert!(message.contains(&iam.role_arn) && message.contains("location \"default\""), "{message}");
    let after = world.bundle("bundle").await;
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version, "the bundle was touched");
    operator
}

async fn healed(world: &World, operator: &Operator) {
    world.until_ready("example").await;
    assert!(world.config("bundle").await.contains("STSS3Storage"));
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_said_so_and_heals_without_a_nudge() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.deny_assume_role(&iam).await;
    let says = ["AWS answered AccessDenied", "does not exist", "spelled", "trust policy", "ExternalId"];
    let operator = fails(&world, &iam.key, &iam, "RoleNotAssumable", &says).await;
    world.allow_assume_role(&iam).await;
    healed(&world, &operator).await;
}

#[tokio::test]
async fn an_access_key_that_aws_does_not_know_is_said_so_and_heals_when_the_secret_changes() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.delete_key(&iam.user, &iam.key).await;
    let says = ["AWS answered InvalidClientTokenId", "inactive", &iam.key.id[iam.key.id.len() - 4..]];
    let operator = fails(&world, &iam.key, &iam, "UnknownAccessKey", &says).await;
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    healed(&world, &operator).await;
    assert!(world.config("bundle").await.contains(&key.id));
}

#[tokio::test]
async fn a_wrong_secret_access_key_is_said_so_and_heals_when_the_secret_changes() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    let wrong = Key { id: iam.key.id.clone(), secret: "wrong/wrong/wrong/wrong/wrong/wrong+wron".into() };
    let says = ["AWS answered SignatureDoesNotMatch", "Put both parts of the same access key"];
    let operator = fails(&world, &wrong, &iam, "WrongSecretKey", &says).await;
    world.put_key("quay-user", &iam.key).await;
    healed(&world, &operator).await;
}

#[tokio::test]
async fn of_two_locations_the_proven_one_is_written_and_the_broken_one_keeps_its_old_entry() {
    let world = World::granted().await;
    let (good, bad) = (world.iam("good").await, world.iam("bad").await);
    world.deny_assume_role(&bad).await;
    world.put_key("good-user", &good.key).await;
    world.put_key("bad-user", &bad.key).await;
    let old = format!(
        "  broken:\n    - STSS3Storage\n    - sts_role_arn: {}\n      s3_bucket: {}\n      storage_path: /datastorage\n      s3_region: us-east-1\n      sts_user_access_key: OLDKEY\n      sts_user_secret_key: old\n",
        bad.role_arn, bad.bucket
    );
    world
        .put_bundle("bundle", &format!("DISTRIBUTED_STORAGE_CONFIG:\n{old}DISTRIBUTED_STORAGE_PREFERENCE: []\n"))
        .await;
    let operator = Operator::start(&world).await;
    let locations = [World::location("broken", &bad, "bad-user"), World::location("good", &good, "good-user")];
    let spec = serde_json::json!({"configBundleSecret": "bundle", "locations": locations, "replicate": true});
    world.put_resource_spec("example", spec).await;

    let failed = world.until_reason("example", "RoleNotAssumable").await;
    assert_eq!(failed.status.as_ref().unwrap().summary.as_deref(), Some("1/2"));
    let config = world.config("bundle").await;
    assert!(config.contains(&old) && config.contains(&good.role_arn), "{config}");
    let lists = "DISTRIBUTED_STORAGE_PREFERENCE: []\nDISTRIBUTED_STORAGE_DEFAULT_LOCATIONS:";
    assert!(config.contains(lists), "{config}");

    // And it is kept right while the other is broken: a new key of the good one is written.
    let key = world.new_key(&good.user).await;
    world.put_key("good-user", &key).await;
    crate::harness::world::eventually("the good location has its new key", || async {
        let config = world.config("bundle").await;
        (config.contains(&key.id) && config.contains(&old)).then_some(())
    })
    .await;

    world.allow_assume_role(&bad).await;
    world.until_ready("example").await;
    let config = world.config("bundle").await;
    assert!(!config.contains("OLDKEY") && config.contains(&bad.key.id), "{config}");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
