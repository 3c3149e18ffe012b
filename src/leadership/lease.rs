//! PURE: what to do about a lease, as it was seen. Whether another holder has let it expire is judged by how long it has not
//! changed here, by a clock that nobody sets: clocks of other machines count for nothing.

use std::time::{Duration, Instant};

/// How long leadership lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who has not renewed for that long has lost it.
    pub duration: Duration,
    /// Who could not renew for that long acts no more.
    pub deadline: Duration,
    /// How often it is renewed, or looked at by who waits.
    pub retry: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        let [duration, deadline, retry] = [15, 10, 2].map(Duration::from_secs);
        Self { duration, deadline, retry }
    }
}

/// A lease as the API server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty if somebody gave it up.
    pub holder: String,
    /// When they renewed it, in their own words: that it changes counts, and not what it says.
    pub renewed: Option<String>,
    /// How long they say that it lasts.
    pub duration: Option<Duration>,
    /// How often it has changed hands.
    pub transitions: i32,
}

impl Record {
    /// Whether its holder has given it up, and acts no more.
    fn is_given_up(&self) -> bool {
        self.holder.is_empty() && self.duration == Some(GIVEN_UP)
    }
}

/// How long a lease lasts that was given up.
pub(super) const GIVEN_UP: Duration = Duration::from_secs(1);

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// There is none: make it.
    Create,
    /// It is ours, or free, or has expired: take it, or renew it.
    Take {
        /// Whether it changes hands.
        changes_hands: bool,
    },
    /// Somebody else holds it.
    Wait,
}

/// Who watches a lease.
#[derive(Debug)]
pub struct Watcher {
    me: String,
    terms: Terms,
    /// The lease as it was last seen to change, and when that was here.
    seen: Option<(Record, Instant)>,
    /// When somebody else was last seen to hold it who has not given it up.
    other: Option<Instant>,
}

impl Watcher {
    /// Nothing was seen yet.
    pub fn new(me: String, terms: Terms) -> Self {
        Self { me, terms, seen: None, other: None }
    }

    /// Who holds it, as far as was seen.
    pub fn holder(&self) -> Option<&str> {
        self.seen.as_ref().map(|(record, _)| record.holder.as_str())
    }

    /// What to do about the lease as it is now.
    pub fn judge(&mut self, now: Instant, record: Option<&Record>) -> Move {
        // Who saw that it is gone acts no more; but it takes them a while to see that.
        let acts = |other: Option<Instant>| {
            other.is_some_and(|seen| now.saturating_duration_since(seen) < self.terms.duration)
        };
        let Some(record) = record else {
            self.seen = None;
            return if acts(self.other) { Move::Wait } else { Move::Create };
        };
        let since = match &self.seen {
            Some((seen, since)) if seen == record => *since,
            _ => {
                self.seen = Some((record.clone(), now));
                now
            }
        };
        if record.holder == self.me {
            return Move::Take { changes_hands: false };
        }
        if record.is_given_up() {
            self.other = None;
            return Move::Take { changes_hands: true };
        }
        if record.holder.is_empty() {
            return if acts(self.other) { Move::Wait } else { Move::Take { changes_hands: true } };
        }
        self.other = Some(since);
        // Neither a holder that says less nor one that says much more than what is agreed upon is robbed or obeyed.
        let lasts = record.duration.unwrap_or_default().clamp(self.terms.duration, 4 * self.terms.duration);
        let has_expired = now.saturating_duration_since(since) >= lasts;
        if has_expired { Move::Take { changes_hands: true } } else { Move::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "me";

    fn record(holder: &str, renewed: &str) -> Record {
        Record {
            holder: holder.into(),
            renewed: Some(renewed.into()),
            duration: Some(Duration::from_secs(15)),
            transitions: 0,
        }
    }

    fn watcher() -> Watcher {
        Watcher::new(ME.into(), Terms::default())
    }

    #[test]
    fn a_lease_that_nobody_holds_is_taken() {
        let now = Instant::now();
        assert_eq!(watcher().judge(now, None), Move::Create);
        assert_eq!(watcher().judge(now, Some(&record("", "1"))), Move::Take { changes_hands: true });
        let given_up = Record { duration: Some(GIVEN_UP), ..record("", "1") };
        let mut watcher = watcher();
        watcher.judge(now, Some(&record("other", "1")));
        assert_eq!(watcher.judge(now, Some(&given_up)), Move::Take { changes_hands: true });
        let mut watcher = self::watcher();
        assert_eq!(watcher.judge(now, Some(&record(ME, "1"))), Move::Take { changes_hands: false });
    }

    #[test]
    fn a_holder_has_all_of_its_time_from_when_a_change_was_seen_here() {
        let (mut watcher, start) = (watcher(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(watcher.judge(start, Some(&record("other", "1"))), Move::Wait, "however old it says it is");
        assert_eq!(watcher.judge(after(14), Some(&record("other", "1"))), Move::Wait);
        assert_eq!(watcher.judge(after(14), Some(&record("other", "2"))), Move::Wait, "it was renewed");
        assert_eq!(watcher.judge(after(28), Some(&record("other", "2"))), Move::Wait);
        assert_eq!(watcher.judge(after(29), Some(&record("other", "2"))), Move::Take { changes_hands: true });
    }

    #[test]
    fn a_holder_that_says_that_it_needs_longer_gets_it_and_none_gets_less() {
        let (mut watcher, start) = (watcher(), Instant::now());
        let years = Record { duration: Some(Duration::from_hours(100_000)), ..record("long", "1") };
        watcher.judge(start, Some(&years));
        assert_eq!(watcher.judge(start + Duration::from_mins(1), Some(&years)), Move::Take { changes_hands: true });
        let lasts = |seconds| Record { duration: Some(Duration::from_secs(seconds)), ..record("other", "1") };
        watcher.judge(start, Some(&lasts(60)));
        assert_eq!(watcher.judge(start + Duration::from_secs(59), Some(&lasts(60))), Move::Wait);
        watcher.judge(start, Some(&lasts(1)));
        assert_eq!(watcher.judge(start + Duration::from_secs(2), Some(&lasts(1))), Move::Wait);
    }

    #[test]
    fn a_lease_that_somebody_deletes_or_empties_is_left_for_as_long_as_its_holder_may_act() {
        let start = Instant::now();
        for gone in [None, Some(record("", "1"))] {
            let mut watcher = watcher();
            watcher.judge(start, Some(&record("other", "1")));
            assert_eq!(watcher.judge(start + Duration::from_secs(14), gone.as_ref()), Move::Wait);
            assert_ne!(watcher.judge(start + Duration::from_secs(15), gone.as_ref()), Move::Wait);
        }
    }
}
