//! The controller: it turns watches into passes over resources, and a pass is observe, plan, act, report.

mod act;
mod annotate;
mod backup;
mod consumer;
mod doubt;
mod ending;
mod events;
mod identities;
mod memory;
mod observe;
mod output;
mod principals;
mod reconcile;
mod reference;
mod report;
mod requests;
mod resources;
mod role_mode;
mod rollout;
mod shared_keys;
mod suspend;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use kube::Client;
use kube::api::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config, Error as ApplierError};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{applier, watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::api::QuayStorage;
use crate::aws::Aws;
use crate::cluster::grants::Grants;
use crate::cluster::namespaces::TerminatingNamespaces;
use crate::cluster::registries::Registries;
use crate::cluster::secret_watches::SecretWatches;
use crate::cluster::tokens::Tokens;
use crate::cluster::{ApiProblem, REQUEST_TIMEOUT};
use crate::plan::desired::Allowed;
use crate::proof::{ProofRoom, Prover};
use crate::resource::ResourceId;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{Metrics, PassOutcome};
use events::Events;
use identities::Identities;
pub use identities::IdentityOptions;
use memory::Memory;
use resources::{Resources, Told};
use shared_keys::SharedKeys;

/// A `QuayStorage` as it is stored: one that cannot be decoded does not stop the others.
type Stored = DeserializeGuard<QuayStorage>;

/// How long a pass that could not report waits for the next.
const UNREPORTED_RETRY: Duration = Duration::from_secs(5);
/// The same, where the report came too late for a newer version of the resource.
const CONFLICT_RETRY: Duration = Duration::from_millis(500);
/// The same, where it broke down.
const BROKEN_RETRY: Duration = Duration::from_mins(1);

/// What the operator was told on its command line.
pub struct Options {
    /// The only namespaces to work in; all, if there is none.
    pub namespaces: Vec<String>,
    /// What a spec may name.
    pub allowed: Allowed,
    /// How often STS is asked at most, in calls per second.
    pub sts_calls_per_second: u32,
    /// How many resources are passed over at the same time, and how many proofs are made.
    pub concurrency: u16,
    /// What is said of identities, if they are kept.
    pub identities: Option<IdentityOptions>,
    /// Where it is counted what is done.
    pub metrics: Metrics,
    /// Where it is told that it is done.
    pub health: Health,
}

/// What a pass needs.
struct Context {
    /// Cancelled once this process may act.
    leads: CancellationToken,
    /// Cancelled once it is to end.
    stop: CancellationToken,
    client: Client,
    proofs: ProofRoom,
    secrets: SecretWatches,
    registries: Registries,
    terminating: TerminatingNamespaces,
    grants: Arc<Grants>,
    events: Events,
    keys: SharedKeys,
    resources: Resources,
    identities: Option<Identities>,
    allowed: Allowed,
    trigger: mpsc::UnboundedSender<ResourceId>,
    metrics: Metrics,
    health: Health,
    memories: Mutex<HashMap<ResourceId, Box<Memory>>>,
}

impl Context {
    /// What is remembered of a resource, for the pass that has it in hand.
    fn recall(&self, who: &ResourceId) -> Box<Memory> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(who).unwrap_or_default()
    }

    fn remember(&self, who: &ResourceId, memory: Box<Memory>) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).insert(who.clone(), memory);
    }

    /// The watch has told of a resource: what is remembered of it as it was before need not be.
    fn is_known(&self, stored: &Stored) {
        if let Ok(resource) = &stored.0
            && let Some(memory) = self.memories.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&id(stored))
        {
            memory.is_told(resource);
        }
    }

    /// A resource is to be passed over.
    fn pass_over(&self, who: ResourceId) {
        // Who does not listen any more is about to end.
        let _ = self.trigger.send(who);
    }

    fn forget(&self, who: &ResourceId) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(who);
        self.proofs.keep_only(who, &[]);
        self.secrets.forget(who);
        self.registries.forget(who);
        self.metrics.gone(who);
    }
}

