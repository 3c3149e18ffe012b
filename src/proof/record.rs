//! What is kept of one proof: its last outcome, when it succeeded, when it is due again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::plan::ProofState;
use crate::plan::observation::Proof;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// The first retry comes after this; each later one after twice the time before.
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// No retry waits longer.
const LAST_RETRY: Duration = Duration::from_mins(15);
/// A proof is made again this much before it gets too old, so that there is no gap between the two. Each record draws
/// a share of it, so that proofs that were made together are not made again together.
const EARLY: f64 = 0.1;

/// One proof's record.
#[derive(Default)]
pub(super) struct Record {
    running: bool,
    succeeded: Option<(Instant, Timestamp)>,
    failure: Option<Failed>,
    /// AWS has refused since it last granted.
    denied: bool,
    early: f64,
    /// Who is to be told of the outcome of the proof that is running.
    pub(super) waiting: HashSet<ResourceId>,
}

struct Failed {
    failure: Failure,
    times: u32,
    retry_at: Instant,
}

impl Record {
    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Whether a proof is to be started now.
    pub(super) fn is_due(&self, now: Instant, max_age: Duration) -> bool {
        !self.running && self.due_at(max_age).is_none_or(|due| due <= now)
    }

    /// How long until a proof is to be started; none while one runs.
    pub(super) fn next(&self, now: Instant, max_age: Duration) -> Option<Duration> {
        if self.running { None } else { self.due_at(max_age).map(|due| due.saturating_duration_since(now)) }
    }

    fn due_at(&self, max_age: Duration) -> Option<Instant> {
        match (&self.failure, self.succeeded) {
            (Some(failed), _) => Some(failed.retry_at),
            (None, Some((at, _))) => Some(at + max_age.mul_f64(1.0 - EARLY * (0.5 + self.early / 2.0))),
            (None, None) => None,
        }
    }

    pub(super) fn start(&mut self) {
        self.running = true;
    }

