//! Who may change anything now. It closes by itself when leadership has not been renewed in time, also in a process that
//! was frozen meanwhile and does not know it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A fence before everything that changes something.
#[derive(Clone, Debug)]
pub struct Fence {
    base: Instant,
    /// Until when it is open, in nanoseconds since the base.
    until: Arc<AtomicU64>,
}

impl Fence {
    /// One that stays open: for a process that has no other beside it.
    pub fn open() -> Self {
        Self { base: Instant::now(), until: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// One that is opened by whoever leads.
    pub fn closed() -> Self {
        Self { base: Instant::now(), until: Arc::default() }
    }

    /// Whether something may be changed now.
    pub fn is_open(&self) -> bool {
        self.nanos(Instant::now()) < self.until.load(Ordering::Acquire)
    }

    /// Leaves it open until then.
    pub(super) fn open_until(&self, until: Instant) {
        self.until.store(self.nanos(until), Ordering::Release);
    }

    /// Closes it at once.
    pub(super) fn close(&self) {
        self.until.store(0, Ordering::Release);
    }

    fn nanos(&self, at: Instant) -> u64 {
        let since: Duration = at.saturating_duration_since(self.base);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_open_until_its_time_has_passed_and_nobody_has_to_close_it() {
        let fence = Fence::closed();
        assert!(!fence.is_open());
        fence.open_until(Instant::now() + Duration::from_mins(1));
        assert!(fence.is_open() && fence.clone().is_open());
        fence.open_until(Instant::now());
        assert!(!fence.is_open());
        assert!(Fence::open().is_open());
    }
}
