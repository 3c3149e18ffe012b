//! One pass over one resource: observe, plan, act, report. Whatever happened, the report is made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::Resource as _;
use kube::runtime::controller::Action;

use super::memory::Memory;
use super::observe::{Seen, observe};
use super::{Context, Stored, id, report};
use crate::api::QuayStorage;
use crate::cluster::secret_watches::Health;
use crate::cluster::{ApiProblem, secrets};
use crate::plan::{Desired, Plan};
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;
use crate::status::{self, Outcome, Written};

/// A bundle that others keep changing is looked at again this often within a pass.
const LOOKS: usize = 5;
/// A first outcome that takes longer is announced.
const ANNOUNCED_AFTER: Duration = Duration::from_secs(1);
/// What no watch tells of (a permission, an answer of the API server) is looked at again after this.
const UNWATCHED_RETRY: Duration = Duration::from_secs(15);

/// Passes over a resource.
///
/// # Errors
/// Only that the outcome could not be reported.
pub(super) async fn pass(stored: Arc<Stored>, context: Arc<Context>) -> Result<Action, ApiProblem> {
    let who = id(&stored);
    // Nothing is written into a namespace that is being deleted, nor for a resource that is.
    if context.terminating.contains(&who.namespace) || stored.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let resource = match &stored.0 {
        Ok(resource) => resource,
        Err(undecodable) => return report::undecodable(&context, &who, undecodable).await,
    };
    let mut memory = context.recall(&who);
    if memory.uid != resource.metadata.uid {
        memory = Memory { uid: resource.metadata.uid.clone(), ..Memory::default() };
    }
    let is_new = memory.met.0 != resource.metadata.generation;
    if is_new {
        memory.met = (resource.metadata.generation, Instant::now());
    }
    // Our own status write may not have come back by the watch yet.
    let newer = memory.reported.as_ref().filter(|(based_on, _)| *based_on == resource.metadata.resource_version);
    let resource = newer.map_or_else(|| Arc::new(resource.clone()), |(_, newer)| Arc::clone(newer));
    let passed = pass_over(&context, &who, &resource, is_new, &mut memory).await;
    context.remember(&who, memory);
    passed
}

async fn pass_over(
    context: &Context,
    who: &ResourceId,
    resource: &Arc<QuayStorage>,
    is_new: bool,
    memory: &mut Memory,
) -> Result<Action, ApiProblem> {
    let desired = match Desired::parse(&resource.spec, &context.allowed_endpoints) {
        Ok(desired) => desired,
        Err(invalid) => {
            let generation = resource.metadata.generation;
            let status =
                status::report(&Outcome::Invalid(invalid), resource.status.as_ref(), generation, Timestamp::now());
            report::status(context, who, resource, memory, status).await?;
            return Ok(Action::await_change());
        }
    };
    let health = context.secrets.refer(who, desired.secrets());
    if is_new {
        // It may claim a location of the bundle now, or give one up.
        context.secrets.tell_the_others(who, &desired.bundle);
    }
    if health == Health::Starting {
        // The watch tells when it is complete; the limit is for a watch that never says anything.
        return Ok(Action::requeue(UNWATCHED_RETRY));
    }
    let mut looks = 1;
    let (seen, plan, written) = loop {
        let seen = observe(context, who, resource, &desired, memory).await;
        let plan = Plan::make(&desired, &seen.observation);
        let (written, raced) = act(context, who, &plan).await;
        if !raced || looks == LOOKS {
            break (seen, plan, written);
        }
        looks += 1;
    };
    settle(context, who, &desired, memory, &seen, &plan, &written);
    if let (Some(write), Written::Done { resource_version }) = (&plan.write, &written) {
        memory.unreported = Some(resource_version.clone());
        report::written(context, resource, write).await;
    }
    let written = match (written, &memory.unreported) {
        (Written::NotNeeded, Some(version)) => Written::Done { resource_version: version.clone() },
        (written, _) => written,
    };

    let outcome = Outcome::Planned { bundle: &desired.bundle, plan: &plan, written: &written };
    let generation = resource.metadata.generation;
    let status = status::report(&outcome, resource.status.as_ref(), generation, Timestamp::now());
    let is_pending = status::is_pending(&status);
    if is_pending {
        let waited = memory.met.1.elapsed();
        if resource.status.as_ref().and_then(|before| before.observed_generation) == generation {
            // What was known stays, until something else is.
            return Ok(Action::await_change());
        }
        if waited < ANNOUNCED_AFTER {
            return Ok(Action::requeue(ANNOUNCED_AFTER.saturating_sub(waited)));
        }
    }
    report::status(context, who, resource, memory, status).await?;
    memory.unreported = None;
    let no_watch_tells = matches!(written, Written::Failed(_)) || (seen.inputs.is_none() && !is_pending);
    let again = [seen.observation.next_proof, no_watch_tells.then_some(UNWATCHED_RETRY)].into_iter().flatten().min();
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// Carries the plan out. Says what came of its write, and whether somebody else was faster.
async fn act(context: &Context, who: &ResourceId, plan: &Plan) -> (Written, bool) {
    let Some(write) = &plan.write else { return (Written::NotNeeded, false) };
    let secret = &write.secret_name;
    let failed = |reason, message: String| Written::Failed(Failure::new(reason, message));
    match secrets::write_config(&context.client, &who.namespace, write).await {
        Ok(version) => {
            let resource_version = version.resource_version().to_owned();
            context.secrets.saw(&who.namespace, secret, Some(version));
            (Written::Done { resource_version }, false)
        }
        Err(problem) => {
            // Whatever happened, what is there now is not known.
            context.secrets.saw(&who.namespace, secret, None);
            match problem {
                ApiProblem::Conflict | ApiProblem::NotFound => (
                    failed(
                        Reason::Raced,
                        format!(
                            "Secret {secret} was changed by somebody else at the same time, {LOOKS} times in a row. Nothing was written; it is tried again."
                        ),
                    ),
                    true,
                ),
                ApiProblem::Forbidden => (
                    failed(
                        Reason::BundleForbidden,
                        format!(
                            "The operator may not change Secret {secret} (spec.configBundleSecret). Grant it: {} If it is granted, an admission policy refuses the change.",
                            context.grants.bundle(&who.namespace)
                        ),
                    ),
                    false,
                ),
                ApiProblem::Refused { .. } | ApiProblem::Unreachable => (
                    failed(
                        Reason::WriteRefused,
                        format!("Secret {secret} could not be changed: {problem}. It is tried again."),
                    ),
                    false,
                ),
            }
        }
    }
}

/// Remembers how the bundle stands now, if that is known.
fn settle(
    context: &Context,
    who: &ResourceId,
    desired: &Desired,
    memory: &mut Memory,
    seen: &Seen,
    plan: &Plan,
    written: &Written,
) {
    memory.settled = match (&seen.inputs, written) {
        (_, Written::Failed(_)) | (None, _) => None,
        (Some(inputs), Written::NotNeeded) => Some((inputs.clone(), plan.standings.clone())),
        (Some(inputs), Written::Done { .. }) => {
            context.secrets.version(&who.namespace, &desired.bundle).map(|bundle| {
                let mut inputs = inputs.clone();
                inputs.bundle = bundle;
                (inputs, plan.standings.clone())
            })
        }
    };
}
