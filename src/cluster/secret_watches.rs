//! Watches of Secrets, one per namespace in which a resource refers to one: as metadata only, and of these nothing is
//! kept but the versions of what our resources refer to.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::grants::may_watch;
use super::version::Version;
use super::{ApiProblem, REQUEST_TIMEOUT};
use crate::resource::ResourceId;

/// How often it is asked whether a watch that was refused is granted now.
const REFUSED_RETRY: Duration = Duration::from_secs(15);

/// How a namespace's watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The first list is not complete.
    Starting,
    /// Every change is seen.
    Synced,
    /// Changes are not seen, for want of an answer.
    Failing,
    /// Changes are not seen, for want of permission.
    Forbidden,
}

struct Referenced {
    version: Option<Version>,
    told_since_init: bool,
    by: HashSet<String>,
}

struct Namespace {
    health: Health,
    secrets: HashMap<String, Referenced>,
    resources: HashMap<String, BTreeSet<String>>,
    _watch: AbortOnDropHandle<()>,
}

type Namespaces = Arc<Mutex<HashMap<String, Namespace>>>;

/// The watches.
#[derive(Clone)]
pub struct SecretWatches {
    client: Client,
    namespaces: Namespaces,
    changed: mpsc::UnboundedSender<ResourceId>,
}

impl SecretWatches {
    /// No watch yet. A resource of which a Secret changes is sent to `changed`.
    pub fn new(client: Client, changed: mpsc::UnboundedSender<ResourceId>) -> Self {
        Self { client, namespaces: Namespaces::default(), changed }
    }

    /// Notes what a resource refers to, before any of it is read, and starts the namespace's watch. Says how that is.
    pub fn refer(&self, who: &ResourceId, secrets: BTreeSet<String>) -> Health {
        let mut namespaces = self.lock();
        let namespace = namespaces.entry(who.namespace.clone()).or_insert_with(|| self.open(&who.namespace));
        if namespace.resources.get(&who.name) != Some(&secrets) {
            let left = namespace.unrefer(&who.name);
            self.tell(&who.namespace, &left);
            for secret in &secrets {
                let referenced = namespace.secrets.entry(secret.clone()).or_insert_with(|| Referenced {
                    version: None,
                    told_since_init: false,
                    by: HashSet::new(),
                });
                referenced.by.insert(who.name.clone());
            }
            namespace.resources.insert(who.name.clone(), secrets);
        }
        namespace.health
    }

    /// The resource is gone. The last one of a namespace takes its watch along.
    pub fn forget(&self, who: &ResourceId) {
        let mut namespaces = self.lock();
        let Some(namespace) = namespaces.get_mut(&who.namespace) else { return };
        let sharing = namespace.unrefer(&who.name);
        self.tell(&who.namespace, &sharing);
        if namespace.resources.is_empty() {
            namespaces.remove(&who.namespace);
        }
    }

    /// What a resource asks of a Secret has changed: the others that refer to it are to look again.
    pub fn tell_the_others(&self, who: &ResourceId, secret: &str) {
        let mut others: HashSet<String> = self.referrers(&who.namespace, secret).into_iter().collect();
        others.remove(&who.name);
        self.tell(&who.namespace, &others);
    }

    /// The names of the resources that refer to a Secret.
    pub fn referrers(&self, namespace: &str, secret: &str) -> Vec<String> {
        let namespaces = self.lock();
        let referenced = namespaces.get(namespace).and_then(|ns| ns.secrets.get(secret));
        referenced.map(|referenced| referenced.by.iter().cloned().collect()).unwrap_or_default()
    }

    /// The version that a Secret is known to be at; none where changes are not seen.
    pub fn version(&self, namespace: &str, secret: &str) -> Option<Version> {
        let namespaces = self.lock();
        let namespace = namespaces.get(namespace).filter(|ns| ns.health == Health::Synced)?;
        namespace.secrets.get(secret)?.version.clone()
    }

    /// What is known of a Secret's version before a request for it is made, for [`SecretWatches::saw`].
    pub fn before_request(&self, namespace: &str, secret: &str) -> Option<Version> {
        self.lock().get(namespace)?.secrets.get(secret)?.version.clone()
    }

    /// A request for a Secret was answered with this version. What the watch told while it was under way counts, unless
    /// it lags behind the answer: the pass that it brings looks again.
    pub fn saw(&self, namespace: &str, secret: &str, before: Option<&Version>, version: &Version) {
        let mut namespaces = self.lock();
        let Some(referenced) = namespaces.get_mut(namespace).and_then(|ns| ns.secrets.get_mut(secret)) else { return };
        referenced.told_since_init = true;
        let told = referenced.version.as_ref();
        if told == before || told.is_some_and(|told| told.is_older_than(version)) {
            referenced.version = Some(version.clone());
        }
    }

    /// Where a Secret is now is not known: it has to be read.
    pub fn lost(&self, namespace: &str, secret: &str) {
        let mut namespaces = self.lock();
        if let Some(referenced) = namespaces.get_mut(namespace).and_then(|ns| ns.secrets.get_mut(secret)) {
            referenced.version = None;
            referenced.told_since_init = true;
        }
    }