/// Runs until `stop`, and acts once it `leads`; the resources are known by then. At the end the passes under way are finished, and no new ones are begun.
pub async fn run(client: Client, aws: Aws, options: Options, (leads, stop): (CancellationToken, CancellationToken)) {
    let (trigger, triggers) = mpsc::unbounded_channel();
    let (resources, told) = Resources::watch(&client, &options.namespaces, options.health.clone());
    let grants = Grants::new(client.clone());
    let grants = Arc::new(if options.namespaces.is_empty() { grants } else { grants.in_namespaces() });
    let tokens = Tokens::new(client.clone(), Arc::clone(&grants));
    let identities = options.identities.map(|said| Identities::watch(&client, aws.clone(), said, &options.namespaces));
    let (identities, watches) = identities.unzip();
    let prover = Prover::new(aws, Some(tokens), options.sts_calls_per_second);
    let context = Arc::new(Context {
        leads,
        stop: stop.clone(),
        proofs: ProofRoom::new(prover, options.concurrency.into(), options.metrics.clone(), trigger.clone()),
        secrets: SecretWatches::new(client.clone(), options.health.clone(), trigger.clone()),
        registries: Registries::new(&client, &options.namespaces, &options.health, &trigger),
        terminating: TerminatingNamespaces::default(),
        grants,
        events: Events::new(client.clone()),
        keys: SharedKeys::default(),
        resources: resources.clone(),
        identities,
        allowed: options.allowed,
        trigger,
        metrics: options.metrics,
        health: options.health,
        memories: Mutex::default(),
        client: client.clone(),
    });
    let looked = CancellationToken::new();
    let following = context.terminating.clone().follow(client.clone(), looked.clone());
    let namespaces = tokio::spawn(context.health.watched(following));
    let rights = options.namespaces.is_empty().then(|| {
        let rights = context.secrets.clone().see_everywhere_once_granted();
        AbortOnDropHandle::new(tokio::spawn(context.health.watched(rights)))
    });
    let prepared = async {
        if options.namespaces.is_empty() {
            context.secrets.see_everywhere_if_granted().await;
        }
        // Which namespaces are being deleted is to be known before the first write, if it can be known.
        let _ = tokio::time::timeout(REQUEST_TIMEOUT, looked.cancelled()).await;
    };
    tokio::select! {
        () = prepared => {}
        () = stop.cancelled() => {}
    }

    let keeping = watches.map(|watches| tokio::spawn(identities::run(Arc::clone(&context), watches)));
    let changes = changed(told, Arc::clone(&context));
    let triggers = stream::unfold(triggers, |mut triggers| async move {
        triggers.recv().await.map(|who| (ObjectRef::new(&who.name).within(&who.namespace), triggers))
    });
    let queue = stream::select(changes, triggers).take_until(stop.clone().cancelled_owned()).map(Ok::<_, Infallible>);
    let passes = applier(
        // A task for each, so that one that breaks down stops no other.
        |stored, context| {
            let counted = Arc::clone(&context);
            let passing = AbortOnDropHandle::new(tokio::spawn(Box::pin(reconcile::pass_as_leader(stored, context))));
            passing.map(move |passed| passed.unwrap_or_else(|_| Ok(broken(&counted))))
        },
        |_, problem, _| match problem {
            // The watch is about to tell of the newer version.
            ApiProblem::Conflict => Action::requeue(CONFLICT_RETRY),
            _ => Action::requeue(UNREPORTED_RETRY),
        },
        context,
        resources.store,
        queue,
        Config::default().concurrency(options.concurrency),
    );
    passes
        .for_each(|passed| async move {
            match passed {
                // A resource that is gone by the time its turn comes is not news, and what could not be reported is told.
                Ok(_) | Err(ApplierError::ObjectNotFound(_) | ApplierError::ReconcilerFailed(..)) => {}
                Err(error) => tracing::warn!(%error, "a pass could not be made"),
            }
        })
        .await;
    if let Some(keeping) = keeping {
        let _ = keeping.await;
    }
    drop(rights);
    namespaces.abort();
}

/// What is done where a pass broke down, which stops no other: it is made again.
fn broken(context: &Context) -> Action {
    context.metrics.passed(PassOutcome::Broken, Duration::ZERO);
    tracing::error!("a pass broke down: this is a defect of the operator, and stderr has more");
    Action::requeue(BROKEN_RETRY)
}

/// The resources whose spec changed, or of which something is asked by annotation. Our own status writes change neither;
/// what is gone is forgotten.
fn changed(
    told: impl Stream<Item = watcher::Result<Told>> + Send + 'static,
    context: Arc<Context>,
) -> impl Stream<Item = ObjectRef<Stored>> + Send {
    let mut asked: HashMap<ResourceId, u64> = HashMap::new();
    told.filter_map(move |told| {
        let changed = match told {
            Ok(Told::Is(who)) => context.resources.get(&who).and_then(|stored| {
                context.is_known(&stored);
                if let (Some(identities), Ok(resource)) = (&context.identities, &stored.0) {
                    identities.hear(&who.namespace, resource);
                }
                let asks = requests::asked_for(&stored);
                (asked.insert(who, asks) != Some(asks)).then(|| ObjectRef::from_obj(&*stored))
            }),
            Ok(Told::Gone(who)) => {
                asked.remove(&who);
                context.forget(&who);
                None
            }
            Err(error) => {
                tracing::warn!(%error, "QuayStorages cannot be watched; trying again");
                None
            }
        };
        std::future::ready(changed)
    })
    .boxed()
}

fn id(stored: &Stored) -> ResourceId {
    ResourceId::of(stored.meta())
}
