//! Following what runs Quay until it runs what was written, and rolling it where that is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::act::LOOKS;
use super::memory::{Memory, Rollout, RolloutOf};
use super::{Context, reference, report, role_mode};
use crate::api::QuayStorage;
use crate::bundle::has_same_storage;
use crate::cluster::{ApiProblem, secrets, workloads};
use crate::consumer::Consumer;
use crate::plan::observation::Reference;
use crate::plan::{Desired, Plan, Standings};
use crate::reason::{Failure, Reason};
use crate::registry::is_rendered;
use crate::resource::ResourceId;
use crate::rollout::{self, Bundle, Roll, Runners, Runs, WorkloadSeen};
use crate::status::Written;

/// No watch tells of workloads: they are looked at again after a share of the time since the write, within these.
const SOONEST: Duration = Duration::from_secs(5);
const LATEST: Duration = Duration::from_mins(5);
const SHARE: u32 = 4;
/// What has not come about after that long does not come about by itself.
const PATIENCE: Duration = Duration::from_hours(24);

/// What is known of the rollout.
pub(super) struct Followed {
    /// Whether Quay runs what was written; none where nobody says what runs it.
    pub(super) runs: Option<Runs>,
    /// When to look again.
    pub(super) look_again: Option<Duration>,
}

/// Looks at what runs Quay, unless it is known to run what was written, and rolls what is ours to roll.
pub(super) async fn follow(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    desired: &Desired,
    (plan, came): (&Plan, &Written),
    memory: &mut Memory,
) -> Followed {
    let consumer = &desired.consumer;
    let is_anew = std::mem::take(&mut memory.is_anew);
    if consumer.runners.workloads.is_empty() {
        memory.rollout = None;
        return Followed { runs: None, look_again: None };
    }
    let settled = |runs| Followed { runs: Some(runs), look_again: None };
    let just_written = matches!(came, Written::Done { .. });
    let written = last_write(resource, &consumer.bundle, came, memory);
    memory.of_before.take_if(|(at, _)| Some(*at) != written);
    let said = said_current(resource, written).filter(|_| memory.rollout.is_none() && !is_anew);
    // What was said of a bundle that is not looked at yet stays said.
    let is_unseen = said.is_some() && plan.standings == Standings::NotLooked;
    if let Some(runs) = rollout::beforehand(consumer, (plan, came), written).filter(|_| !is_unseen) {
        memory.rollout = None;
        return settled(runs);
    }
    let of = RolloutOf { bundle: consumer.bundle.clone(), written, runners: consumer.runners.clone() };
    let now = Instant::now();
    if let Some(message) = said {
        let runs = Runs::Current(message);
        memory.rollout = Some(Box::new(Rollout { since: now, at: now, of: of.clone(), runs }));
    }
    let mut since = now;
    if let Some(known) = memory.rollout.as_ref().filter(|known| known.of == of) {
        since = known.since;
        let wait = pace(known, written).map(|pace| pace.saturating_sub(known.at.elapsed()));
        if wait.is_none_or(|wait| !wait.is_zero()) {
            return Followed { runs: Some(known.runs.clone()), look_again: wait };
        }
    }
    let seen = read_all(context, who, consumer).await;
    role_mode::seen(context, resource, consumer, memory, &seen).await;
    if let (Some(at), true, None) = (written, just_written, &memory.of_before) {
        memory.of_before = pods_of(at, &seen).map(|there| (at, there));
    }
    let of_before = memory.of_before.as_ref().map(|(_, there)| there);
    let changed = memory.written.as_ref().filter(|told| told.bundle == consumer.bundle);
    let changed = changed.and_then(|told| told.by_anybody);
    let bundle = Bundle { name: &consumer.bundle, written, changed, of_before };
    let runs = act(context, who, resource, consumer, (bundle, seen)).await;
    let known = Rollout { since, at: Instant::now(), of, runs: runs.clone() };
    let look_again = pace(&known, written);
    memory.rollout = Some(Box::new(known));
    Followed { runs: Some(runs), look_again }
}

/// Rolls what is ours to roll after a last write, of a resource that nobody follows any more.
///
/// # Errors
/// Why it is not rolled, and whether it may be in a moment.
pub(super) async fn roll(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    consumer: &Consumer,
    written: Option<Timestamp>,
) -> Result<(), (Failure, bool)> {
    if !consumer.runners.are_rolled || consumer.runners.workloads.is_empty() {
        return Ok(());
    }
    let bundle = Bundle { name: &consumer.bundle, written, changed: None, of_before: None };
    for _ in 0..LOOKS {
        let seen = read_all(context, who, consumer).await;
        let is_due = !rollout::rolls(&consumer.runners, bundle, &seen).is_empty();
        match act(context, who, resource, consumer, (bundle, seen)).await {
            Runs::Unknown(failure) => {
                let is_passing = failure.reason == Reason::WorkloadUnreadable;
                return Err((failure, is_passing));
            }
            _ if !is_due => return Ok(()),
            _ => {}
        }
    }
    let message = "what runs Quay was changed by somebody else at the same time, again and again";
    Err((Failure::new(Reason::WorkloadUnreadable, message), true))
}

async fn read_all(context: &Context, who: &ResourceId, consumer: &Consumer) -> Vec<Reference<WorkloadSeen>> {
    let mut all = Vec::with_capacity(consumer.runners.workloads.len());
    for runner in &consumer.runners.workloads {
        let answer = workloads::read(&context.client, &who.namespace, runner.kind, &runner.name).await;
        all.push(reference::of(answer, grant(context, who, consumer.runners.are_rolled)).await);
    }
    if let Some(registry) = &consumer.registry {
        compare(context, who, (registry, &consumer.bundle), &mut all).await;
    }
    all
}

