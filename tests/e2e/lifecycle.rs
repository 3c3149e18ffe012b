//! The process: how it starts again, waits for AWS, and treats what it cannot read or must not touch.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::harness::audit::{requests, until_quiet, until_quiet_for};
use crate::harness::operator::{Operator, ready_world};
use crate::harness::world::{World, condition, eventually, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// An AWS that takes every connection and never says anything.
fn silent_aws() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn after_a_restart_nothing_is_asked_of_aws_nor_written_until_there_is_something_to_write() {
    let (world, iam, mut first) = ready_world(CONFIG).await;
    let before = world.until_ready("example").await;
    until_quiet(&world, &first.credential).await;
    first.ends_gracefully().await;
    let bundle = world.bundle("bundle").await.metadata.resource_version;

    let second = Operator::start(&world).await;
    eventually("the bundle is looked at", || async {
        requests(&world, &second.credential).iter().any(|r| r.verb == "get" && r.resource == "secrets").then_some(())
    })
    .await;
    let asked = until_quiet(&world, &second.credential).await;
    let writes: Vec<_> = asked.iter().filter(|r| r.is_write() && r.resource != "selfsubjectreviews").collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, bundle);
    assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, 1, "a young proof will do");
    let after = world.until_ready("example").await;
    assert_eq!(condition(&after, "Ready"), condition(&before, "Ready"));

    // What is written is proven by the process that writes it.
    let written = world.config("bundle").await;
    let data = json!({"stringData": {"config.yaml": CONFIG}});
    let secrets = world.api::<Secret>();
    secrets.patch("bundle", &PatchParams::default(), &Patch::Merge(&data)).await.unwrap();
    eventually("the entry stands again", || async { (world.config("bundle").await == written).then_some(()) }).await;
    assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, 2);
}

#[tokio::test]
async fn a_silent_aws_is_announced_and_neither_stops_other_resources_nor_the_process() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let (_listener, url) = silent_aws();
    let mut operator = Operator::start_with(&world, &url, &[]).await;
    // More than are passed over at the same time, each with a role of its own to prove.
    for i in 0..40 {
        let mut location = World::location("default", &iam, "quay-user");
        location["roleArn"] = json!(format!("{}-{i}", iam.role_arn));
        world.put_resource(&format!("waits-{i}"), "bundle", &[location]).await;
    }
    let started = Instant::now();
    let other = World::location("other", &iam, "no-such-secret");
    world.put_resource("other", "bundle", &[other]).await;
    world.until_reason("other", "KeySecretMissing").await;
    assert!(started.elapsed() < Duration::from_secs(5), "it took {:?}", started.elapsed());

    let pending = world.until_reason("waits-39", "ProofPending").await;
    assert!(is(&pending, "Ready", "Unknown") && is(&pending, "Reconciling", "True"));
    assert!(is(&pending, "RoleProven", "Unknown"));
    assert_eq!(world.config("bundle").await, CONFIG);

    operator.ends_gracefully().await;
}

#[tokio::test]
async fn a_restart_while_aws_is_silent_leaves_a_proven_registry_ready() {
    let (world, _iam, mut first) = ready_world(CONFIG).await;
    let before = world.until_ready("example").await;
    first.ends_gracefully().await;
    world.make_proof_old("example").await;
    let (listener, url) = silent_aws();
    drop(listener);
    let _second = Operator::start_with(&world, &url, &[]).await;
    let stale = world.until_reason("example", "ProofStale").await;
    assert!(is(&stale, "Ready", "True") && is(&stale, "RoleProven", "True"));
    let time = |condition: serde_json::Value| condition["lastTransitionTime"].clone();
    assert_eq!(time(condition(&stale, "Ready").unwrap()), time(condition(&before, "Ready").unwrap()));
}

#[tokio::test]
async fn what_aws_has_refused_is_not_proven_by_a_restart_while_it_is_silent() {
    let (world, iam, mut first) = ready_world(CONFIG).await;
    // Another key of the same user, which may no longer assume the role: refused, with a proof of before in status.
    world.deny_assume_role(&iam).await;
    world.put_key("quay-user", &world.new_key(&iam.user).await).await;
    world.until_reason("example", "RoleNotAssumable").await;
    first.ends_gracefully().await;
    let (listener, url) = silent_aws();
    drop(listener);
    let _second = Operator::start_with(&world, &url, &[]).await;
    let refused = world.until_reason("example", "AwsUnreachable").await;
    assert!(is(&refused, "Ready", "False") && is(&refused, "RoleProven", "False"));
}

