//! Events: a courtesy. One that cannot be written is logged, and nothing waits for it. What was told already is counted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::events::EventType;
use kube::{Client, Resource as _};
use serde::de::IgnoredAny;
use serde_json::json;

use crate::cluster::secrets::FIELD_MANAGER;
use crate::cluster::{ApiProblem, answered};
use crate::fingerprint::fingerprint;
use crate::status::shortened;

/// Who reports.
const REPORTER: &str = "registry-sts";
/// An Event's note is at most this long; the whole of it stands in status.
const NOTE_LIMIT: usize = 1000;
/// What is told again within this time is counted; later it is told anew. As `kube-runtime` and `client-go` have it.
const COUNTED_FOR: Duration = Duration::from_mins(6);

/// What is told.
pub(super) struct Told<'a> {
    /// Of which object.
    pub(super) about: ObjectReference,
    /// Whether something is wrong.
    pub(super) kind: EventType,
    /// In one word, why.
    pub(super) reason: &'a str,
    /// In one word, what was being done.
    pub(super) action: &'a str,
    /// For people.
    pub(super) note: String,
}

/// Tells, and remembers of what was told lately only what counting it takes.
pub(super) struct Events {
    client: Client,
    lately: Mutex<Lately>,
}

#[derive(Default)]
struct Lately {
    told: HashMap<[u8; 32], Recent>,
    /// In the order in which they were told.
    order: VecDeque<(Instant, [u8; 32])>,
}

#[derive(Clone)]
struct Recent {
    name: String,
    count: i32,
    at: Instant,
}

impl Events {
    pub(super) fn new(client: Client) -> Self {
        Self { client, lately: Mutex::default() }
    }

    /// Tells it, or counts it if it was told lately.
    pub(super) async fn publish(&self, told: Told<'_>) {
        if let Err(problem) = self.try_to_publish(told).await {
            tracing::debug!(%problem, "an Event could not be written");
        }
    }

    async fn try_to_publish(&self, told: Told<'_>) -> Result<(), ApiProblem> {
        let note = shortened(told.note.clone(), NOTE_LIMIT);
        let uid = told.about.uid.clone().unwrap_or_default();
        let key = fingerprint([uid.as_str(), told.reason, told.action, &note]);
        let namespace = told.about.namespace.clone().unwrap_or_default();
        let before = self.lately().find(&key, Instant::now());
        if let Some(before) = before {
            match self.count(&namespace, &before).await {
                Err(ApiProblem::NotFound) => {}
                counted => {
                    counted?;
                    self.lately().note(key, Recent { count: before.count + 1, at: Instant::now(), ..before });
                    return Ok(());
                }
            }
        }
        let event = event(told, note);
        let name = event.metadata.name.clone().unwrap_or_default();
        self.create(&namespace, &event).await?;
        self.lately().note(key, Recent { name, count: 1, at: Instant::now() });
        Ok(())
    }

    async fn create(&self, namespace: &str, event: &Event) -> Result<(), ApiProblem> {
        let url = Event::url_path(&(), Some(namespace));
        let data = serde_json::to_vec(event).map_err(|_| ApiProblem::Unreachable)?;
        let request = kube::core::Request::new(url).create(&PostParams::default(), data);
        let request = request.map_err(|_| ApiProblem::Unreachable)?;
        // What the API server makes of it is of no use.
        answered(self.client.request::<IgnoredAny>(request)).await.map(drop)
    }

    async fn count(&self, namespace: &str, before: &Recent) -> Result<(), ApiProblem> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let series = EventSeries { count: before.count + 1, last_observed_time: MicroTime(Timestamp::now()) };
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"series": series}));
        answered(events.patch_metadata(&before.name, &params, &patch)).await.map(drop)
    }

    fn lately(&self) -> MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lately {
    fn find(&mut self, key: &[u8; 32], now: Instant) -> Option<Recent> {
        while let Some((at, old)) = self.order.front().copied()
            && now.saturating_duration_since(at) >= COUNTED_FOR
        {
            self.order.pop_front();
            // It may have been counted since.
            if self.told.get(&old).is_some_and(|recent| recent.at <= at) {
                self.told.remove(&old);
            }
        }
        self.told.get(key).cloned()
    }

    fn note(&mut self, key: [u8; 32], recent: Recent) {
        self.order.push_back((recent.at, key));
        self.told.insert(key, recent);
    }
}

fn event(told: Told<'_>, note: String) -> Event {
    let now = Timestamp::now();
    let of = told.about.name.as_deref().unwrap_or(REPORTER);
    let name = Some(format!("{of}.{:x}", now.as_nanosecond()));
    Event {
        metadata: ObjectMeta { name, namespace: told.about.namespace.clone(), ..ObjectMeta::default() },
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(REPORTER.into()),
        reporting_instance: Some(REPORTER.into()),
        type_: Some(if told.kind == EventType::Normal { "Normal" } else { "Warning" }.into()),
        reason: Some(told.reason.into()),
        action: Some(told.action.into()),
        note: Some(note),
        regarding: Some(told.about),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_again_soon_is_counted_and_what_is_old_is_forgotten() {
        let (mut lately, begin) = (Lately::default(), Instant::now());
        let recent = |count, at| Recent { name: "example.1".into(), count, at };
        lately.note([1; 32], recent(1, begin));
        lately.note([2; 32], recent(1, begin));
        let soon = begin + Duration::from_mins(4);
        assert_eq!(lately.find(&[1; 32], soon).map(|recent| recent.count), Some(1));
        lately.note([1; 32], recent(2, soon));
        let later = begin + Duration::from_mins(7);
        assert_eq!(lately.find(&[1; 32], later).map(|recent| recent.count), Some(2));
        assert!(lately.find(&[2; 32], later).is_none());
        assert_eq!((lately.told.len(), lately.order.len()), (1, 1));
        assert!(lately.find(&[1; 32], begin + Duration::from_mins(11)).is_none());
        assert!(lately.told.is_empty() && lately.order.is_empty());
    }
}
