//! The `QuayStorages` as they are watched, in all namespaces or in those that were named, and which of them speak of the
//! same bundle.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt as _, stream};
use kube::Client;
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

use super::{Stored, id};
use crate::cluster::ApiProblem;
use crate::resource::ResourceId;
use crate::telemetry::health::Health;

/// How many are listed at a time.
const PAGE: u32 = 25;
/// What kubectl adds, with all of the object in it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The resources that are known.
#[derive(Clone)]
pub(super) struct Resources {
    pub(super) store: Store<Stored>,
    bundles: Arc<RwLock<HashMap<String, Bundles>>>,
}

/// What the resources of a namespace name: a bundle, or a registry that names one.
#[derive(Default)]
struct Bundles {
    by_bundle: HashMap<String, HashSet<String>>,
    by_registry: HashMap<String, HashSet<String>>,
}

/// What comes of a watch.
pub(super) enum Told {
    /// A resource is known as it is now.
    Is(ResourceId),
    /// A resource is gone.
    Gone(ResourceId),
}

/// Takes what the watches tell.
struct Taking {
    resources: Resources,
    writer: reflector::store::Writer<Stored>,
    /// What a list has listed so far, by watch: it counts once it is complete, for it says also what is gone.
    listed: HashMap<Option<String>, Vec<Stored>>,
    beginning: Beginning,
}

/// Which watches have not answered yet.
struct Beginning {
    awaited: HashSet<Option<String>>,
    is_any_listed: bool,
    health: Health,
}

impl Resources {
    /// Nothing is known, and a stream of what the watches of these namespaces tell; of all, if none is named.
    pub(super) fn watch(
        client: &Client,
        namespaces: &[String],
        health: Health,
    ) -> (Self, impl Stream<Item = watcher::Result<Told>> + use<>) {
        let (store, mut writer) = reflector::store();
        // Each namespace's resources come to be known all at once, and those of the others do not wait for them.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        let resources = Self { store, bundles: Arc::default() };
        let scopes = scopes(namespaces);
        let beginning = Beginning { awaited: scopes.iter().cloned().collect(), is_any_listed: false, health };
        let mut taking = Taking { resources: resources.clone(), writer, listed: HashMap::new(), beginning };
        let told = events(client, scopes).flat_map(move |(scope, event)| {
            let is_complete = taking.beginning.hears(scope.as_ref(), &event);
            let told = match event {
                Ok(event) => taking.take(scope.as_ref(), event).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            // Whoever asks after this finds what was listed.
            if is_complete {
                taking.beginning.health.is_synced();
            }
            stream::iter(told)
        });
        (resources, told)
    }

    /// A resource as it is known.
    pub(super) fn get(&self, who: &ResourceId) -> Option<Arc<Stored>> {
        self.store.get(&ObjectRef::new(&who.name).within(&who.namespace))
    }

    /// The resources of a namespace that may speak of a bundle: those that name it, and those whose registry does.
    pub(super) fn of_bundle(&self, namespace: &str, bundle: &str, names: impl Fn(&str) -> bool) -> Vec<Arc<Stored>> {
        let bundles = self.bundles.read().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = bundles.get(namespace) else { return Vec::new() };
        let direct = known.by_bundle.get(bundle).into_iter().flatten();
        let by_registry = known.by_registry.iter().filter(|(registry, _)| names(registry));
        let meant = direct.chain(by_registry.flat_map(|(_, resources)| resources));
        meant.filter_map(|name| self.store.get(&ObjectRef::new(name).within(namespace))).collect()
    }

    fn note(&self, stored: &Stored) {
        let who = id(stored);
        self.forget(&who);
        let Ok(resource) = &stored.0 else { return };
        let mut bundles = self.bundles.write().unwrap_or_else(PoisonError::into_inner);
        let known = bundles.entry(who.namespace).or_default();
        if let Some(bundle) = &resource.spec.config_bundle_secret {
            known.by_bundle.entry(bundle.clone()).or_default().insert(who.name.clone());
        }
        if let Some(registry) = &resource.spec.registry_ref {
            known.by_registry.entry(registry.name.clone()).or_default().insert(who.name);
        }
    }

    /// What the resource named, as it is in the store still.
    fn forget(&self, who: &ResourceId) {
        let Some(stored) = self.get(who) else { return };
        let Ok(resource) = &stored.0 else { return };
        let mut bundles = self.bundles.write().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = bundles.get_mut(&who.namespace) else { return };
        let unname = |names: &mut HashMap<String, HashSet<String>>, key: Option<&String>| {
            let Some((key, named)) = key.and_then(|key| Some((key, names.get_mut(key)?))) else { return };
            named.remove(&who.name);
            if named.is_empty() {
                names.remove(key);
            }
        };
        unname(&mut known.by_bundle, resource.spec.config_bundle_secret.as_ref());
        unname(&mut known.by_registry, resource.spec.registry_ref.as_ref().map(|registry| &registry.name));
        if known.by_bundle.is_empty() && known.by_registry.is_empty() {
            bundles.remove(&who.namespace);
        }
    }
}

type Events = SelectAll<BoxStream<'static, (Option<String>, watcher::Result<Event<Stored>>)>>;

impl Beginning {
    /// The process is ready once every watch has listed its resources or was refused, and one is not.
    fn hears(&mut self, scope: Option<&String>, event: &watcher::Result<Event<Stored>>) -> bool {
        if self.awaited.is_empty() && self.is_any_listed {
            return false;
        }
        match event {
            Ok(Event::InitDone) => self.is_any_listed = true,
            Err(error) if ApiProblem::from(error) == ApiProblem::Forbidden => {}
            Ok(_) | Err(_) => return false,
        }
        self.awaited.remove(&scope.cloned());
        self.awaited.is_empty() && self.is_any_listed
    }
}

/// What is watched: each namespace that is named, else all of them at once.
fn scopes(namespaces: &[String]) -> Vec<Option<String>> {
    if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() }
}

