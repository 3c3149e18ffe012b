//! Queues that are fair by namespace: each namespace in its turn, so that one that asks much delays none.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::oneshot;

/// Who waits for a turn, of which something is given.
pub(super) struct Queues<T> {
    waiting: BTreeMap<String, VecDeque<oneshot::Sender<T>>>,
    /// The namespaces with somebody waiting, the next one first.
    turns: VecDeque<String>,
}

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), turns: VecDeque::new() }
    }
}

impl<T> Queues<T> {
    /// Somebody waits.
    pub(super) fn add(&mut self, namespace: &str, caller: oneshot::Sender<T>) {
        let queue = self.waiting.entry(namespace.to_owned()).or_default();
        if queue.is_empty() {
            self.turns.push_back(namespace.to_owned());
        }
        queue.push_back(caller);
    }

    /// The caller whose turn it is; its namespace is the last one again.
    pub(super) fn next(&mut self) -> Option<oneshot::Sender<T>> {
        let namespace = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&namespace)?;
        let caller = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        caller
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_has_its_turn_however_many_wait_in_another() {
        let mut queues = Queues::<()>::default();
        let mut turns: Vec<(&str, oneshot::Receiver<()>)> = ["a", "a", "a", "b", "c", "b"]
            .map(|namespace| {
                let (caller, turn) = oneshot::channel();
                queues.add(namespace, caller);
                (namespace, turn)
            })
            .into();
        let mut order = Vec::new();
        while let Some(caller) = queues.next() {
            caller.send(()).unwrap();
            order.extend(turns.iter_mut().find_map(|(namespace, turn)| turn.try_recv().is_ok().then_some(*namespace)));
        }
        assert_eq!(order, ["a", "b", "c", "a", "b", "a"]);
    }
}
