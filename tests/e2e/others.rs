//! Living with other writers: nobody's edit is lost, and one location has one owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};

use crate::harness::audit::{requests, until_quiet};
use crate::harness::iam::Iam;
use crate::harness::operator::{Operator, ready_world};
use crate::harness::slow_network::SlowNetwork;
use crate::harness::world::{World, eventually, is, message};
use crate::harness::writers::{count_up, counters};

/// How many writers edit the bundle, how often together at least, and how often keys rotate meanwhile.
const WRITERS: u64 = 4;
const EDITS: u64 = 500;
const ROTATIONS: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_another_key_is_never_lost_while_keys_rotate_and_conflicts_are_looked_at_again() {
    let config = |counts: &[u64]| format!("# before\n{}FEATURE_MAILING: false\n", counters(counts));
    let (world, iam, operator) = ready_world(&config(&[0; 4])).await;

    let stop = Arc::new(AtomicBool::new(false));
    let counts: Vec<Arc<AtomicU64>> = (0..WRITERS).map(|_| Arc::default()).collect();
    let writers: Vec<_> = (0..)
        .zip(&counts)
        .map(|(writer, count)| tokio::spawn(count_up(world.api(), writer, Arc::clone(&stop), Arc::clone(count))))
        .collect();
    let edits = || counts.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>();
    let conflicts = || {
        let asked = requests(&world, &operator.credential).into_iter();
        asked.filter(|r| r.verb == "patch" && r.resource == "secrets" && r.code == 409).count()
    };
    // Until the operator has met a conflict at least once, too.
    let (started, mut rotations, mut old) = (Instant::now(), 0, iam.key.clone());
    while rotations < ROTATIONS || edits() < EDITS || conflicts() == 0 {
        let key = world.new_key(&iam.user).await;
        world.put_key("quay-user", &key).await;
        eventually("the rotated key is written", || async {
            assert!(!writers.iter().any(tokio::task::JoinHandle::is_finished), "another writer has failed");
            world.config("bundle").await.contains(&key.id).then_some(())
        })
        .await;
        world.delete_key(&iam.user, &old).await;
        (old, rotations) = (key, rotations + 1);
        assert!(started.elapsed() < Duration::from_mins(2), "{rotations} rotations, {} edits", edits());
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }

    let after = world.config("bundle").await;
    let counted: Vec<u64> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    assert!(after.starts_with(&config(&counted)), "{after}");
    assert!(after.contains(&old.id) && !after.contains(&iam.key.id));
    world.until_ready("example").await;
    let asked = until_quiet(&world, &operator.credential).await;
    let written = asked.iter().filter(|r| r.verb == "patch" && r.resource == "secrets" && r.code == 200).count();
    assert_eq!(u64::try_from(written).unwrap(), 1 + rotations, "the entry, and each key once");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_created_with_its_resource_is_seen_however_answers_and_events_overtake_each_other() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_bundle("bundle", "FEATURE_MAILING: false\n").await;
    let network = SlowNetwork::with_jitter(world.plane.info("server"), Duration::from_millis(120)).await;
    let _operator = Operator::start_through(&world, &network.url).await;
    let names: Vec<String> = (0..40).map(|i| format!("r{i}")).collect();
    for (gap, name) in (0..).zip(&names) {
        world.put_resource(name, "no-bundle", &[World::location(name, &iam, name)]).await;
        // Somewhere between the request for the key, its answer and its event.
        let mut gap = tokio::time::interval(Duration::from_millis(20 + 3 * gap));
        gap.tick().await;
        gap.tick().await;
        world.put_key(name, &iam.key).await;
    }
    for name in &names {
        world.until(name, "proven", |r| is(r, "RoleProven", "True")).await;
    }
}

#[tokio::test]
async fn what_is_deleted_and_created_again_is_another_object_of_the_same_name() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    let config = "FEATURE_MAILING: false\n";
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", config).await;
    let operator = Operator::start(&world).await;
    let location = World::location("default", &iam, "quay-user");
    let first = world.put_resource("example", "bundle", std::slice::from_ref(&location)).await;
    world.until_ready("example").await;

    world.put_bundle("bundle", config).await;
    eventually("the new bundle has the entry", || async { (world.config("bundle").await != config).then_some(()) })
        .await;
    let version = world.bundle("bundle").await.metadata.resource_version;
    let pairs = [("AWS_ACCESS_KEY_ID", iam.key.id.as_str()), ("AWS_SECRET_ACCESS_KEY", iam.key.secret.as_str())];
    world.put_secret("quay-user", &pairs).await;
    let resources = world.api::<registry_sts::api::QuayStorage>();
    resources.delete("example", &kube::api::DeleteParams::default()).await.unwrap();
    let second = world.put_resource("example", "bundle", &[location]).await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    world.until_ready("example").await;
    until_quiet(&world, &operator.credential).await;
    world.until_ready("example").await;
    assert_eq!(world.bundle("bundle").await.metadata.resource_version, version, "the same needs no write");
}

