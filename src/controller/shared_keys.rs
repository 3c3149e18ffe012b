//! Keys that several resources of a namespace use: each Secret is read once for all of them, for as long as one of them
//! holds what was read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::cluster::secrets::KeyReading;
use crate::resource::ResourceId;

/// How many are kept at least before it is looked which of them nobody holds any more.
const LEAST: usize = 64;

/// What was read of a Secret, if somebody holds it. Locked while it is read, so that it is read once.
pub(super) type Slot = Arc<tokio::sync::Mutex<Weak<KeyReading>>>;

/// The slots, by Secret.
#[derive(Default)]
pub(super) struct SharedKeys(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    by_secret: HashMap<ResourceId, Slot>,
    swept_at: usize,
}

impl SharedKeys {
    /// The slot of a Secret.
    pub(super) fn slot(&self, namespace: &str, secret: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.by_secret.len() >= slots.swept_at.max(LEAST) {
            slots.by_secret.retain(|_, slot| {
                // One that is in somebody's hands is about to be filled.
                Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|held| held.strong_count() > 0)
            });
            slots.swept_at = slots.by_secret.len() * 2;
        }
        let secret = ResourceId { namespace: namespace.to_owned(), name: secret.to_owned() };
        Arc::clone(slots.by_secret.entry(secret).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Failure, Reason};

    #[test]
    fn what_nobody_holds_any_more_is_not_kept() {
        let shared = SharedKeys::default();
        let slot = shared.slot("quay", "held");
        let reading =
            Arc::new(KeyReading { version: None, changed: None, key: Err(Failure::new(Reason::MissingKey, "none")) });
        *slot.try_lock().unwrap() = Arc::downgrade(&reading);
        drop(slot);
        for other in 0..10 * LEAST {
            shared.slot("quay", &other.to_string());
        }
        assert!(shared.0.lock().unwrap().by_secret.len() <= LEAST + 1);
        assert!(shared.slot("quay", "held").try_lock().unwrap().upgrade().is_some());
    }
}
