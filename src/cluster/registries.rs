//! The watch of `QuayRegistries`, for as long as a resource refers to one. Of each nothing is kept but what concerns us:
//! passwords stand in their components' environments.

mod known;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, pin_mut};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::grants::Grants;
use super::{ApiProblem, DOUBT, REQUEST_TIMEOUT, answered};
use crate::registry::{API_VERSION, KIND, Registry, RegistrySeen};
use crate::resource::ResourceId;
use crate::telemetry::health as process;
use known::Known;

/// How often it is looked whether the kind is there by now, or may be seen. No watch tells of either.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

/// What is known of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The first list is not complete.
    Starting,
    /// The registry; none if the object does not have the form of one.
    Found(Option<Box<Registry>>),
    /// There is none of that name.
    Missing,
    /// The cluster does not know the kind.
    NotInstalled,
    /// The operator may not list or watch the kind.
    Forbidden,
    /// The API server does not answer the list.
    Unanswered,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Health {
    #[default]
    Starting,
    Synced,
    NotInstalled,
    Forbidden,
    Failing,
}

/// Reads one registry, once.
pub async fn seen(client: &Client, grants: &Grants, namespace: &str, name: &str) -> RegistrySeen {
    let registries: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind());
    match answered(registries.get(name)).await {
        Ok(object) => {
            let unreadable = || RegistrySeen::Unreadable { why: RegistrySeen::NO_REGISTRY.into() };
            read(&object).map_or_else(unreadable, |registry| RegistrySeen::Found(Box::new(registry)))
        }
        Err(ApiProblem::NotFound) => RegistrySeen::Missing,
        Err(ApiProblem::Forbidden) => RegistrySeen::Forbidden { grant: grants.registries(namespace).await },
        Err(problem) => RegistrySeen::Unreadable { why: problem.to_string() },
    }
}

/// The registries.
pub struct Registries(Seen);

enum Seen {
    /// One watch sees all namespaces.
    Everywhere(Followed),
    /// Each namespace that was named has a watch of its own.
    In(HashMap<String, Followed>),
}

impl Registries {
    /// No watch yet. A resource of which the registry changes is sent to `changed`. Only these namespaces are looked
    /// into; all, if there is none.
    pub fn new(
        client: &Client,
        namespaces: &[String],
        health: &process::Health,
        changed: &mpsc::UnboundedSender<ResourceId>,
    ) -> Self {
        let followed = |namespace: Option<String>| Followed {
            client: client.clone(),
            namespace,
            known: Arc::default(),
            health: health.clone(),
            changed: changed.clone(),
        };
        if namespaces.is_empty() {
            return Self(Seen::Everywhere(followed(None)));
        }
        let each = namespaces.iter().map(|namespace| (namespace.clone(), followed(Some(namespace.clone()))));
        Self(Seen::In(each.collect()))
    }

    /// Notes which registry a resource refers to. The first reference of all starts the watch.
    pub fn refer(&self, who: &ResourceId, registry: &str) {
        if let Some(followed) = self.of(&who.namespace) {
            followed.refer(who, registry);
        }
    }

    /// A resource refers to none any more. The last one takes the watch along.
    pub fn forget(&self, who: &ResourceId) {
        if let Some(followed) = self.of(&who.namespace) {
            followed.forget(who);
        }
    }

    /// What is known of a registry now. Nobody is asked.
    pub fn look(&self, namespace: &str, name: &str) -> Look {
        self.of(namespace).map_or(Look::Missing, |followed| followed.lock().look(namespace, name))
    }

    fn of(&self, namespace: &str) -> Option<&Followed> {
        match &self.0 {
            Seen::Everywhere(followed) => Some(followed),
            Seen::In(namespaces) => namespaces.get(namespace),
        }
    }
}

/// The registries that one watch sees.
#[derive(Clone)]
struct Followed {
    client: Client,
    /// The only namespace to look in; all, if none.
    namespace: Option<String>,
    known: Arc<Mutex<Known>>,
    health: process::Health,
    changed: mpsc::UnboundedSender<ResourceId>,
}

impl Followed {
    fn refer(&self, who: &ResourceId, registry: &str) {
        let mut known = self.lock();
        known.references.insert(who.clone(), registry.to_owned());
        if known.watch.is_none() {
            known.watch = Some(AbortOnDropHandle::new(tokio::spawn(self.health.watched(self.clone().follow()))));
        }
    }

    fn forget(&self, who: &ResourceId) {
        let mut known = self.lock();
        if known.references.remove(who).is_some() && known.references.is_empty() {
            *known = Known::default();
        }
    }

    async fn follow(self) {
        let mut doubted: Option<Instant> = None;
        loop {
            let health = self.follow_until_refused().await;
            let is_new = doubted.is_none_or(|doubted| doubted.elapsed() > REFUSED_RETRY);
            if health == Health::Forbidden && is_new && self.lock().health == Health::Synced {
                doubted = Some(Instant::now());
                tokio::time::sleep(DOUBT).await;
                continue;
            }
            let concerned = self.lock().becomes(health);
            self.tell(concerned);
            tokio::time::sleep(REFUSED_RETRY).await;
        }
    }

    /// Has its own back-off: a kind that is not there, and one that may not be seen, concern nothing else.
    async fn follow_until_refused(&self) -> Health {
        let kind = kind();
        let registries: Api<DynamicObject> = match &self.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        };
        let events = watcher::watcher(registries, watcher::Config::default().page_size(50)).default_backoff();
        pin_mut!(events);
        let (mut synced, mut listed) = (false, HashMap::new());
        loop {
            // The first list has a limit; afterwards there may be nothing to tell for hours.
            let limit = if synced { Duration::MAX } else { REQUEST_TIMEOUT };
            let event = match tokio::time::timeout(limit, events.next()).await {
                Ok(Some(event)) => event,
                Ok(None) => return Health::Failing,
                Err(_) => {
                    let concerned = self.lock().becomes(Health::Failing);
                    self.tell(concerned);
                    continue;
                }
            };
            if let Err(error) = &event {
                // The error may quote what was sent.
                let problem = ApiProblem::from(error);
                tracing::debug!(%problem, "QuayRegistries cannot be watched");
                match problem {
                    ApiProblem::NotFound => return Health::NotInstalled,
                    ApiProblem::Forbidden => return Health::Forbidden,
                    _ => {}
                }
            }
            synced |= matches!(event, Ok(Event::InitDone));
            let concerned = self.lock().take(event.ok(), &mut listed);
            self.tell(concerned);
        }
    }

    fn tell(&self, concerned: HashSet<ResourceId>) {
        for who in concerned {
            // Without a receiver the process is stopping.
            let _ = self.changed.send(who);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind() -> ApiResource {
    let (group, version) = API_VERSION.split_once('/').unwrap_or(("", API_VERSION));
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, KIND), "quayregistries")
}

fn read(object: &DynamicObject) -> Option<Registry> {
    let registry = Registry::read(&object.data)?;
    Some(Registry { deleting: object.metadata.deletion_timestamp.is_some(), ..registry })
}

#[cfg(test)]
mod tests;
