use std::collections::BTreeMap;

use secrecy::{SecretSlice, SecretString};

use super::*;
use crate::api::status::WrittenLocation;
use crate::plan::ProofState;
use crate::plan::mark::Mark;
use crate::plan::output::OutputWrite;
use crate::resource::ResourceId;

const NOW: &str = "2026-01-02T03:04:05Z";

fn at(seconds: i64) -> Timestamp {
    NOW.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// Locations as they are to stand, each by its hash.
fn planned(locations: &[(&str, &str)]) -> Vec<PlannedLocation> {
    let planned = |(name, of): &(&str, &str)| PlannedLocation {
        name: (*name).into(),
        proof: ProofState::Skipped,
        principal: None,
        place: None,
        claimed: false,
        of: Some((*of).into()),
    };
    locations.iter().map(planned).collect()
}

fn write(locations: &[&str]) -> BundleWrite {
    BundleWrite {
        secret_name: "bundle".into(),
        uid: "uid".into(),
        resource_version: "2".into(),
        before: SecretSlice::from(Vec::new()),
        config: SecretString::default(),
        locations: locations.iter().map(|name| (*name).to_owned()).collect(),
        keep: None,
        last_writer: Some("reverter".into()),
        output: None,
    }
}

/// A fight over location `a`, which stands as `one` wherever it was written: each of its undoings is judged as status
/// tells of what was before.
struct Fight {
    left: Left,
    writes: u32,
}

impl Fight {
    fn after_the_first_write() -> Self {
        let location = WrittenLocation { name: "a".into(), place: "bucket/a".into(), of: Some("one".into()) };
        let bundle = ConfigBundleStatus {
            secret_name: "bundle".into(),
            resource_version: Some("write 1".into()),
            source_version: None,
            last_written_time: Some(Time(at(0))),
            locations: vec![location],
            pending: None,
            contested: None,
        };
        Self { left: Left { bundle: Some(bundle), generation: Some(1), now: at(0) }, writes: 1 }
    }

    fn bundle(&mut self) -> &mut ConfigBundleStatus {
        self.left.bundle.as_mut().unwrap()
    }

    /// Looks so many seconds after the first write, and writes unless it is held.
    fn looks(&mut self, seconds: i64, of: &str) -> Option<Held> {
        self.left.now = at(seconds);
        let Judgement { held, contested, .. } =
            judge("bundle", Some(&write(&["a"])), &planned(&[("a", of)]), &self.left);
        self.bundle().contested = contested;
        if held.is_none() {
            self.writes += 1;
            let version = format!("write {}", self.writes);
            let bundle = self.bundle();
            bundle.resource_version = Some(version);
            bundle.last_written_time = Some(Time(at(seconds)));
            bundle.locations[0].of = Some(of.into());
        }
        held
    }

    fn count(&mut self) -> Option<u32> {
        Some(self.bundle().contested.as_ref()?.count)
    }
}

fn waits(held: Option<Held>) -> i64 {
    let held = held.unwrap();
    assert_eq!(held.failure.reason, Reason::EntryUndone);
    held.wait.unwrap().as_secs()
}

#[test]
fn it_is_put_right_at_once_then_after_a_minute_then_after_ten_and_then_no_more_however_often_one_looks() {
    let mut fight = Fight::after_the_first_write();
    assert_eq!(fight.looks(1, "one"), None);
    assert_eq!(fight.count(), Some(1));
    assert_eq!(waits(fight.looks(2, "one")), 59);
    assert_eq!(waits(fight.looks(60, "one")), 1);
    assert_eq!(fight.count(), Some(2));
    assert_eq!(fight.looks(61, "one"), None);
    assert_eq!(waits(fight.looks(61, "one")), 600);
    assert_eq!(fight.looks(661, "one"), None);
    assert_eq!(fight.count(), Some(3));
    for later in [662, 1_000_000] {
        let held = fight.looks(later, "one").unwrap();
        assert_eq!((held.wait, held.failure.reason), (None, Reason::Contested));
        assert!(held.failure.message.starts_with(
            "The field manager \"reverter\" has changed our entry in Secret bundle back 4 times. It is left"
        ));
    }
    let contested = fight.bundle().contested.clone().unwrap();
    assert_eq!((contested.count, contested.writer.as_deref(), contested.since.0), (4, Some("reverter"), at(1)));
}

#[test]
fn three_undoings_are_put_right_however_far_apart_they_are() {
    let mut fight = Fight::after_the_first_write();
    for day in 1..=3 {
        assert_eq!(fight.looks(day * 86_400, "one"), None);
    }
    assert_eq!(fight.looks(4 * 86_400, "one").unwrap().failure.reason, Reason::Contested);
}

#[test]
fn a_changed_key_is_written_once_whoever_contests_the_entry() {
    let mut fight = Fight::after_the_first_write();
    for day in 1..=4 {
        fight.looks(day * 86_400, "one");
    }
    assert_eq!(fight.looks(5 * 86_400, "two"), None);
    assert_eq!(fight.count(), Some(4), "a change of our own is no undoing");
    assert_eq!(fight.looks(6 * 86_400, "two").unwrap().failure.reason, Reason::Contested);
    assert_eq!(fight.count(), Some(5));
}

#[test]
fn a_changed_spec_begins_anew() {
    let mut fight = Fight::after_the_first_write();
    for day in 1..=4 {
        fight.looks(day * 86_400, "one");
    }
    fight.left.generation = Some(2);
    assert_eq!(fight.looks(5 * 86_400, "one"), None);
    assert_eq!(fight.count(), Some(1));
}

#[test]
fn a_clock_that_was_set_back_makes_nobody_wait_for_longer() {
    let mut fight = Fight::after_the_first_write();
    fight.looks(1, "one");
    assert_eq!(waits(fight.looks(-86_400, "one")), 60);
}

#[test]
fn what_was_never_written_or_stood_in_another_bundle_was_not_undone() {
    let judged = |left: &Left| judge("bundle", Some(&write(&["a"])), &planned(&[("a", "one")]), left);
    assert_eq!(judged(&Left::default()), Judgement::default());
    let mut fight = Fight::after_the_first_write();
    fight.bundle().locations[0].of = None;
    assert_eq!(judged(&fight.left), Judgement::default());
    let mut fight = Fight::after_the_first_write();
    fight.bundle().secret_name = "another".into();
    assert_eq!(judged(&fight.left), Judgement::default());
}

#[test]
fn of_several_locations_one_that_is_undone_counts_and_one_that_is_ours_is_written() {
    let fight = Fight::after_the_first_write();
    let both = planned(&[("a", "one"), ("b", "new")]);
    let counted =
        |write: &BundleWrite, left: &Left| judge("bundle", Some(write), &both, left).contested.map(|c| c.count);
    assert_eq!(counted(&write(&["b"]), &fight.left), None);
    assert_eq!(counted(&write(&["a"]), &fight.left), Some(1));
    assert_eq!(counted(&write(&["a", "b"]), &fight.left), Some(1));
    assert_eq!(counted(&write(&[]), &fight.left), Some(1), "the lists");
    let mut tired = Fight::after_the_first_write();
    for day in 1..=4 {
        tired.looks(day * 86_400, "one");
    }
    assert!(judge("bundle", Some(&write(&["a"])), &both, &tired.left).held.is_some());
    assert_eq!(judge("bundle", Some(&write(&["a", "b"])), &both, &tired.left).held, None);
}

#[test]
fn the_count_stays_while_nothing_is_undone() {
    let mut fight = Fight::after_the_first_write();
    fight.looks(1, "one");
    let Judgement { held, contested, .. } = judge("bundle", None, &planned(&[("a", "one")]), &fight.left);
    assert_eq!((held, contested.map(|contested| contested.count)), (None, Some(1)));
}

/// The write of an output that is made from a source of that version.
fn follow(locations: &[&str], source_version: &str) -> BundleWrite {
    let owner = ResourceId { namespace: "quay".into(), name: "example".into() };
    let output = OutputWrite {
        changed_keys: Vec::new(),
        source: "source".into(),
        source_version: source_version.into(),
        creates: false,
        mark: Mark::new(&owner, Vec::new()),
        values: BTreeMap::new(),
        gone: Vec::new(),
    };
    BundleWrite { output: Some(output), ..write(locations) }
}

#[test]
fn an_output_that_follows_its_source_undoes_nobody_and_does_not_wait_for_those_who_do() {
    let mut fight = Fight::after_the_first_write();
    fight.bundle().source_version = Some("source/1".into());
    let ours = planned(&[("a", "one")]);
    let judged = |left: &Left, locations: &[&str], version: &str| {
        judge("bundle", Some(&follow(locations, version)), &ours, left)
    };
    assert_eq!(judged(&fight.left, &[], "source/2"), Judgement::default());
    // Nothing but the output has changed: somebody edited it, whichever key that was.
    for locations in [&["a"][..], &[]] {
        let Judgement { held, contested, .. } = judged(&fight.left, locations, "source/1");
        assert_eq!((held, contested.map(|contested| contested.count)), (None, Some(1)), "{locations:?}");
    }
    for seconds in [0, 60, 660] {
        assert_eq!(fight.looks(seconds, "one"), None);
    }
    fight.left.now = at(661);
    assert!(judged(&fight.left, &["a"], "source/1").held.is_some_and(|held| held.wait.is_none()));
    let Judgement { held, contested, .. } = judged(&fight.left, &["a"], "source/2");
    assert_eq!((held, contested.map(|contested| contested.count)), (None, Some(4)));
    let Judgement { held, contested, .. } = judged(&fight.left, &[], "source/2");
    assert_eq!((held, contested.map(|contested| contested.count)), (None, Some(3)));
}
