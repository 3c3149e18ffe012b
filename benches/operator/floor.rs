//! The floor: what a bare client needs for the requests that the operator makes, with the operator's own credentials,
//! the same client library and the same processors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use registry_sts::api::QuayStorage;

use crate::audit::Request;
use crate::content::{KEY, bundle};
use crate::operator::Credential;
use crate::plane::{Plane, client};
use crate::progress::each;

/// How many requests of each kind the operator makes for a new resource, on average.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) key_reads: f64,
    pub(crate) bundle_reads: f64,
    pub(crate) bundle_writes: f64,
    pub(crate) events: f64,
    pub(crate) reports: f64,
    /// What the floor does not do.
    pub(crate) others: f64,
}

impl Shape {
    /// Only the two writes without which nothing would come of it.
    pub(crate) const WRITES: Self =
        Self { key_reads: 0.0, bundle_reads: 0.0, bundle_writes: 1.0, events: 0.0, reports: 1.0, others: 0.0 };

    /// As the audit log has it, of so many resources.
    pub(crate) fn of(asked: &[Request], resources: usize) -> Self {
        let mut shape = Self::default();
        for request in asked.iter().filter(|request| !request.is_upkeep()) {
            let kind = match (request.verb.as_str(), request.resource.as_str()) {
                ("get", "secrets") if request.name == KEY => &mut shape.key_reads,
                ("get", "secrets") => &mut shape.bundle_reads,
                ("patch", "secrets") => &mut shape.bundle_writes,
                ("create", "events") => &mut shape.events,
                ("patch", "quaystorages/status") => &mut shape.reports,
                _ => &mut shape.others,
            };
            *kind += 1.0;
        }
        let Self { key_reads, bundle_reads, bundle_writes, events, reports, others } = &mut shape;
        for count in [key_reads, bundle_reads, bundle_writes, events, reports, others] {
            *count /= resources as f64;
        }
        shape
    }

    pub(crate) fn requests(&self) -> f64 {
        self.without_events() + self.events
    }

    pub(crate) fn without_events(&self) -> f64 {
        self.key_reads + self.bundle_reads + self.bundle_writes + self.reports + self.others
    }
}

/// How many requests of a kind are made for the resource of that number, so that it comes out on average.
fn times(average: f64, number: usize) -> usize {
    let until = |number: usize| (number as f64 * average).round() as usize;
    until(number + 1) - until(number)
}

/// What the operator left of a resource.
struct Left {
    status: Value,
    config: Value,
    events: Vec<Event>,
}

/// What the operator left of all of them, by namespace and name: what the floor does is to come to the same.
pub(crate) struct Leavings(HashMap<(String, String), Arc<Left>>);

/// Everything that is needed to bring one resource there.
struct Item {
    number: usize,
    namespace: String,
    name: String,
    uid: String,
    bundle_version: String,
    version: String,
    left: Arc<Left>,
}

impl Leavings {
    pub(crate) async fn of(plane: &Plane) -> Self {
        let all = ListParams::default();
        let mut configs = HashMap::new();
        for mut secret in Api::<Secret>::all(plane.admin.clone()).list(&all).await.unwrap() {
            if let Some(config) = secret.data.as_mut().and_then(|data| data.remove("config.yaml")) {
                configs.insert((secret.namespace().unwrap(), secret.name_any()), json!(config));
            }
        }
        let mut events: HashMap<_, Vec<Event>> = HashMap::new();
        for mut event in Api::<Event>::all(plane.admin.clone()).list(&all).await.unwrap() {
            let about = event.regarding.clone().unwrap_or_default();
            event.metadata = ObjectMeta { namespace: event.namespace(), ..ObjectMeta::default() };
            let about = (about.namespace.unwrap_or_default(), about.name.unwrap_or_default());
            events.entry(about).or_default().push(event);
        }
        let resources: Api<QuayStorage> = Api::all(plane.admin.clone());
        let left = resources.list(&all).await.unwrap().items.into_iter().map(|resource| {
            let whose = (resource.namespace().unwrap(), resource.name_any());
            let config = configs.remove(&(whose.0.clone(), bundle(&whose.1))).unwrap();
            let events = events.remove(&whose).unwrap_or_default();
            (whose, Arc::new(Left { status: json!(resource.status), config, events }))
        });
        Self(left.collect())
    }

