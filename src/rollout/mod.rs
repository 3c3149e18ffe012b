//! PURE: whether Quay runs what was written, and what is to be rolled so that it does. Quay reads its configuration once,
//! when it starts: what runs it is the pods that were created after the write.

mod workload;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::Timestamp;

pub use workload::{PodSeen, ROLLED_FOR, WorkloadSeen};

use crate::api::quay::WorkloadKind;
use crate::consumer::Consumer;
use crate::fingerprint::{fingerprint, hex};
use crate::plan::observation::Reference;
use crate::plan::{Plan, Standing, Standings};
use crate::reason::{Failure, Reason};
use crate::status::Written;

/// The workloads that run the Quay which reads a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runners {
    /// What runs it.
    pub workloads: Vec<Runner>,
    /// Whether they are ours to roll; else somebody else does.
    pub are_rolled: bool,
    /// Why the Quay operator rolls nothing, if it says so.
    pub blocked: Option<Failure>,
}

/// A workload that runs Quay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// What it is.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
    /// There may be none.
    pub is_optional: bool,
}

impl Runner {
    /// What messages call it.
    pub fn called(&self) -> String {
        format!("{:?} {}", self.kind, self.name)
    }
}

/// A bundle, and the last write of this operator into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// The Secret's name.
    pub name: &'a str,
    /// When it was written, by the clock of the API server, which counts whole seconds; none if it never was.
    pub written: Option<Timestamp>,
    /// When anybody last wrote it, as far as it tells.
    pub changed: Option<Timestamp>,
    /// The pods of that very second that were there right after the write, by their uids, if somebody looked then: the
    /// others of that second came later.
    pub of_before: Option<&'a BTreeSet<String>>,
}

impl Bundle<'_> {
    /// What names the write on the pods that were rolled for it: the same for every resource that writes into the bundle.
    fn write(&self, at: Timestamp) -> String {
        let hash = fingerprint([self.name, &at.as_second().to_string()]);
        hex(hash.get(..8).unwrap_or_default())
    }

    /// How many pods may have started before the last write. Of those that were created in its very second that is known only
    /// if somebody looked.
    fn old(&self, pods: &[PodSeen]) -> usize {
        let Some(at) = self.written else { return 0 };
        let write = self.write(at);
        let was_there = |pod: &PodSeen| self.of_before.is_none_or(|there| there.contains(&pod.uid));
        let is_old = |pod: &&PodSeen| match pod.created.cmp(&at) {
            Ordering::Less => true,
            Ordering::Equal => pod.rolled_for.as_deref() != Some(&write) && was_there(pod),
            Ordering::Greater => false,
        };
        pods.iter().filter(is_old).count()
    }
}

const RUNS: &str = "Quay runs what was written.";

/// Whether Quay runs what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// It does; with what is worth knowing of it.
    Current(String),
    /// It does not (yet).
    NotYet(Failure),
    /// That cannot be known.
    Unknown(Failure),
}

impl Runs {
    fn rank(&self) -> u8 {
        match self {
            Self::NotYet(_) => 0,
            Self::Unknown(_) => 1,
            Self::Current(_) => 2,
        }
    }
}

/// A workload that is to be rolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Which.
    pub runner: Runner,
    /// Its uid.
    pub uid: String,
    /// The version that was observed. If it is no longer that, it is not rolled.
    pub resource_version: String,
    /// What names the write that it is rolled for.
    pub name: String,
}

/// What is known of it before any workload is looked at, if that is enough.
pub fn beforehand(consumer: &Consumer, (plan, came): (&Plan, &Written), written: Option<Timestamp>) -> Option<Runs> {
    if let Some(failure) = consumer.elsewhere.as_ref().or(consumer.runners.blocked.as_ref()) {
        return Some(Runs::NotYet(failure.clone()));
    }
    if let Some(failure) = undone(plan, came) {
        return Some(Runs::Unknown(failure.clone()));
    }
    let is_current = |each: &[Standing]| each.iter().all(|standing| *standing == Standing::Current);
    let has_it = matches!(&plan.standings, Standings::Each(each) if is_current(each)) && plan.held.is_none();
    if written.is_some() || has_it {
        return None;
    }
    let message = format!("Nothing was written into Secret {} yet.", consumer.bundle);
    Some(Runs::Unknown(Failure::new(Reason::NothingWritten, message)))
}

/// That what was written does not stand any more: what Quay runs then is somebody else's.
fn undone<'a>(plan: &'a Plan, came: &'a Written) -> Option<&'a Failure> {
    match (&plan.standings, came) {
        (Standings::Unusable(failure), _) => Some(failure),
        // It is not put right, now or ever.
        (_, Written::Failed(failure)) if plan.undone => Some(failure),
        (Standings::Each(each), _) => each.iter().find_map(|standing| match standing {
            Standing::Kept(failure) if failure.reason == Reason::BundleOwnedElsewhere => Some(failure),
            Standing::Kept(_) | Standing::Current => None,
        }),
        (Standings::NotLooked, _) => None,
    }
}