    fn open(&self, namespace: &str) -> Namespace {
        let watch = AbortOnDropHandle::new(tokio::spawn(self.clone().follow(namespace.to_owned())));
        Namespace { health: Health::Starting, secrets: HashMap::new(), resources: HashMap::new(), _watch: watch }
    }

    async fn follow(self, namespace: String) {
        loop {
            self.follow_until_refused(&namespace).await;
            // A watch that was refused would go on without a word once it is granted: so it is begun anew then.
            tokio::time::sleep(REFUSED_RETRY).await;
            while !may_watch(&self.client, &namespace).await {
                tokio::time::sleep(REFUSED_RETRY).await;
            }
        }
    }

    async fn follow_until_refused(&self, namespace: &str) {
        let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(self.client.clone(), namespace);
        // Small pages: a Secret's metadata can hold all of it again (`last-applied-configuration`).
        let events = watcher::watcher(secrets, watcher::Config::default().page_size(50)).default_backoff();
        pin_mut!(events);
        let mut synced = false;
        loop {
            // The first list has a limit; afterwards there may be nothing to tell for hours.
            let limit = if synced { Duration::MAX } else { REQUEST_TIMEOUT };
            let event = match tokio::time::timeout(limit, events.next()).await {
                Ok(Some(event)) => event,
                Ok(None) => return,
                Err(_) => {
                    if let Some(known) = self.lock().get_mut(namespace) {
                        let concerned = known.becomes(Health::Failing);
                        self.tell(namespace, &concerned);
                    }
                    continue;
                }
            };
            synced |= matches!(event, Ok(Event::InitDone));
            let refused = event.as_ref().is_err_and(is_refusal);
            if let Some(known) = self.lock().get_mut(namespace) {
                let concerned = known.take(event);
                self.tell(namespace, &concerned);
            }
            if refused {
                return;
            }
        }
    }

    fn tell(&self, namespace: &str, names: &HashSet<String>) {
        for name in names {
            // Without a receiver the process is stopping.
            let _ = self.changed.send(ResourceId { namespace: namespace.to_owned(), name: name.clone() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Namespace>> {
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the API server has refused the list or the watch.
fn is_refusal(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            ApiProblem::from(error) == ApiProblem::Forbidden
        }
        _ => false,
    }
}

impl Namespace {
    /// Takes what the watch says; tells which resources it concerns.
    fn take(&mut self, event: watcher::Result<Event<PartialObjectMeta<Secret>>>) -> HashSet<String> {
        match event {
            Ok(Event::Init) => {
                for referenced in self.secrets.values_mut() {
                    referenced.told_since_init = false;
                }
                HashSet::new()
            }
            Ok(Event::InitApply(secret) | Event::Apply(secret)) => {
                self.told(&secret.metadata, Version::of(&secret.metadata))
            }
            Ok(Event::Delete(secret)) => self.told(&secret.metadata, Version::Absent),
            Ok(Event::InitDone) => {
                let mut concerned = self.becomes(Health::Synced);
                // What a list no longer lists is gone.
                for referenced in self.secrets.values_mut().filter(|r| !r.told_since_init && r.version.is_some()) {
                    if referenced.version.replace(Version::Absent) != Some(Version::Absent) {
                        concerned.extend(referenced.by.iter().cloned());
                    }
                }
                concerned
            }
            Err(error) => {
                tracing::debug!(%error, "Secrets of a namespace cannot be watched");
                // An interrupted watch catches up when it can: what it then tells is compared with what is known.
                match self.health {
                    _ if is_refusal(&error) => self.becomes(Health::Forbidden),
                    Health::Starting => self.becomes(Health::Failing),
                    Health::Synced | Health::Failing | Health::Forbidden => HashSet::new(),
                }
            }
        }
    }

    fn told(&mut self, secret: &ObjectMeta, version: Version) -> HashSet<String> {
        let name = secret.name.as_deref().unwrap_or_default();
        let Some(referenced) = self.secrets.get_mut(name) else { return HashSet::new() };
        referenced.told_since_init = true;
        match &referenced.version {
            Some(known) if *known == version || version.is_older_than(known) => HashSet::new(),
            _ => {
                referenced.version = Some(version);
                referenced.by.clone()
            }
        }
    }

    fn becomes(&mut self, health: Health) -> HashSet<String> {
        let changed = self.health != health;
        self.health = health;
        if changed { self.resources.keys().cloned().collect() } else { HashSet::new() }
    }

    /// Drops a resource's references; tells who shared one of them.
    fn unrefer(&mut self, resource: &str) -> HashSet<String> {
        let mut sharing = HashSet::new();
        for secret in self.resources.remove(resource).unwrap_or_default() {
            if let Some(referenced) = self.secrets.get_mut(&secret) {
                referenced.by.remove(resource);
                sharing.extend(referenced.by.iter().cloned());
                if referenced.by.is_empty() {
                    self.secrets.remove(&secret);
                }
            }
        }
        sharing
    }
}

#[cfg(test)]
mod tests;
