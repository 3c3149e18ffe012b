//! What becomes of the old key once the new one is in the Secret.

use jiff::Timestamp;

use super::{KeyPlan, QUIET, Rotation, UNDER_WAY, View, later};
use crate::identity::consumers::Standing;
use crate::identity::marker::{Marker, Phase};
use crate::identity::observed::{Key, LastUsed};
use crate::identity::step::{Step, four};
use crate::plan::key::last_four;

impl View<'_> {
    /// The old key's next step; the new one is in the Secret `since`.
    pub(super) fn retire(&self, old: &Key, marker: Marker, since: Timestamp) -> KeyPlan {
        let id = &old.id;
        let plan = |steps, rotation| KeyPlan { steps, rotation, again: None };
        match (marker.phase, old.is_active) {
            (Phase::Pending | Phase::Published | Phase::StillUsed | Phase::Spare, false) => {
                let inactive = Rotation::OldKeyInactive(later(self.now, self.wanted.overlap));
                plan(vec![self.mark(id, Phase::Disabled)], inactive)
            }
            (Phase::Disabled | Phase::Deactivated, true) => {
                let why = format!("key {} was activated again", four(id));
                plan(vec![self.mark(id, Phase::StillUsed)], Rotation::OldKeyStillUsed(why))
            }
            (Phase::Retired, true) => {
                let is_cut_off = later(marker.since, UNDER_WAY) > self.now;
                match self.needed(old, marker.since) {
                    None if is_cut_off => {
                        let inactive = Rotation::OldKeyInactive(later(self.now, self.wanted.overlap));
                        plan(vec![Step::Deactivate(id.clone()), self.mark(id, Phase::Deactivated)], inactive)
                    }
                    needed => {
                        let why = needed.unwrap_or_else(|| format!("key {} was activated again", four(id)));
                        plan(vec![self.mark(id, Phase::StillUsed)], Rotation::OldKeyStillUsed(why))
                    }
                }
            }
            (Phase::Retired, false) => {
                let inactive = Rotation::OldKeyInactive(later(self.now, self.wanted.overlap));
                plan(vec![self.mark(id, Phase::Deactivated)], inactive)
            }
            (Phase::Deactivated, false) => match self.needed(old, marker.since) {
                Some(why) => {
                    let steps = vec![Step::Activate(id.clone()), self.mark(id, Phase::StillUsed)];
                    plan(steps, Rotation::OldKeyStillUsed(why))
                }
                None => self.watch(old, marker),
            },
            (Phase::Disabled, false) => self.watch(old, marker),
            (Phase::Pending | Phase::Published | Phase::StillUsed | Phase::Spare, true) => {
                self.keep(old, marker, since)
            }
        }
    }

    /// Nobody misses the inactive key so far.
    fn watch(&self, old: &Key, marker: Marker) -> KeyPlan {
        // Who is not known to have the new key may come to miss the old one.
        if let Some(why) = self.missed(old) {
            return KeyPlan { steps: Vec::new(), rotation: Rotation::WaitingForConsumers(why), again: None };
        }
        let until = later(marker.since, self.wanted.overlap);
        let steps = if until <= self.now { Self::delete(&old.id) } else { Vec::new() };
        KeyPlan { steps, rotation: Rotation::OldKeyInactive(until), again: Some(self.until(until)) }
    }

    /// The old key works, until it is certain that nobody uses it.
    fn keep(&self, old: &Key, marker: Marker, since: Timestamp) -> KeyPlan {
        let is_missed = marker.phase == Phase::StillUsed;
        let wait = |rotation, again| KeyPlan { steps: Vec::new(), rotation, again };
        if let Some(why) = self.missed(old) {
            let rotation = if is_missed { Rotation::OldKeyStillUsed(why) } else { Rotation::WaitingForConsumers(why) };
            return wait(rotation, None);
        }
        let is_confirmed = self.keys.asked.retire.as_deref() == Some(last_four(&old.id));
        if let Some(why) = self.unknown(old).filter(|_| !is_confirmed) {
            let four = last_four(&old.id);
            let ask = format!(
                "{why}. If nobody uses key …{four} any more: kubectl annotate storageidentity <name> registry-sts.dev/retire-key={four} --overwrite"
            );
            return wait(Rotation::ConfirmationNeeded(ask), None);
        }
        let since = if is_missed { since.max(marker.since) } else { since };
        let used = match &old.last_used {
            LastUsed::At(at) => since.max(*at),
            LastUsed::Never | LastUsed::Unknown(_) => since,
        };
        let until = later(used, self.wanted.overlap.max(QUIET));
        if until > self.now {
            return wait(Rotation::KeepingOldKey(until), Some(self.until(until)));
        }
        KeyPlan {
            // Noted first: a deactivation that is cut off is gone on with, and one by somebody else is told from it.
            steps: vec![
                self.mark(&old.id, Phase::Retired),
                Step::Deactivate(old.id.clone()),
                self.mark(&old.id, Phase::Deactivated),
            ],
            rotation: Rotation::OldKeyInactive(later(self.now, self.wanted.overlap)),
            again: None,
        }
    }

    /// Who has not got the new key, as far as is known.
    fn missed(&self, old: &Key) -> Option<String> {
        let behind = self.keys.consumers.iter().filter_map(|consumer| match &consumer.standing {
            Standing::Behind(why) | Standing::NotRunning(why) => Some(format!("QuayStorage {}: {why}", consumer.name)),
            Standing::Current | Standing::Unknown(_) => None,
        });
        joined(behind.chain(self.bundles_with(old)))
    }

    /// Who needs the old key that is inactive `since`: a bundle has it, Quay's pods are not well, or AWS tells late of a use.
    fn needed(&self, old: &Key, since: Timestamp) -> Option<String> {
        let unwell = self.keys.consumers.iter().filter_map(|consumer| match &consumer.standing {
            Standing::NotRunning(why) => Some(format!("QuayStorage {}: {why}", consumer.name)),
            Standing::Current | Standing::Behind(_) | Standing::Unknown(_) => None,
        });
        let used = match &old.last_used {
            LastUsed::At(at) if later(*at, QUIET) > since => Some(format!("key {} was used lately", four(&old.id))),
            LastUsed::At(_) | LastUsed::Never | LastUsed::Unknown(_) => None,
        };
        joined(unwell.chain(self.bundles_with(old)).chain(used))
    }

    fn bundles_with(&self, old: &Key) -> impl Iterator<Item = String> {
        let bundles = self.keys.in_bundles.get(&old.id).into_iter().flatten();
        bundles.map(|bundle| format!("Secret {bundle} still has key {}", four(&old.id)))
    }

    /// Why it cannot be said whether the old key is used.
    fn unknown(&self, old: &Key) -> Option<String> {
        let consumers = self.keys.consumers.iter().filter_map(|consumer| match &consumer.standing {
            Standing::Unknown(why) => Some(format!("QuayStorage {}: {why}", consumer.name)),
            Standing::Current | Standing::Behind(_) | Standing::NotRunning(_) => None,
        });
        let used = match &old.last_used {
            LastUsed::Unknown(failure) => {
                Some(format!("AWS does not say when it was used: {}", failure.message.trim_end_matches('.')))
            }
            LastUsed::Never | LastUsed::At(_) => None,
        };
        joined(consumers.chain(used))
    }
}

fn joined(each: impl Iterator<Item = String>) -> Option<String> {
    let each: Vec<String> = each.collect();
    (!each.is_empty()).then(|| each.join("; "))
}
