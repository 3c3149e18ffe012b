//! Whose bundle a resource speaks of: the Quay that reads it, as the resource or its `QuayRegistry` says.

use std::collections::BTreeMap;

use super::Context;
use crate::api::QuayStorage;
use crate::cluster::registries::Look;
use crate::consumer::Consumer;
use crate::plan::identities::{Seen, are_referred_to, names, resolved};
use crate::plan::source::Output;
use crate::plan::{Desired, Source};
use crate::reason::Failure;
use crate::registry::RegistrySeen;
use crate::resource::ResourceId;

/// Why there is nothing that can be acted on.
pub(super) enum Undesired {
    /// The spec cannot be read.
    Invalid(Failure),
    /// What it refers to is not there, or does not say what is needed.
    Unresolved(Failure),
    /// The registries are being listed; that will be told.
    Starting,
}

/// What a resource asks for, of the Quay that reads its bundle.
pub(super) async fn desired(context: &Context, who: &ResourceId, resource: &QuayStorage) -> Result<Desired, Undesired> {
    let consumer = consumer(context, who, resource).await?;
    if !are_referred_to(&resource.spec) {
        return Desired::parse(&resource.spec, consumer, &context.allowed).map_err(Undesired::Invalid);
    }
    let mut seen = BTreeMap::new();
    for name in names(&resource.spec) {
        let identity = match &context.identities {
            Some(identities) => identities.seen(&who.namespace, name).ok_or(Undesired::Starting)?,
            None => Seen::Disabled,
        };
        seen.insert(name.to_owned(), identity);
    }
    let (spec, unknown) = resolved(&resource.spec, &seen);
    let desired = Desired::parse(&spec, consumer, &context.allowed).map_err(Undesired::Invalid)?;
    Ok(desired.without(&unknown))
}

/// The Quay that reads a resource's bundle.
pub(super) async fn consumer(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
) -> Result<Consumer, Undesired> {
    Ok(match Source::parse(&resource.spec).map_err(Undesired::Invalid)? {
        Source::Secret(consumer) => {
            context.registries.forget(who);
            *consumer
        }
        Source::Registry(name) => {
            // Noted before it is looked at, so that no change in between is lost.
            context.registries.refer(who, &name);
            let seen = seen(context, who, &name).await.ok_or(Undesired::Starting)?;
            seen.consumer(&name).map_err(Undesired::Unresolved)?
        }
        Source::Checked(name, Output { output, source }) => {
            context.registries.refer(who, &name);
            let seen = seen(context, who, &name).await.ok_or(Undesired::Starting)?;
            seen.output_consumer(&name, &output, &source).map_err(Undesired::Unresolved)?
        }
    })
}

async fn seen(context: &Context, who: &ResourceId, name: &str) -> Option<RegistrySeen> {
    Some(match context.registries.look(&who.namespace, name) {
        Look::Starting => return None,
        Look::Found(Some(registry)) => RegistrySeen::Found(registry),
        Look::Found(None) => RegistrySeen::Unreadable { why: RegistrySeen::NO_REGISTRY.into() },
        Look::Missing => RegistrySeen::Missing,
        Look::NotInstalled => RegistrySeen::NotInstalled,
        Look::Forbidden => RegistrySeen::Forbidden { grant: context.grants.registries(&who.namespace).await },
        Look::Unanswered => RegistrySeen::Unreadable {
            why: "the API server does not answer the list of QuayRegistries; it is asked again".into(),
        },
    })
}

/// The bundle that a resource which is not in hand writes into, as others may: of one whose registry does not say now,
/// the one that it had. An output has no other writer, and nobody's claims count there.
pub(super) fn bundle_of(context: &Context, namespace: &str, resource: &QuayStorage) -> Option<String> {
    if resource.spec.output_secret.is_some() {
        return None;
    }
    let Some(registry) = &resource.spec.registry_ref else { return resource.spec.config_bundle_secret.clone() };
    let named = match context.registries.look(namespace, &registry.name) {
        Look::Found(Some(registry)) => registry.bundle,
        _ => None,
    };
    named.or_else(|| Some(resource.status.as_ref()?.config_bundle.as_ref()?.secret_name.clone()))
}
