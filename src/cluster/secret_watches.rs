//! Watches of Secrets: one for all namespaces where that is granted, else one for each in which a resource refers to
//! one. Nothing is kept but the versions of what our resources refer to.

mod changes;
mod index;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::DOUBT;
use super::grants::{Granted, may_watch};
use super::version::Version;
use crate::resource::ResourceId;
use crate::telemetry::health as process;
use index::{Index, Watch};

/// How often it is asked whether a watch that was refused is granted now.
const REFUSED_RETRY: Duration = Duration::from_secs(15);

/// How often it is asked whether all namespaces may be seen at once by now.
const GRANTED_LOOK: Duration = Duration::from_mins(5);

/// How a watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has not begun.
    Starting,
    /// Every change is seen.
    Synced,
    /// Changes are not seen, for want of an answer.
    Failing,
    /// Changes are not seen, for want of permission.
    Forbidden,
}

/// Of which Secrets a watch tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    Everywhere,
    Namespace(String),
}

impl Scope {
    /// Whether it tells of a namespace.
    pub(super) fn covers(&self, namespace: &str) -> bool {
        self.namespace().is_none_or(|only| only == namespace)
    }

    /// The only namespace that is meant.
    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Everywhere => None,
            Self::Namespace(namespace) => Some(namespace),
        }
    }
}

/// What was known of a Secret before a request for it was made.
#[derive(Clone, Debug)]
pub struct Before {
    epoch: u64,
    version: Option<Version>,
}

/// The watches.
#[derive(Clone)]
pub struct SecretWatches {
    client: Client,
    index: Arc<Mutex<Index>>,
    health: process::Health,
    changed: mpsc::UnboundedSender<ResourceId>,
}

impl SecretWatches {
    /// No watch yet. A resource of which a Secret changes is sent to `changed`.
    pub fn new(client: Client, health: process::Health, changed: mpsc::UnboundedSender<ResourceId>) -> Self {
        Self { client, index: Arc::default(), health, changed }
    }

    /// Takes one watch for all namespaces from here on, if that is granted.
    pub async fn see_everywhere_if_granted(&self) {
        if may_watch(&self.client, &Scope::Everywhere).await == Granted::Yes {
            self.turn_to(true);
        }
    }

    /// Asks again from time to time, for as long as each namespace has a watch of its own.
    pub async fn see_everywhere_once_granted(self) {
        loop {
            tokio::time::sleep(GRANTED_LOOK).await;
            let is_everywhere = self.lock().is_everywhere;
            if !is_everywhere {
                self.see_everywhere_if_granted().await;
            }
        }
    }

    /// Notes what a resource refers to, before any of it is read, and starts its namespace's watch. Says how that is.
    pub fn refer(&self, who: &ResourceId, secrets: BTreeSet<String>) -> Health {
        let mut index = self.lock();
        self.tell(index.refer(who, secrets));
        let scope = index.scope(&who.namespace);
        index.watches.entry(scope.clone()).or_insert_with(|| self.open(scope)).health
    }

    /// The resource is gone. The last one takes its watch along.
    pub fn forget(&self, who: &ResourceId) {
        let sharing = self.lock().forget(who);
        self.tell(sharing);
    }

    /// What a resource asks of a Secret has changed: the others that refer to it are to look again.
    pub fn tell_the_others(&self, who: &ResourceId, secret: &str) {
        let mut others = self.lock().referrers(&who.namespace, secret);
        others.remove(&who.name);
        self.tell(others.into_iter().map(|name| ResourceId { namespace: who.namespace.clone(), name }).collect());
    }

    /// Whether every change in a namespace is seen.
    pub fn is_seen(&self, namespace: &str) -> bool {
        self.lock().is_seen(namespace)
    }

    /// The version that a Secret is known to be at; none where changes are not seen.
    pub fn version(&self, namespace: &str, secret: &str) -> Option<Version> {
        self.lock().version(namespace, secret).cloned()
    }

    /// What is known of a Secret before a request for it is made, for [`SecretWatches::saw`].
    pub fn before_request(&self, namespace: &str, secret: &str) -> Before {
        self.lock().before(namespace, secret)
    }

    /// A request for a Secret was answered with this version. What the watch told while it was under way counts, unless
    /// it lags behind the answer: the pass that it brings looks again.
    pub fn saw(&self, namespace: &str, secret: &str, before: &Before, version: &Version) {
        self.lock().saw(namespace, secret, before, version);
    }

    /// Where a Secret is now is not known: it has to be read.
    pub fn lost(&self, namespace: &str, secret: &str) {
        self.lock().lost(namespace, secret);
    }

    fn open(&self, scope: Scope) -> Watch {
        Watch::new(AbortOnDropHandle::new(tokio::spawn(self.health.watched(self.clone().follow(scope)))))
    }

    async fn follow(self, scope: Scope) {
        loop {
            changes::until_refused(&self.client, &scope, |change| {
                let concerned = self.lock().take(&scope, change);
                self.tell(concerned);
            })
            .await;
            if scope == Scope::Everywhere {
                match may_watch(&self.client, &scope).await {
                    Granted::No => return self.turn_to(false),
                    Granted::Yes | Granted::Unanswered => tokio::time::sleep(DOUBT).await,
                }
                continue;
            }
            let concerned = self.lock().becomes(&scope, Health::Forbidden);
            self.tell(concerned);
            // A watch that was refused would go on without a word once it is granted: so it is begun anew then.
            tokio::time::sleep(REFUSED_RETRY).await;
            while may_watch(&self.client, &scope).await != Granted::Yes {
                tokio::time::sleep(REFUSED_RETRY).await;
            }
        }
    }

    /// Whether all namespaces are seen at once from here on: each resource looks again, and opens the watch that it needs.
    fn turn_to(&self, is_everywhere: bool) {
        let mut index = self.lock();
        let concerned = index.all(&Scope::Everywhere);
        index.is_everywhere = is_everywhere;
        index.watches.clear();
        drop(index);
        tracing::info!(is_everywhere, "whether the Secrets of all namespaces are watched at once");
        self.tell(concerned);
    }

    fn tell(&self, concerned: HashSet<ResourceId>) {
        for who in concerned {
            // Without a receiver the process is stopping.
            let _ = self.changed.send(who);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
