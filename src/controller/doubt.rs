//! Refusals that are not believed at once: an API server that has just started refuses for a moment what is granted.

use std::time::{Duration, Instant};

use super::memory::Memory;
use crate::api::status::QuayStorageStatus;
use crate::cluster::DOUBT;
use crate::cluster::secret_watches::Health;
use crate::reason::Reason;

/// How long to wait until it is asked again, before the status is told: where it says that the operator may not do what
/// goes together with the watch that it has. `since` is when that was first doubted, if the pass before did.
pub(super) fn of(
    status: &QuayStorageStatus,
    before: Option<&QuayStorageStatus>,
    health: Health,
    since: Option<Instant>,
    memory: &mut Memory,
) -> Option<Duration> {
    let is_news = is_refusal(status) && !before.is_some_and(is_refusal) && health == Health::Synced;
    let since = since.unwrap_or_else(Instant::now);
    let left = DOUBT.checked_sub(since.elapsed()).filter(|left| is_news && !left.is_zero());
    memory.doubted = left.map(|_| since);
    left
}

/// Whether the resource is not Ready because the API server refuses something to the operator.
fn is_refusal(status: &QuayStorageStatus) -> bool {
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let refusals = [Reason::KeySecretForbidden, Reason::BundleForbidden, Reason::TokenForbidden];
    ready.is_some_and(|ready| refusals.iter().any(|refusal| ready.reason == refusal.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(reason: Reason) -> QuayStorageStatus {
        let ready = json!({"type": "Ready", "status": "False", "reason": reason.as_str(), "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        serde_json::from_value(json!({"conditions": [ready]})).unwrap()
    }

    #[test]
    fn a_refusal_is_told_when_it_lasts_and_what_is_told_already_at_once() {
        let (refused, other) = (status(Reason::BundleForbidden), status(Reason::RoleNotAssumable));
        let (mut memory, synced) = (Memory::default(), Health::Synced);
        assert!(of(&refused, None, synced, None, &mut memory).is_some());
        assert!(of(&refused, Some(&other), synced, memory.doubted, &mut memory).is_some(), "it may pass yet");
        let long_ago = Instant::now().checked_sub(DOUBT);
        assert_eq!(of(&refused, Some(&other), synced, long_ago, &mut memory), None);

        assert_eq!(of(&other, None, synced, long_ago, &mut memory), None);
        assert!(memory.doubted.is_none(), "the next one is doubted anew");
        assert_eq!(of(&refused, Some(&refused), synced, None, &mut memory), None);
        assert_eq!(of(&refused, None, Health::Forbidden, None, &mut memory), None, "the watch is refused, too");
    }
}
