//! The controller of `StorageIdentities`: each has a task of its own, which passes over it whenever something changes. There
//! are few of them, and they wait for IAM most of the time.

mod act;
mod ending;
mod issuer;
mod look;
mod pass;
mod prove;
mod report;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::Context;
use super::resources::Resources;
use crate::api::{IdentityPolicy, QuayStorage, StorageIdentity};
use crate::aws::Aws;
use crate::aws::own::Own;
use crate::cluster::ApiProblem;
use crate::identity::consumers::refers;
use crate::identity::owner::ClusterId;
use crate::plan::identities::{Seen, names};
use crate::policy::principal::Issuer;
use crate::resource::ResourceId;
use crate::telemetry::traces;
pub(super) use watch::Watches;

type Stored = DeserializeGuard<StorageIdentity>;

/// What the administrator says of identities.
#[derive(Clone, Debug)]
pub struct IdentityOptions {
    /// The cluster, among those that share an AWS account.
    pub cluster: ClusterId,
    /// The issuer of the cluster's tokens, where nothing else says it.
    pub issuer: Option<Issuer>,
}

/// Whom to pass over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// One.
    One(ResourceId),
    /// Those that refer to one of which there is a new report.
    Reported(ResourceId),
    /// One that is gone.
    Gone(ResourceId),
    /// All: what they may ask for has changed, or all were listed anew.
    All,
}

/// The `StorageIdentities` as they are watched, and what it takes to keep them.
pub(super) struct Identities {
    options: IdentityOptions,
    /// One a watch: each namespace that is named, else all of them at once.
    stores: Vec<(Option<String>, Store<Stored>)>,
    policies: Store<DeserializeGuard<IdentityPolicy>>,
    /// Why the watches tell nothing, while they do not.
    hindrance: Arc<RwLock<Option<ApiProblem>>>,
    wakes: mpsc::UnboundedSender<Wake>,
    aws: Aws,
    own: Own,
    issuer: tokio::sync::OnceCell<Issuer>,
}

impl Identities {
    /// A `StorageIdentity` as a location refers to it; none while nothing is known yet.
    pub(super) fn seen(&self, namespace: &str, name: &str) -> Option<Seen> {
        let store = self.store(namespace)?;
        if !is_ready(store) {
            let hindrance = self.hindrance.read().unwrap_or_else(PoisonError::into_inner).clone();
            return hindrance.map(|problem| {
                Seen::Unreadable(format!(
                    "the operator sees no StorageIdentities: {problem}. Its administrator binds ClusterRole registry-sts-identities to it"
                ))
            });
        }
        let Some(stored) = store.get(&ObjectRef::new(name).within(namespace)) else { return Some(Seen::Missing) };
        Some(match &stored.0 {
            Ok(identity) => Seen::Found(Box::new(identity.clone())),
            Err(_) => Seen::Unreadable("it is none as this version of the operator knows them".into()),
        })
    }

    /// A `QuayStorage` changed: those that it refers to look whether it has their key.
    pub(super) fn hear(&self, namespace: &str, resource: &QuayStorage) {
        for name in names(&resource.spec) {
            let _ = self.wakes.send(Wake::One(ResourceId { namespace: namespace.to_owned(), name: name.to_owned() }));
        }
    }

    fn store(&self, namespace: &str) -> Option<&Store<Stored>> {
        let is_its = |of: &Option<String>| of.as_deref().is_none_or(|of| of == namespace);
        self.stores.iter().find(|(of, _)| is_its(of)).map(|(_, store)| store)
    }

    /// All that are known.
    fn all(&self) -> Vec<StorageIdentity> {
        let stored = self.stores.iter().flat_map(|(_, store)| store.state());
        stored.filter_map(|stored| stored.0.as_ref().ok().cloned()).collect()
    }

    fn policies(&self) -> Option<Vec<IdentityPolicy>> {
        let state = is_ready(&self.policies).then(|| self.policies.state())?;
        Some(state.into_iter().filter_map(|stored| stored.0.as_ref().ok().cloned()).collect())
    }
}

fn is_ready<K>(store: &Store<K>) -> bool
where
    K: kube::runtime::reflector::Lookup + Clone + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    store.wait_until_ready().now_or_never().is_some_and(|ready| ready.is_ok())
}

/// A task, and how it is woken.
struct Keeper {
    wake: Arc<Notify>,
    task: AbortOnDropHandle<()>,
}

/// Keeps all of them until the process is to stop; then what is under way is finished.
pub(super) async fn run(context: Arc<Context>, mut watches: Watches) {
    let mut keepers: HashMap<ResourceId, Keeper> = HashMap::new();
    loop {
        let wake = tokio::select! {
            () = context.stop.cancelled() => break,
            Some(wake) = watches.next() => wake,
        };
        let Some(identities) = &context.identities else { break };
        match wake {
            Wake::One(who) => {
                tell_those_who_refer(&context, &context.resources, &who);
                wake_up(&context, &mut keepers, who);
            }
            Wake::Reported(who) => tell_those_who_refer(&context, &context.resources, &who),
            Wake::Gone(who) => {
                keepers.remove(&who);
                context.metrics.identities_are(|one| *one != who);
                tell_those_who_refer(&context, &context.resources, &who);
            }
            Wake::All => {
                let known: Vec<ResourceId> = identities.all().iter().map(|one| ResourceId::of(&one.metadata)).collect();
                keepers.retain(|who, _| known.contains(who));
                context.metrics.identities_are(|who| known.contains(who));
                for who in known {
                    wake_up(&context, &mut keepers, who);
                }
            }
        }
    }
    for (_, keeper) in keepers {
        let _ = keeper.task.await;
    }
}

fn wake_up(context: &Arc<Context>, keepers: &mut HashMap<ResourceId, Keeper>, who: ResourceId) {
    let keeper = keepers.entry(who).or_insert_with_key(|who| {
        let wake = Arc::new(Notify::new());
        let task = tokio::spawn(keep(Arc::clone(context), who.clone(), Arc::clone(&wake)));
        Keeper { wake, task: AbortOnDropHandle::new(task) }
    });
    keeper.wake.notify_one();
}

/// The `QuayStorages` that refer to an identity look at it again.
fn tell_those_who_refer(context: &Context, resources: &Resources, who: &ResourceId) {
    for stored in resources.store.state() {
        let Ok(resource) = &stored.0 else { continue };
        if resource.metadata.namespace.as_ref() == Some(&who.namespace) && refers(resource, &who.name, None) {
            context.pass_over(super::id(&stored));
        }
    }
}

/// Passes over one identity again and again.
async fn keep(context: Arc<Context>, who: ResourceId, wake: Arc<Notify>) {
    tokio::select! {
        () = context.leads.cancelled() => {}
        () = context.stop.cancelled() => return,
    }
    let mut memory = pass::Memory::default();
    loop {
        let again = {
            use tracing::Instrument as _;
            let span = tracing::info_span!(parent: None, "identity", resource = %who, trace_id = tracing::field::Empty);
            traces::identify(&span);
            let passing = pass::pass(&context, &who, &mut memory).instrument(span);
            std::panic::AssertUnwindSafe(passing).catch_unwind().await
        };
        let again = again.unwrap_or_else(|_| {
            // What it held is lost, as after a restart.
            memory = pass::Memory::default();
            super::broken(&context);
            super::BROKEN_RETRY
        });
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(again) => {}
            () = context.stop.cancelled() => return,
        }
        // What comes at the same time is passed over together.
        tokio::time::sleep(TOGETHER).await;
    }
}

/// Changes that come within this are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);
