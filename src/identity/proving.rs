//! How often and for how long a fresh key has to work. IAM tells its endpoints of a new key one after the other: what works
//! once may be refused a second later.

use std::time::Duration;

/// How many times in a row.
const TIMES: u32 = 3;
/// Over at least how long, and so how long between two of them.
const OVER: Duration = Duration::from_mins(1);
/// How long after a refusal the next try is made.
const AGAIN: Duration = Duration::from_secs(3);

/// How the proofs of a fresh key have come out so far. Times are counted from any one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proving {
    succeeded: u32,
    first: Duration,
    last: Option<Duration>,
    was_refused: bool,
}

impl Proving {
    /// How long to wait for the next proof; none if it is due.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        let last = self.last?;
        let pause = if self.was_refused { AGAIN } else { OVER / (TIMES - 1) };
        (last + pause).checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// A proof came out.
    pub fn came_out(&mut self, now: Duration, succeeded: bool) {
        self.last = Some(now);
        self.was_refused = !succeeded;
        if self.succeeded == 0 {
            self.first = now;
        }
        self.succeeded = if succeeded { self.succeeded + 1 } else { 0 };
    }

    /// Whether the key may be handed out. Where nobody has a key that works, one proof is enough: it cannot get worse.
    pub fn is_enough(&self, is_urgent: bool) -> bool {
        let over = self.last.and_then(|last| last.checked_sub(self.first)).unwrap_or_default();
        if is_urgent { self.succeeded > 0 } else { self.succeeded >= TIMES && over >= OVER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_key_is_proven_three_times_over_a_minute() {
        let mut proving = Proving::default();
        assert_eq!(proving.wait(SECOND), None);
        for (at, is_enough) in [(1, false), (31, false), (61, true)] {
            let now = at * SECOND;
            assert_eq!(proving.wait(now), None, "{at}");
            proving.came_out(now, true);
            assert_eq!(proving.wait(now + SECOND), Some(29 * SECOND));
            assert_eq!(proving.is_enough(false), is_enough, "{at}");
            assert!(proving.is_enough(true));
        }
    }

    #[test]
    fn a_refusal_begins_anew_and_is_tried_again_soon() {
        let mut proving = Proving::default();
        for at in [0, 30] {
            proving.came_out(at * SECOND, true);
        }
        proving.came_out(60 * SECOND, false);
        assert!(!proving.is_enough(true));
        assert_eq!(proving.wait(61 * SECOND), Some(2 * SECOND));
        for at in [63, 93] {
            proving.came_out(at * SECOND, true);
            assert!(!proving.is_enough(false), "{at}");
        }
        proving.came_out(123 * SECOND, true);
        assert!(proving.is_enough(false));
    }

    #[test]
    fn proofs_that_come_too_close_are_not_enough() {
        let mut proving = Proving::default();
        for at in [0, 1, 2, 3] {
            proving.came_out(at * SECOND, true);
        }
        assert!(!proving.is_enough(false));
    }
}
