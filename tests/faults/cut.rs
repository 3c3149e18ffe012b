//! Every connection to the API server is cut each second.

use std::time::{Duration, Instant};

use crate::aftermath::{assert_calm, assert_fewer, assert_right};
use crate::editor::Editor;
use crate::harness::audit::requests;
use crate::harness::operator::Operator;
use crate::harness::world::{World, eventually};
use crate::harness::writers::counters;
use crate::line::Line;
use crate::outages::undisturbed;
use crate::stored;

const CUTTING: Duration = Duration::from_mins(1);
const EACH: Duration = Duration::from_secs(1);
/// Between two new keys, so that each meets the cuts at another moment.
const PACE: Duration = Duration::from_millis(1700);

fn config(edits: u64) -> String {
    format!("# before\n{}FEATURE_MAILING: false\n", counters(&[edits]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_connections_that_are_cut_each_second_keys_are_written_once_and_no_edit_is_lost() {
    let _undisturbed = undisturbed().await;
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", &config(0)).await;
    let mut line = Line::to(world.plane.info("server")).await;
    let operator = Operator::start_through(&world, &format!("https://{}", line.address)).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    world.until_ready("example").await;
    let before = requests(&world, &operator.credential).len();

    let editor = Editor::start(&world, "bundle", Duration::from_millis(500));
    let (started, mut rotations, mut key, mut longest) = (Instant::now(), 0, iam.key.clone(), Duration::ZERO);
    let mut is_late_there = false;
    line.cut_every(EACH).await;
    let mut pace = tokio::time::interval(PACE);
    while started.elapsed() < CUTTING {
        pace.tick().await;
        let (old, rotated) = (key, Instant::now());
        key = world.new_key(&iam.user).await;
        world.put_key("quay-user", &key).await;
        eventually("the rotated key is written", || async {
            editor.assert_unharmed();
            world.config("bundle").await.contains(&key.id).then_some(())
        })
        .await;
        longest = longest.max(rotated.elapsed());
        world.delete_key(&iam.user, &old).await;
        rotations += 1;
        if !is_late_there && started.elapsed() > CUTTING / 2 {
            // What is new is seen, too. The last rotation ends after that moment, however long they take.
            is_late_there = true;
            world.put_bundle("late", &config(0)).await;
            world.put_resource("late", "late", &[World::location("default", &iam, "quay-user")]).await;
        }
    }
    line.heal().await;
    let edits = editor.stop().await;
    world.until_ready("example").await;
    eventually("the last key is written", || async { world.config("late").await.contains(&key.id).then_some(()) })
        .await;
    world.until_ready("late").await;
    let asked = requests(&world, &operator.credential).split_off(before);
    eprintln!("{rotations} rotations, {edits} edits, {} requests; the longest took {longest:?}", asked.len());
    // Each cut ends the watches, and what is under way; each new key is read, written and told; each edit is looked at.
    let most = 10 * (CUTTING.as_secs() / EACH.as_secs() + rotations) + 2 * edits;
    assert_fewer(&asked, usize::try_from(most).unwrap());
    assert_calm(&world, &operator, std::slice::from_ref(&iam)).await;
    assert_right(&world.config("bundle").await, &config(edits), &[("default", &iam, &key)]);
    assert_right(&world.config("late").await, &config(0), &[("default", &iam, &key)]);
    let writes = stored::writes(&world).await;
    assert!(writes["late"] <= 1 + 1 + rotations, "{writes:?}");
    assert_eq!(writes["bundle"], 1 + edits + 1 + rotations, "the entry, and each key once");
}
