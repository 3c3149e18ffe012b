//! The end of a `StorageIdentity` whose users, keys and roles are to go with it.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::super::Context;
use super::Identities;
use super::look::{Bundles, Storages, look, storages};
use super::pass::{Asking, FINALIZER, Passed, asking, refused, reported};
use super::report::{self, Echo};
use crate::api::storage_identity::DeletionPolicy;
use crate::api::{IdentityPolicy, StorageIdentity};
use crate::cluster::{ApiProblem, finalizers};
use crate::identity::consumers::refers;
use crate::identity::observed::{Asked, Key};
use crate::identity::permit::permit;
use crate::identity::plan::Plan;
use crate::identity::status::Outcome;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// How long until it is looked again who uses it, if nothing tells.
const IN_USE: Duration = Duration::from_mins(1);

/// Removes what was made, once nobody refers to it, and lets the resource go.
pub(super) async fn end(
    context: &Context,
    identities: &Identities,
    policies: &[IdentityPolicy],
    resource: &StorageIdentity,
) -> Passed {
    if !finalizers::has(&resource.metadata, FINALIZER) {
        return Passed { again: IN_USE, failed: false };
    }
    if resource.spec.deletion_policy == DeletionPolicy::Delete {
        match users(context, resource).await {
            Ok(users) if users.is_empty() => {}
            Ok(users) => {
                let failure = Failure::new(
                    Reason::InUse,
                    format!(
                        "Nothing is deleted while QuayStorage {} refers to this StorageIdentity (auth.identityRef) or to its Secret. Let it refer to another one, or delete it.",
                        users.join(", ")
                    ),
                );
                return reported(context, resource, &Outcome::Refused(&failure), Echo::default(), IN_USE).await;
            }
            Err(failure) => return refused(context, resource, &failure).await,
        }
        if let Err(failure) = Box::pin(remove(context, identities, policies, resource)).await {
            return refused(context, resource, &failure).await;
        }
    }
    match finalizers::set::<StorageIdentity>(
        &context.client,
        &ResourceId::of(&resource.metadata),
        &resource.metadata,
        (FINALIZER, false),
    )
    .await
    {
        Ok(_) | Err(ApiProblem::NotFound) => Passed { again: IN_USE, failed: false },
        Err(problem) => {
            tracing::warn!(%problem, "the finalizer could not be taken");
            Passed { again: IN_USE, failed: true }
        }
    }
}

/// The `QuayStorages` that use it: those that refer to it or to its Secret, and those of which nobody can say.
async fn users(context: &Context, resource: &StorageIdentity) -> Result<Vec<String>, Failure> {
    let Storages { known, unknown } = storages(context, &resource.namespace().unwrap_or_default()).await?;
    let secret = resource.status.as_ref().and_then(|status| status.secret_name.as_deref());
    let users = known.iter().filter(|storage| refers(storage, &resource.name_any(), secret));
    Ok(users.map(kube::ResourceExt::name_any).chain(unknown).collect())
}

/// That no bundle has a key any more, and no Quay is about to get another: one that refers to another identity by now may
/// not run that yet.
async fn is_given_up(context: &Context, resource: &StorageIdentity, keys: &[Key]) -> Result<(), Failure> {
    let namespace = resource.namespace().unwrap_or_default();
    let Storages { known, .. } = storages(context, &namespace).await?;
    let bundles = Bundles::read(context, &namespace, &known, keys).await;
    let holding = bundles.with.values().flatten().map(|bundle| format!("Secret {bundle} still has its key"));
    let unread = bundles.unread.iter().map(|(storage, why)| format!("QuayStorage {storage}: {why}"));
    let rolling = known.iter().filter(|storage| {
        let conditions = storage.status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|c| c.type_ == "ConsumerCurrent" && c.reason == Reason::RollingOut.as_str())
    });
    let rolling = rolling.map(|storage| format!("QuayStorage {}: Quay is being rolled out", storage.name_any()));
    let hindrances: Vec<String> = holding.chain(unread).chain(rolling).collect();
    if keys.is_empty() || hindrances.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Reason::InUse,
        format!("Nothing is deleted yet: {}. It is looked at again.", hindrances.join("; ")),
    ))
}

async fn remove(
    context: &Context,
    identities: &Identities,
    policies: &[IdentityPolicy],
    resource: &StorageIdentity,
) -> Result<(), Failure> {
    // What is to go is found by the policy that it was made under, whatever that allows by now.
    let last = resource.status.as_ref().and_then(|status| status.policy_name.as_ref());
    let made_under = policies.iter().find(|policy| policy.metadata.name.as_ref() == last);
    let policy = match made_under {
        Some(policy) => policy,
        None => permit(resource, policies, &[]).map_err(|failure| Failure {
            message: format!(
                "What was made cannot be found without the IdentityPolicy that it was made under. {} Or set deletionPolicy: Retain, and delete user and role yourself.",
                failure.message
            ),
            ..failure
        })?,
    };
    let Asking { desired, iam, .. } = asking(context, identities, policy, resource).await?;
    let looked = Box::pin(look(context, &iam, (resource, &desired), None, &Asked::default())).await?;
    is_given_up(context, resource, looked.observed.keys.as_ref().map_or(&[], |keys| &keys.listed)).await?;
    let steps = match Plan::remove(&desired, &looked.observed) {
        Ok(steps) => steps,
        // It is somebody else's, and stays.
        Err(taken) => {
            tracing::warn!(at = %Timestamp::now(), "{}", taken.message);
            return Ok(());
        }
    };
    for step in &steps {
        iam.make(&desired, step).await.map_err(|unanswered| unanswered.failure(&desired, Some(step)))?;
        report::made(context, resource, &desired, step).await;
    }
    Ok(())
}
