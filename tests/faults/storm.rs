//! Others change the bundle and the resource as fast as they can, so that hardly any change of ours is at the version
//! that was seen.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use registry_sts::api::QuayStorage;
use serde_json::json;

use crate::aftermath::{assert_calm, assert_fewer, assert_right};
use crate::editor::Editor;
use crate::harness::audit::requests;
use crate::harness::operator::ready_world;
use crate::harness::world::{World, eventually, is};
use crate::harness::writers::counters;
use crate::outages::undisturbed;
use crate::stored;

const STORM: Duration = Duration::from_secs(8);

fn config(edits: u64) -> String {
    format!("# before\n{}FEATURE_MAILING: false\n", counters(&[edits]))
}

/// Changes another key of the bundle, at whichever version it is.
async fn stir_bundle(world: &World, stop: &AtomicBool, count: &AtomicU64) {
    let secrets = world.api::<Secret>();
    while !stop.load(Ordering::Relaxed) {
        let next = count.load(Ordering::Relaxed) + 1;
        let patch = json!({"stringData": {"stirred": next.to_string()}});
        secrets.patch("bundle", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        count.store(next, Ordering::Relaxed);
    }
}

/// Changes the resource's metadata and its status.
async fn stir_resource(world: &World, stop: &AtomicBool) -> u64 {
    let resources = world.api::<QuayStorage>();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let label = json!({"metadata": {"labels": {"stirred": count.to_string()}}});
        resources.patch("example", &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();
        let status = json!({"status": {"summary": format!("{count}/{count}")}});
        resources.patch_status("example", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_of_conflicts_each_key_is_written_once_and_no_edit_is_lost() {
    let _undisturbed = undisturbed().await;
    let (world, iam, operator) = ready_world(&config(0)).await;
    let before = requests(&world, &operator.credential).len();
    let editor = Editor::start(&world, "bundle", Duration::from_millis(1));
    let (stop, stirred) = (AtomicBool::new(false), AtomicU64::new(0));
    let (started, mut rotations, mut key) = (Instant::now(), 0, iam.key.clone());
    let rotating = async {
        while started.elapsed() < STORM {
            let old = key.clone();
            key = world.new_key(&iam.user).await;
            world.put_key("quay-user", &key).await;
            eventually("the rotated key is written", || async {
                editor.assert_unharmed();
                let written = world.config("bundle").await.contains(&key.id);
                (written || started.elapsed() > STORM).then_some(())
            })
            .await;
            world.delete_key(&iam.user, &old).await;
            rotations += 1;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let ((), (), of_resource) =
        tokio::join!(rotating, stir_bundle(&world, &stop, &stirred), stir_resource(&world, &stop));
    let edits = editor.stop().await;
    let calm = Instant::now();
    eventually("the last key is written", || async { world.config("bundle").await.contains(&key.id).then_some(()) })
        .await;
    eprintln!("right {:?} after the storm", calm.elapsed());
    // Whatever others made of our status last, the next report puts it right.
    let old = std::mem::replace(&mut key, world.new_key(&iam.user).await);
    world.put_key("quay-user", &key).await;
    rotations += 1;
    eventually("the key of after it is written", || async {
        world.config("bundle").await.contains(&key.id).then_some(())
    })
    .await;
    world.delete_key(&iam.user, &old).await;
    let summary = |resource: &QuayStorage| resource.status.as_ref().and_then(|status| status.summary.clone());
    world.until("example", "told as it is", |r| is(r, "Ready", "True") && summary(r).as_deref() == Some("1/1")).await;
    assert_calm(&world, &operator, std::slice::from_ref(&iam)).await;

    let asked = requests(&world, &operator.credential).split_off(before);
    let conflicts = asked.iter().filter(|r| r.code == 409).count();
    let stirred = stirred.load(Ordering::Relaxed);
    eprintln!(
        "{rotations} rotations, {edits} edits, {stirred} + {of_resource} changes; {} requests, {conflicts} conflicts",
        asked.len()
    );
    assert!(conflicts > 0, "there was no storm");
    // Each change is looked at once, and met by a write that is refused at most once.
    let most = 2 * (edits + stirred) + 10 * rotations;
    assert_fewer(&asked, usize::try_from(most).unwrap());
    let bundle = world.bundle("bundle").await.data.unwrap();
    assert_eq!(bundle["stirred"].0, stirred.to_string().into_bytes());
    assert_right(&world.config("bundle").await, &config(edits), &[("default", &iam, &key)]);
    let writes = stored::writes(&world).await["bundle"];
    assert_eq!(writes, 1 + edits + stirred + 1 + rotations, "the entry, and each key once");
}
