//! What is kept of one proof: its last outcome, when it succeeded, when it is due again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::storage::Depth;
use crate::plan::ProofState;
use crate::plan::observation::Proof;
use crate::reason::Failure;
use crate::resource::ResourceId;
use crate::verdict::{Findings, Step, is_silence};

/// The first retry comes after this; each later one after twice the time before.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// No retry waits longer.
const LAST_RETRY: Duration = Duration::from_mins(15);
/// A proof is made again this much before it gets too old, so that there is no gap between the two. Each record draws
/// a share of it, so that proofs that were made together are not made again together.
const EARLY: f64 = 0.1;

/// A full proof is made again after about a day; what is made in between changes nothing.
const FULL_EVERY: Duration = Duration::from_hours(22);

/// One proof's record.
#[derive(Default)]
pub(super) struct Record {
    /// How many locations are interested in it.
    pub(super) seats: usize,
    /// Since when a proof runs, while one does.
    running: Option<Instant>,
    succeeded: Option<Success>,
    /// When everything was last tried and worked, unless it was tried again since and failed.
    full: Option<Instant>,
    /// When the last attempt to try everything began, however it ended.
    attempted: Option<Instant>,
    failure: Option<Failed>,
    /// AWS has refused since it last granted.
    denied: bool,
    early: f64,
    /// Nothing is known yet, but that an earlier process proved it: until then that will do.
    later: Option<Instant>,
    /// Who is to be told of the outcome of the proof that is running.
    pub(super) waiting: HashSet<ResourceId>,
}

struct Success {
    at: Instant,
    time: Timestamp,
    notes: Vec<String>,
}

struct Failed {
    step: Step,
    failure: Failure,
    times: u32,
    retry_at: Instant,
}

impl Record {
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether everything was tried since it was asked for, if it was.
    pub(super) fn is_fresh(&self, asked: Option<Instant>) -> bool {
        asked.is_none_or(|asked| self.attempted.is_some_and(|attempted| asked <= attempted))
    }

    /// Whether a proof is to be started now because it is asked for.
    pub(super) fn is_wanted(&self, asked: Option<Instant>) -> bool {
        !self.is_running() && !self.is_fresh(asked)
    }

    /// Whether a proof is to be started now.
    pub(super) fn is_due(&self, now: Instant, max_age: Duration) -> bool {
        !self.is_running() && self.due_at(max_age).is_none_or(|due| due <= now)
    }

    /// Puts the first proof off, by a share of the time for which an earlier proof is young enough, so that not all are
    /// made at once after a restart. Without such a one it is put off no longer.
    pub(super) fn look_later(&mut self, now: Instant, max_age: Duration, earlier: Option<(Duration, Timestamp)>) {
        let is_new = self.succeeded.is_none() && self.failure.is_none();
        let left = earlier.and_then(|(age, _)| max_age.checked_sub(age)).filter(|left| is_new && !left.is_zero());
        self.later = left.map(|left| self.later.unwrap_or_else(|| now + left.mul_f64(fastrand::f64())));
    }

    /// How much the next proof tries.
    pub(super) fn depth(&self, now: Instant) -> Depth {
        let all_was_tried = self.full.is_some_and(|full| now.saturating_duration_since(full) < FULL_EVERY);
        match &self.failure {
            // Silence says nothing against what was found before.
            None => {
                if all_was_tried {
                    Depth::ReadOnly
                } else {
                    Depth::Full
                }
            }
            Some(failed) if all_was_tried && !self.denied && is_silence(&failed.failure) => Depth::ReadOnly,
            Some(_) => Depth::Full,
        }
    }

    /// How long until a proof is to be started; none while one runs.
    pub(super) fn next(&self, now: Instant, max_age: Duration) -> Option<Duration> {
        if self.is_running() { None } else { self.due_at(max_age).map(|due| due.saturating_duration_since(now)) }
    }

    fn due_at(&self, max_age: Duration) -> Option<Instant> {
        match (&self.failure, &self.succeeded) {
            (Some(failed), _) => Some(failed.retry_at),
            (None, Some(success)) => Some(success.at + max_age.mul_f64(1.0 - EARLY * (0.5 + self.early / 2.0))),
            (None, None) => self.later,
        }
    }

    pub(super) fn start(&mut self, now: Instant) {
        self.running = Some(now);
    }

    /// Records the outcome and says who waited for it.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        time: Timestamp,
        depth: Depth,
        findings: &Findings,
    ) -> HashSet<ResourceId> {
        let started = self.running.take().unwrap_or(now);
        if depth == Depth::Full {
            self.attempted = Some(started);
        }
        match findings.failure() {
            None => {
                let notes = match (depth, self.succeeded.take()) {
                    // What only the whole proof sees holds until the next one.
                    (Depth::ReadOnly, Some(before)) => before.notes,
                    _ => findings.notes.clone(),
                };
                if depth == Depth::Full {
                    self.full = Some(now);
                }
                self.succeeded = Some(Success { at: now, time, notes });
                self.failure = None;
                self.denied = false;
                self.early = fastrand::f64();
            }
            Some((step, failure)) => {
                if depth == Depth::Full {
                    // It may have left what only the next full one removes.
                    self.full = None;
                }
                if !is_silence(failure) {
                    // A denial undoes what was proven before; no later silence brings that back.
                    self.succeeded = None;
                    self.denied = true;
                }
                let times = self.failure.as_ref().map_or(0, |failed| failed.times);
                let wait = FIRST_RETRY.saturating_mul(1_u32 << times.min(16)).min(LAST_RETRY);
                let spread = wait.mul_f64(0.8 + 0.4 * fastrand::f64());
                let failure = failure.clone();
                self.failure = Some(Failed { step, failure, times: times + 1, retry_at: now + spread });
            }
        }
        std::mem::take(&mut self.waiting)
    }

    /// What is known. A denial counts at once; that AWS cannot be reached leaves a proof standing for two intervals,
    /// `earlier` too: one that an earlier process made, when nothing has been denied since.
    pub(super) fn state(
        &self,
        now: Instant,
        max_age: Duration,
        of: &str,
        earlier: Option<(Duration, Timestamp)>,
    ) -> ProofState {
        let younger_than = |limit: Duration| {
            let success = self.succeeded.as_ref()?;
            let young = now.saturating_duration_since(success.at) <= limit;
            young.then(|| Proof { at: success.time, of: of.to_owned(), notes: success.notes.clone() })
        };
        let earlier = earlier.filter(|(age, _)| !self.denied && *age <= max_age * 2);
        let earlier = earlier.map(|(_, at)| Proof { at, of: of.to_owned(), notes: Vec::new() });
        let Some(Failed { step, failure, .. }) = &self.failure else {
            let earlier = earlier.filter(|_| self.later.is_some()).map_or(ProofState::Pending, ProofState::Earlier);
            return younger_than(max_age).map_or(earlier, ProofState::Proven);
        };
        match younger_than(max_age * 2).or(earlier).filter(|_| is_silence(failure)) {
            Some(proof) => ProofState::Stale(proof, failure.clone()),
            None => ProofState::Failed(*step, failure.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
