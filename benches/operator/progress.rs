//! What is going on, on stderr, for as long as it takes.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// How often a word is said of what takes long.
const WORD: Duration = Duration::from_secs(2);

pub(crate) fn say(what: &str) {
    eprintln!("bench: {what}");
}

/// Counts what is done, and says so from time to time until it is dropped.
pub(crate) struct Progress {
    done: Arc<AtomicUsize>,
    _saying: AbortOnDropHandle<()>,
}

impl Progress {
    pub(crate) fn of(what: &str, all: usize) -> Self {
        let (what, done) = (what.to_owned(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&done);
        let saying = tokio::spawn(async move {
            loop {
                tokio::time::sleep(WORD).await;
                say(&format!("{what}: {} of {all}", counted.load(Ordering::Relaxed)));
            }
        });
        Self { done, _saying: AbortOnDropHandle::new(saying) }
    }

    pub(crate) fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does something with each item, so many at a time, each as a task of its own: all processors may take part.
pub(crate) async fn each<T, F>(what: &str, items: impl IntoIterator<Item = T>, at_once: usize, work: impl Fn(T) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let items: Vec<T> = items.into_iter().collect();
    let progress = Progress::of(what, items.len());
    let mut running = JoinSet::new();
    for item in items {
        if running.len() == at_once {
            running.join_next().await.unwrap().unwrap();
            progress.step();
        }
        running.spawn(work(item));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
        progress.step();
    }
}
