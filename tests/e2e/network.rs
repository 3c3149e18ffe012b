//! How AWS and other endpoints are reached: through a proxy, with certificates of one's own, at allowed addresses.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::harness::operator::Operator;
use crate::harness::world::{World, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// A world with one resource that nobody looks after yet.
async fn waiting_world(endpoint_url: Option<&str>) -> World {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let mut location = World::location("default", &iam, "quay-user");
    if let Some(url) = endpoint_url {
        location.as_object_mut().unwrap().remove("region");
        location["endpointUrl"] = json!(url);
    }
    world.put_resource("example", "bundle", &[location]).await;
    world
}

#[tokio::test]
async fn aws_is_reached_through_the_proxy_of_the_environment_and_the_verdict_says_so() {
    let world = waiting_world(None).await;
    // The peer takes requests as a proxy does; the hosts have no address.
    let proxy = world.plane.info("aws");
    let variables = [
        ("HTTP_PROXY", proxy),
        ("AWS_ENDPOINT_URL_S3", "http://s3.us-east-1.amazonaws.com.invalid"),
        ("AWS_ENDPOINT_URL_STS", "http://sts.amazonaws.com.invalid"),
    ];
    let _operator = Operator::start_with_variables(&world, "http://127.0.0.1:1", &variables).await;
    let ready = world.until_ready("example").await;
    let through = format!("It was proven through the proxy {}.", proxy.strip_prefix("http://").unwrap());
    assert!(message(&ready, "StorageProven").ends_with(&through), "{}", message(&ready, "StorageProven"));
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_trusted_where_it_is_named() {
    let world = waiting_world(None).await;
    // Something that is not AWS, with a certificate that only its own authority vouches for: the API server.
    let server = world.plane.info("server");
    let distrusting = Operator::start_with(&world, server, &[]).await;
    let failed = world.until_reason("example", "AwsUnreachable").await;
    assert!(message(&failed, "Ready").contains("there was no connection"), "{}", message(&failed, "Ready"));
    drop(distrusting);
    let _trusting = Operator::start_with(&world, server, &["--ca-file", world.plane.info("ca_file")]).await;
    world.until("example", "answered", |r| message(r, "Ready").contains("without an error code of AWS")).await;
}

#[tokio::test]
async fn an_allowed_endpoint_is_dialled_only_at_an_address_that_is_allowed() {
    let port = World::new().await.plane.info("aws").rsplit(':').next().unwrap().to_owned();
    let url = format!("http://localhost:{port}");
    let world = waiting_world(Some(&url)).await;
    let aws = world.plane.info("aws");
    let fenced = Operator::start_with(&world, aws, &["--allow-endpoint", &url]).await;
    let refused = world.until_reason("example", "AddressNotAllowed").await;
    assert!(is(&refused, "RoleProven", "True") && is(&refused, "StorageProven", "False"));
    assert!(message(&refused, "Ready").contains("--allow-network"), "{}", message(&refused, "Ready"));
    assert_eq!(world.config("bundle").await, CONFIG);
    drop(fenced);

    let flags = ["--allow-endpoint", &url, "--allow-network", "127.0.0.0/8", "--allow-network", "::1/128"];
    let _allowed = Operator::start_with(&world, aws, &flags).await;
    world.until_ready("example").await;
    assert!(world.config("bundle").await.contains(&format!("endpoint_url: \"{url}\"")));
}

#[tokio::test]
async fn an_endpoint_is_reached_with_the_certificates_of_the_registrys_own_bundle() {
    let server = World::new().await.plane.info("server").to_owned();
    let world = waiting_world(Some(&server)).await;
    // Something that does not speak S3, with a certificate that only its own authority vouches for: the API server.
    let _operator = Operator::start_with(&world, world.plane.info("aws"), &["--allow-endpoint", &server]).await;
    let failed = world.until_reason("example", "AwsUnreachable").await;
    assert!(message(&failed, "Ready").contains("HeadBucket") && is(&failed, "RoleProven", "True"));
    assert!(message(&failed, "Ready").contains("there was no connection"), "{}", message(&failed, "Ready"));

    let authority = std::fs::read_to_string(world.plane.info("ca_file")).unwrap();
    let patch = json!({"stringData": {"extra_ca_cert_test.crt": authority, "extra_ca_cert_broken.crt": "not one"}});
    world.api::<Secret>().patch("bundle", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    world.until("example", "answered", |r| message(r, "Ready").contains("the answer was HTTP 403")).await;
    assert_eq!(world.config("bundle").await, CONFIG);
}
