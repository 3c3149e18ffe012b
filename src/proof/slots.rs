//! How many may do something at the same time; who has to wait is let in fairly by namespace.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::queues::Queues;

/// A number of slots.
#[derive(Clone)]
pub struct Slots(Arc<Mutex<State>>);

struct State {
    free: usize,
    waiting: Queues<Slot>,
}

/// A slot that is taken. Dropped, it is the next one's.
pub(super) struct Slot(Option<Slots>);

impl Slots {
    /// So many are free.
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: count, waiting: Queues::default() })))
    }

    /// Waits for a slot.
    pub(super) async fn take(&self, namespace: &str) -> Slot {
        let turn = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if state.free > 0 {
                state.free -= 1;
                return Slot(Some(self.clone()));
            }
            let (caller, turn) = oneshot::channel();
            state.waiting.add(namespace, caller);
            turn
        };
        // Nobody who waits is dropped unanswered; were it so, nobody is kept waiting.
        turn.await.unwrap_or(Slot(None))
    }

    fn give_back(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(next) = state.waiting.next() {
            match next.send(Slot(Some(self.clone()))) {
                Ok(()) => return,
                // Who waited has gone: the slot is not given back twice.
                Err(mut slot) => slot.0 = None,
            }
        }
        state.free += 1;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.0.take() {
            slots.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_namespace_with_many_that_wait_delays_none_of_another() {
        let slots = Slots::new(1);
        let first = slots.take("a").await;
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        for namespace in ["a", "a", "a", "b"] {
            let (waiting, told) = (slots.clone(), told.clone());
            tokio::spawn(async move {
                let _slot = waiting.take(namespace).await;
                told.send(namespace).unwrap();
            });
            tokio::task::yield_now().await;
        }
        drop((first, told));
        let mut seen = Vec::new();
        while let Some(namespace) = order.recv().await {
            seen.push(namespace);
        }
        assert_eq!(seen, ["a", "b", "a", "a"]);
        assert_eq!(slots.0.lock().unwrap().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_no_longer_waits_takes_no_slot() {
        let slots = Slots::new(1);
        let first = slots.take("a").await;
        let gave_up = tokio::time::timeout(Duration::from_secs(1), slots.take("a")).await;
        assert!(gave_up.is_err());
        drop(first);
        assert_eq!(slots.0.lock().unwrap().free, 1);
        let _slot = slots.take("b").await;
        assert_eq!(slots.0.lock().unwrap().free, 0);
    }
}
