//! One pass over one resource: observe, plan, act, report. Whatever happened, the report is made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::Resource as _;
use kube::runtime::controller::Action;
use tracing::Instrument as _;

use super::act::{Acted, LOOKS, UNWATCHED_RETRY, act, settled};
use super::annotate::annotate;
use super::consumer::{self, Undesired};
use super::memory::{Asked, Memory, Unreported};
use super::observe::{Seen, observe};
use super::principals;
use super::{Context, Stored, backup, doubt, ending, id, report, role_mode, rollout, suspend};
use crate::api::QuayStorage;
use crate::api::quay_storage::DeletionPolicy;
use crate::api::status::QuayStorageStatus;
use crate::cluster::secret_watches::Health;
use crate::cluster::{ApiProblem, backups};
use crate::plan::backup::name as backup_name;
use crate::plan::{Desired, Plan, Restorable};
use crate::reason::Reason;
use crate::resource::ResourceId;
use crate::status::{self, Outcome, Written};
use crate::telemetry::metrics::{PassOutcome, Standing};
use crate::telemetry::traces;

/// Passes over a resource, once this process leads, and tells of it in one line.
///
/// # Errors
/// Only that the outcome could not be reported.
pub(super) async fn pass_as_leader(stored: Arc<Stored>, context: Arc<Context>) -> Result<Action, ApiProblem> {
    tokio::select! {
        biased;
        () = context.leads.cancelled() => {}
        // It never led, and has nothing to finish.
        () = context.stop.cancelled() => return Ok(Action::await_change()),
    }
    // What came meanwhile is passed over as it is now.
    let who = id(&stored);
    let Some(stored) = context.resources.get(&who) else { return Ok(Action::await_change()) };
    let span = tracing::info_span!(parent: None, "reconcile", resource = %who, trace_id = tracing::field::Empty);
    traces::identify(&span);
    let (_alive, begun) = (context.health.pass(), Instant::now());
    let passed = Box::pin(pass(&stored, &who, &context)).instrument(span.clone()).await;
    match context.resources.get(&who) {
        // What the watch told meanwhile, before what is remembered was there.
        Some(stored) => context.is_known(&stored),
        // It went meanwhile, and what this pass noted is nobody's.
        None => context.forget(&who),
    }
    let took = begun.elapsed();
    context.metrics.passed(passed.outcome, took);
    span.in_scope(|| passed.tell(took));
    passed.result
}

/// What came of a pass.
struct Passed {
    result: Result<Action, ApiProblem>,
    outcome: PassOutcome,
    standing: Option<Standing>,
}

impl Passed {
    fn ending(result: Result<Action, ApiProblem>) -> Self {
        Self::with(result, PassOutcome::Ending, None)
    }

    fn with(result: Result<Action, ApiProblem>, outcome: PassOutcome, standing: Option<Standing>) -> Self {
        let outcome = if result.is_ok() { outcome } else { PassOutcome::Unreported };
        Self { result, outcome, standing }
    }

    fn tell(&self, took: Duration) {
        let outcome = self.outcome.as_str();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let reason = self.standing.as_ref().map(|standing| standing.reason.as_str());
        let ready = self.standing.as_ref().map(|standing| standing.is_ready);
        match (&self.result, self.outcome) {
            (Err(problem), _) => tracing::warn!(outcome, duration_ms, %problem, "the outcome could not be reported"),
            (Ok(_), PassOutcome::Unchanged | PassOutcome::Waiting | PassOutcome::Ending) => {
                tracing::debug!(outcome, duration_ms, ready, reason, "passed over");
            }
            (Ok(_), _) => tracing::info!(outcome, duration_ms, ready, reason, "passed over"),
        }
    }
}

