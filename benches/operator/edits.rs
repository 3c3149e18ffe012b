//! From an edit of a key Secret to the bundle that has it, as a watch on the bundle tells.

use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::content::{KEY, bundle, key_data, key_id, put_bundle, put_key, put_namespace, put_resource};
use crate::plane::{Plane, client};
use crate::progress::Progress;

const NAMESPACE: &str = "bench-edits";
const NAME: &str = "edited";
/// Longer than the operator leaves between two calls of STS by default: an edit never waits for the one before.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a bundle may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A registry whose key is edited.
pub(crate) struct Edited {
    admin: Client,
    /// For watches alone: each one that ends takes its connection along, and an edit is not to wait for a new one.
    watching: Client,
    keys: usize,
}

impl Edited {
    pub(crate) async fn put(plane: &Plane) -> Self {
        let (admin, watching) = (&plane.admin, client(plane.info("kubeconfig")).await);
        // Of a number that no other namespace's key has.
        let keys = 1_000_000;
        put_namespace(admin, NAMESPACE).await;
        put_key(admin, NAMESPACE, keys).await;
        put_bundle(admin, NAMESPACE, NAME).await;
        put_resource(admin, NAMESPACE, NAME).await;
        Self { admin: admin.clone(), watching, keys }
    }

    /// Waits until the bundle has the key of now.
    pub(crate) async fn until_written(&self) {
        self.seen_in(self.watch().await, &key_id(self.keys)).await;
    }

    /// The key is edited again and again; how long it took each time until the bundle had it, in milliseconds.
    pub(crate) async fn edit(&mut self, times: usize) -> Vec<f64> {
        let progress = Progress::of("edits of a key", times);
        let mut took = Vec::with_capacity(times);
        for _ in 0..times {
            tokio::time::sleep(PAUSE).await;
            took.push(self.edit_after(|| ()).await.as_secs_f64() * 1e3);
            progress.step();
        }
        took
    }

    /// Edits the key right after something was done; how long it took from before that until the bundle had it.
    pub(crate) async fn edit_after(&mut self, first: impl FnOnce()) -> Duration {
        self.keys += 1;
        let watch = self.watch().await;
        let key = json!({"stringData": key_data(self.keys)});
        let id = key_id(self.keys);
        let secrets: Api<Secret> = Api::namespaced(self.admin.clone(), NAMESPACE);
        let started = Instant::now();
        first();
        let (params, key) = (PatchParams::default(), Patch::Merge(&key));
        let (edited, seen) = tokio::join!(secrets.patch_metadata(KEY, &params, &key), self.seen_in(watch, &id));
        edited.unwrap();
        seen - started
    }

    async fn watch(&self) -> impl Stream<Item = kube::Result<WatchEvent<Secret>>> + use<> {
        let params = WatchParams::default().fields(&format!("metadata.name={}", bundle(NAME)));
        let secrets: Api<Secret> = Api::namespaced(self.watching.clone(), NAMESPACE);
        secrets.watch(&params, "0").await.unwrap().boxed()
    }

    async fn seen_in(
        &self,
        mut watch: impl Stream<Item = kube::Result<WatchEvent<Secret>>> + Unpin,
        id: &str,
    ) -> Instant {
        let seeing = async {
            while let Some(event) = watch.next().await {
                if let WatchEvent::Added(secret) | WatchEvent::Modified(secret) = event.unwrap() {
                    let config = secret.data.unwrap().remove("config.yaml").unwrap();
                    if config.0.windows(id.len()).any(|bytes| bytes == id.as_bytes()) {
                        return Instant::now();
                    }
                }
            }
            panic!("the watch has ended");
        };
        tokio::time::timeout(LIMIT, seeing).await.expect("the bundle did not get the key")
    }
}

/// The value below which such a part of them is.
pub(crate) fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * part).ceil() as usize;
    sorted[at.clamp(1, sorted.len()) - 1]
}
