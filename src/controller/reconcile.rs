//! One pass over one resource: observe, plan, act, report. Whatever happened, the report is made.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::Resource as _;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;

use super::annotate::annotate;
use super::consumer::{self, Undesired};
use super::memory::{Inputs, Memory};
use super::observe::{Seen, observe};
use super::principals;
use super::{Context, Stored, id, report, suspend};
use crate::api::QuayStorage;
use crate::cluster::secret_watches::Health;
use crate::cluster::version::Version;
use crate::cluster::{ApiProblem, outputs, secrets};
use crate::plan::{Desired, Held, Plan, Standings};
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;
use crate::status::{self, Outcome, Written};

/// A bundle that others keep changing is looked at again this often within a pass.
const LOOKS: usize = 5;
/// What no watch tells of (a permission, an answer of the API server) is looked at again after this.
const UNWATCHED_RETRY: Duration = Duration::from_secs(15);

/// Passes over a resource.
///
/// # Errors
/// Only that the outcome could not be reported.
pub(super) async fn pass(stored: Arc<Stored>, context: Arc<Context>) -> Result<Action, ApiProblem> {
    let who = id(&stored);
    if stored.meta().deletion_timestamp.is_some() {
        // Nothing is written for it any more, and what it claimed is free.
        context.forget(&who);
        return Ok(Action::await_change());
    }
    if context.terminating.contains(&who.namespace) {
        // Nothing is written there. A namespace of that name may come again, and no event of the resource tells.
        return Ok(Action::requeue(UNWATCHED_RETRY));
    }
    let resource = match &stored.0 {
        Ok(resource) => resource,
        Err(undecodable) => return report::undecodable(&context, &who, undecodable, stored.object_ref(&())).await,
    };
    let mut memory = context.recall(&who);
    if memory.uid != resource.metadata.uid {
        memory = Memory { uid: resource.metadata.uid.clone(), ..Memory::default() };
    }
    let resource = memory.newest(resource);
    let is_new = memory.met != resource.metadata.generation;
    memory.met = resource.metadata.generation;
    let passed = pass_over(&context, &who, &resource, is_new, &mut memory).await;
    context.remember(&who, memory);
    if context.resources.get(&ObjectRef::new(&who.name).within(&who.namespace)).is_none() {
        // It went meanwhile, and what this pass noted is nobody's.
        context.forget(&who);
    }
    passed
}

