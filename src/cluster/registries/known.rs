//! What the watch of registries has told, and whom that concerns.

use std::collections::{HashMap, HashSet};

use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use tokio_util::task::AbortOnDropHandle;

use super::{Health, Look, read};
use crate::registry::Registry;
use crate::resource::ResourceId;

/// The registries that one watch has told of.
#[derive(Default)]
pub(super) struct Known {
    pub(super) health: Health,
    pub(super) registries: HashMap<ResourceId, Option<Registry>>,
    /// Which registry each resource refers to; it is of the same namespace.
    pub(super) references: HashMap<ResourceId, String>,
    pub(super) watch: Option<AbortOnDropHandle<()>>,
}

impl Known {
    pub(super) fn look(&self, namespace: &str, name: &str) -> Look {
        match self.health {
            Health::Starting => Look::Starting,
            Health::NotInstalled => Look::NotInstalled,
            Health::Forbidden => Look::Forbidden,
            Health::Failing => Look::Unanswered,
            Health::Synced => {
                let who = ResourceId { namespace: namespace.to_owned(), name: name.to_owned() };
                self.registries.get(&who).map_or(Look::Missing, |registry| Look::Found(registry.clone().map(Box::new)))
            }
        }
    }

    /// Takes what the watch says, none for an error; tells which resources it concerns.
    pub(super) fn take(
        &mut self,
        event: Option<Event<DynamicObject>>,
        listed: &mut HashMap<ResourceId, Option<Registry>>,
    ) -> HashSet<ResourceId> {
        match event {
            Some(Event::Init) => {
                listed.clear();
                HashSet::new()
            }
            Some(Event::InitApply(object)) => {
                listed.insert(id(&object), read(&object));
                HashSet::new()
            }
            Some(Event::InitDone) => {
                let listed = std::mem::take(listed);
                let differs = |who: &ResourceId| self.registries.get(who) != listed.get(who);
                let changed: Vec<ResourceId> =
                    self.registries.keys().chain(listed.keys()).filter(|who| differs(who)).cloned().collect();
                self.registries = listed;
                let mut concerned = self.becomes(Health::Synced);
                concerned.extend(changed.iter().flat_map(|registry| self.referrers(registry)));
                concerned
            }
            Some(Event::Apply(object)) => {
                let (who, registry) = (id(&object), read(&object));
                // Of most changes of a registry's status nothing concerns us.
                if self.registries.insert(who.clone(), registry.clone()) == Some(registry) {
                    return HashSet::new();
                }
                self.referrers(&who)
            }
            Some(Event::Delete(object)) => {
                let who = id(&object);
                self.registries.remove(&who);
                self.referrers(&who)
            }
            // An interrupted watch catches up when it can.
            None if self.health == Health::Synced => HashSet::new(),
            None => self.becomes(Health::Failing),
        }
    }

    pub(super) fn becomes(&mut self, health: Health) -> HashSet<ResourceId> {
        let changed = self.health != health;
        self.health = health;
        if changed { self.references.keys().cloned().collect() } else { HashSet::new() }
    }

    fn referrers(&self, registry: &ResourceId) -> HashSet<ResourceId> {
        let refers = |who: &ResourceId, name: &String| who.namespace == registry.namespace && *name == registry.name;
        self.references.iter().filter(|(who, name)| refers(who, name)).map(|(who, _)| who.clone()).collect()
    }
}

fn id(object: &DynamicObject) -> ResourceId {
    ResourceId::of(&object.metadata)
}
