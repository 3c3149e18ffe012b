//! What is done about keys, told by one thing that is out of the ordinary each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{KeyPlan, Rotation, plan};
use crate::identity::consumers::{Consumer, Standing};
use crate::identity::desired::RotationWanted;
use crate::identity::marker::{INTENT, Intent, Marker, Notes, Phase, tag_of};
use crate::identity::observed::{Asked, Held, Key, KeySecret, Keys, LastUsed};
use crate::identity::step::Step;
use crate::reason::{Failure, Reason};

const WANTED: RotationWanted =
    RotationWanted { interval: Duration::from_hours(2160), overlap: Duration::from_hours(24) };

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

fn key(id: &str, hours: i64, last_used: LastUsed) -> Key {
    Key { id: id.into(), created: ago(hours), is_active: true, last_used }
}

/// A new key of two days ago in the Secret, which everybody has, and the old one, which nobody used since.
struct Seen {
    keys: Keys,
    notes: Notes,
}

fn rotated() -> Seen {
    let marker = |phase, hours| Marker { phase, since: ago(hours) };
    Seen {
        keys: Keys {
            listed: vec![key("NEW1", 48, LastUsed::At(ago(1))), key("OLD1", 2208, LastUsed::At(ago(47)))],
            secret: KeySecret::Holds(Some("NEW1".into())),
            held: None,
            in_bundles: [("NEW1".into(), BTreeSet::from(["bundle".into()]))].into(),
            is_bundle_unread: false,
            consumers: vec![Consumer { name: "example".into(), standing: Standing::Current }],
            asked: Asked::default(),
        },
        notes: Notes {
            markers: BTreeMap::from([
                ("NEW1".into(), marker(Phase::Published, 47)),
                ("OLD1".into(), marker(Phase::Published, 2207)),
            ]),
            intent: None,
        },
    }
}

impl Seen {
    fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn plan(&self) -> KeyPlan {
        plan(&self.keys, &self.notes, WANTED, now())
    }

    fn old(&mut self) -> &mut Key {
        &mut self.keys.listed[1]
    }

    fn noted(&mut self, id: &str, phase: Phase, hours: i64) {
        self.notes.markers.insert(id.into(), Marker { phase, since: ago(hours) });
    }
}

fn mark(id: &str, phase: Phase) -> Step {
    Step::Mark(id.into(), Marker { phase, since: now() })
}

#[test]
fn an_old_key_that_nobody_used_for_the_overlap_is_noted_and_then_deactivated() {
    let steps = [mark("OLD1", Phase::Retired), Step::Deactivate("OLD1".into()), mark("OLD1", Phase::Deactivated)];
    assert_eq!(rotated().plan().steps, steps);
}

#[test]
fn an_old_key_is_kept_for_the_overlap_since_the_new_one_was_handed_out_and_since_it_was_used() {
    let handed_out_lately = rotated().but(|seen| seen.noted("NEW1", Phase::Published, 23));
    let used_lately = rotated().but(|seen| seen.old().last_used = LastUsed::At(ago(23)));
    for seen in [handed_out_lately, used_lately] {
        let plan = seen.plan();
        assert_eq!(plan.steps, []);
        assert_eq!(plan.rotation, Rotation::KeepingOldKey(ago(-1)));
        assert_eq!(plan.again, Some(Duration::from_secs(3601)));
    }
    // AWS tells of a use late: less than two hours are never enough.
    let short = RotationWanted { overlap: Duration::from_hours(1), ..WANTED };
    let seen = rotated().but(|seen| seen.old().last_used = LastUsed::At(ago(1)));
    assert_eq!(plan(&seen.keys, &seen.notes, short, now()).rotation, Rotation::KeepingOldKey(ago(-1)));
}

#[test]
fn whoever_does_not_have_the_new_key_holds_it_up_by_name() {
    let behind = Standing::Behind("it is suspended".into());
    let suspended = rotated().but(|seen| seen.keys.consumers[0].standing = behind);
    let Rotation::WaitingForConsumers(who) = suspended.plan().rotation else { panic!("{:?}", suspended.plan()) };
    assert_eq!(who, "QuayStorage example: it is suspended");
    let held = rotated().but(|seen| {
        seen.keys.in_bundles.insert("OLD1".into(), BTreeSet::from(["other".into()]));
    });
    let Rotation::WaitingForConsumers(who) = held.plan().rotation else { panic!("{:?}", held.plan()) };
    assert_eq!(who, "Secret other still has key …OLD1");
}

#[test]
fn without_a_sign_that_nobody_uses_it_somebody_is_asked() {
    let unseen = rotated().but(|seen| seen.keys.consumers[0].standing = Standing::Unknown("it does not say".into()));
    let denied = LastUsed::Unknown(Failure::new(Reason::IamForbidden, "IAM refuses."));
    let untold = rotated().but(|seen| seen.old().last_used = denied);
    for seen in [unseen, untold] {
        let plan = seen.plan();
        assert_eq!(plan.steps, []);
        let Rotation::ConfirmationNeeded(ask) = plan.rotation else { panic!("{plan:?}") };
        assert!(ask.contains("registry-sts.dev/retire-key=OLD1"), "{ask}");
        let answered = seen.but(|seen| seen.keys.asked.retire = Some("OLD1".into()));
        assert_eq!(answered.plan().steps[1], Step::Deactivate("OLD1".into()));
    }
}

