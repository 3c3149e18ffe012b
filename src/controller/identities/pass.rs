//! One pass over one `StorageIdentity`: look, plan, make the steps, and look again until there is nothing left to do. Whatever
//! happened, it is reported.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::Api;

use super::super::Context;
use super::act::{Acted, act, settle};
use super::look::{Looked, look};
use super::prove::prove;
use super::report::{self, Echo};
use super::{Identities, Stored, ending, issuer};
use crate::api::storage_identity::{DeletionPolicy, Trust};
use crate::api::{IdentityPolicy, StorageIdentity, without_values};
use crate::aws::iam::Iam;
use crate::aws::own::{NotAssumed, OwnRole};
use crate::cluster::{ApiProblem, answered, finalizers};
use crate::identity::desired::Desired;
use crate::identity::permit::permit;
use crate::identity::plan::Plan;
use crate::identity::proving::Proving;
use crate::identity::status::Outcome;
use crate::plan::key::AccessKey;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// What nothing tells of is looked for this often: what somebody changed in AWS.
const INTERVAL: Duration = Duration::from_mins(10);
/// After a failure it is tried again after this, and after twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// At the latest.
const LAST_RETRY: Duration = Duration::from_mins(1);
/// What only takes IAM a while is tried again after this at the latest.
const SOON: Duration = Duration::from_secs(5);
/// And only so many times in a row: what takes longer is something else.
const SOON_TRIES: u32 = 40;
/// IAM tells of what was done a moment later.
const SETTLING: Duration = Duration::from_millis(500);
/// A pass makes so many plans at most: a rotation takes four.
const PLANS: usize = 16;
/// What keeps a resource until what was made for it is gone.
pub(super) const FINALIZER: &str = "registry-sts.dev/identity";

/// What is remembered between two passes; all that matters of it can be lost.
#[derive(Default)]
pub(super) struct Memory {
    /// A key that was made and is not in the Secret yet.
    pub(super) held: Option<HeldKey>,
    /// The rotation that was asked for, and for which a key was handed out.
    pub(super) rotated_for: Option<String>,
    /// How many passes in a row failed.
    failures: u32,
}

/// A key that was made and is not in the Secret yet. It is nowhere else.
pub(super) struct HeldKey {
    pub(super) key: AccessKey,
    pub(super) proving: Proving,
    pub(super) since: Instant,
}

/// What came of a pass.
pub(super) struct Passed {
    pub(super) again: Duration,
    pub(super) failed: bool,
}

/// Passes over a resource; how long until the next pass, if nothing wakes it before.
pub(super) async fn pass(context: &Context, who: &ResourceId, memory: &mut Memory) -> Duration {
    let _alive = context.health.pass();
    let passed = Box::pin(pass_over(context, who, memory)).await;
    memory.failures = if passed.failed { memory.failures.saturating_add(1) } else { 0 };
    if !passed.failed {
        return passed.again;
    }
    let doubled = FIRST_RETRY.saturating_mul(1 << memory.failures.saturating_sub(1).min(6));
    doubled.min(LAST_RETRY).min(passed.again)
}

async fn pass_over(context: &Context, who: &ResourceId, memory: &mut Memory) -> Passed {
    let failed = Passed { again: LAST_RETRY, failed: true };
    let Some(identities) = &context.identities else { return failed };
    // The watch may not have told of our own last report yet.
    let api: Api<Stored> = Api::namespaced(context.client.clone(), &who.namespace);
    let resource = match answered(api.get(&who.name)).await {
        Ok(stored) => match stored.0 {
            Ok(resource) => resource,
            Err(undecodable) => {
                tracing::warn!(error = without_values(&undecodable.error), "an object cannot be decoded");
                return Passed { again: INTERVAL, failed: false };
            }
        },
        Err(ApiProblem::NotFound) => return Passed { again: INTERVAL, failed: false },
        Err(problem) => {
            tracing::warn!(%problem, "it could not be read");
            return failed;
        }
    };
    let is_ending = resource.metadata.deletion_timestamp.is_some();
    // Nothing is made there any more; what is to go with it goes.
    if context.terminating.contains(&who.namespace) && !is_ending {
        return failed;
    }
    if resource.spec.suspend && !is_ending {
        memory.held = None;
        return reported(context, &resource, &Outcome::Suspended, Echo::default(), INTERVAL).await;
    }
    let Some(policies) = identities.policies() else { return failed };
    // Who uses it is to be known before anything is taken away from anybody.
    if context.health.ready().is_err() {
        return Passed { again: FIRST_RETRY, failed: true };
    }
    if is_ending {
        return Box::pin(ending::end(context, identities, &policies, &resource)).await;
    }
    match Box::pin(keep(context, identities, &policies, &resource, memory)).await {
        Ok(passed) => passed,
        Err(failure) => refused(context, &resource, &failure).await,
    }
}

