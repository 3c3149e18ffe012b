//! Who may change anything now. It closes by itself when leadership has not been renewed in time, also in a process that
//! was frozen meanwhile and does not know it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

/// What was sent while it was open may take this much longer: less than passes between the deadline of who leads and the
/// end of the lease.
const MARGIN: Duration = Duration::from_secs(3);
/// No request takes that long.
const LONGEST: Duration = Duration::from_hours(1);

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

    /// Until when something that is begun now may be under way: a little longer than the fence is open, and ended before
    /// anybody else acts. None where nothing may be begun.
    pub fn admits(&self) -> Option<Instant> {
        let now = Instant::now();
        let until = self.until.load(Ordering::Acquire);
        let left = Duration::from_nanos(until.saturating_sub(self.nanos(now)));
        (!left.is_zero()).then(|| now + left.min(LONGEST) + MARGIN)
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

/// Something under way, which is given up once its time is over: also if the process was frozen meanwhile, and before
/// anything more of it is done.
///
/// # Errors
/// `late()`, if its time is over.
pub async fn within<T, E>(
    until: Instant,
    late: impl Fn() -> E,
    under_way: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut under_way = std::pin::pin!(under_way);
    let in_time =
        poll_fn(
            |context| {
                if Instant::now() < until { under_way.as_mut().poll(context) } else { Poll::Ready(Err(late())) }
            },
        );
    tokio::time::timeout_at(until.into(), in_time).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_open_until_its_time_has_passed_and_nobody_has_to_close_it() {
        let is_open = |fence: &Fence| fence.admits().is_some();
        let fence = Fence::closed();
        assert!(!is_open(&fence));
        fence.open_until(Instant::now() + Duration::from_mins(1));
        assert!(is_open(&fence) && is_open(&fence.clone()));
        fence.open_until(Instant::now());
        assert!(!is_open(&fence));
        assert!(is_open(&Fence::open()));
    }

    #[tokio::test]
    async fn what_is_late_is_given_up_even_if_it_could_be_finished_at_once() {
        let done = async { Ok::<_, &str>("done") };
        assert_eq!(within(Instant::now() + Duration::from_mins(1), || "late", done).await, Ok("done"));
        assert_eq!(within(Instant::now(), || "late", async { Ok("done") }).await, Err("late"));
        let never = std::future::pending::<Result<(), &str>>();
        assert_eq!(within(Instant::now() + Duration::from_millis(5), || "late", never).await, Err("late"));
    }
}