#[test]
fn an_inactive_key_is_deleted_after_the_overlap_unless_it_is_missed() {
    let inactive = |hours| {
        rotated().but(|seen| {
            seen.old().is_active = false;
            seen.noted("OLD1", Phase::Deactivated, hours);
        })
    };
    assert_eq!(inactive(23).plan().rotation, Rotation::OldKeyInactive(ago(-1)));
    assert_eq!(inactive(23).plan().steps, []);
    assert_eq!(inactive(24).plan().steps, [Step::DeleteKey("OLD1".into()), Step::Unmark(vec![tag_of("OLD1")])]);
    // Who is only behind does not need it, and keeps it from being deleted.
    let behind = inactive(24).but(|seen| seen.keys.consumers[0].standing = Standing::Behind("it is suspended".into()));
    assert_eq!(behind.plan().steps, []);
    let unwell = inactive(24).but(|seen| seen.keys.consumers[0].standing = Standing::NotRunning("it fails".into()));
    let told_late = inactive(1).but(|seen| seen.old().last_used = LastUsed::At(ago(2)));
    let put_back = inactive(24).but(|seen| {
        seen.keys.in_bundles.insert("OLD1".into(), BTreeSet::from(["bundle".into()]));
    });
    for missed in [unwell, told_late, put_back] {
        assert_eq!(missed.plan().steps, [Step::Activate("OLD1".into()), mark("OLD1", Phase::StillUsed)]);
        assert!(matches!(missed.plan().rotation, Rotation::OldKeyStillUsed(_)));
    }
}

#[test]
fn a_deactivation_that_was_cut_off_is_gone_on_with_and_one_by_somebody_else_is_never_undone() {
    let cut_off = rotated().but(|seen| seen.noted("OLD1", Phase::Retired, 0));
    assert_eq!(cut_off.plan().steps, [Step::Deactivate("OLD1".into()), mark("OLD1", Phase::Deactivated)]);
    for (phase, hours) in [(Phase::Retired, 1), (Phase::Deactivated, 0)] {
        let activated = rotated().but(|seen| seen.noted("OLD1", phase, hours));
        assert_eq!(activated.plan().steps, [mark("OLD1", Phase::StillUsed)]);
    }

    let disabled = rotated().but(|seen| seen.old().is_active = false);
    assert_eq!(disabled.plan().steps, [mark("OLD1", Phase::Disabled)]);
    let missed = disabled.but(|seen| {
        seen.noted("OLD1", Phase::Disabled, 30);
        seen.keys.consumers[0].standing = Standing::Behind("it fails".into());
    });
    assert_eq!(missed.plan().steps, []);
    assert!(matches!(missed.plan().rotation, Rotation::WaitingForConsumers(_)));
}

#[test]
fn a_key_in_the_secret_that_somebody_deactivated_is_replaced_and_one_that_was_put_back_works_again() {
    let alone = |phase| {
        rotated().but(|seen| {
            seen.keys.listed.truncate(1);
            seen.keys.listed[0].is_active = false;
            seen.noted("NEW1", phase, 1);
        })
    };
    let before = Intent { since: now(), before: vec!["NEW1".into()] };
    assert_eq!(alone(Phase::Published).plan().steps, [Step::NoteIntent(before), Step::CreateKey]);
    assert_eq!(alone(Phase::Published).plan().rotation, Rotation::Making { is_working: false });
    let put_back = alone(Phase::Retired).plan();
    assert_eq!(put_back.steps, [Step::Activate("NEW1".into()), mark("NEW1", Phase::StillUsed)]);
}

#[test]
fn a_key_is_replaced_when_it_is_old_or_somebody_asks_and_is_proven_before_it_is_handed_out() {
    let alone = || {
        rotated().but(|seen| {
            seen.keys.listed.truncate(1);
            seen.notes.markers.remove("OLD1");
        })
    };
    let settled = alone().plan();
    assert_eq!((settled.steps.len(), settled.rotation), (0, Rotation::Settled(ago(48 - 2160))));
    let old = alone().but(|seen| seen.keys.listed[0].created = ago(2160));
    let asked = alone().but(|seen| seen.keys.asked.rotate = Some(ago(1)));
    for due in [old, asked] {
        assert_eq!(due.plan().steps.last(), Some(&Step::CreateKey));
    }
    let answered = alone().but(|seen| seen.keys.asked.rotate = Some(ago(49)));
    assert!(matches!(answered.plan().rotation, Rotation::Settled(_)), "it is of after that");
    let later = alone().but(|seen| seen.keys.asked.rotate = Some(ago(-5)));
    assert_eq!(later.plan().rotation, Rotation::Settled(ago(-5)));

    let held = |is_proven_once, is_proven| {
        alone().but(|seen| {
            seen.keys.listed.push(key("HELD", 0, LastUsed::Never));
            seen.noted("HELD", Phase::Pending, 0);
            seen.keys.held = Some(Held { id: "HELD".into(), is_proven_once, is_proven });
        })
    };
    assert_eq!(held(true, false).plan().steps, [], "the old one works meanwhile");
    assert_eq!(held(true, true).plan().steps, [Step::Publish("HELD".into())]);
    let lost = held(true, false).but(|seen| seen.keys.secret = KeySecret::Absent);
    assert_eq!(lost.plan().steps, [], "the bundle's works meanwhile");
    let urgent = held(true, false).but(|seen| seen.keys.listed[0].is_active = false);
    assert_eq!(urgent.plan().steps, [Step::Publish("HELD".into())], "nobody has one that works");
}