    /// What is to be done, from how the resources are now.
    async fn items(&self, plane: &Plane) -> Vec<Item> {
        let all = ListParams::default();
        let secrets: Api<Secret> = Api::all(plane.admin.clone());
        let secrets = secrets.list_metadata(&all).await.unwrap().items.into_iter();
        let mut secrets: HashMap<_, _> =
            secrets.map(|secret| ((secret.namespace().unwrap(), secret.name_any()), secret.metadata)).collect();
        let resources: Api<QuayStorage> = Api::all(plane.admin.clone());
        let resources = resources.list_metadata(&all).await.unwrap().items.into_iter();
        let items = resources.filter_map(|resource| {
            let (namespace, name) = (resource.namespace().unwrap(), resource.name_any());
            let left = self.0.get(&(namespace.clone(), name.clone()))?;
            let secret = secrets.remove(&(namespace.clone(), bundle(&name))).unwrap();
            let version = resource.resource_version().unwrap();
            Some((namespace, name, version, secret, Arc::clone(left)))
        });
        let items = items.enumerate().map(|(number, (namespace, name, version, secret, left))| {
            let (uid, bundle_version) = (secret.uid.unwrap(), secret.resource_version.unwrap());
            Item { number, namespace, name, uid, bundle_version, version, left }
        });
        items.collect()
    }

    /// Makes the requests of the shape for every resource, which all have to be as new. Says how many resources a second
    /// that were.
    pub(crate) async fn redo(&self, plane: &Plane, shape: Shape, at_once: usize) -> f64 {
        let items = self.items(plane).await;
        let count = items.len();
        let client = client(Credential::issue(plane).await.kubeconfig).await;
        let started = Instant::now();
        each("resources of the floor", items, at_once, |item| item.redo(client.clone(), shape)).await;
        count as f64 / started.elapsed().as_secs_f64()
    }
}

impl Item {
    async fn redo(self, client: Client, shape: Shape) {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
        let bundle = bundle(&self.name);
        for _ in 0..times(shape.key_reads, self.number) {
            secrets.get(KEY).await.unwrap();
        }
        for _ in 0..times(shape.bundle_reads, self.number) {
            secrets.get(&bundle).await.unwrap();
        }
        let params = PatchParams { field_manager: Some("registry-sts".into()), ..PatchParams::default() };
        let write = json!({
            "metadata": {"uid": self.uid, "resourceVersion": self.bundle_version},
            "data": {"config.yaml": self.left.config},
        });
        // A second one would be refused, as the operator's would be: it has a version as its condition.
        for write in [write, json!({})].iter().take(times(shape.bundle_writes, self.number)) {
            secrets.patch_metadata(&bundle, &params, &Patch::Merge(write)).await.unwrap();
        }
        let events = times(shape.events, self.number);
        for event in self.left.events.iter().cycle().take(events.saturating_sub(1)) {
            self.tell(&client, event).await;
        }
        let resources: Api<QuayStorage> = Api::namespaced(client.clone(), &self.namespace);
        let mut version = self.version.clone();
        let reports = times(shape.reports, self.number);
        for report in 1..=reports {
            // One that comes before the last says little yet.
            let status = if report == reports { self.left.status.clone() } else { json!({"observedGeneration": 1}) };
            let report = json!({"metadata": {"resourceVersion": version}, "status": status});
            let reported = resources.patch_status(&self.name, &params, &Patch::Merge(&report)).await.unwrap();
            version = reported.resource_version().unwrap();
        }
        if let Some(event) = self.left.events.last().filter(|_| events > 0) {
            self.tell(&client, event).await;
        }
    }

    async fn tell(&self, client: &Client, event: &Event) {
        let events: Api<Event> = Api::namespaced(client.clone(), &self.namespace);
        let mut event = event.clone();
        event.metadata.name = Some(format!("{}.{:x}", self.name, fastrand::u64(..)));
        events.create(&PostParams::default(), &event).await.unwrap();
    }
}