#[tokio::test]
async fn an_aws_that_cannot_be_reached_has_a_reason_and_heals() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let (listener, url) = silent_aws();
    drop(listener);
    let unreachable = Operator::start_with(&world, &url, &[]).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    let failed = world.until_reason("example", "AwsUnreachable").await;
    assert!(is(&failed, "Reconciling", "True"));
    assert!(message(&failed, "Ready").contains("there was no connection"), "{}", message(&failed, "Ready"));
    assert_eq!(world.config("bundle").await, CONFIG);
    drop(unreachable);
    let _reachable = Operator::start(&world).await;
    world.until_ready("example").await;
}

/// Puts an object into etcd as an older version of the schema might have let it in.
fn put_past_the_schema(world: &World, object: &Value) {
    let name = object["metadata"]["name"].as_str().unwrap();
    let key = format!("/registry/registry-sts.dev/quaystorages/{}/{name}", world.namespace);
    let body = json!({"key": BASE64.encode(key), "value": BASE64.encode(object.to_string())}).to_string();
    let address = world.plane.info("etcd").strip_prefix("http://").unwrap();
    let mut etcd = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    etcd.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    etcd.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn stored(world: &World, name: &str, uid: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "registry-sts.dev/v1alpha1", "kind": "QuayStorage", "spec": spec,
        "metadata": {"name": name, "namespace": world.namespace, "uid": uid, "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z"},
    })
}

#[tokio::test]
async fn an_object_that_cannot_be_decoded_is_reported_and_does_not_stop_the_others() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let undecodable = json!({"configBundleSecret": 7, "locations": "none"});
    put_past_the_schema(&world, &stored(&world, "alien", "00000000-0000-0000-0000-000000000001", &undecodable));
    let mut location = World::location("odd", &iam, "quay-user");
    location["roleArn"] = json!("example-role");
    let odd = json!({"configBundleSecret": "bundle", "locations": [location]});
    put_past_the_schema(&world, &stored(&world, "odd", "00000000-0000-0000-0000-000000000002", &odd));
    let operator = Operator::start(&world).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    world.until_ready("example").await;

    let role = world.until_reason("odd", "InvalidRoleArn").await;
    assert!(is(&role, "Stalled", "True"));
    assert!(message(&role, "Ready").contains("\"example-role\" is not an ARN"), "{}", message(&role, "Ready"));

    // The API server takes no status for an object that its own schema refuses; an Event it does take.
    let event = eventually("the alien is reported on", || async {
        let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
        events.items.into_iter().find(|e| e.regarding.as_ref().is_some_and(|o| o.name.as_deref() == Some("alien")))
    })
    .await;
    assert_eq!((event.type_.as_deref(), event.reason.as_deref()), (Some("Warning"), Some("InvalidSpec")));
    assert!(event.note.unwrap().contains("cannot be read as a QuayStorage"));
    until_quiet_for(&world, &operator.credential, Duration::from_secs(6)).await;
}

/// Begins the end of the world's namespace. It goes no further, whether or not a namespace controller runs: that leaves
/// alone what it takes to be emptied already.
async fn begin_the_end_of_the_namespace(world: &World) {
    let namespaces: Api<Namespace> = Api::all(world.admin.clone());
    let mut namespace = namespaces.get(&world.namespace).await.unwrap();
    namespace.spec.as_mut().unwrap().finalizers = None;
    let params = PostParams::default();
    let _: Namespace = namespaces.replace_subresource("finalize", &world.namespace, &params, &namespace).await.unwrap();
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    let ending = namespaces.get(&world.namespace).await.unwrap();
    assert_eq!(ending.status.unwrap().phase.as_deref(), Some("Terminating"));
}

#[tokio::test]
async fn nothing_is_written_into_a_namespace_that_is_being_deleted_and_nothing_is_tried_again_and_again() {
    let (world, iam, operator) = ready_world(CONFIG).await;
    until_quiet(&world, &operator.credential).await;

    begin_the_end_of_the_namespace(&world).await;
    // The operator hears of it on a watch of its own; a change that it would answer comes once it has.
    let from = until_quiet(&world, &operator.credential).await.len();
    let bundle = world.bundle("bundle").await.metadata.resource_version;
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    world.api::<Secret>().delete("quay-user", &DeleteParams::default()).await.unwrap();
    let asked = until_quiet_for(&world, &operator.credential, Duration::from_secs(5)).await;
    assert_eq!(asked.get(from..), Some(&[][..]), "nothing is asked of a namespace that ends");
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, bundle);
    assert_eq!(requests(&world, &operator.credential).iter().filter(|r| r.code == 403).count(), 0);
}
