//! Whether the process is alive, and whether it is ready.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A pass waits for no answer of AWS, and for each of the API server's at most ten seconds. One that lasts longer than
/// this hangs.
const LONGEST_PASS: Duration = Duration::from_mins(5);

/// What is known of the process.
#[derive(Clone, Default)]
pub struct Health(Arc<Known>);

#[derive(Default)]
struct Known {
    /// The passes under way, by number, and since when.
    passes: Mutex<BTreeMap<u64, Instant>>,
    next: AtomicU64,
    /// The resources are listed, or the API server has said that they may not be.
    is_synced: AtomicBool,
    is_stopping: AtomicBool,
    /// A loop that was to go on for ever broke down.
    is_broken: AtomicBool,
}

/// A pass that is under way. Dropped, it has ended.
pub struct Pass {
    health: Health,
    number: u64,
}

impl Health {
    /// A pass begins.
    pub fn pass(&self) -> Pass {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.passes().insert(number, Instant::now());
        Pass { health: self.clone(), number }
    }

    /// A loop that goes on for as long as the process does. Should it break down, the process is to be started anew.
    pub fn watched<F>(&self, following: F) -> impl Future<Output = F::Output> + Send + use<F>
    where
        F: Future<Output: Send> + Send,
    {
        let alarm = Alarm(self.clone());
        async move {
            let followed = following.await;
            drop(alarm);
            followed
        }
    }

    /// The resources are listed.
    pub fn is_synced(&self) {
        self.0.is_synced.store(true, Ordering::Release);
    }

    /// The process is about to end.
    pub fn is_stopping(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
    }

    /// Whether the process makes progress, or why it is to be started anew.
    ///
    /// # Errors
    /// What hangs.
    pub fn alive(&self) -> Result<(), String> {
        self.alive_at(Instant::now())
    }

    fn alive_at(&self, now: Instant) -> Result<(), String> {
        if self.0.is_broken.load(Ordering::Acquire) {
            return Err("a watch broke down".into());
        }
        let passes = self.passes();
        let hang = passes.values().filter(|since| now.saturating_duration_since(**since) > LONGEST_PASS).count();
        match hang {
            0 => Ok(()),
            count => Err(format!("{count} passes hang for more than {} s", LONGEST_PASS.as_secs())),
        }
    }

    /// Whether the process can do its work, or take it over at once.
    ///
    /// # Errors
    /// What is missing.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.0.is_stopping.load(Ordering::Acquire) {
            return Err("stopping");
        }
        if self.0.is_synced.load(Ordering::Acquire) { Ok(()) } else { Err("QuayStorages are not listed yet") }
    }

    fn passes(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.0.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropped by a panic, it says so.
struct Alarm(Health);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.0.is_broken.store(true, Ordering::Release);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.health.passes().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_that_hangs_is_told_and_one_that_ended_is_not() {
        let health = Health::default();
        let pass = health.pass();
        assert_eq!(health.alive(), Ok(()));
        let later = Instant::now() + LONGEST_PASS + Duration::from_secs(1);
        assert_eq!(health.alive_at(later), Err("1 passes hang for more than 300 s".into()));
        drop(pass);
        assert_eq!(health.alive_at(later), Ok(()));
    }

    #[tokio::test]
    async fn a_watch_that_breaks_down_is_told_and_one_that_is_ended_is_not() {
        let health = Health::default();
        let ended = tokio::spawn(health.watched(std::future::pending::<()>()));
        ended.abort();
        assert!(ended.await.is_err());
        assert_eq!(health.alive(), Ok(()));
        let broken = tokio::spawn(health.watched(async { panic!("a defect") }));
        assert!(broken.await.is_err());
        assert!(health.alive().is_err());
    }

    #[test]
    fn it_is_ready_from_the_first_list_until_it_is_stopped() {
        let health = Health::default();
        assert!(health.ready().is_err());
        health.is_synced();
        assert_eq!(health.ready(), Ok(()));
        health.is_stopping();
        assert_eq!(health.ready(), Err("stopping"));
    }
}
