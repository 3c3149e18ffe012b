//! What is watched for identities: `StorageIdentities`, and the administrator's policies.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context as TaskContext, Poll};

use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt as _};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Resource as _};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{Identities, IdentityOptions, Stored, Wake};
use crate::api::IdentityPolicy;
use crate::aws::Aws;
use crate::aws::own::Own;
use crate::cluster::ApiProblem;
use crate::controller::resources::slim;
use crate::resource::ResourceId;

/// How many are listed at a time.
const PAGE: u32 = 50;

/// What the watches tell, each with a back-off of its own.
pub(in crate::controller) struct Watches(SelectAll<BoxStream<'static, Wake>>);

impl Stream for Watches {
    type Item = Wake;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Wake>> {
        self.0.poll_next_unpin(context)
    }
}

impl Identities {
    /// Nothing is known, and what the watches of these namespaces tell; of all, if none is named.
    pub(in crate::controller) fn watch(
        client: &Client,
        aws: Aws,
        options: IdentityOptions,
        namespaces: &[String],
    ) -> (Self, Watches) {
        let hindrance = Arc::default();
        let mut told = SelectAll::new();
        let scopes = if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
        let mut stores = Vec::new();
        for scope in scopes {
            let api: Api<Stored> = match &scope {
                Some(namespace) => Api::namespaced(client.clone(), namespace),
                None => Api::all(client.clone()),
            };
            let (store, events) = followed(api);
            told.push(events.filter_map(told_of(Arc::clone(&hindrance))).boxed());
            stores.push((scope, store));
        }
        let (policies, events) = followed::<DeserializeGuard<IdentityPolicy>>(Api::all(client.clone()));
        let of_policies = Arc::clone(&hindrance);
        told.push(
            events
                .filter_map(move |event| {
                    std::future::ready(match event {
                        Ok(Event::Init | Event::InitApply(_)) => None,
                        Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => Some(Wake::All),
                        Err(error) => {
                            hinders(&of_policies, &error, "IdentityPolicies");
                            None
                        }
                    })
                })
                .boxed(),
        );
        let (wakes, woken) = mpsc::unbounded_channel();
        told.push(futures::stream::unfold(woken, async |mut woken| Some((woken.recv().await?, woken))).boxed());
        let own = Own::new(aws.clone());
        let issuer = tokio::sync::OnceCell::new();
        (Self { options, stores, policies, hindrance, wakes, aws, own, issuer }, Watches(told))
    }
}

type Told<K> = BoxStream<'static, watcher::Result<Event<K>>>;

fn followed<K>(api: Api<K>) -> (Store<K>, Told<K>)
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    K::DynamicType: Default + Eq + std::hash::Hash + Clone + Send + Sync,
{
    let (store, writer) = reflector::store();
    let events = watcher::watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff().modify(|object| {
        *object = slim(object.clone());
    });
    (store, events.reflect(writer).boxed())
}

/// What is asked of each resource, as it was last told.
type Asked = HashMap<ResourceId, u64>;

/// Whom an event is about. What is only our own report wakes those who refer to it, and not the one that reported.
fn told_of(
    hindrance: Arc<RwLock<Option<ApiProblem>>>,
) -> impl FnMut(watcher::Result<Event<Stored>>) -> std::future::Ready<Option<Wake>> {
    let mut asked = Asked::new();
    move |event| {
        std::future::ready(match event {
            Ok(Event::Init | Event::InitApply(_)) => None,
            Ok(Event::InitDone) => {
                *hindrance.write().unwrap_or_else(PoisonError::into_inner) = None;
                Some(Wake::All)
            }
            Ok(Event::Apply(stored)) => {
                let (who, asks) = (ResourceId::of(stored.meta()), asks(&stored));
                let is_news = asked.insert(who.clone(), asks) != Some(asks);
                Some(if is_news { Wake::One(who) } else { Wake::Reported(who) })
            }
            Ok(Event::Delete(stored)) => {
                asked.remove(&ResourceId::of(stored.meta()));
                Some(Wake::Gone(ResourceId::of(stored.meta())))
            }
            Err(error) => {
                hinders(&hindrance, &error, "StorageIdentities");
                None
            }
        })
    }
}

fn hinders(hindrance: &RwLock<Option<ApiProblem>>, error: &watcher::Error, what: &str) {
    let problem = ApiProblem::from(error);
    tracing::warn!(%problem, "{what} cannot be watched; trying again");
    *hindrance.write().unwrap_or_else(PoisonError::into_inner) = Some(problem);
}

/// A hash of what is asked of a resource: its spec, its annotations, that it is to go.
fn asks(stored: &Stored) -> u64 {
    let metadata = stored.meta();
    let mut hash = DefaultHasher::new();
    (&metadata.uid, metadata.generation, &metadata.annotations, &metadata.finalizers).hash(&mut hash);
    metadata.deletion_timestamp.is_some().hash(&mut hash);
    hash.finish()
}