/// What each watch says; each has its own back-off, so that one that is refused concerns no other.
fn events(client: &Client, scopes: Vec<Option<String>>) -> Events {
    let watch = |scope: Option<String>| {
        let api: Api<Stored> = match &scope {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let events = watcher::watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff();
        events.map(move |event| (scope.clone(), event)).boxed()
    };
    stream::select_all(scopes.into_iter().map(watch))
}

impl Taking {
    fn take(&mut self, scope: Option<&String>, event: Event<Stored>) -> Vec<Told> {
        let listed = self.listed.entry(scope.cloned()).or_default();
        match event {
            Event::Init => {
                listed.clear();
                Vec::new()
            }
            Event::InitApply(stored) => {
                listed.push(slim(stored));
                Vec::new()
            }
            Event::InitDone => {
                let listed = std::mem::take(listed);
                let mut told = Vec::with_capacity(listed.len());
                let is_listed: HashSet<ResourceId> = listed.iter().map(id).collect();
                let is_meant = |who: &ResourceId| scope.is_none_or(|only| *only == who.namespace);
                let known = self.resources.store.state();
                let gone = known.iter().filter(|stored| is_meant(&id(stored)) && !is_listed.contains(&id(stored)));
                told.extend(gone.map(|stored| self.delete(stored)));
                told.extend(listed.into_iter().map(|stored| self.apply(stored)));
                told
            }
            Event::Apply(stored) => {
                vec![self.apply(slim(stored))]
            }
            Event::Delete(stored) => vec![self.delete(&stored)],
        }
    }

    fn apply(&mut self, stored: Stored) -> Told {
        let who = id(&stored);
        self.resources.note(&stored);
        self.writer.apply_watcher_event(&Event::Apply(stored));
        Told::Is(who)
    }

    fn delete(&mut self, stored: &Stored) -> Told {
        let who = id(stored);
        self.resources.forget(&who);
        self.writer.apply_watcher_event(&Event::Delete(stored.clone()));
        Told::Gone(who)
    }
}

/// Without what nobody here reads and takes most of the room.
pub(super) fn slim<K: kube::Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    if let Some(annotations) = &mut object.meta_mut().annotations {
        annotations.remove(LAST_APPLIED);
    }
    object
}

#[cfg(test)]
mod tests;
