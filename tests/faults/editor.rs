//! Somebody who edits a bundle again and again, and sees whether each edit is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::harness::world::World;
use crate::harness::writers::count_on;

pub(crate) struct Editor {
    stop: Arc<AtomicBool>,
    edits: Arc<AtomicU64>,
    editing: JoinHandle<()>,
}

impl Editor {
    /// Counts up in a bundle, in the line of writer 0, at most once in such a time.
    pub(crate) fn start(world: &World, bundle: &str, pace: Duration) -> Self {
        let (stop, edits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (secrets, bundle) = (world.api(), bundle.to_owned());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&edits));
        let editing = tokio::spawn(async move {
            let mut pace = tokio::time::interval(pace);
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !stopped.load(Ordering::Relaxed) {
                pace.tick().await;
                if count_on(&secrets, &bundle, 0, counted.load(Ordering::Relaxed)).await {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, edits, editing }
    }

    /// No edit was lost so far.
    pub(crate) fn assert_unharmed(&self) {
        assert!(!self.editing.is_finished(), "the editor has failed");
    }

    /// Stops it, and says how many edits it made.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.editing.await.unwrap();
        self.edits.load(Ordering::Relaxed)
    }
}