/// Nothing was looked at.
pub(super) async fn refused(context: &Context, resource: &StorageIdentity, failure: &Failure) -> Passed {
    let waits = failure.reason.remedy() != crate::reason::Remedy::Edit;
    let passed = reported(context, resource, &Outcome::Refused(failure), Echo::default(), INTERVAL).await;
    Passed { failed: passed.failed || waits, ..passed }
}

/// What a resource asks for, by which policy, and whom to ask.
pub(super) struct Asking<'a> {
    pub(super) desired: Desired,
    pub(super) policy: &'a IdentityPolicy,
    pub(super) iam: Iam,
}

/// Finds out what a resource asks for.
///
/// # Errors
/// Why nothing can be looked at.
pub(super) async fn asking<'a>(
    context: &Context,
    identities: &Identities,
    policy: &'a IdentityPolicy,
    resource: &StorageIdentity,
) -> Result<Asking<'a>, Failure> {
    let issuer = match resource.spec.trust {
        Trust::User => Err(Failure::new(Reason::IssuerUnknown, "")),
        Trust::WebIdentity => issuer::issuer(context, identities, resource).await,
    };
    let desired = Desired::parse(resource, policy, &identities.options.cluster, issuer.as_ref().map_err(Clone::clone))?;
    let nobody =
        |why: &dyn std::fmt::Display| Failure::new(Reason::NoAwsIdentity, format!("Nothing can be made: {why}."));
    let own = OwnRole::detect(|name| std::env::var(name).ok()).map_err(|why| nobody(&NotAssumed::from(why)))?;
    let account = desired.role_arn.account();
    if own.role().account() != account {
        let message = format!(
            "The operator's own role {} is of another account than permissionsBoundaryArn of IdentityPolicy {}, {account}: it can make nothing there. Give a boundary of its account, or the operator a role of that one.",
            own.role(),
            policy.name_any()
        );
        return Err(Failure::new(Reason::NoAwsIdentity, message));
    }
    let credentials = identities.own.credentials(own).await.map_err(|why| nobody(&why))?;
    let partition = desired.role_arn.partition();
    Ok(Asking { desired, policy, iam: identities.aws.iam(partition, credentials) })
}

