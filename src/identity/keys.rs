//! The rotation of a user's access key: which step is next, by what AWS and the cluster say now.
//!
//! Two keys are IAM's limit and enough: the new one is made, proven and handed out while the old one works; the old one is
//! deactivated once nobody uses it, and deleted once nobody missed it. docs/identities.md has the picture.

mod retirement;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::desired::RotationWanted;
use super::marker::{INTENT, Intent, Marker, Notes, Phase, tag_of};
use super::observed::{Key, KeySecret, Keys, LastUsed};
use super::step::{Step, four};
use crate::plan::key::last_four;
use crate::reason::{Failure, Reason};

/// AWS tells of a key's use late: what was not told of within this is believed not to have been.
pub const QUIET: Duration = Duration::from_hours(2);
/// Within this a key that is noted as retired and works is one of which the deactivation was cut off.
const UNDER_WAY: Duration = Duration::from_mins(10);
/// A key that nobody noted is the one that was being made if it is of so much before or after: clocks differ.
const MADE_WITHIN: Duration = Duration::from_mins(10);
/// IAM may not list a key yet that was handed out a moment ago.
const FRESH: Duration = Duration::from_secs(30);
/// IAM lists a new key within this.
pub const LISTED_WITHIN: Duration = Duration::from_mins(15);

/// What is to be done about a user's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlan {
    /// The steps that can be made now, in their order.
    pub steps: Vec<Step>,
    /// Where the rotation is.
    pub rotation: Rotation,
    /// How long until there is something to do, if nothing else happens.
    pub again: Option<Duration>,
}

/// Where a rotation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// One key, in the Secret; it is replaced then.
    Settled(Timestamp),
    /// A new key is being made, proven and put into the Secret. Whether there is one that works meanwhile.
    Making {
        /// The key in the Secret works.
        is_working: bool,
    },
    /// The new key is in the Secret, and not everybody has it yet: who does not, and why.
    WaitingForConsumers(String),
    /// Everybody has the new key; the old one works for as long as it may be used, at least until then.
    KeepingOldKey(Timestamp),
    /// It cannot be known whether the old key is used: why, and what to do.
    ConfirmationNeeded(String),
    /// The old key is inactive, and is deleted then if nobody misses it.
    OldKeyInactive(Timestamp),
    /// The old key was deactivated and missed: it works again.
    OldKeyStillUsed(String),
    /// Nothing is done until somebody changes something.
    Stopped {
        /// Why.
        failure: Failure,
        /// The key in the Secret works.
        is_working: bool,
    },
}

/// Plans what is to be done about the keys of a user.
pub fn plan(keys: &Keys, notes: &Notes, wanted: RotationWanted, now: Timestamp) -> KeyPlan {
    View { keys, notes, wanted, now }.plan()
}

/// What a plan is made from.
struct View<'a> {
    keys: &'a Keys,
    notes: &'a Notes,
    wanted: RotationWanted,
    now: Timestamp,
}

