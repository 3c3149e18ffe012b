//! The operator is killed again and again, at any moment. `FAULTS_SEED` takes the moments of an earlier run.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use registry_sts::api::QuayStorage;
use serde_json::json;

use crate::aftermath::{assert_calm, assert_right};
use crate::editor::Editor;
use crate::harness::iam::{Iam, Key};
use crate::harness::operator::Operator;
use crate::harness::verb::left_in;
use crate::harness::world::World;
use crate::harness::writers::counters;
use crate::outages::undisturbed;
use crate::stored;

const KILLS: usize = 50;
/// No process lives longer.
const LONGEST: Duration = Duration::from_secs(2);
/// The pause between two rotations is at most that long.
const PACE: Duration = Duration::from_millis(1500);
const PROVE: &str = "registry-sts.dev/proveAt";

fn config(edits: u64) -> String {
    format!("# before\n{}FEATURE_MAILING: false\n", counters(&[edits]))
}

/// Users whose keys change, by the name of location, resource and key.
struct Users {
    all: [(&'static str, Iam); 3],
    keys: [Key; 3],
    rotations: [u64; 3],
}

impl Users {
    /// Gives one after the other a new key, until it is time to stop.
    async fn rotate(&mut self, world: &World, random: &mut fastrand::Rng, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let turn = random.usize(..self.all.len());
            let (name, iam) = &self.all[turn];
            let key = world.new_key(&iam.user).await;
            world.put_key(name, &key).await;
            // The time between two rotations is part of what is played.
            tokio::time::sleep(PACE.mul_f64(random.f64())).await;
            let old = std::mem::replace(&mut self.keys[turn], key);
            world.delete_key(&iam.user, &old).await;
            self.rotations[turn] += 1;
        }
    }
}

/// By which the moments are drawn.
pub(crate) fn random() -> fastrand::Rng {
    let seed = std::env::var("FAULTS_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("FAULTS_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_is_killed_fifty_times_loses_no_edit_and_leaves_nothing() {
    let mut random = random();
    let _undisturbed = undisturbed().await;
    let world = World::granted().await;
    let all = [("one", world.iam("one").await), ("two", world.iam("two").await), ("three", world.iam("three").await)];
    // Two share a bundle, and one has its own.
    let bundle_of = |name: &str| if name == "three" { "own" } else { "shared" };
    world.put_bundle("shared", &config(0)).await;
    world.put_bundle("own", &config(0)).await;
    for (name, iam) in &all {
        world.put_key(name, &iam.key).await;
        world.put_resource(name, bundle_of(name), &[World::location(name, iam, name)]).await;
    }
    let editors = ["shared", "own"].map(|bundle| Editor::start(&world, bundle, Duration::from_millis(50)));
    let keys = [all[0].1.key.clone(), all[1].1.key.clone(), all[2].1.key.clone()];
    let mut users = Users { all, keys, rotations: [0; 3] };
    let (stop, mut rotates) = (AtomicBool::new(false), random.fork());
    let kills = async {
        let mut told = String::new();
        for _ in 0..KILLS {
            let mut operator = Operator::start(&world).await;
            // The moment is what is random.
            tokio::time::sleep(LONGEST.mul_f64(random.f64())).await;
            operator.signal("-KILL");
            let ended = operator.ended_within(Duration::from_secs(5)).await.expect("it was killed");
            assert_eq!(ended.signal(), Some(9), "it had ended by itself");
            editors.iter().for_each(Editor::assert_unharmed);
            told += &operator.log();
        }
        stop.store(true, Ordering::Relaxed);
        told
    };
    let (told, ()) = tokio::join!(kills, users.rotate(&world, &mut rotates, &stop));
    world.assert_nothing_secret_was_told(&told).await;

    let operator = Operator::start(&world).await;
    let edits = {
        let [shared, own] = editors;
        [shared.stop().await, own.stop().await]
    };
    let mut left = 0;
    for (name, iam) in &users.all {
        for key in left_in(&world, iam).await {
            assert!(key.starts_with("datastorage/.registry-sts/"), "{key}");
            left += 1;
        }
        world.plane.make_old(&iam.bucket).await;
        // What a killed proof has left, and none of the same key came upon since, the next full one finds once it is old.
        let patch = json!({"metadata": {"annotations": {PROVE: "now"}}});
        let resources = world.api::<QuayStorage>();
        resources.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
    for (name, _) in &users.all {
        let proven = |r: &QuayStorage| r.status.as_ref().is_some_and(|s| s.last_handled_prove_at.is_some());
        world.until(name, "proven anew", proven).await;
        world.until_ready(name).await;
    }
    let writes = stored::writes(&world).await;
    let rotations = users.rotations;
    eprintln!("{rotations:?} rotations, {edits:?} edits, {writes:?}, {left} objects and uploads were left meanwhile");
    let accounts = users.all.each_ref().map(|(_, iam)| iam.clone());
    assert_calm(&world, &operator, &accounts).await;

    let locations: Vec<(&str, &Iam, &Key)> =
        users.all.iter().zip(&users.keys).map(|((name, iam), key)| (*name, iam, key)).collect();
    assert_right(&world.config("shared").await, &config(edits[0]), &locations[..2]);
    assert_right(&world.config("own").await, &config(edits[1]), &locations[2..]);
    // At most each entry, and each key, once: of those that changed again meanwhile nobody heard.
    assert!(writes["shared"] - 1 - edits[0] <= 2 + rotations[0] + rotations[1], "{writes:?}");
    assert!(writes["own"] - 1 - edits[1] <= 1 + rotations[2], "{writes:?}");
}
