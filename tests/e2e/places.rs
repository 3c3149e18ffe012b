//! A live location is never moved without consent.

use serde_json::json;

use crate::harness::operator::Operator;
use crate::harness::world::{World, is, message};

#[tokio::test]
async fn another_place_than_the_bundles_is_not_written_until_somebody_consents() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    let config = "DISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - S3Storage\n    - {s3_bucket: the-old-bucket, storage_path: /registry, s3_access_key: x, s3_secret_key: y}\nDISTRIBUTED_STORAGE_PREFERENCE: [default]\n";
    let before = world.put_bundle("bundle", config).await;
    let operator = Operator::start(&world).await;
    let mut location = World::location("default", &iam, "quay-user");
    world.put_resource("example", "bundle", std::slice::from_ref(&location)).await;

    let stalled = world.until_reason("example", "WouldMoveData").await;
    assert!(is(&stalled, "Ready", "False") && is(&stalled, "Stalled", "True") && is(&stalled, "RoleProven", "True"));
    let consent = format!("{}/datastorage", iam.bucket);
    let message = message(&stalled, "Ready");
    for word in ["the-old-bucket/registry/", &consent, "acceptPlace"] {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, before.metadata.resource_version);

    location["acceptPlace"] = json!(consent);
    world.put_resource("example", "bundle", &[location]).await;
    world.until_ready("example").await;
    assert!(!world.config("bundle").await.contains("the-old-bucket"));
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn the_same_place_under_static_keys_migrates() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    let config = format!(
        "DISTRIBUTED_STORAGE_CONFIG:\n    default:\n    - S3Storage\n    - host: s3.us-east-1.amazonaws.com\n      s3_access_key: AKIAOLD\n      s3_secret_key: old\n      s3_bucket: {}\n      storage_path: datastorage/\nDISTRIBUTED_STORAGE_PREFERENCE:\n- default\n",
        iam.bucket
    );
    world.put_bundle("bundle", &config).await;
    let _operator = Operator::start(&world).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    world.until_ready("example").await;
    let migrated = world.config("bundle").await;
    assert!(migrated.contains("\"STSS3Storage\"") && !migrated.contains("AKIAOLD"), "{migrated}");
    assert!(migrated.ends_with("DISTRIBUTED_STORAGE_PREFERENCE:\n- default\n"), "{migrated}");
}

#[tokio::test]
async fn an_endpoint_that_the_administrator_has_not_allowed_is_refused_and_an_allowed_one_is_written() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", "FEATURE_MAILING: false\n").await;
    let mut location = World::location("default", &iam, "quay-user");
    location.as_object_mut().unwrap().remove("region");
    // The AWS peer stands in for something else that speaks S3 and STS.
    let url = world.plane.info("aws");
    location["endpointUrl"] = json!(url);

    let fenced = Operator::start(&world).await;
    world.put_resource("example", "bundle", std::slice::from_ref(&location)).await;
    let stalled = world.until_reason("example", "EndpointNotAllowed").await;
    assert!(is(&stalled, "Stalled", "True"));
    assert!(message(&stalled, "Ready").contains(&format!("--allow-endpoint={url}")));
    assert_eq!(world.config("bundle").await, "FEATURE_MAILING: false\n");
    drop(fenced);

    let spelled_otherwise = format!("{}/", url.replace("http", "HTTP"));
    let _allowed = Operator::start_with(&world, url, &["--allow-endpoint", &spelled_otherwise]).await;
    world.until_ready("example").await;
    let config = world.config("bundle").await;
    assert!(config.contains(&format!("endpoint_url: \"{url}\"")) && !config.contains("s3_region"), "{config}");
}
