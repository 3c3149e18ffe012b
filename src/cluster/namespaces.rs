//! Which namespaces are being deleted: nothing is written there.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt as _};
use tokio_util::sync::CancellationToken;

use super::{ApiProblem, DOUBT};

/// How often it is looked whether they may be seen by now.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

/// The names of the namespaces that are being deleted.
#[derive(Clone, Default)]
pub struct TerminatingNamespaces(Arc<RwLock<HashSet<String>>>);

impl TerminatingNamespaces {
    /// Whether a namespace is being deleted, as far as is known.
    pub fn contains(&self, namespace: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(namespace)
    }

    /// Follows the namespaces for ever, and cancels `looked` once the first look has had an answer. Without the right
    /// to look nothing is known, and nothing else suffers.
    pub async fn follow(self, client: Client, looked: CancellationToken) {
        let mut was_let_in = false;
        loop {
            let is_let_in = self.follow_until_refused(&client, &looked).await;
            looked.cancel();
            // What was granted is asked for soon: an API server that has just started refuses it for a moment.
            tokio::time::sleep(if was_let_in || is_let_in { DOUBT } else { REFUSED_RETRY }).await;
            was_let_in = is_let_in;
        }
    }

    /// Says whether it saw them before it was refused.
    async fn follow_until_refused(&self, client: &Client, looked: &CancellationToken) -> bool {
        let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
        let events = watcher::watcher(namespaces, watcher::Config::default().page_size(50)).default_backoff();
        pin_mut!(events);
        let (mut listed, mut is_let_in) = (HashSet::new(), false);
        while let Some(event) = events.next().await {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(namespace)) if namespace.metadata.deletion_timestamp.is_some() => {
                    listed.insert(namespace.name_any());
                }
                Ok(Event::InitApply(_)) => {}
                Ok(Event::InitDone) => {
                    is_let_in = true;
                    *known = std::mem::take(&mut listed);
                    looked.cancel();
                }
                Ok(Event::Apply(namespace)) if namespace.metadata.deletion_timestamp.is_some() => {
                    known.insert(namespace.name_any());
                }
                Ok(Event::Apply(namespace) | Event::Delete(namespace)) => {
                    known.remove(&namespace.name_any());
                }
                Err(error) => {
                    let problem = ApiProblem::from(&error);
                    tracing::debug!(%problem, "namespaces cannot be watched");
                    looked.cancel();
                    if problem == ApiProblem::Forbidden {
                        break;
                    }
                }
            }
        }
        is_let_in
    }
}