/// Notes whether what the Quay operator rendered, and each workload mounts, says of storage what the bundle says, where that
/// can be known. Workloads mostly mount the same.
async fn compare(
    context: &Context,
    who: &ResourceId,
    (registry, bundle): (&str, &str),
    workloads: &mut [Reference<WorkloadSeen>],
) {
    let mut config = None;
    let mut known: BTreeMap<String, Option<bool>> = BTreeMap::new();
    for workload in workloads {
        let Reference::Found(seen) = workload else { continue };
        let Some(name) = seen.mounts.iter().find(|name| is_rendered(registry, name)) else { continue };
        if !known.contains_key(name) {
            if config.is_none() {
                config = Some(read_config(context, who, bundle).await);
            }
            let rendered = read_config(context, who, name).await;
            let both = config.as_ref().and_then(Option::as_ref).zip(rendered.as_ref());
            let same =
                both.and_then(|(bundle, rendered)| has_same_storage(bundle.expose_secret(), rendered.expose_secret()));
            known.insert(name.clone(), same);
        }
        seen.has_it = known.get(name).copied().flatten();
    }
}

async fn read_config(context: &Context, who: &ResourceId, secret: &str) -> Option<SecretSlice<u8>> {
    secrets::read_bundle(&context.client, &who.namespace, secret).await.ok()?.content.config
}

/// The pods that were created in a second, if all are known.
fn pods_of(second: Timestamp, seen: &[Reference<WorkloadSeen>]) -> Option<BTreeSet<String>> {
    let mut there = BTreeSet::new();
    for workload in seen {
        match workload {
            Reference::Found(seen) => {
                let tied = seen.pods.iter().filter(|pod| pod.created == second);
                there.extend(tied.map(|pod| pod.uid.clone()));
            }
            Reference::Missing => {}
            Reference::Forbidden { .. } | Reference::Unreadable { .. } => return None,
        }
    }
    Some(there)
}

/// Rolls what is to be rolled, and says whether Quay runs what was written.
async fn act(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    consumer: &Consumer,
    (bundle, mut seen): (Bundle<'_>, Vec<Reference<WorkloadSeen>>),
) -> Runs {
    let runners = &consumer.runners;
    for roll in rollout::rolls(runners, bundle, &seen) {
        match workloads::roll(&context.client, &who.namespace, &roll).await {
            Ok(()) => report::rolled(context, resource, &roll, bundle.name).await,
            // Somebody else was faster: it is looked at again.
            Err(ApiProblem::Conflict | ApiProblem::NotFound) => {}
            Err(problem) => not_rolled(context, who, runners, (&roll, &problem), &mut seen).await,
        }
    }
    rollout::judge(runners, bundle, &seen)
}

/// What keeps a workload from being rolled is what is then known of it.
async fn not_rolled(
    context: &Context,
    who: &ResourceId,
    runners: &Runners,
    (roll, problem): (&Roll, &ApiProblem),
    seen: &mut [Reference<WorkloadSeen>],
) {
    let of_it = runners.workloads.iter().zip(seen).find(|(runner, _)| **runner == roll.runner);
    if let Some((_, seen)) = of_it {
        *seen = match problem {
            ApiProblem::Forbidden => Reference::Forbidden { grant: grant(context, who, true).await },
            problem => Reference::Unreadable { why: format!("its change was refused: {problem}") },
        };
    }
}

async fn grant(context: &Context, who: &ResourceId, are_rolled: bool) -> String {
    if are_rolled { context.grants.restart(&who.namespace).await } else { context.grants.rollout(&who.namespace).await }
}

/// When this operator last wrote the bundle: just now, or as status tells, or as the Secret does, where a process ended
/// before it could report.
fn last_write(resource: &QuayStorage, bundle: &str, written: &Written, memory: &Memory) -> Option<Timestamp> {
    let now = match written {
        Written::Done { at, .. } => *at,
        Written::NotNeeded | Written::Failed(_) => None,
    };
    let status = resource.status.as_ref().and_then(|status| status.config_bundle.as_ref());
    let status = status.filter(|left| left.secret_name == bundle);
    let reported = status.and_then(|left| left.last_written_time.as_ref()).map(|time| time.0);
    let secret = memory.written.as_ref().filter(|told| told.bundle == bundle).and_then(|told| told.by_us);
    now.into_iter().chain(reported).chain(secret).max()
}

/// What status says of that very write, if it says that Quay runs it: no pod gets older.
fn said_current(resource: &QuayStorage, written: Option<Timestamp>) -> Option<String> {
    let status = resource.status.as_ref().filter(|s| s.observed_generation == resource.metadata.generation)?;
    let reported = status.config_bundle.as_ref()?.last_written_time.as_ref().map(|time| time.0);
    let said = status.conditions.iter().find(|c| c.type_ == "ConsumerCurrent" && c.status == "True")?;
    (written <= reported).then(|| said.message.clone())
}

/// When to look again; none where nothing is awaited any more.
fn pace(known: &Rollout, written: Option<Timestamp>) -> Option<Duration> {
    if matches!(known.runs, Runs::Current(_)) || known.since.elapsed() > PATIENCE {
        return None;
    }
    // Only another restart of Quay, or another change, would tell.
    if matches!(&known.runs, Runs::Unknown(failure) if failure.reason == Reason::NothingWritten) {
        return None;
    }
    // Who was not let look has asked enough.
    if matches!(&known.runs, Runs::Unknown(failure) if failure.reason == Reason::WorkloadForbidden) {
        return Some(LATEST);
    }
    let since_write = written.and_then(|at| Duration::try_from(Timestamp::now().duration_since(at)).ok());
    Some((since_write.unwrap_or(known.since.elapsed()) / SHARE).clamp(SOONEST, LATEST))
}