    /// Records the outcome and says who waited for it.
    pub(super) fn finish(&mut self, now: Instant, at: Timestamp, outcome: Result<(), Failure>) -> HashSet<ResourceId> {
        self.running = false;
        match outcome {
            Ok(()) => {
                self.succeeded = Some((now, at));
                self.failure = None;
                self.denied = false;
                self.early = fastrand::f64();
            }
            Err(failure) => {
                if !is_silence(&failure) {
                    // A denial undoes what was proven before; no later silence brings that back.
                    self.succeeded = None;
                    self.denied = true;
                }
                let times = self.failure.as_ref().map_or(0, |failed| failed.times);
                let wait = FIRST_RETRY.saturating_mul(1_u32 << times.min(16)).min(LAST_RETRY);
                let spread = wait.mul_f64(0.8 + 0.4 * fastrand::f64());
                self.failure = Some(Failed { failure, times: times + 1, retry_at: now + spread });
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
        let proof = |time: Timestamp| Proof { at: time, of: of.to_owned() };
        let younger_than = |limit: Duration| {
            let (at, time) = self.succeeded?;
            (now.saturating_duration_since(at) <= limit).then(|| proof(time))
        };
        match &self.failure {
            Some(Failed { failure, .. }) => {
                let earlier =
                    earlier.filter(|(age, _)| !self.denied && *age <= max_age * 2).map(|(_, time)| proof(time));
                match younger_than(max_age * 2).or(earlier).filter(|_| is_silence(failure)) {
                    Some(proof) => ProofState::Stale(proof, failure.clone()),
                    None => ProofState::Failed(failure.clone()),
                }
            }
            None => younger_than(max_age).map_or(ProofState::Pending, ProofState::Proven),
        }
    }
}

/// Whether AWS gave no answer that tells anything of the role.
fn is_silence(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::AwsUnreachable | Reason::Throttled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn refusal(reason: Reason) -> Result<(), Failure> {
        Err(Failure::new(reason, "no"))
    }

    #[test]
    fn a_new_record_is_due_and_pending_and_runs_once() {
        let (mut record, now) = (Record::default(), Instant::now());
        assert!(record.is_due(now, HOUR));
        record.start();
        assert!(!record.is_due(now, HOUR));
        assert_eq!(record.state(now, HOUR, "x", None), ProofState::Pending);
        assert_eq!(record.next(now, HOUR), None);
    }

    #[test]
    fn a_proof_is_made_again_before_it_is_too_old_and_never_used_when_it_is() {
        let (mut record, now) = (Record::default(), Instant::now());
        record.finish(now, Timestamp::UNIX_EPOCH, Ok(()));
        let due = record.next(now, HOUR).unwrap();
        assert!(due >= HOUR.mul_f64(0.9) && due <= HOUR.mul_f64(0.95), "{due:?}");
        assert!(!record.is_due(now + HOUR.mul_f64(0.89), HOUR));
        assert!(matches!(record.state(now + HOUR, HOUR, "x", None), ProofState::Proven(_)));
        assert_eq!(record.state(now + HOUR + Duration::from_secs(1), HOUR, "x", None), ProofState::Pending);
        assert!(record.is_due(now + Duration::from_mins(5), Duration::from_mins(5)), "a shorter interval asks sooner");
    }

    #[test]
    fn a_denial_flips_a_proven_record_at_once_and_silence_does_not_for_two_intervals() {
        let (mut record, now) = (Record::default(), Instant::now());
        record.finish(now, Timestamp::UNIX_EPOCH, Ok(()));
        record.finish(now, Timestamp::UNIX_EPOCH, refusal(Reason::AwsUnreachable));
        assert!(matches!(record.state(now + HOUR, HOUR, "x", None), ProofState::Stale(..)));
        assert!(matches!(
            record.state(now + HOUR * 2 + Duration::from_secs(1), HOUR, "x", None),
            ProofState::Failed(_)
        ));
        record.finish(now, Timestamp::UNIX_EPOCH, refusal(Reason::RoleNotAssumable));
        assert!(matches!(record.state(now, HOUR, "x", None), ProofState::Failed(_)));
        record.finish(now, Timestamp::UNIX_EPOCH, refusal(Reason::Throttled));
        assert!(matches!(record.state(now, HOUR, "x", None), ProofState::Failed(_)), "silence brings no proof back");
    }

    #[test]
    fn what_an_earlier_process_proved_stands_through_silence_but_never_counts_as_proven_nor_after_a_denial() {
        let (mut record, now) = (Record::default(), Instant::now());
        let earlier = |age| Some((age, Timestamp::UNIX_EPOCH));
        let state = |record: &Record, age| record.state(now, HOUR, "x", earlier(age));
        assert_eq!(state(&record, HOUR / 2), ProofState::Pending);
        record.finish(now, Timestamp::UNIX_EPOCH, refusal(Reason::AwsUnreachable));
        assert!(matches!(state(&record, HOUR / 2), ProofState::Stale(..)));
        assert!(matches!(state(&record, HOUR * 3), ProofState::Failed(_)));
        record.finish(now, Timestamp::UNIX_EPOCH, refusal(Reason::RoleNotAssumable));
        record.finish(now, Timestamp::UNIX_EPOCH, refusal(Reason::AwsUnreachable));
        assert!(matches!(state(&record, HOUR / 2), ProofState::Failed(_)));
    }

    #[test]
    fn retries_come_after_two_seconds_then_double_up_to_fifteen_minutes_give_or_take_a_fifth() {
        let (mut record, now) = (Record::default(), Instant::now());
        for times in 0..40_u32 {
            record.finish(now, Timestamp::UNIX_EPOCH, refusal(Reason::RoleNotAssumable));
            let exact = 2.0_f64 * f64::from(1_u32 << times.min(16));
            let exact = exact.min(900.0);
            let wait = record.next(now, HOUR).unwrap().as_secs_f64();
            assert!(wait >= exact * 0.79 && wait <= exact * 1.21, "{times}: {wait}");
        }
        record.finish(now, Timestamp::UNIX_EPOCH, Ok(()));
        record.finish(now, Timestamp::UNIX_EPOCH, refusal(Reason::RoleNotAssumable));
        assert!(record.next(now, HOUR).unwrap() <= Duration::from_millis(2400), "a success starts the count anew");
    }
}
