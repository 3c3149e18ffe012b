//! When somebody keeps undoing what we write. Every write restarts a registry, so a fight has to end; and as the count
//! stands in status, a restart of the operator begins no new one.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{BundleWrite, PlannedLocation};
use crate::api::status::{ConfigBundleStatus, ContestedStatus};
use crate::reason::{Failure, Reason};

/// How long after our last write the first, the second and the third undoing is put right. There is no fourth repair.
const REPAIRED_AFTER: [SignedDuration; 3] =
    [SignedDuration::ZERO, SignedDuration::from_mins(1), SignedDuration::from_mins(10)];

/// What was left of the bundle, as status tells it, and when that is looked at.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// The bundle as it was left.
    pub bundle: Option<ConfigBundleStatus>,
    /// The generation of the spec.
    pub generation: Option<i64>,
    /// The time now.
    pub now: Timestamp,
}

impl Left {
    /// The digest of the entry that this resource is said to have written at a location of that very bundle.
    pub fn entry(&self, bundle: &str, location: &str) -> Option<&str> {
        let left = self.bundle.as_ref().filter(|left| left.secret_name == bundle)?;
        let of = left.locations.iter().find(|left| left.name == location)?.of.as_deref()?;
        of.split_once('/').map(|(entry, _)| entry)
    }
}

/// A write that is not made, because what it brings has been undone too often or too lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Not before this has passed; none for no more, until something else is to be written.
    pub wait: Option<SignedDuration>,
    /// Why.
    pub failure: Failure,
}

/// What is made of a write.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Judgement {
    /// That it waits.
    pub(super) held: Option<Held>,
    /// What is to be remembered of those who undo.
    pub(super) contested: Option<ContestedStatus>,
    /// It puts right what somebody undid.
    pub(super) undone: bool,
}

/// Whether a write puts right what somebody undid, whether it is to wait, and what is to be remembered of it.
pub(super) fn judge(
    bundle: &str,
    write: Option<&BundleWrite>,
    locations: &[PlannedLocation],
    left: &Left,
) -> Judgement {
    let Some(before) = left.bundle.as_ref().filter(|before| before.secret_name == bundle) else {
        return Judgement::default();
    };
    let known = before.contested.as_ref().filter(|known| known.generation == left.generation);
    let Some((write, brings_ours)) = write.and_then(|write| Some((write, undoing(write, locations, before)?))) else {
        return Judgement { contested: known.cloned(), ..Judgement::default() };
    };
    let writer = write.last_writer.clone();
    let record = match known {
        // The very undoing that was counted, and not put right yet.
        Some(known) if known.resource_version == before.resource_version => known.clone(),
        Some(known) => ContestedStatus {
            count: known.count.saturating_add(1),
            writer: writer.or_else(|| known.writer.clone()),
            resource_version: before.resource_version.clone(),
            ..known.clone()
        },
        None => ContestedStatus {
            count: 1,
            writer,
            since: Time(left.now),
            generation: left.generation,
            resource_version: before.resource_version.clone(),
        },
    };
    let since = before.last_written_time.as_ref().map(|written| left.now.duration_since(written.0));
    // A change of our own is written all the same, and brings the rest along.
    let held = if brings_ours { None } else { again(bundle, &record, since) };
    Judgement { held, contested: Some(record), undone: true }
}

/// Whether a write brings back what stood as it does now, and whether it brings something of our own beside it. None
/// where nothing was undone.
fn undoing(write: &BundleWrite, locations: &[PlannedLocation], before: &ConfigBundleStatus) -> Option<bool> {
    let stood = |location: &PlannedLocation| {
        let before = before.locations.iter().find(|left| left.name == location.name);
        before.is_some_and(|left| left.of.is_some() && left.of == location.of)
    };
    // An output follows its source: that is nobody's undoing, and does not wait for those who undo.
    let follows =
        write.output.as_ref().is_some_and(|output| before.source_version.as_ref() != Some(&output.source_version));
    if write.locations.is_empty() {
        if follows {
            return None;
        }
        // The lists alone: what is to stand there is part of what each location is remembered by.
        let mut ours = locations.iter().filter(|location| !location.claimed && location.of.is_some());
        return ours.any(stood).then_some(false);
    }
    let mut undone = locations.iter().filter(|location| write.locations.contains(&location.name)).map(stood);
    let (any, all) = undone.by_ref().fold((false, true), |(any, all), stood| (any || stood, all && stood));
    any.then_some(!all || follows)
}

/// Whether an undoing is to wait, the last write `since` ago.
fn again(secret: &str, record: &ContestedStatus, since: Option<SignedDuration>) -> Option<Held> {
    let who = match &record.writer {
        Some(writer) => format!("The field manager {writer:?}"),
        None => "Somebody else".to_owned(),
    };
    let failure = |reason: Reason, then: &str| {
        Failure::new(
            reason,
            format!(
                "{who} has changed our entry in Secret {secret} back {} times. {then} Find who writes config.yaml (`kubectl get secret {secret} -o yaml --show-managed-fields`) and let one of the two do it.",
                record.count
            ),
        )
    };
    let repairs = usize::try_from(record.count.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(after) = REPAIRED_AFTER.get(repairs) else {
        let then = "It is left as it is until what is to be written changes: each write restarts Quay.";
        return Some(Held { wait: None, failure: failure(Reason::Contested, then) });
    };
    // A clock that was set back makes nobody wait for longer than that.
    let wait = (*after - since.unwrap_or(*after)).min(*after);
    let then = "It is put right again later: each write restarts Quay.";
    wait.is_positive().then(|| Held { wait: Some(wait), failure: failure(Reason::EntryUndone, then) })
}

#[cfg(test)]
mod tests;
