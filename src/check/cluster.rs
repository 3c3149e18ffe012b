//! The locations of a resource in a cluster, and who assumes their roles, read with the rights of whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use kube::api::Api;
use kube::core::DeserializeGuard;

use super::case::{Case, Seen};
use crate::api::{QuayStorage, StorageIdentity, without_values};
use crate::cluster::grants::Grants;
use crate::cluster::{ApiProblem, accounts, answered, registries, secrets};
use crate::plan::desired::{Allowed, Auth};
use crate::plan::source::Output;
use crate::plan::{Desired, Source, identities};
use crate::resource::ResourceId;

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum NoCases {
    /// The resource was not read.
    #[error("QuayStorage {0}: {1}")]
    Unread(ResourceId, &'static str),
    /// The API server gave another answer.
    #[error("QuayStorage {0} could not be read: {1}")]
    Problem(ResourceId, ApiProblem),
    /// The resource cannot be understood.
    #[error("QuayStorage {0}: InvalidSpec: {1}")]
    Invalid(ResourceId, String),
}

/// The locations of a resource.
///
/// # Errors
/// Why there are none.
pub async fn cases(
    client: &Client,
    grants: &Arc<Grants>,
    who: &ResourceId,
    allowed: &Allowed,
) -> Result<Vec<Case>, NoCases> {
    let resources: Api<DeserializeGuard<QuayStorage>> = Api::namespaced(client.clone(), &who.namespace);
    let unread = |why| NoCases::Unread(who.clone(), why);
    let read = answered(resources.get(&who.name)).await.map_err(|problem| match problem {
        ApiProblem::NotFound => {
            unread("there is none. See `kubectl get quaystorages -A`; or give its manifest with -f")
        }
        ApiProblem::Forbidden => unread("your kubeconfig's user may not get quaystorages.registry-sts.dev there"),
        problem => NoCases::Problem(who.clone(), problem),
    })?;
    let invalid = |why: String| NoCases::Invalid(who.clone(), why);
    let resource = read.0.map_err(|error| invalid(without_values(&error.error)))?;
    let consumer = match Source::parse(&resource.spec).map_err(|failure| invalid(failure.message))? {
        Source::Secret(consumer) => *consumer,
        Source::Registry(name) => {
            let seen = registries::seen(client, grants, &who.namespace, &name).await;
            seen.consumer(&name).map_err(|failure| invalid(failure.message))?
        }
        Source::Checked(name, Output { output, source }) => {
            let seen = registries::seen(client, grants, &who.namespace, &name).await;
            seen.output_consumer(&name, &output, &source).map_err(|failure| invalid(failure.message))?
        }
    };
    let mut seen = BTreeMap::new();
    for name in identities::names(&resource.spec) {
        let read: Api<StorageIdentity> = Api::namespaced(client.clone(), &who.namespace);
        let identity = match answered(read.get(name)).await {
            Ok(identity) => identities::Seen::Found(Box::new(identity)),
            Err(ApiProblem::NotFound) => identities::Seen::Missing,
            Err(problem) => identities::Seen::Unreadable(problem.to_string()),
        };
        seen.insert(name.to_owned(), identity);
    }
    let (spec, unknown) = identities::resolved(&resource.spec, &seen);
    let desired = Desired::parse(&spec, consumer, allowed).map_err(|failure| invalid(failure.message))?;
    let desired = desired.without(&unknown);
    let mut cases = Vec::new();
    for location in &desired.locations {
        let seen = match location.wanted.as_ref().ok().map(|wanted| &wanted.auth) {
            Some(Auth::AccessKey { secret, .. }) => {
                Some(Seen::Key(secrets::read_key(client, grants, &desired.consumer, &who.namespace, secret).await.key))
            }
            Some(Auth::WebIdentity(identity)) => {
                Some(Seen::Account(accounts::seen(client, grants, &who.namespace, &identity.account).await))
            }
            None => None,
        };
        let certificates = match &location.wanted {
            Ok(wanted) if wanted.needs_certificates() => {
                let bundle = secrets::read_bundle(client, &who.namespace, &desired.consumer.bundle).await;
                bundle.ok().and_then(|bundle| bundle.content.certificates)
            }
            _ => None,
        };
        cases.push(Case::new(&who.to_string(), Some(&who.namespace), &desired, location, seen).trusting(certificates));
    }
    Ok(cases)
}
