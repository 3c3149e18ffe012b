//! Roles that lack one permission: each is told by its step, nothing is written, and it heals when the permission comes.

use crate::harness::operator::Operator;
use crate::harness::world::{World, is, message};
use futures::future::join_all;
use serde_json::json;

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";
/// All that Quay needs.
const ACTIONS: [&str; 7] = [
    "s3:ListBucket",
    "s3:GetBucketLocation",
    "s3:ListBucketMultipartUploads",
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
];

#[tokio::test]
async fn a_permission_that_is_missing_is_named_and_nothing_is_written_until_it_is_there() {
    let world = World::granted().await;
    let operator = Operator::start(&world).await;
    let rows = [
        ("location", "s3:GetBucketLocation", "LocationDenied", "when a pod starts"),
        ("uploads", "s3:ListBucketMultipartUploads", "MultipartDenied", "s3:ListBucketMultipartUploads"),
        ("put", "s3:PutObject", "PutDenied", "s3:PutObject"),
        ("get", "s3:GetObject", "GetDenied", "s3:GetObject"),
        ("abort", "s3:AbortMultipartUpload", "MultipartDenied", "s3:AbortMultipartUpload"),
        ("list", "s3:ListBucket", "ListDenied", "s3:ListBucket"),
        ("delete", "s3:DeleteObject", "DeleteDenied", "s3:DeleteObject"),
    ];
    join_all(rows.map(|(name, lacks, reason, says)| {
        let world = &world;
        async move {
            let iam = world.iam(name).await;
            let granted: Vec<&str> = ACTIONS.into_iter().filter(|action| *action != lacks).collect();
            world.permit(&iam, &granted).await;
            let key = format!("{name}-key");
            world.put_key(&key, &iam.key).await;
            let before = world.put_bundle(name, CONFIG).await;
            world.put_resource(name, name, &[World::location("default", &iam, &key)]).await;

            let refused = world.until_reason(name, reason).await;
            assert!(is(&refused, "RoleProven", "True") && is(&refused, "StorageProven", "False"), "{name}");
            assert!(is(&refused, "Reconciling", "True"), "{name}");
            let told = message(&refused, "Ready");
            assert!(
                told.contains(says) && told.contains(&iam.role_arn) && told.contains(&iam.bucket),
                "{name}: {told}"
            );
            assert_eq!(world.bundle(name).await.metadata.resource_version, before.metadata.resource_version, "{name}");
            let left = world.plane.aws("s3", "list_objects_v2", json!({"Bucket": iam.bucket})).await;
            assert!(left["Contents"].is_null(), "{name}: {left}");

            world.permit(&iam, &ACTIONS).await;
            world.until_ready(name).await;
            assert!(world.config(name).await.contains("STSS3Storage"), "{name}");
        }
    }))
    .await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_said_so_and_heals_when_it_is_created() {
    let world = World::granted().await;
    let mut iam = world.iam("a").await;
    iam.bucket = format!("{}-absent", world.namespace);
    world.permit(&iam, &ACTIONS).await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let _operator = Operator::start(&world).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    let missing = world.until_reason("example", "BucketMissing").await;
    assert!(message(&missing, "Ready").contains(&iam.bucket), "{}", message(&missing, "Ready"));
    assert_eq!(world.config("bundle").await, CONFIG);
    world.plane.aws("s3", "create_bucket", json!({"Bucket": iam.bucket})).await;
    world.until_ready("example").await;
}

#[tokio::test]
async fn of_a_bucket_that_keeps_versions_the_rule_that_keeps_it_clean_is_told() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    let args = json!({"Bucket": iam.bucket, "VersioningConfiguration": {"Status": "Enabled"}});
    world.plane.aws("s3", "put_bucket_versioning", args).await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let _operator = Operator::start(&world).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    let ready = world.until_ready("example").await;
    let rule = r#""Filter":{"Prefix":"datastorage/.registry-sts/"},"NoncurrentVersionExpiration":{"NoncurrentDays":1}"#;
    assert!(message(&ready, "StorageProven").contains(rule), "{}", message(&ready, "StorageProven"));
    let current = world.plane.aws("s3", "list_objects_v2", json!({"Bucket": iam.bucket})).await;
    assert!(current["Contents"].is_null(), "{current}");
}