async fn pass_over(
    context: &Context,
    who: &ResourceId,
    resource: &Arc<QuayStorage>,
    is_new: bool,
    memory: &mut Memory,
) -> Result<Action, ApiProblem> {
    let generation = resource.metadata.generation;
    let before = resource.status.as_ref();
    if resource.spec.suspend {
        return suspend::rest(context, who, resource, memory).await;
    }
    if memory.requests.take_up(resource) {
        memory.look_anew();
    }
    let parsed = match consumer::desired(context, who, resource).await {
        Ok(desired) => Ok(desired),
        // The watch tells when it is complete; the limit is for a watch that never says anything.
        Err(Undesired::Starting) => return Ok(Action::requeue(UNWATCHED_RETRY)),
        Err(Undesired::Invalid(failure)) => Err(Outcome::Invalid(failure)),
        Err(Undesired::Unresolved(failure)) => Err(Outcome::Unresolved(failure)),
    };
    let desired = match parsed {
        Ok(desired) => desired,
        Err(outcome) => {
            // What it waits for is the spec or the registry, and a watch tells of both.
            let status = status::report(&outcome, before, generation, Timestamp::now());
            let status = memory.requests.echoed(status, false);
            report::status(context, who, resource, memory, status).await?;
            memory.told_of = Some(resource.spec.clone());
            return Ok(Action::await_change());
        }
    };
    let health = context.secrets.refer(who, desired.secrets());
    let bundle = Some(desired.consumer.bundle.clone());
    if is_new || memory.bundle != bundle {
        memory.bundle = bundle;
        // It may claim a location of the bundle now, or give one up.
        context.secrets.tell_the_others(who, &desired.consumer.bundle);
    }
    if health == Health::Starting {
        // The watch tells when it is complete; the limit is for a watch that never says anything.
        return Ok(Action::requeue(UNWATCHED_RETRY));
    }
    let (seen, plan, acted) = look_and_act(context, who, resource, &desired, health, memory).await;
    if let Some(wait) = seen.wait {
        // Answers are about to come; they are reported, and written, together.
        return Ok(Action::requeue(wait));
    }
    memory.settled = settled(&seen, &plan, &acted);
    if let (Some(write), Acted::Wrote(version)) = (&plan.write, &acted) {
        memory.unreported = Some((write.secret_name.clone(), version.resource_version().to_owned()));
        report::written(context, resource, write).await;
    }
    memory.unreported.take_if(|(secret, _)| *secret != desired.consumer.bundle);
    let act_again = acted.again();
    let written = acted.into_status(memory.unreported.as_ref());

    let outcome = Outcome::Planned { bundle: &desired.consumer.bundle, plan: &plan, written: &written };
    let status = status::report(&outcome, before, generation, Timestamp::now());
    memory.left.clone_from(&status.config_bundle);
    let is_pending = status::is_pending(&status);
    if is_pending && before.and_then(|before| before.observed_generation) == generation {
        // What was known stays, until something else is.
        return Ok(Action::await_change());
    }
    report::orphans(context, resource, &desired).await;
    let status = memory.requests.echoed(status, seen.is_fresh);
    report::status(context, who, resource, memory, status).await?;
    memory.told_of = Some(resource.spec.clone());
    memory.left = None;
    if matches!(written, Written::Done { .. }) {
        memory.unreported = None;
    }
    let unwatched = (seen.unwatched && !is_pending) || matches!(health, Health::Failing | Health::Forbidden);
    let look_again = unwatched.then_some(UNWATCHED_RETRY);
    let again = [seen.next_proof, act_again, look_again].into_iter().flatten().min();
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// Observes, plans and acts; again, if somebody else was faster.
async fn look_and_act(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    desired: &Desired,
    health: Health,
    memory: &mut Memory,
) -> (Seen, Plan, Acted) {
    let mut looks = 1;
    loop {
        let mut seen = observe(context, who, resource, desired, memory).await;
        if health == Health::Forbidden {
            seen.observation.unwatched = Some(context.grants.secrets(&who.namespace, &desired.consumer).await);
        }
        let plan = Plan::make(desired, &seen.observation);
        if plan.needs_proof() && !memory.urgent {
            memory.urgent = true;
            continue;
        }
        if plan.write.is_some() && principals::forget_old_accounts(memory) {
            continue;
        }
        if !plan.annotations.is_empty() && looks < LOOKS {
            annotate(context, who, resource, &plan.annotations, memory).await;
            looks += 1;
            continue;
        }
        let acted = match &plan.held {
            None => act(context, who, desired, &plan).await,
            Some(held) => Acted::Held(held.clone()),
        };
        if !matches!(acted, Acted::Raced(_)) || looks == LOOKS {
            return (seen, plan, acted);
        }
        looks += 1;
    }
}

/// What came of a plan's write.
enum Acted {
    NotNeeded,
    Wrote(Version),
    /// Somebody else was faster.
    Raced(Failure),
    Failed(Failure),
    /// Not written for now, or no more, because it keeps being undone.
    Held(Held),
}

impl Acted {
    /// When to act again, if nothing else happens.
    fn again(&self) -> Option<Duration> {
        match self {
            Self::NotNeeded | Self::Wrote(_) => None,
            Self::Raced(_) | Self::Failed(_) => Some(UNWATCHED_RETRY),
            Self::Held(held) => held.wait.map(SignedDuration::unsigned_abs),
        }
    }

    /// As status is told of it; a write of before that status has not been told of yet counts, too.
    fn into_status(self, unreported: Option<&(String, String)>) -> Written {
        match (self, unreported) {
            (Self::Raced(failure) | Self::Failed(failure) | Self::Held(Held { failure, .. }), _) => {
                Written::Failed(failure)
            }
            (Self::Wrote(version), _) => Written::Done { resource_version: version.resource_version().to_owned() },
            (Self::NotNeeded, Some((_, version))) => Written::Done { resource_version: version.clone() },
            (Self::NotNeeded, None) => Written::NotNeeded,
        }
    }
}

/// Carries the plan out.
async fn act(context: &Context, who: &ResourceId, desired: &Desired, plan: &Plan) -> Acted {
    let Some(write) = &plan.write else { return Acted::NotNeeded };
    let secret = &write.secret_name;
    let before = context.secrets.before_request(&who.namespace, secret);
    let (client, namespace) = (&context.client, &who.namespace);
    let answer = match &write.output {
        Some(output) => outputs::write(client, namespace, write, output).await,
        None => secrets::write_config(client, namespace, write).await,
    };
    let problem = match answer {
        Ok(version) => {
            context.secrets.saw(&who.namespace, secret, before.as_ref(), &version);
            return Acted::Wrote(version);
        }
        Err(problem) => problem,
    };
    // Whatever happened, what is there now is not known.
    context.secrets.lost(&who.namespace, secret);
    match problem {
        ApiProblem::Conflict | ApiProblem::NotFound => Acted::Raced(Failure::new(
            Reason::Raced,
            format!(
                "Secret {secret} was changed by somebody else at the same time, {LOOKS} times in a row. Nothing was written; it is tried again."
            ),
        )),
        ApiProblem::Forbidden => Acted::Failed(Failure::new(
            Reason::BundleForbidden,
            format!(
                "The operator may not {} Secret {secret}. Grant it: {} If it is granted, an admission policy refuses the change.",
                if write.output.as_ref().is_some_and(|output| output.creates) { "create" } else { "change" },
                context.grants.secrets(&who.namespace, &desired.consumer).await
            ),
        )),
        ApiProblem::Unreachable => Acted::Failed(Failure::new(
            Reason::WriteRefused,
            format!(
                "The API server did not answer the change of Secret {secret}: whether it was made is not known. It is looked at again."
            ),
        )),
        ApiProblem::Refused { .. } => Acted::Failed(Failure::new(
            Reason::WriteRefused,
            format!("Secret {secret} could not be changed: {problem}. It is tried again."),
        )),
    }
}

/// How the bundle stands now and what that depends on, if both are known.
fn settled(seen: &Seen, plan: &Plan, acted: &Acted) -> Option<(Inputs, Standings)> {
    let inputs = seen.inputs.clone()?;
    match acted {
        Acted::NotNeeded => Some((inputs, plan.standings.clone())),
        Acted::Wrote(version) => Some((Inputs { bundle: version.clone(), ..inputs }, plan.standings.clone())),
        Acted::Raced(_) | Acted::Failed(_) | Acted::Held(_) => None,
    }
}
