//! A cap on calls per second, fair by namespace: each namespace in its turn, so that one that asks much delays none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::queues::Queues;

/// Lets callers through one by one.
#[derive(Clone)]
pub(super) struct Turnstile(Arc<Inner>);

struct Inner {
    gap: Duration,
    queues: Mutex<Queues<()>>,
    came: Notify,
}

impl Turnstile {
    /// At most so many a second.
    pub(super) fn new(per_second: u32) -> Self {
        let gap = Duration::from_secs(1) / per_second.max(1);
        let inner = Arc::new(Inner { gap, queues: Mutex::default(), came: Notify::new() });
        let turning = Arc::downgrade(&inner);
        tokio::spawn(async move {
            while let Some(inner) = turning.upgrade() {
                let next = inner.queues.lock().unwrap_or_else(PoisonError::into_inner).next();
                match next {
                    Some(caller) => {
                        // Who waits no longer takes no turn.
                        if caller.send(()).is_ok() {
                            tokio::time::sleep(inner.gap).await;
                        }
                    }
                    None => {
                        // Nobody comes once the last handle is gone: look again from time to time.
                        let _ = tokio::time::timeout(Duration::from_mins(1), inner.came.notified()).await;
                    }
                }
            }
        });
        Self(inner)
    }

    /// Waits for a turn.
    pub(super) async fn pass(&self, namespace: &str) {
        let (caller, turn) = oneshot::channel();
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner).add(namespace, caller);
        self.0.came.notify_one();
        // Should the turnstile be gone, nobody is kept waiting.
        let _ = turn.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_cap_pass_in_a_second() {
        let turnstile = Turnstile::new(10);
        let started = tokio::time::Instant::now();
        for _ in 0..31 {
            turnstile.pass("a").await;
        }
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(3) && took < Duration::from_millis(3200), "{took:?}");
    }
}