#[test]
fn a_key_that_was_made_and_lost_is_found_by_what_was_noted_before_and_deleted() {
    let lost = || {
        rotated().but(|seen| {
            seen.notes.markers.remove("OLD1");
            seen.keys.listed[1] = key("LOST", 0, LastUsed::Never);
        })
    };
    let intended =
        |hours| lost().but(|seen| seen.notes.intent = Some(Intent { since: ago(hours), before: vec!["NEW1".into()] }));
    assert_eq!(intended(0).plan().steps, [mark("LOST", Phase::Pending)]);
    // It is of another time: somebody else made it, and what was intended is not needed any more.
    assert_eq!(intended(1).plan().steps, [Step::Unmark(vec![INTENT.to_owned()])]);
    let pending = lost().but(|seen| seen.noted("LOST", Phase::Pending, 0));
    assert_eq!(pending.plan().steps[0], Step::DeleteKey("LOST".into()));
    let in_use = pending.but(|seen| {
        seen.keys.in_bundles.insert("LOST".into(), BTreeSet::from(["bundle".into()]));
    });
    assert_eq!(in_use.plan().steps, [mark("LOST", Phase::Published)], "somebody has it all the same");
    let unread = lost().but(|seen| {
        seen.noted("LOST", Phase::Pending, 0);
        seen.keys.is_bundle_unread = true;
    });
    assert_eq!(unread.plan().steps, [mark("LOST", Phase::Published)], "somebody may");
    // Without a note it is somebody else's.
    assert_eq!(lost().plan().steps, []);
    let asked = lost().but(|seen| seen.keys.asked.rotate = Some(ago(1))).plan();
    assert!(
        matches!(asked.rotation, Rotation::Stopped { failure, is_working: true } if failure.reason == Reason::ForeignKey)
    );
}

#[test]
fn with_two_keys_and_neither_secret_only_one_goes_that_is_ours_and_unused_for_two_hours() {
    let lost = || {
        rotated().but(|seen| {
            seen.keys.secret = KeySecret::Absent;
        })
    };
    // First it is noted, so that a use of which AWS has not told yet is seen.
    assert_eq!(lost().plan().steps, [mark("OLD1", Phase::Spare)]);
    let spare = |hours, used| {
        lost().but(|seen| {
            seen.noted("OLD1", Phase::Spare, hours);
            seen.old().last_used = used;
        })
    };
    assert_eq!(spare(1, LastUsed::Never).plan().steps, []);
    assert_eq!(spare(1, LastUsed::Never).plan().again, Some(Duration::from_secs(3601)));
    assert_eq!(spare(2, LastUsed::At(ago(1))).plan().steps, []);
    assert_eq!(spare(2, LastUsed::At(ago(47))).plan().steps[0], Step::DeleteKey("OLD1".into()));
    let unread = spare(2, LastUsed::At(ago(47))).but(|seen| seen.keys.is_bundle_unread = true);
    assert_eq!(unread.plan().steps, []);
    let foreign = lost().but(|seen| {
        seen.notes.markers.remove("OLD1");
    });
    let Rotation::Stopped { failure, is_working: false } = foreign.plan().rotation else {
        panic!("{:?}", foreign.plan())
    };
    assert_eq!(failure.reason, Reason::NoRoomForKey);
    assert!(
        failure.message.contains("…NEW1 stands in Secret bundle; …OLD1 was not made by this operator"),
        "{}",
        failure.message
    );
}

#[test]
fn a_secret_that_cannot_be_used_stops_everything() {
    let failure = Failure::new(Reason::KeySecretTaken, "Secret quay is another's.");
    let taken = rotated().but(|seen| seen.keys.secret = KeySecret::Unusable(failure.clone()));
    assert_eq!(taken.plan().rotation, Rotation::Stopped { failure, is_working: true });
    assert_eq!(taken.plan().steps, []);
}

#[test]
fn notes_of_keys_that_are_gone_are_removed_and_those_of_one_that_is_not_listed_yet_stay() {
    let alone = |phase, hours| {
        rotated().but(|seen| {
            seen.keys.listed.truncate(1);
            seen.noted("OLD1", phase, hours);
        })
    };
    let removed = [Step::Unmark(vec![tag_of("OLD1")])];
    assert_eq!(alone(Phase::Retired, 0).plan().steps, removed);
    assert_eq!(alone(Phase::Pending, 1).plan().steps, removed);
    assert_eq!(alone(Phase::Pending, 0).plan().steps, []);
}
