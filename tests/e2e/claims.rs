//! Several resources on one bundle: each location has one owner, and nobody's entry is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use registry_sts::api::QuayStorage;

use crate::harness::audit::{requests, secret_writes, until_quiet};
use crate::harness::operator::Operator;
use crate::harness::world::{World, eventually, is, message};
use crate::harness::writers::{count_up, counters};

const CONFIG: &str = "FEATURE_MAILING: false\n";

/// The resource of which the location is, by age and then by name, while none has written it.
async fn first(world: &World, names: &[&str]) -> String {
    let resources = world.api::<QuayStorage>();
    let mut all = Vec::new();
    for name in names {
        let resource = resources.get(name).await.unwrap();
        all.push((resource.creation_timestamp().unwrap().0, resource.name_any()));
    }
    all.into_iter().min().unwrap().1
}

#[tokio::test]
async fn who_owns_a_location_is_the_same_after_every_restart_and_a_claim_is_said_though_both_ask_for_the_same() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let location = World::location("default", &iam, "quay-user");
    // Older than all others, and with another location for now.
    world.put_resource("aged", "bundle", &[World::location("second", &iam, "quay-user")]).await;
    let names = ["zebra", "mole", "ant"];
    for name in names {
        world.put_resource(name, "bundle", std::slice::from_ref(&location)).await;
    }
    let owner = first(&world, &names).await;
    let others: Vec<&str> = names.into_iter().filter(|name| *name != owner).collect();
    let mut version = None;
    for _ in 0..3 {
        let mut operator = Operator::start(&world).await;
        let ready = world.until_ready(&owner).await;
        world.until_ready("aged").await;
        for other in &others {
            let claimed = world.until_reason(other, "LocationClaimed").await;
            assert!(is(&claimed, "Stalled", "True"), "{other}");
            let message = message(&claimed, "Ready");
            assert!(message.contains(&format!("QuayStorage {owner} writes this location")), "{other}: {message}");
        }
        until_quiet(&world, &operator.credential).await;
        let now = world.api::<QuayStorage>().get(&owner).await.unwrap();
        assert_eq!(now.status.unwrap().summary, ready.status.unwrap().summary);
        let bundle = world.bundle("bundle").await.metadata.resource_version;
        assert_eq!(version.get_or_insert_with(|| bundle.clone()), &bundle, "it is written once");
        operator.ends_gracefully().await;
    }
    // Who has written it keeps it, though an older one asks for it, too; a restart in between changes nothing.
    for _ in 0..2 {
        let mut operator = Operator::start(&world).await;
        world.put_resource("aged", "bundle", std::slice::from_ref(&location)).await;
        let claimed = world.until_reason("aged", "LocationClaimed").await;
        assert!(message(&claimed, "Ready").contains(&format!("QuayStorage {owner} writes this location")));
        until_quiet(&world, &operator.credential).await;
        world.until_ready(&owner).await;
        operator.ends_gracefully().await;
    }
    // Once it is gone, the oldest has it.
    let _operator = Operator::start(&world).await;
    let resources = world.api::<QuayStorage>();
    resources.delete(&owner, &kube::api::DeleteParams::default()).await.unwrap();
    world.until_ready("aged").await;
    for other in &others {
        world.until(other, "claimed by the heir", |r| message(r, "Ready").contains("QuayStorage aged writes")).await;
    }
    assert_eq!(Some(&world.bundle("bundle").await.metadata.resource_version), version.as_ref());
}