async fn pass(stored: &Stored, who: &ResourceId, context: &Context) -> Passed {
    if stored.meta().deletion_timestamp.is_some() {
        let mut memory = context.recall(who);
        let ended = ending::end(context, who, stored, &mut memory).await;
        if !matches!(&ended, Ok(action) if *action == Action::await_change()) {
            context.remember(who, memory);
        }
        return Passed::ending(ended);
    }
    if context.terminating.contains(&who.namespace) {
        // Nothing is written there. A namespace of that name may come again, and no event of the resource tells.
        return Passed::ending(Ok(Action::requeue(UNWATCHED_RETRY)));
    }
    let resource = match &stored.0 {
        Ok(resource) => resource,
        Err(undecodable) => {
            let reported = report::undecodable(context, who, undecodable, stored.object_ref(&())).await;
            return Passed::with(reported, PassOutcome::Reported, None);
        }
    };
    let mut memory = context.recall(who);
    // Read after that: what the watch told between the two is in the store, and not in the memory any more.
    let told = context.resources.get(who).filter(|told| told.meta().deletion_timestamp.is_none());
    let resource = told.as_ref().and_then(|told| told.0.as_ref().ok()).unwrap_or(resource);
    if memory.uid != resource.metadata.uid {
        *memory = Memory { uid: resource.metadata.uid.clone(), ..Memory::default() };
    }
    let resource = memory.newest(resource);
    let is_new = memory.met != resource.metadata.generation;
    memory.met = resource.metadata.generation;
    memory.outcome = None;
    let result = Box::pin(pass_over(context, who, &resource, is_new, &mut memory)).await;
    let outcome = memory.outcome.unwrap_or(PassOutcome::Unchanged);
    let passed = Passed::with(result, outcome, memory.standing.clone());
    context.remember(who, memory);
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
    let doubted = memory.doubted.take();
    if resource.spec.suspend {
        return suspend::rest(context, who, resource, memory).await;
    }
    if memory.requests.take_up(resource) {
        memory.look_anew();
    }
    let parsed = match consumer::desired(context, who, resource).await {
        Ok(desired) => Ok(desired),
        // The watch tells when it is complete; the limit is for a watch that never says anything.
        Err(Undesired::Starting) => {
            memory.outcome = Some(PassOutcome::Waiting);
            return Ok(Action::requeue(UNWATCHED_RETRY));
        }
        Err(Undesired::Invalid(failure)) => Err(Outcome::Invalid(failure)),
        Err(Undesired::Unresolved(failure)) => Err(Outcome::Unresolved(failure)),
    };
    let mut desired = match parsed {
        Ok(desired) => desired,
        Err(outcome) => {
            // What it waits for is the spec or the registry, and a watch tells of both.
            let status = status::report(&outcome, before, generation, Timestamp::now());
            let status = memory.requests.echoed(status, false);
            report::status(context, who, resource, memory, status).await?;
            memory.told_of = Asked::by(&resource.spec);
            return Ok(Action::await_change());
        }
    };
    memory.interval = Some(desired.interval);
    desired.consumer.notes.extend(role_mode::note(context, who, resource, &desired, memory).await);
    let has_finalizer = backups::has_finalizer(&resource.metadata);
    if has_finalizer && desired.deletion_policy == DeletionPolicy::Retain {
        backup::give_up(context, who, resource, memory).await;
    }
    let backup = (desired.deletion_policy == DeletionPolicy::Restore).then(|| backup_name(who));
    let health = context.secrets.refer(who, desired.secrets().into_iter().chain(backup).collect());
    let bundle = Some(desired.consumer.bundle.clone());
    if is_new || memory.bundle != bundle {
        memory.bundle = bundle;
        // It may claim a location of the bundle now, or give one up.
        context.secrets.tell_the_others(who, &desired.consumer.bundle);
    }
    if health == Health::Starting {
        // The watch tells when it has begun; the limit is for a watch that never says anything.
        memory.outcome = Some(PassOutcome::Waiting);
        return Ok(Action::requeue(UNWATCHED_RETRY));
    }
    let (seen, mut plan, acted) = Box::pin(look_and_act(context, who, resource, &desired, health, memory)).await;
    if let Some(wait) = seen.wait {
        // Answers are about to come; they are reported, and written, together.
        memory.outcome = Some(PassOutcome::Waiting);
        return Ok(Action::requeue(wait));
    }
    if let Acted::Failed(failure) = &acted
        && matches!(failure.reason, Reason::BackupForbidden | Reason::BackupFailed)
    {
        plan.restorable = Some(Restorable::Lost(failure.clone()));
    }
    // A backup that came back without its resource's finalizer would be looked at by nobody.
    if let Some(Restorable::Kept(_)) = &plan.restorable
        && let Err(failure) = backup::hold(context, who, &memory.newest(resource), memory).await
    {
        plan.restorable = Some(Restorable::Lost(failure));
    }
    // The finalizer may have come or gone meanwhile.
    let resource = &memory.newest(resource);
    memory.settled = settled(&seen, &plan, &acted);
    if let (Some(write), Acted::Wrote(wrote)) = (&plan.write, &acted) {
        memory.outcome = Some(PassOutcome::Wrote);
        memory.unreported = Some(Unreported::of(&write.secret_name, wrote));
        report::written(context, resource, write).await;
    }
    let bundle = &desired.consumer.bundle;
    memory.unreported.take_if(|unreported| unreported.secret != *bundle);
    let act_again = acted.again();
    let written = acted.into_status(memory.unreported.as_ref());

    let rollout = rollout::follow(context, who, resource, &desired, (&plan, &written), memory).await;
    let outcome = Outcome::Planned { bundle, plan: &plan, written: &written, runs: rollout.runs.as_ref() };
    let status = status::report(&outcome, before, generation, Timestamp::now());
    let left = status.config_bundle.as_ref().filter(|_| is_left_otherwise(before, &status, memory));
    memory.left = left.cloned().map(Box::new);
    if let Some(wait) = doubt::of(&status, before, health, doubted, memory) {
        memory.outcome = memory.outcome.or(Some(PassOutcome::Waiting));
        return Ok(Action::requeue(wait));
    }
    let is_pending = status::is_pending(&status);
    if is_pending && before.and_then(|before| before.observed_generation) == generation {
        // What was known stays, until something else is.
        memory.outcome = memory.outcome.or(Some(PassOutcome::Waiting));
        return Ok(Action::await_change());
    }
    report::orphans(context, resource, &desired).await;
    let status = memory.requests.echoed(status, seen.is_fresh);
    report::status(context, who, resource, memory, status).await?;
    memory.told_of = Asked::by(&resource.spec);
    memory.left = None;
    if matches!(written, Written::Done { .. }) {
        memory.unreported = None;
    }
    let unwatched = (seen.unwatched && !is_pending) || matches!(health, Health::Failing | Health::Forbidden);
    let look_again = unwatched.then_some(UNWATCHED_RETRY);
    let again = [seen.next_proof, act_again, look_again, rollout.look_again].into_iter().flatten().min();
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// Whether the bundle was left otherwise than status tells: what a report that is refused would lose. Of anything else status
/// itself tells better, which may be a newer one by the next pass.
fn is_left_otherwise(before: Option<&QuayStorageStatus>, status: &QuayStorageStatus, memory: &Memory) -> bool {
    let contested = |status: &QuayStorageStatus| status.config_bundle.as_ref().and_then(|left| left.contested.clone());
    memory.unreported.is_some() || contested(status) != before.and_then(contested)
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
            None => act(context, who, resource, desired, (&seen, &plan), memory).await,
            Some(held) => Acted::Held(held.clone()),
        };
        if !matches!(acted, Acted::Raced(_)) || looks == LOOKS {
            return (seen, plan, acted);
        }
        looks += 1;
    }
}
