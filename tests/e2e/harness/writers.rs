//! The other writers of a bundle: each a client of its own, with the field manager and the very kind of request that the
//! real tool makes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::StreamExt as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Config};
use registry_sts::api::QuayStorage;
use registry_sts::api::status::ContestedStatus;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use super::world::World;

/// A tool that writes Secrets.
#[derive(Clone)]
pub(crate) struct Tool {
    secrets: Api<Secret>,
    namespace: String,
    manager: String,
}

impl Tool {
    /// A tool with this field manager.
    pub(crate) async fn new(world: &World, manager: &str) -> Self {
        let kubeconfig = Kubeconfig::read_from(world.plane.info("kubeconfig")).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let secrets = Api::namespaced(Client::try_from(config).unwrap(), &world.namespace);
        Self { secrets, namespace: world.namespace.clone(), manager: manager.to_owned() }
    }

    /// A manifest of Secret `bundle`. Not stringData: a key that is applied as that is nobody's.
    pub(crate) fn manifest(&self, data: &[(&str, &str)]) -> Value {
        let data: Map<_, _> =
            data.iter().map(|(key, value)| ((*key).to_owned(), json!(BASE64.encode(value)))).collect();
        json!({"apiVersion": "v1", "kind": "Secret", "data": data,
            "metadata": {"name": "bundle", "namespace": self.namespace}})
    }

    fn applying(&self) -> PatchParams {
        PatchParams::apply(&self.manager)
    }

    /// `kubectl apply --server-side`.
    pub(crate) async fn apply(&self, manifest: &Value) -> kube::Result<Secret> {
        self.secrets.patch("bundle", &self.applying(), &Patch::Apply(manifest)).await
    }

    /// `kubectl apply --server-side --force-conflicts`.
    pub(crate) async fn apply_by_force(&self, manifest: &Value) {
        self.secrets.patch("bundle", &self.applying().force(), &Patch::Apply(manifest)).await.unwrap();
    }

    /// An interval of kustomize-controller: a dry run says whether something has drifted, and if so it is applied by force.
    pub(crate) async fn reconcile(&self, manifest: &Value) -> bool {
        let dry = PatchParams { dry_run: true, ..self.applying().force() };
        let wanted = self.secrets.patch("bundle", &dry, &Patch::Apply(manifest)).await.unwrap();
        let stands = self.secrets.get("bundle").await.unwrap();
        let has_drifted = (&wanted.data, &wanted.metadata.labels) != (&stands.data, &stands.metadata.labels);
        if has_drifted {
            self.apply_by_force(manifest).await;
        }
        has_drifted
    }

    /// `kubectl edit`: what somebody changed in the editor, as a strategic merge patch.
    pub(crate) async fn edit(&self, data: &[(&str, &str)]) {
        let params = PatchParams { field_manager: Some(self.manager.clone()), ..PatchParams::default() };
        let patch = json!({"data": self.manifest(data)["data"]});
        self.secrets.patch("bundle", &params, &Patch::Strategic(patch)).await.unwrap();
    }

    /// `kubectl get -o yaml`.
    pub(crate) async fn get(&self) -> Secret {
        self.secrets.get("bundle").await.unwrap()
    }

    /// `kubectl replace` of what was read before.
    pub(crate) async fn replace(&self, secret: &Secret) -> kube::Result<Secret> {
        let params = PostParams { field_manager: Some(self.manager.clone()), ..PostParams::default() };
        self.secrets.replace("bundle", &params, secret).await
    }

    /// A controller that watches the bundle and at each event at once updates it, so that `config.yaml` is its own.
    pub(crate) fn keep(&self, config: &'static str) -> Keeper {
        let updates = Arc::new(AtomicUsize::new(0));
        let (tool, counted) = (self.clone(), Arc::clone(&updates));
        let fields = watcher::Config::default().fields("metadata.name=bundle");
        let events = watcher::watcher(self.secrets.clone(), fields);
        let keeping = tokio::spawn(async move {
            let mut events = pin!(events.default_backoff().applied_objects());
            while let Some(Ok(mut secret)) = events.next().await {
                let data = secret.data.as_mut().unwrap();
                if data["config.yaml"].0 == config.as_bytes() {
                    continue;
                }
                data.insert("config.yaml".into(), ByteString(config.as_bytes().to_vec()));
                // What lost against somebody else is told of by the next event.
                if tool.replace(&secret).await.is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Keeper { keeping, updates }
    }
}

/// A controller that keeps a bundle, until it is stopped.
pub(crate) struct Keeper {
    keeping: JoinHandle<()>,
    updates: Arc<AtomicUsize>,
}

impl Keeper {
    /// Stops it, and says how often it has updated the bundle.
    pub(crate) async fn stop(self) -> usize {
        assert!(!self.keeping.is_finished(), "it has stopped by itself");
        self.keeping.abort();
        let _ = self.keeping.await;
        self.updates.load(Ordering::Relaxed)
    }
}

/// Counts up in a key of config.yaml of its own, with a precondition, at a pace that leaves the others a chance. Its edit
/// of before is there whenever it looks.
pub(crate) async fn count_up(secrets: Api<Secret>, writer: u64, stop: Arc<AtomicBool>, count: Arc<AtomicU64>) {
    let mut pace = tokio::time::interval(Duration::from_millis(40));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        if count_on(&secrets, "bundle", writer, count.load(Ordering::Relaxed)).await {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counts one up in a bundle, where its edit of before is; says whether nobody else was faster.
pub(crate) async fn count_on(secrets: &Api<Secret>, bundle: &str, writer: u64, before: u64) -> bool {
    let mut secret = secrets.get(bundle).await.unwrap();
    let config = String::from_utf8(secret.data.as_ref().unwrap()["config.yaml"].0.clone()).unwrap();
    let line = format!("COUNTER_{writer}: {before} # ours\n");
    assert!(config.contains(&line), "the edit {before} of writer {writer} was lost: {config}");
    let edited = config.replace(&line, &format!("COUNTER_{writer}: {} # ours\n", before + 1));
    secret.data.as_mut().unwrap().insert("config.yaml".into(), ByteString(edited.into_bytes()));
    match secrets.replace(bundle, &PostParams::default(), &secret).await {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.code == 409 => false,
        Err(error) => panic!("{error}"),
    }
}

/// The lines in which such writers count, from the first one on.
pub(crate) fn counters(counts: &[u64]) -> String {
    let line = |(writer, count): (usize, &u64)| format!("COUNTER_{writer}: {count} # ours\n");
    counts.iter().enumerate().map(line).collect()
}

/// What status says of those who undo what is written.
pub(crate) fn contested(resource: &QuayStorage) -> Option<ContestedStatus> {
    resource.status.as_ref()?.config_bundle.as_ref()?.contested.clone()
}

/// Waits until an undoing was counted.
pub(crate) async fn until_counted(world: &World, count: u32) -> ContestedStatus {
    let what = format!("contested {count} times");
    let counts = |r: &QuayStorage| contested(r).is_some_and(|contested| contested.count == count);
    contested(&world.until("example", &what, counts).await).unwrap()
}

/// As if our last write had been made so long ago.
pub(crate) async fn make_write_old(world: &World, age: SignedDuration) {
    let written = (Timestamp::now() - age).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let patch = json!({"status": {"configBundle": {"lastWrittenTime": written}}});
    let resources = world.api::<QuayStorage>();
    resources.patch_status("example", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}