#[tokio::test]
async fn locations_of_several_resources_are_written_into_one_bundle_at_once_and_none_is_lost() {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let names: Vec<String> = (0..12).map(|i| format!("location{i}")).collect();
    for name in &names {
        world.put_resource(name, "bundle", &[World::location(name, &iam, "quay-user")]).await;
    }
    let operator = Operator::start(&world).await;
    let stand = |config: &str| names.iter().filter(|name| config.contains(&format!("  \"{name}\":\n"))).count();
    for name in &names {
        world.until_ready(name).await;
    }
    until_quiet(&world, &operator.credential).await;
    assert_eq!(stand(&world.config("bundle").await), names.len());
    // And each again, all at the same moment, for the key is theirs together.
    let key = world.new_key(&iam.user).await;
    let before = requests(&world, &operator.credential).len();
    world.put_key("quay-user", &key).await;
    for name in &names {
        let version = || world.api::<Secret>();
        let current = version().get("quay-user").await.unwrap();
        let proven = format!("{}/{}/", current.uid().unwrap(), current.resource_version().unwrap());
        let is_of = |r: &QuayStorage| {
            let proof = r.status.as_ref().and_then(|status| status.locations.first()?.proof.clone());
            is(r, "Ready", "True") && proof.is_some_and(|proof| proof.of.starts_with(&proven))
        };
        world.until(name, "ready with the new key", is_of).await;
    }
    let asked = until_quiet(&world, &operator.credential).await;
    let config = world.config("bundle").await;
    assert_eq!((stand(&config), config.matches(&key.id).count()), (names.len(), names.len()));
    assert!(!config.contains(&iam.key.id));
    let written = asked[before..].iter().filter(|r| r.resource == "secrets" && r.verb == "patch" && r.code == 200);
    assert_eq!(written.count(), names.len(), "each writes its own once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_resources_rotate_at_once_while_somebody_edits_and_whose_a_location_is_outlives_restarts() {
    let world = World::granted().await;
    let (one, two) = (world.iam("one").await, world.iam("two").await);
    let of = [("one", &one), ("two", &two)];
    let config = |count: u64| format!("# before\n{}{CONFIG}", counters(&[count]));
    world.put_bundle("bundle", &config(0)).await;
    let mut operator = Operator::start(&world).await;
    for (name, iam) in of {
        world.put_key(name, &iam.key).await;
        world.put_resource(name, "bundle", &[World::location(name, iam, name)]).await;
        world.until_ready(name).await;
    }
    // One who would have the location of the first, too.
    world.put_resource("late", "bundle", &[World::location("one", &two, "two")]).await;
    world.until_reason("late", "LocationClaimed").await;

    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let editor = tokio::spawn(count_up(world.api(), 0, Arc::clone(&stop), Arc::clone(&count)));
    let (mut keys, mut rotations, mut ended) = ([one.key.clone(), two.key.clone()], 0, Vec::new());
    for _ in 0..3 {
        for _ in 0..4 {
            let new = [world.new_key(&one.user).await, world.new_key(&two.user).await];
            tokio::join!(world.put_key("one", &new[0]), world.put_key("two", &new[1]));
            eventually("both rotated keys stand", || async {
                assert!(!editor.is_finished(), "the editor has failed");
                let config = world.config("bundle").await;
                new.iter().all(|key| config.contains(&key.id)).then_some(())
            })
            .await;
            for ((_, iam), old) in of.iter().zip(&keys) {
                world.delete_key(&iam.user, old).await;
            }
            (keys, rotations) = (new, rotations + 1);
        }
        for name in ["one", "two"] {
            world.until_ready(name).await;
        }
        let claimed = world.until_reason("late", "LocationClaimed").await;
        assert!(message(&claimed, "Ready").contains("QuayStorage one writes this location"));
        operator.ends_gracefully().await;
        ended.push(operator.credential.clone());
        operator = Operator::start(&world).await;
    }
    stop.store(true, Ordering::Relaxed);
    editor.await.unwrap();

    for name in ["one", "two"] {
        world.until_ready(name).await;
    }
    world.until_reason("late", "LocationClaimed").await;
    until_quiet(&world, &operator.credential).await;
    assert_eq!(secret_writes(&world, &operator.credential), [], "the last process had nothing to write");
    let written: usize = ended.iter().map(|credential| secret_writes(&world, credential).len()).sum();
    assert_eq!(written, 2 + 2 * rotations, "each entry, and each key once");
    let after = world.config("bundle").await;
    assert!(after.starts_with(&config(count.load(Ordering::Relaxed))), "{after}");
    for ((name, iam), key) in of.iter().zip(&keys) {
        assert_eq!(after.matches(&format!("  \"{name}\":\n")).count(), 1, "{after}");
        assert!(after.contains(&iam.role_arn) && after.contains(&key.id) && after.contains(&key.secret), "{name}");
    }
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