#[tokio::test]
async fn each_change_of_the_spec_is_written_at_once_however_many_follow_each_other() {
    let (world, iam, _operator) = ready_world("FEATURE_MAILING: false\n").await;
    for size in 1..=5 {
        let mut location = World::location("default", &iam, "quay-user");
        location["maximumChunkSizeGb"] = serde_json::json!(size);
        world.put_resource("example", "bundle", &[location]).await;
        world.until_ready("example").await;
        assert!(world.config("bundle").await.contains(&format!("maximum_chunk_size_gb: {size}\n")));
    }
}

#[tokio::test]
async fn a_fight_with_another_writer_ends_and_a_changed_key_is_still_written() {
    let config = "FEATURE_MAILING: false\n";
    let (world, iam, operator) = ready_world(config).await;
    // As GitOps tools do, at once and every time, until the operator gives in.
    let secrets = world.api::<Secret>();
    let back = serde_json::json!({"stringData": {"config.yaml": config}});
    let put_back = || async {
        secrets.patch("bundle", &PatchParams::default(), &Patch::Merge(&back)).await.unwrap();
    };
    put_back().await;
    eventually("the first undoing is put right", || async { (world.config("bundle").await != config).then_some(()) })
        .await;
    put_back().await;
    let contested = world.until_reason("example", "EntryUndone").await;
    assert!(is(&contested, "Reconciling", "True"), "it is put right in a minute");
    assert!(message(&contested, "Ready").contains("--show-managed-fields"), "{}", message(&contested, "Ready"));
    let asked = until_quiet(&world, &operator.credential).await;
    assert_eq!(asked.iter().filter(|r| r.resource == "secrets" && r.is_write()).count(), 2);
    assert_eq!(world.config("bundle").await, config);

    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    world.until_ready("example").await;
    assert!(world.config("bundle").await.contains(&key.id));
}

#[tokio::test]
async fn a_location_that_another_resource_writes_is_left_to_it() {
    let world = World::granted().await;
    let (one, other) = (world.iam("one").await, world.iam("other").await);
    world.put_key("one-user", &one.key).await;
    world.put_key("other-user", &other.key).await;
    world.put_bundle("bundle", "FEATURE_MAILING: false\n").await;
    let _operator = Operator::start(&world).await;
    world.put_resource("one", "bundle", &[World::location("default", &one, "one-user")]).await;
    world.until_ready("one").await;
    world.put_resource("other", "bundle", &[World::location("default", &other, "other-user")]).await;
    let claimed = world.until_reason("other", "LocationClaimed").await;
    assert!(is(&claimed, "Stalled", "True"));
    assert!(message(&claimed, "Ready").contains("QuayStorage one"), "{}", message(&claimed, "Ready"));
    assert!(!world.config("bundle").await.contains(&other.role_arn));

    // Different locations of one bundle stand side by side.
    world.put_resource("other", "bundle", &[World::location("second", &other, "other-user")]).await;
    world.until_ready("other").await;
    world.until_ready("one").await;
    let config = world.config("bundle").await;
    assert!(config.contains(&one.role_arn) && config.contains(&other.role_arn), "{config}");
    assert!(config.contains("DISTRIBUTED_STORAGE_PREFERENCE:\n  - \"default\"\n  - \"second\"\n"), "{config}");
}

/// A world in which resource `one` writes location `default`, and `two` would write it otherwise.
async fn claimed_world() -> (World, Iam, Operator) {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", "FEATURE_MAILING: false\n").await;
    let operator = Operator::start(&world).await;
    let mut location = World::location("default", &iam, "quay-user");
    world.put_resource("one", "bundle", std::slice::from_ref(&location)).await;
    world.until_ready("one").await;
    location["maximumChunkSizeGb"] = serde_json::json!(4);
    world.put_resource("two", "bundle", &[location]).await;
    world.until_reason("two", "LocationClaimed").await;
    (world, iam, operator)
}

async fn the_heir_writes(world: &World) {
    world.until_ready("two").await;
    assert!(world.config("bundle").await.contains("maximum_chunk_size_gb: 4\n"));
}

#[tokio::test]
async fn a_claim_passes_on_when_its_owner_gives_the_location_up() {
    let (world, iam, _operator) = claimed_world().await;
    // The same bundle and the same key, another location: nothing but the claim changes.
    world.put_resource("one", "bundle", &[World::location("second", &iam, "quay-user")]).await;
    the_heir_writes(&world).await;
    world.until_ready("one").await;
}

#[tokio::test]
async fn a_claim_passes_on_when_its_owner_is_deleted() {
    let (world, _iam, _operator) = claimed_world().await;
    let resources = world.api::<registry_sts::api::QuayStorage>();
    resources.delete("one", &kube::api::DeleteParams::default()).await.unwrap();
    the_heir_writes(&world).await;
}
