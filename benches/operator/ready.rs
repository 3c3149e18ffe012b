//! When resources become Ready, as a watch tells. It reads no more of them than that, so as to take little from what is
//! measured.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use futures::{StreamExt as _, pin_mut};
use kube::api::{Api, ApiResource, NotUsed, Object};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use registry_sts::api::QuayStorage;

use crate::content;
use crate::plane::Plane;
use crate::progress::Progress;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    observed_generation: Option<i64>,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

type Stored = Object<NotUsed, Status>;

/// A watch that waits until so many resources are Ready.
pub(crate) struct Readiness {
    watching: AbortOnDropHandle<SystemTime>,
    limit: Duration,
}

impl Readiness {
    /// The watch has begun when this returns.
    pub(crate) async fn of(plane: &Plane, count: usize) -> Self {
        let (began, beginning) = oneshot::channel();
        let kind = ApiResource::erase::<QuayStorage>(&());
        let api: Api<Stored> = Api::all_with(plane.admin.clone(), &kind);
        let watching = tokio::spawn(watch(api, count, began));
        beginning.await.unwrap();
        let limit = Duration::from_secs(120 + count as u64 / 10);
        Self { watching: AbortOnDropHandle::new(watching), limit }
    }

    /// When the last of them was seen to be Ready.
    pub(crate) async fn all(self) -> SystemTime {
        tokio::time::timeout(self.limit, self.watching).await.expect("not all resources became Ready").unwrap()
    }
}

async fn watch(api: Api<Stored>, count: usize, began: oneshot::Sender<()>) -> SystemTime {
    let progress = Progress::of("resources that are Ready", count);
    let mut began = Some(began);
    let mut ready = HashSet::new();
    let events = watcher::watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let object = match event.unwrap() {
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => object,
            watcher::Event::InitDone => {
                if let Some(began) = began.take() {
                    let _ = began.send(());
                }
                continue;
            }
            watcher::Event::Init | watcher::Event::Delete(_) => continue,
        };
        let is_counted = object.metadata.name.as_deref().is_some_and(content::is_registry);
        if is_counted && is_ready(&object) && ready.insert((object.metadata.namespace, object.metadata.name)) {
            progress.step();
            if ready.len() == count {
                return SystemTime::now();
            }
        }
    }
    panic!("the watch has ended");
}

fn is_ready(object: &Stored) -> bool {
    object.status.as_ref().is_some_and(|status| {
        status.observed_generation == object.metadata.generation
            && status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True")
    })
}
