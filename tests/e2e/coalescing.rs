//! What is asked of AWS: one proof for all that ask for the same, one `AssumeRole` for all that use the same role.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use registry_sts::api::QuayStorage;
use serde_json::json;

use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::world::{World, eventually, is};

const RESOURCES: usize = 1000;
const USERS: usize = 10;
/// How many requests a test makes at the same time.
const AT_ONCE: usize = 16;

/// Users of one bucket, each with a role of its own.
async fn users(world: &World, count: usize) -> Vec<Iam> {
    let mut users: Vec<Iam> = Vec::new();
    for index in 0..count {
        let own = world.iam(&format!("user{index}")).await;
        let bucket = users.first().unwrap_or(&own).bucket.clone();
        let iam = Iam { bucket, ..own };
        world.permit(&iam, &["*"]).await;
        world.put_key(&format!("user{index}"), &iam.key).await;
        users.push(iam);
    }
    users
}

/// Makes resources that share the users in turn; each has a bundle of its own.
async fn resources(world: &World, users: &[Iam], count: usize, path: impl Fn(usize) -> String) {
    let (secrets, resources) = (world.api::<Secret>(), world.api::<QuayStorage>());
    let (secrets, resources, path) = (&secrets, &resources, &path);
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |index| async move {
            let (name, user) = (format!("r{index}"), index % users.len());
            let metadata = json!({"name": name, "namespace": world.namespace});
            let bundle = json!({"metadata": metadata, "stringData": {"config.yaml": "FEATURE_MAILING: false\n"}});
            let mut location = World::location("default", &users[user], &format!("user{user}"));
            location["storagePath"] = json!(path(index));
            let resource = json!({"apiVersion": "registry-sts.dev/v1alpha1", "kind": "QuayStorage",
                "metadata": metadata, "spec": {"configBundleSecret": name, "locations": [location]}});
            let params = PostParams::default();
            secrets.create(&params, &serde_json::from_value(bundle).unwrap()).await.unwrap();
            resources.create(&params, &serde_json::from_value(resource).unwrap()).await.unwrap();
        })
        .await;
}

async fn until_all_are_ready(world: &World, count: usize) {
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    let looks = async {
        loop {
            ticks.tick().await;
            let listed = world.api::<QuayStorage>().list(&ListParams::default()).await.unwrap();
            if listed.items.iter().filter(|resource| is(resource, "Ready", "True")).count() == count {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(3), looks).await.expect("not all became ready");
}

#[tokio::test]
async fn a_thousand_resources_over_ten_users_and_roles_cost_ten_calls_of_assume_role() {
    let world = World::granted().await;
    let users = users(&world, USERS).await;
    resources(&world, &users, RESOURCES, |_| "/datastorage".into()).await;
    let _operator = Operator::start(&world).await;
    until_all_are_ready(&world, RESOURCES).await;
    for iam in &users {
        assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, 1, "{}", iam.user);
    }
}

/// By hand, because the shortest interval is five minutes: `cargo test --test e2e -- --ignored interval`.
#[tokio::test]
#[ignore = "it takes eleven minutes"]
async fn in_every_interval_each_role_is_assumed_once_however_many_proofs_need_it() {
    let world = World::granted().await;
    let users = users(&world, USERS).await;
    let path = |index: usize| format!("/registry-{}", index / 2);
    resources(&world, &users, 4 * USERS, path).await;
    let often = json!({"spec": {"verification": {"interval": "5m"}}});
    for index in 0..4 * USERS {
        let (name, params) = (format!("r{index}"), PatchParams::default());
        world.api::<QuayStorage>().patch(&name, &params, &Patch::Merge(&often)).await.unwrap();
    }
    let _operator = Operator::start(&world).await;
    until_all_are_ready(&world, 4 * USERS).await;
    // The second and the third time come in the last tenth of each interval.
    for (minutes, times) in [(0, 1), (5, 2), (5, 3)] {
        tokio::time::sleep(Duration::from_mins(minutes)).await;
        for iam in &users {
            assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, times, "{}", iam.user);
        }
    }
}

#[tokio::test]
async fn proofs_of_different_paths_share_the_credentials_of_a_role() {
    let world = World::granted().await;
    let users = users(&world, 2).await;
    resources(&world, &users, 12, |index| format!("/registry-{index}")).await;
    let _operator = Operator::start(&world).await;
    until_all_are_ready(&world, 12).await;
    for iam in &users {
        assert_eq!(world.plane.assume_role_calls(&iam.key.id).await, 1, "{}", iam.user);
    }
    let bucket = &users[0].bucket;
    eventually("nothing is left in the bucket", || async {
        let listed = world.plane.aws("s3", "list_objects_v2", json!({"Bucket": bucket})).await;
        let uploads = world.plane.aws("s3", "list_multipart_uploads", json!({"Bucket": bucket})).await;
        (listed["Contents"].is_null() && uploads["Uploads"].is_null()).then_some(())
    })
    .await;
}