/// Whether Quay runs the last write, as its workloads were seen, in their order.
pub fn judge(runners: &Runners, bundle: Bundle<'_>, seen: &[Reference<WorkloadSeen>]) -> Runs {
    let each = runners.workloads.iter().zip(seen).filter_map(|(runner, seen)| {
        let seen = match found(runner, seen)? {
            Ok(seen) => seen,
            Err(unknown) => return Some(Runs::Unknown(unknown)),
        };
        Some(match elsewhere(runners, runner, seen, bundle) {
            Some(elsewhere) => Runs::Unknown(elsewhere),
            None => judge_one(runner, seen, bundle),
        })
    });
    each.min_by_key(Runs::rank).unwrap_or_else(|| Runs::Current(RUNS.to_owned()))
}

/// The workloads that are to be rolled so that Quay runs the last write: ours, that mount this very bundle, and have pods
/// of before.
pub fn rolls(runners: &Runners, bundle: Bundle<'_>, seen: &[Reference<WorkloadSeen>]) -> Vec<Roll> {
    let Some(name) = bundle.written.map(|at| bundle.write(at)).filter(|_| runners.are_rolled) else {
        return Vec::new();
    };
    let roll = |(runner, seen): (&Runner, &Reference<WorkloadSeen>)| {
        let Some(Ok(seen)) = found(runner, seen) else { return None };
        let is_due = elsewhere(runners, runner, seen, bundle).is_none()
            && seen.rolled_for.as_ref() != Some(&name)
            && bundle.old(&seen.pods) > 0;
        is_due.then(|| Roll {
            runner: runner.clone(),
            uid: seen.uid.clone(),
            resource_version: seen.resource_version.clone(),
            name: name.clone(),
        })
    };
    runners.workloads.iter().zip(seen).filter_map(roll).collect()
}

/// The workload, or why it is not known; none where there need not be one.
fn found<'a>(runner: &Runner, seen: &'a Reference<WorkloadSeen>) -> Option<Result<&'a WorkloadSeen, Failure>> {
    let called = runner.called();
    let (reason, message) = match seen {
        Reference::Found(seen) => return Some(Ok(seen)),
        Reference::Missing if runner.is_optional => return None,
        Reference::Missing => {
            (Reason::WorkloadMissing, format!("{called}, which runs Quay, does not exist in this namespace."))
        }
        Reference::Forbidden { grant } => (
            Reason::WorkloadForbidden,
            format!("The operator may not see {called} and its pods, or not roll it. Grant it: {grant}"),
        ),
        Reference::Unreadable { why } => {
            (Reason::WorkloadUnreadable, format!("{called} could not be read: {why}. It is looked at again."))
        }
    };
    Some(Err(Failure::new(reason, message)))
}

/// That a workload which the spec names does not mount the bundle: it is left alone. What the Quay operator keeps mounts a
/// Secret that is rendered from the bundle.
fn elsewhere(runners: &Runners, runner: &Runner, seen: &WorkloadSeen, bundle: Bundle<'_>) -> Option<Failure> {
    if !runners.are_rolled || seen.mounts.contains(bundle.name) {
        return None;
    }
    Some(Failure::new(
        Reason::BundleNotMounted,
        format!(
            "{} (spec.restart) mounts no volume from Secret {}: it is left as it is. Name the workload that does, or remove it from spec.restart.",
            runner.called(),
            bundle.name
        ),
    ))
}

fn judge_one(runner: &Runner, seen: &WorkloadSeen, bundle: Bundle<'_>) -> Runs {
    let called = runner.called();
    let rolling = |message: String| Runs::NotYet(Failure::new(Reason::RollingOut, message));
    let paused = if seen.is_paused { " It is paused (spec.paused), so that none is replaced." } else { "" };
    let (old, all, name) = (bundle.old(&seen.pods), seen.pods.len(), bundle.name);
    // By what they mount pods are known better than by their age.
    match seen.has_it {
        Some(false) => {
            return rolling(format!(
                "{called} mounts what the Quay operator rendered before it saw what Secret {name} has now. It looks once a minute."
            ));
        }
        None if old > 0 => {
            return rolling(format!(
                "{old} of {all} pods of {called} were created before the last write into Secret {name}, and run what stood there.{paused}"
            ));
        }
        Some(true) | None => {}
    }
    if !seen.is_complete {
        return rolling(format!(
            "{called} is being rolled out: not every pod is updated and available (`kubectl rollout status`).{paused}"
        ));
    }
    let is_younger = |pod: &PodSeen| bundle.changed.is_none_or(|changed| pod.created > changed);
    Runs::Current(match (bundle.written, seen.has_it, seen.pods.is_empty()) {
        (None, None, _) if !seen.pods.iter().all(is_younger) => {
            let message = format!(
                "Nothing had to be written into Secret {name}, and somebody else has changed it since pods of {called} started: whether they run what stands there is not known."
            );
            return Runs::Unknown(Failure::new(Reason::NothingWritten, message));
        }
        (None, None, _) => "Nothing had to be written: Quay runs what stands there.".to_owned(),
        (_, _, true) => format!("{called} has no pods; the next ones run what was written."),
        (_, _, false) => RUNS.to_owned(),
    })
}

#[cfg(test)]
mod tests;
