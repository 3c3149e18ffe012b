//! The operator is killed at any moment while what stands in a bundle is kept, written over, and put back.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams};
use registry_sts::api::QuayStorage;
use serde_json::json;

use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::verb::left_in;
use crate::harness::world::{World, eventually, is};
use crate::kills::random;
use crate::outages::undisturbed;
use crate::stored;

const TIMES: u64 = 4;
/// No process lives longer, but for the last of a time.
const LONGEST: Duration = Duration::from_millis(1500);
/// After so many kills one lives on, so that a time ends.
const KILLS: usize = 4;

/// A bundle as it was set up years ago, with a key that opens the bucket by itself.
async fn old_config(world: &World, iam: &Iam) -> String {
    let (_, key) = world.user_without_role(iam).await;
    format!(
        "# of team blue\nDISTRIBUTED_STORAGE_CONFIG:\n  default:\n    - S3Storage\n    - s3_bucket: {}  # for years\n      storage_path: /datastorage\n      s3_region: us-east-1\n      s3_access_key: {}\n      s3_secret_key: {}\nDISTRIBUTED_STORAGE_PREFERENCE: [default]\n",
        iam.bucket, key.id, key.secret
    )
}

/// Kills one process after the other, and lets the last one live.
async fn after_kills(world: &World, random: &mut fastrand::Rng, told: &mut String) -> Operator {
    for _ in 0..KILLS {
        let mut operator = Operator::start(world).await;
        // The moment is what is random.
        tokio::time::sleep(LONGEST.mul_f64(random.f64())).await;
        operator.signal("-KILL");
        let ended = operator.ended_within(Duration::from_secs(5)).await.expect("it was killed");
        assert_eq!(ended.signal(), Some(9), "it had ended by itself");
        *told += &operator.log();
    }
    Operator::start(world).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_often_the_operator_is_killed_a_bundle_gets_back_what_stood_there_and_nothing_is_left() {
    let mut random = random();
    let _undisturbed = undisturbed().await;
    let world = World::granted().await;
    world.bind("registry-sts-restore").await;
    let iam = world.iam("a").await;
    let config = old_config(&world, &iam).await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", &config).await;
    let resources = world.api::<QuayStorage>();
    let backups = ListParams::default().labels("registry-sts.dev/backup");
    let spec = json!({"configBundleSecret": "bundle", "deletionPolicy": "Restore",
        "locations": [World::location("default", &iam, "quay-user")]});
    let mut told = String::new();
    for _ in 0..TIMES {
        // What killed proofs of other keys have left, the next full one finds once it is old.
        world.plane.make_old(&iam.bucket).await;
        world.put_resource_spec("example", spec.clone()).await;
        let operator = after_kills(&world, &mut random, &mut told).await;
        let ready = world.until_ready("example").await;
        assert!(is(&ready, "Restorable", "True"));
        assert!(world.config("bundle").await.contains("STSS3Storage"));
        told += &operator.log();
        drop(operator);

        resources.delete("example", &DeleteParams::default()).await.unwrap();
        let operator = after_kills(&world, &mut random, &mut told).await;
        eventually("the resource is gone", || async {
            resources.get_opt("example").await.unwrap().is_none().then_some(())
        })
        .await;
        assert_eq!(world.config("bundle").await, config);
        let left = world.api::<Secret>().list(&backups).await.unwrap().items;
        assert!(left.is_empty(), "{left:?}");
        told += &operator.log();
    }
    world.plane.make_old(&iam.bucket).await;
    let operator = Operator::start(&world).await;
    world.put_resource_spec("example", spec).await;
    world.until_ready("example").await;
    let written = stored::writes(&world).await["bundle"];
    assert_eq!(written, 1 + 2 * TIMES + 1, "the entry and what stood before, each once a time");
    assert_eq!(left_in(&world, &iam).await, [""; 0]);
    told += &operator.log();
    world.assert_nothing_secret_was_told(&told).await;
}
