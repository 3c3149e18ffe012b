//! The main job: prove, then write, and change only what is ours.

use crate::harness::audit::until_quiet;
use crate::harness::iam::Iam;
use crate::harness::operator::{Operator, ready_world};
use crate::harness::world::{World, condition, eventually, is};

const CONFIG: &str = "\
# The registry of team blue.
DATABASE_SECRET_KEY: \"12345678901234567890\"   # never changes
DB_URI: postgresql://quay:hunter2-of-the-database@db/quay
DISTRIBUTED_STORAGE_CONFIG:
  # the old cluster, read only
  archive:
    - RadosGWStorage
    - {hostname: ceph.example.com, is_secure: true, bucket_name: archive, storage_path: /a, access_key: x, secret_key: y}
  # end of locations
DISTRIBUTED_STORAGE_PREFERENCE: [archive]
DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: [archive]
FEATURE_MAILING: false
";

#[tokio::test]
async fn several_locations_of_a_new_resource_are_written_at_once() {
    let world = World::granted().await;
    let (one, two) = (world.iam("one").await, world.iam("two").await);
    world.put_bundle("bundle", CONFIG).await;
    world.put_key("one-user", &one.key).await;
    world.put_key("two-user", &two.key).await;
    let operator = Operator::start(&world).await;
    let locations = [World::location("one", &one, "one-user"), World::location("two", &two, "two-user")];
    let spec = serde_json::json!({"configBundleSecret": "bundle", "locations": locations, "replicate": true});
    world.put_resource_spec("example", spec).await;
    world.until_ready("example").await;
    let asked = until_quiet(&world, &operator.credential).await;
    assert_eq!(asked.iter().filter(|r| r.resource == "secrets" && r.is_write()).count(), 1, "each write restarts Quay");
    let config = world.config("bundle").await;
    assert!(config.contains("DISTRIBUTED_STORAGE_PREFERENCE: [archive, \"one\", \"two\"]\n"), "{config}");
    assert!(config.contains("DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: [archive, \"one\", \"two\"]\n"), "{config}");
}

#[tokio::test]
async fn a_rotated_key_that_locations_share_is_written_once() {
    let world = World::granted().await;
    let (one, two) = (world.iam("one").await, world.iam("two").await);
    // One user, two roles: one key, two proofs.
    world.allow_assume_role(&Iam { user: one.user.clone(), ..two.clone() }).await;
    world.trust(&two, &one.user).await;
    world.put_bundle("bundle", CONFIG).await;
    world.put_key("user", &one.key).await;
    let operator = Operator::start(&world).await;
    let locations = [World::location("one", &one, "user"), World::location("two", &two, "user")];
    world.put_resource("example", "bundle", &locations).await;
    world.until_ready("example").await;
    let from = until_quiet(&world, &operator.credential).await.len();
    let key = world.new_key(&one.user).await;
    world.put_key("user", &key).await;
    eventually("both have the new key", || async {
        (world.config("bundle").await.matches(&key.id).count() == 2).then_some(())
    })
    .await;
    let asked = until_quiet(&world, &operator.credential).await;
    let writes = asked[from..].iter().filter(|r| r.resource == "secrets" && r.is_write()).count();
    assert_eq!(writes, 1, "each write restarts Quay");
}

#[tokio::test]
async fn a_proven_role_is_written_and_every_other_byte_is_as_it_was() {
    let (world, iam, operator) = ready_world(CONFIG).await;
    let ready = world.until_ready("example").await;
    assert!(is(&ready, "RoleProven", "True") && is(&ready, "BundleCurrent", "True"));
    assert!(is(&ready, "StorageProven", "True"));
    assert_eq!(condition(&ready, "Reconciling"), None);
    assert_eq!(condition(&ready, "Stalled"), None);
    assert_eq!(ready.status.as_ref().unwrap().summary.as_deref(), Some("1/1"));

    let entry = format!(
        "  \"default\":
    - \"STSS3Storage\"
    - sts_role_arn: \"{}\"
      s3_bucket: \"{}\"
      storage_path: \"/datastorage\"
      s3_region: \"us-east-1\"
      sts_user_access_key: \"{}\"
      sts_user_secret_key: \"{}\"
",
        iam.role_arn, iam.bucket, iam.key.id, iam.key.secret
    );
    let expected = CONFIG
        .replace("  # end of locations\n", &format!("{entry}  # end of locations\n"))
        .replace("PREFERENCE: [archive]", "PREFERENCE: [archive, \"default\"]");
    let found = world.config("bundle").await;
    assert_eq!(found.replace(&iam.key.secret, "***"), expected.replace(&iam.key.secret, "***"));
    assert_eq!(world.bundle("bundle").await.data.unwrap()["ssl.cert"].0, b"not ours");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
