//! Making the steps of a plan, in their order, up to the first that is not done.

use kube::ResourceExt as _;
use kube::api::Resource as _;

use super::super::Context;
use super::look::Looked;
use super::pass::{HeldKey, Memory};
use super::report;
use crate::api::StorageIdentity;
use crate::api::storage_identity::DeletionPolicy;
use crate::aws::iam::{Iam, Made};
use crate::cluster::ApiProblem;
use crate::cluster::key_secrets::{self, Purpose};
use crate::cluster::version::Version;
use crate::identity::desired::{Desired, Trusted};
use crate::identity::marker::INTENT;
use crate::identity::observed::KeySecret;
use crate::identity::plan::Plan;
use crate::identity::step::Step;
use crate::reason::{Failure, Reason};
use crate::verdict::Answer;

/// What came of the steps.
pub(super) enum Acted {
    /// All are made, or as many as can be before it is looked again.
    Made,
    /// One was not made, and none after it.
    Failed(Failure),
}

/// Makes the steps.
pub(super) async fn act(
    context: &Context,
    iam: &Iam,
    (resource, desired): (&StorageIdentity, &Desired),
    (looked, plan): (&Looked, &Plan),
    memory: &mut Memory,
) -> Acted {
    for step in &plan.steps {
        if let Step::Publish(_) = step {
            match publish(context, resource, (desired, looked), memory).await {
                Ok(()) => {}
                Err(failure) => return Acted::Failed(failure),
            }
        } else {
            match iam.make(desired, step).await {
                Ok(Made::Done) => {}
                Ok(Made::Key(key)) => memory.held = Some(HeldKey::new(key)),
                Err(unanswered) => {
                    // No key was made, and one that somebody makes now is theirs.
                    if *step == Step::CreateKey && matches!(unanswered.answer, Answer::Refused(_)) {
                        let _ = iam.make(desired, &Step::Unmark(vec![INTENT.to_owned()])).await;
                    }
                    return Acted::Failed(unanswered.failure(desired, Some(step)));
                }
            }
        }
        report::made(context, resource, desired, step).await;
    }
    Acted::Made
}

/// Puts the key that was proven into the Secret. From then on the process has no use for it.
async fn publish(
    context: &Context,
    resource: &StorageIdentity,
    (desired, looked): (&Desired, &Looked),
    memory: &mut Memory,
) -> Result<(), Failure> {
    let (Some(held), Some(version), Trusted::User { secret, .. }) = (&memory.held, &looked.secret, &desired.trusted)
    else {
        return Ok(());
    };
    let owner = owner(resource);
    let namespace = resource.namespace().unwrap_or_default();
    let identity = resource.name_any();
    let purpose = Purpose { namespace: &namespace, name: secret, identity: &identity, owner: owner.as_ref() };
    match key_secrets::write(&context.client, &purpose, &held.key, version).await {
        Ok(_) => {
            memory.held = None;
            memory.rotated_for = resource.annotations().get(report::ROTATE).cloned();
            Ok(())
        }
        Err(problem) => Err(match problem {
            ApiProblem::Forbidden => Failure::new(
                Reason::KeySecretUnwritable,
                format!(
                    "The operator may not write Secret {secret}, into which it is to put the access key. Grant it: {}",
                    context.grants.key(&namespace).await
                ),
            ),
            problem => Failure::new(
                Reason::ProgressingWithRetry,
                format!(
                    "Secret {secret}, into which the access key is to be put, could not be written: {problem}. It is tried again."
                ),
            ),
        }),
    }
}

/// Lets the Secret go with the resource where all that was made for it goes, and stay where it stays.
pub(super) async fn settle(context: &Context, resource: &StorageIdentity, desired: &Desired, looked: &Looked) {
    let holds = looked.observed.keys.as_ref().is_some_and(|keys| matches!(keys.secret, KeySecret::Holds(_)));
    let owner = owner(resource);
    let (Some(version @ Version::At { .. }), Trusted::User { secret, .. }) = (&looked.secret, &desired.trusted) else {
        return;
    };
    if !holds || looked.is_owned == owner.is_some() {
        return;
    }
    let namespace = resource.namespace().unwrap_or_default();
    let identity = resource.name_any();
    let purpose = Purpose { namespace: &namespace, name: secret, identity: &identity, owner: owner.as_ref() };
    if let Err(problem) = key_secrets::set_owner(&context.client, &purpose, version).await {
        tracing::warn!(%problem, "whether the Secret goes with its StorageIdentity could not be changed");
    }
}

fn owner(resource: &StorageIdentity) -> Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference> {
    (resource.spec.deletion_policy == DeletionPolicy::Delete).then(|| resource.owner_ref(&())).flatten()
}