async fn keep(
    context: &Context,
    identities: &Identities,
    policies: &[IdentityPolicy],
    resource: &StorageIdentity,
    memory: &mut Memory,
) -> Result<Passed, Failure> {
    let policy = permit(resource, policies, &identities.all())?;
    let Asking { desired, policy, iam } = asking(context, identities, policy, resource).await?;
    is_the_same(resource, &desired)?;
    hold(context, resource).await?;
    let echo = Echo::of(resource);
    let asked = echo.asked(resource);
    let mut failed: Option<Failure> = None;
    let mut seen: Option<(Looked, Plan)> = None;
    for _ in 0..PLANS {
        let looked = match Box::pin(look(context, &iam, (resource, &desired), memory.held.as_ref(), &asked)).await {
            Ok(looked) => looked,
            Err(failure) => {
                identities.own.forget().await;
                (seen, failed) = (None, Some(failure));
                break;
            }
        };
        if memory.held.as_ref().is_some_and(|held| held.is_gone(&looked.observed)) {
            memory.held = None;
            continue;
        }
        let plan = Plan::make(&desired, &looked.observed, Timestamp::now())?;
        if plan.steps.is_empty() {
            let waits = memory.held.as_ref().and_then(|held| held.proving.wait(held.since.elapsed()));
            let Some(held) = memory.held.as_mut().filter(|_| waits.is_none()) else {
                settle(context, resource, &desired, &looked).await;
                seen = Some((looked, plan));
                break;
            };
            if let Err(failure) = prove(context, &identities.aws, (resource, &desired.role_arn), held).await {
                (seen, failed) = (Some((looked, plan)), Some(failure));
                break;
            }
            seen = Some((looked, plan));
            continue;
        }
        let acted = Box::pin(act(context, &iam, (resource, &desired), (&looked, &plan), memory)).await;
        seen = Some((looked, plan));
        if let Acted::Failed(failure) = acted {
            failed = Some(failure);
            break;
        }
        tokio::time::sleep(SETTLING).await;
    }
    let echo = echo.answered(seen.as_ref().map(|(looked, plan)| (&looked.observed, plan)), memory.rotated_for.as_ref());
    let waits = memory.held.as_ref().and_then(|held| held.proving.wait(held.since.elapsed()));
    let planned = seen.as_ref().and_then(|(_, plan)| plan.again);
    let again = [Some(INTERVAL), waits, planned].into_iter().flatten().min().unwrap_or(INTERVAL);
    let outcome = Outcome::Planned {
        desired: &desired,
        policy: &policy.name_any(),
        seen: seen.as_ref().map(|(looked, plan)| (&looked.observed, plan)),
        failed: failed.as_ref(),
    };
    let passed = reported(context, resource, &outcome, echo, again).await;
    let soon = memory.failures < SOON_TRIES
        && failed.as_ref().is_some_and(|f| matches!(f.reason, Reason::PrincipalPending | Reason::MakingKey));
    let again = if soon { passed.again.min(SOON) } else { passed.again };
    Ok(Passed { again, failed: passed.failed || failed.is_some() })
}

/// What was made under other names would be left behind, with a key that works.
fn is_the_same(resource: &StorageIdentity, desired: &Desired) -> Result<(), Failure> {
    let Some(status) = &resource.status else { return Ok(()) };
    let role = (&status.role_arn, Some(desired.role.arn.as_str()));
    let user = (&status.user_arn, desired.user().map(|user| user.arn.as_str()));
    for (was, is) in [role, user] {
        if let (Some(was), Some(is)) = (was, is)
            && was != is
        {
            return Err(Failure::new(
                Reason::IdentityRenamed,
                format!(
                    "This StorageIdentity has made {was}, and is to be {is} now (userName, roleName, or namePrefix, iamPath or account of the IdentityPolicy): whoever uses the one would be cut off. Put the name back, or make another StorageIdentity and let the QuayStorage refer to that."
                ),
            ));
        }
    }
    Ok(())
}

/// What is made for a resource with deletionPolicy Delete is not to outlive it unseen.
async fn hold(context: &Context, resource: &StorageIdentity) -> Result<(), Failure> {
    let wanted = resource.spec.deletion_policy == DeletionPolicy::Delete;
    if finalizers::has(&resource.metadata, FINALIZER) == wanted {
        return Ok(());
    }
    let who = ResourceId::of(&resource.metadata);
    let set = finalizers::set::<StorageIdentity>(&context.client, &who, &resource.metadata, (FINALIZER, wanted));
    set.await.map(drop).map_err(|problem| {
        Failure::new(
            Reason::ProgressingWithRetry,
            format!("Finalizer {FINALIZER} could not be changed on this resource: {problem}. Nothing is made before. It is tried again."),
        )
    })
}

/// Reports; a report that cannot be made is a failure.
pub(super) async fn reported(
    context: &Context,
    resource: &StorageIdentity,
    outcome: &Outcome<'_>,
    echo: Echo,
    again: Duration,
) -> Passed {
    match report::report(context, resource, outcome, echo).await {
        Ok(()) => Passed { again, failed: false },
        Err(problem) => {
            tracing::warn!(%problem, "the outcome could not be reported");
            Passed { again, failed: true }
        }
    }
}
