//! PURE: which resource refers to which Secret, at which version that is known to be, and how it is watched.

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio_util::task::AbortOnDropHandle;

use super::changes::Change;
use super::{Before, Health, Scope};
use crate::cluster::version::Version;
use crate::resource::ResourceId;

/// What is known.
#[derive(Default)]
pub(super) struct Index {
    /// One watch sees the Secrets of all namespaces.
    pub(super) is_everywhere: bool,
    pub(super) watches: HashMap<Scope, Watch>,
    pub(super) namespaces: HashMap<String, Namespace>,
    /// How often a watch has begun.
    beginnings: u64,
}

/// One watch.
pub(super) struct Watch {
    pub(super) health: Health,
    /// Which beginning was its last, of all. What was asked before that may have changed untold.
    epoch: u64,
    _task: AbortOnDropHandle<()>,
}

/// What is referred to in a namespace.
#[derive(Default)]
pub(super) struct Namespace {
    secrets: HashMap<String, Referenced>,
    resources: HashMap<String, BTreeSet<String>>,
}

#[derive(Default)]
struct Referenced {
    version: Option<Version>,
    by: HashSet<String>,
}

impl Watch {
    pub(super) fn new(task: AbortOnDropHandle<()>) -> Self {
        Self { health: Health::Starting, epoch: 0, _task: task }
    }
}

impl Index {
    /// Which watch tells of a namespace.
    pub(super) fn scope(&self, namespace: &str) -> Scope {
        if self.is_everywhere { Scope::Everywhere } else { Scope::Namespace(namespace.to_owned()) }
    }

    /// Notes what a resource refers to; tells who shared what it refers to no longer.
    pub(super) fn refer(&mut self, who: &ResourceId, secrets: BTreeSet<String>) -> HashSet<ResourceId> {
        let namespace = self.namespaces.entry(who.namespace.clone()).or_default();
        if namespace.resources.get(&who.name) == Some(&secrets) {
            return HashSet::new();
        }
        let sharing = namespace.unrefer(&who.name);
        for secret in &secrets {
            namespace.secrets.entry(secret.clone()).or_default().by.insert(who.name.clone());
        }
        namespace.resources.insert(who.name.clone(), secrets);
        within(&who.namespace, sharing)
    }

    /// Forgets a resource, and the watch that nobody needs any more; tells who shared what it referred to.
    pub(super) fn forget(&mut self, who: &ResourceId) -> HashSet<ResourceId> {
        let Some(namespace) = self.namespaces.get_mut(&who.namespace) else { return HashSet::new() };
        let sharing = namespace.unrefer(&who.name);
        if namespace.resources.is_empty() {
            self.namespaces.remove(&who.namespace);
            if self.namespaces.is_empty() {
                self.watches.clear();
            }
            self.watches.remove(&Scope::Namespace(who.namespace.clone()));
        }
        within(&who.namespace, sharing)
    }

    /// Whether every change in a namespace is seen.
    pub(super) fn is_seen(&self, namespace: &str) -> bool {
        self.watches.get(&self.scope(namespace)).is_some_and(|watch| watch.health == Health::Synced)
    }

    /// The names of the resources that refer to a Secret.
    pub(super) fn referrers(&self, namespace: &str, secret: &str) -> HashSet<String> {
        self.referenced(namespace, secret).map(|referenced| referenced.by.clone()).unwrap_or_default()
    }

    /// The version that a Secret is known to be at; none where changes are not seen.
    pub(super) fn version(&self, namespace: &str, secret: &str) -> Option<&Version> {
        self.referenced(namespace, secret)?.version.as_ref().filter(|_| self.is_seen(namespace))
    }

    /// What is known before a request is made.
    pub(super) fn before(&self, namespace: &str, secret: &str) -> Before {
        let epoch = self.watches.get(&self.scope(namespace)).map_or(0, |watch| watch.epoch);
        Before { epoch, version: self.referenced(namespace, secret).and_then(|referenced| referenced.version.clone()) }
    }

    /// A request was answered with this version.
    pub(super) fn saw(&mut self, namespace: &str, secret: &str, before: &Before, version: &Version) {
        let epoch = self.watches.get(&self.scope(namespace)).map_or(0, |watch| watch.epoch);
        let Some(referenced) = self.referenced_mut(namespace, secret) else { return };
        let told = &referenced.version;
        let overtakes = told.as_ref().is_some_and(|told| told.is_older_than(version));
        if epoch == before.epoch && (*told == before.version || overtakes) {
            referenced.version = Some(version.clone());
        }
    }

    /// Where a Secret is now is not known.
    pub(super) fn lost(&mut self, namespace: &str, secret: &str) {
        if let Some(referenced) = self.referenced_mut(namespace, secret) {
            referenced.version = None;
        }
    }

    /// Takes what a watch says; tells which resources it concerns.
    pub(super) fn take(&mut self, scope: &Scope, change: Change) -> HashSet<ResourceId> {
        match change {
            Change::Is { namespace, name, version } => {
                let concerned = self.referenced_mut(&namespace, &name).and_then(|known| known.told(version));
                within(&namespace, concerned.unwrap_or_default())
            }
            Change::Begins => {
                if let Some(watch) = self.watches.get_mut(scope) {
                    watch.health = Health::Synced;
                    self.beginnings += 1;
                    watch.epoch = self.beginnings;
                }
                let meant = self.namespaces.iter_mut().filter(|(namespace, _)| scope.covers(namespace));
                for referenced in meant.flat_map(|(_, known)| known.secrets.values_mut()) {
                    referenced.version = None;
                }
                self.all(scope)
            }
            // An interrupted watch catches up when it can: what it then tells is compared with what is known.
            Change::Unanswered => match self.watches.get(scope).map(|watch| watch.health) {
                Some(Health::Starting | Health::Forbidden) => self.becomes(scope, Health::Failing),
                Some(Health::Synced | Health::Failing) | None => HashSet::new(),
            },
        }
    }

    /// How a watch is now; tells whom that concerns, if it is news.
    pub(super) fn becomes(&mut self, scope: &Scope, health: Health) -> HashSet<ResourceId> {
        match self.watches.get_mut(scope) {
            Some(watch) if watch.health != health => watch.health = health,
            _ => return HashSet::new(),
        }
        self.all(scope)
    }

    /// Every resource that a watch is for.
    pub(super) fn all(&self, scope: &Scope) -> HashSet<ResourceId> {
        let meant = self.namespaces.iter().filter(|(namespace, _)| scope.covers(namespace));
        meant.flat_map(|(namespace, known)| within(namespace, known.resources.keys().cloned().collect())).collect()
    }

    fn referenced(&self, namespace: &str, secret: &str) -> Option<&Referenced> {
        self.namespaces.get(namespace)?.secrets.get(secret)
    }

    fn referenced_mut(&mut self, namespace: &str, secret: &str) -> Option<&mut Referenced> {
        self.namespaces.get_mut(namespace)?.secrets.get_mut(secret)
    }
}

impl Namespace {
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

impl Referenced {
    /// Whom a version concerns; nobody, if it is known or older than what is.
    fn told(&mut self, version: Version) -> Option<HashSet<String>> {
        match &self.version {
            Some(known) if *known == version || version.is_older_than(known) => None,
            _ => {
                self.version = Some(version);
                Some(self.by.clone())
            }
        }
    }
}

fn within(namespace: &str, names: HashSet<String>) -> HashSet<ResourceId> {
    names.into_iter().map(|name| ResourceId { namespace: namespace.to_owned(), name }).collect()
}
