//! When somebody keeps undoing what we write. Every write restarts a registry, so a fight has to end.

use std::time::Duration;

use crate::reason::{Failure, Reason};

/// How long after our last write the first, the second and the third undoing is put right. There is no fourth repair.
const REPAIRED_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_mins(1), Duration::from_mins(10)];

/// Whether to write what has been undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contest {
    /// Write it.
    Write,
    /// Not before this has passed.
    Wait(Duration, Failure),
    /// No more, until something else is to be written.
    Stop(Failure),
}

/// What to do when an unchanged intent is to be written again: it has been written and undone `undone` times before
/// this one, the last write `since` ago.
pub fn again(secret: &str, undone: usize, since: Duration) -> Contest {
    let failure = |reason: Reason, then: &str| {
        Failure::new(
            reason,
            format!(
                "Somebody else has changed our entry in Secret {secret} back {} times. {then} Find who writes config.yaml (`kubectl get secret {secret} -o yaml --show-managed-fields`) and let one of the two do it.",
                undone + 1
            ),
        )
    };
    match REPAIRED_AFTER.get(undone) {
        None => Contest::Stop(failure(
            Reason::Contested,
            "It is left as it is until what is to be written changes: each write restarts Quay.",
        )),
        Some(after) => match after.checked_sub(since) {
            None | Some(Duration::ZERO) => Contest::Write,
            Some(wait) => Contest::Wait(
                wait,
                failure(Reason::EntryUndone, "It is put right again later: each write restarts Quay."),
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_put_right_at_once_then_after_a_minute_then_after_ten_and_then_no_more() {
        let seconds = Duration::from_secs;
        assert_eq!(again("bundle", 0, Duration::ZERO), Contest::Write);
        assert!(matches!(again("bundle", 1, seconds(59)), Contest::Wait(wait, _) if wait == seconds(1)));
        assert_eq!(again("bundle", 1, seconds(60)), Contest::Write);
        assert!(matches!(again("bundle", 2, seconds(599)), Contest::Wait(..)));
        assert_eq!(again("bundle", 2, seconds(600)), Contest::Write);
        assert!(matches!(again("bundle", 3, seconds(1_000_000)), Contest::Stop(_)));
    }
}