impl View<'_> {
    fn plan(&self) -> KeyPlan {
        let in_secret = match &self.keys.secret {
            KeySecret::Unusable(failure) => {
                return Self::stopped(failure.clone(), self.listed().iter().any(|key| key.is_active));
            }
            KeySecret::Absent => None,
            KeySecret::Holds(id) => id.as_ref(),
        };
        let listed = self.listed();
        let current = listed.iter().find(|key| Some(&key.id) == in_secret);
        let is_working = current.is_some_and(|key| key.is_active);
        let making = |steps| KeyPlan { steps, rotation: Rotation::Making { is_working }, again: None };

        // One that was made, and of which nothing could be noted before the process ended.
        let made: Vec<Step> = listed
            .iter()
            .filter(|key| self.is_made_by_us(key) && Some(&key.id) != in_secret)
            .map(|key| self.mark(&key.id, Phase::Pending))
            .collect();
        if !made.is_empty() {
            return making(made);
        }
        // Nobody but the process that made it ever had it, and that process is gone.
        let lost = listed.iter().find(|key| self.is_pending(key) && Some(&key.id) != in_secret && !self.is_held(key));
        if let Some(lost) = lost {
            // Somebody has it all the same, or may.
            let is_out = self.keys.is_bundle_unread || self.keys.in_bundles.contains_key(&lost.id);
            return making(if is_out { vec![self.mark(&lost.id, Phase::Published)] } else { Self::delete(&lost.id) });
        }
        if let Some(held) = self.keys.held.as_ref().filter(|held| Some(&held.id) != in_secret) {
            // Where nobody has a key that works it cannot get worse.
            let others_work = listed.iter().any(|key| key.id != held.id && key.is_active);
            let is_proven = if others_work { held.is_proven } else { held.is_proven_once };
            return making(if is_proven { vec![Step::Publish(held.id.clone())] } else { Vec::new() });
        }
        if let (None, Some(marker)) = (current, in_secret.and_then(|id| self.notes.markers.get(id)))
            && later(marker.since, FRESH) > self.now
        {
            let rotation = Rotation::Making { is_working: true };
            return KeyPlan { steps: Vec::new(), rotation, again: Some(FRESH) };
        }
        match current {
            Some(current) if current.is_active => self.working(current, &listed),
            Some(current) if matches!(self.phase(current), Some(Phase::Retired | Phase::Deactivated)) => {
                // Somebody put the old one back into the Secret.
                let steps = vec![Step::Activate(current.id.clone()), self.mark(&current.id, Phase::StillUsed)];
                let why = format!("key {} was put back into the Secret", four(&current.id));
                KeyPlan { steps, rotation: Rotation::OldKeyStillUsed(why), again: None }
            }
            _ => self.make(&listed, false),
        }
    }

    /// The key in the Secret works.
    fn working(&self, current: &Key, listed: &[Key]) -> KeyPlan {
        let noted = self.marker(current).filter(|m| matches!(m.phase, Phase::Published | Phase::StillUsed));
        let Some(Marker { since, .. }) = noted.copied() else {
            let steps = vec![self.mark(&current.id, Phase::Published)];
            return KeyPlan { steps, rotation: Rotation::Making { is_working: true }, again: None };
        };
        let old = listed.iter().filter(|key| key.id != current.id);
        if let Some((old, marker)) = old.clone().find_map(|key| Some((key, *self.marker(key)?))) {
            return self.retire(old, marker, since);
        }
        // AWS tells when a key was made to the second.
        let asked = self.keys.asked.rotate.filter(|asked| current.created.as_second() < asked.as_second());
        let next = [Some(later(current.created, self.wanted.interval)), asked].into_iter().flatten().min();
        let next = next.unwrap_or(self.now);
        if next <= self.now {
            return self.make(listed, true);
        }
        let gone = self.gone_notes(listed);
        let steps = if gone.is_empty() { Vec::new() } else { vec![Step::Unmark(gone)] };
        KeyPlan { steps, rotation: Rotation::Settled(next), again: Some(self.until(next)) }
    }

    /// A key is to be made; room for it first.
    fn make(&self, listed: &[Key], is_working: bool) -> KeyPlan {
        let rotation = Rotation::Making { is_working };
        if listed.len() < 2 {
            let before = listed.iter().map(|key| key.id.clone()).collect();
            let steps = vec![Step::NoteIntent(Intent { since: self.now, before }), Step::CreateKey];
            return KeyPlan { steps, rotation, again: None };
        }
        let foreign = listed.iter().find(|key| self.marker(key).is_none());
        if let (Some(foreign), true) = (foreign, is_working) {
            let message = format!(
                "The user has two access keys, and this operator has not made {}: there is no room for a new one. If nobody needs it: aws iam delete-access-key --user-name <user> --access-key-id <…{}>",
                four(&foreign.id),
                last_four(&foreign.id)
            );
            return Self::stopped(Failure::new(Reason::ForeignKey, message), is_working);
        }
        // Neither secret is known. One may go that is ours, that no bundle has, and that nobody uses for a while.
        let is_out = |key: &Key| self.keys.is_bundle_unread || self.keys.in_bundles.contains_key(&key.id);
        let may_go = |key: &&Key| self.marker(key).is_some() && !is_out(key);
        let free = listed.iter().filter(may_go).filter_map(|key| Some((self.unused_from(key)?, key)));
        let Some((free, key)) = free.min_by_key(|(free, key)| (key.is_active, *free)) else {
            let each: Vec<String> = listed.iter().map(|key| self.why_it_stays(key)).collect();
            let message = format!(
                "The Secret has no key that works, and the user has two already: {}. Put one of them into the Secret, or delete the one that nobody needs.",
                each.join("; ")
            );
            return Self::stopped(Failure::new(Reason::NoRoomForKey, message), is_working);
        };
        // It may have been handed out a moment ago, and AWS tells of its use later: from here on it is watched.
        if key.is_active && self.phase(key) != Some(Phase::Spare) {
            return KeyPlan { steps: vec![self.mark(&key.id, Phase::Spare)], rotation, again: None };
        }
        if free <= self.now {
            return KeyPlan { steps: Self::delete(&key.id), rotation, again: None };
        }
        let message = format!(
            "The Secret has no key that works, and the user has two already. Key {} is deleted to make room if it is not used until {}.",
            four(&key.id),
            free.strftime("%Y-%m-%dT%H:%M:%SZ")
        );
        let stopped = Self::stopped(Failure::new(Reason::NoRoomForKey, message), is_working);
        KeyPlan { again: Some(self.until(free)), ..stopped }
    }

    fn why_it_stays(&self, key: &Key) -> String {
        let id = four(&key.id);
        match (self.keys.in_bundles.get(&key.id), self.marker(key), &key.last_used) {
            (Some(bundles), ..) => {
                let bundles: Vec<&str> = bundles.iter().map(String::as_str).collect();
                format!("{id} stands in Secret {}", bundles.join(", "))
            }
            (None, None, _) => format!("{id} was not made by this operator"),
            (None, Some(_), _) if self.keys.is_bundle_unread => format!("whether a bundle has {id} cannot be seen"),
            (None, Some(_), LastUsed::Unknown(failure)) => {
                format!("of {id} it is not known when it was used: {}", failure.message)
            }
            (None, Some(_), _) => format!("{id} was used lately"),
        }
    }

    /// From when on a key counts as unused; none if AWS does not say.
    fn unused_from(&self, key: &Key) -> Option<Timestamp> {
        let noted = self.marker(key).map_or(key.created, |marker| marker.since);
        match &key.last_used {
            LastUsed::Never => Some(later(noted, QUIET)),
            LastUsed::At(at) => Some(later(noted.max(*at), QUIET)),
            LastUsed::Unknown(_) => None,
        }
    }

    /// The keys that the user has, the one that is held among them though IAM may not list it yet.
    fn listed(&self) -> Vec<Key> {
        let mut listed = self.keys.listed.clone();
        if let Some(held) = self.keys.held.as_ref().filter(|held| !listed.iter().any(|key| key.id == held.id)) {
            listed.push(Key { id: held.id.clone(), created: self.now, is_active: true, last_used: LastUsed::Never });
        }
        listed
    }

    fn is_made_by_us(&self, key: &Key) -> bool {
        let is_new = self.notes.intent.as_ref().is_some_and(|intent| {
            let apart = key.created.duration_since(intent.since).unsigned_abs();
            !intent.before.contains(&key.id) && apart <= MADE_WITHIN
        });
        self.marker(key).is_none() && (is_new || self.is_held(key))
    }

    fn is_held(&self, key: &Key) -> bool {
        self.keys.held.as_ref().is_some_and(|held| held.id == key.id)
    }

    fn is_pending(&self, key: &Key) -> bool {
        self.phase(key) == Some(Phase::Pending)
    }

    fn phase(&self, key: &Key) -> Option<Phase> {
        self.marker(key).map(|marker| marker.phase)
    }

    fn marker(&self, key: &Key) -> Option<&Marker> {
        self.notes.markers.get(&key.id)
    }

    fn mark(&self, id: &str, phase: Phase) -> Step {
        Step::Mark(id.to_owned(), Marker { phase, since: self.now })
    }

    fn delete(id: &str) -> Vec<Step> {
        vec![Step::DeleteKey(id.to_owned()), Step::Unmark(vec![tag_of(id)])]
    }

    /// The notes of keys that are gone, and of one that was about to be made and is not needed any more.
    fn gone_notes(&self, listed: &[Key]) -> Vec<String> {
        let is_gone = |id: &String, marker: &Marker| {
            let is_young = later(marker.since, LISTED_WITHIN) > self.now;
            !listed.iter().any(|key| key.id == *id)
                && (matches!(marker.phase, Phase::Retired | Phase::Deactivated) || !is_young)
        };
        let gone = self.notes.markers.iter().filter(|(id, marker)| is_gone(id, marker)).map(|(id, _)| tag_of(id));
        gone.chain(self.notes.intent.as_ref().map(|_| INTENT.to_owned())).collect()
    }

    fn stopped(failure: Failure, is_working: bool) -> KeyPlan {
        KeyPlan { steps: Vec::new(), rotation: Rotation::Stopped { failure, is_working }, again: None }
    }

    fn until(&self, then: Timestamp) -> Duration {
        // Times are kept to the second: a little later it is certainly past.
        (then.duration_since(self.now) + SignedDuration::from_secs(1)).try_into().unwrap_or_default()
    }
}

/// So much later; the end of time, if there is none.
fn later(then: Timestamp, by: Duration) -> Timestamp {
    then.checked_add(by).unwrap_or(Timestamp::MAX)
}
