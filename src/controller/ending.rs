//! The end of a resource that has a finalizer: its bundle gets back what stood there before, where that is safe; then the
//! backup goes, and then the finalizer. Whatever keeps it from being safe keeps nobody from being deleted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Resource as _;
use kube::runtime::controller::Action;

use super::act::{LOOKS, UNWATCHED_RETRY};
use super::consumer::{self, Undesired};
use super::memory::Memory;
use super::{Context, Stored, backup, report, rollout};
use crate::api::QuayStorage;
use crate::api::quay_storage::{DeletionPolicy, Mode};
use crate::cluster::version::Version;
use crate::cluster::{ApiProblem, backups, secrets};
use crate::plan::backup::{Backup, BackupSeen};
use crate::plan::observation::{BundleSecret, Reference};
use crate::plan::restore::{self, Entry, PutBack, Restoration, Why};
use crate::plan::{Desired, ProofState};
use crate::proof::Question;
use crate::reason::Reason;
use crate::resource::ResourceId;
use crate::target::Target;
use crate::verdict::is_silence;

/// A proof that nobody tells the end of is asked for again after this.
const PROOF_LIMIT: Duration = Duration::from_secs(90);

/// What does not pass within this time is taken for lasting: nobody is to wait for ever.
const PATIENCE: Duration = Duration::from_mins(10);

/// What becomes of the bundle.
enum End {
    /// It got back what stood there.
    PutBack,
    /// It stays as it is, and why.
    Retained(Why),
    /// There is nothing to tell: nothing was asked for, or the bundle is gone.
    Nothing,
    /// It is not known yet, for this reason: it is looked at again after this time, but not for ever.
    Later(Duration, Why),
}

/// Ends a resource that is being deleted.
///
/// # Errors
/// That the finalizer could not be taken, so that the resource is still there.
pub(super) async fn end(
    context: &Context,
    who: &ResourceId,
    stored: &Stored,
    memory: &mut Memory,
) -> Result<Action, ApiProblem> {
    if !backups::has_finalizer(stored.meta()) {
        context.forget(who);
        return Ok(Action::await_change());
    }
    let mut seen = (None, Reference::Missing);
    let mut outcome = End::Nothing;
    // A namespace that ends takes everything along: nothing is read there or written.
    if !context.terminating.contains(&who.namespace) {
        seen = backup::read(context, who).await;
        outcome = match &stored.0 {
            // Status may be younger than what the watch has told.
            Ok(resource) => ending(context, who, &memory.newest(resource), &seen, memory).await,
            Err(_) => End::Retained("this resource cannot be read".into()),
        };
    }
    let since = *memory.ending.get_or_insert_with(Instant::now);
    let is_patient = since.elapsed() < PATIENCE;
    match outcome {
        End::Later(wait, _) if is_patient => return Ok(Action::requeue(wait)),
        // It is told once, whatever comes after it.
        _ if memory.is_end_told => {}
        End::Later(_, why) | End::Retained(why) => report::retained(context, stored.object_ref(&()), &why).await,
        End::Nothing => {}
        End::PutBack => report::put_back(context, stored.object_ref(&())).await,
    }
    memory.is_end_told = true;
    let deleted = match &seen {
        (_, Reference::Found(seen)) => backups::delete(&context.client, who, seen).await,
        // There is none, or the Secret of that name is somebody else's.
        (Some(_), _) | (None, Reference::Missing) => Ok(()),
        (None, _) => Err(ApiProblem::Forbidden),
    };
    match deleted {
        Ok(()) => {}
        Err(problem) if is_patient && is_passing(&problem) => return Err(problem),
        // It holds old keys: that it could not be deleted is told, and the resource goes all the same.
        Err(_) => report::backup_left(context, stored.object_ref(&()), who).await,
    }
    match backups::set_finalizer(&context.client, who, stored.meta(), false).await {
        Ok(_) | Err(ApiProblem::NotFound) => {}
        Err(problem) => {
            if problem != ApiProblem::Conflict {
                report::stuck(context, stored.object_ref(&()), &problem).await;
            }
            return Err(problem);
        }
    }
    context.forget(who);
    Ok(Action::await_change())
}

async fn ending(
    context: &Context,
    who: &ResourceId,
    resource: &Arc<QuayStorage>,
    seen: &(Option<Version>, Reference<BackupSeen>),
    memory: &mut Memory,
) -> End {
    let backup = match seen {
        (_, Reference::Found(backup)) => backup,
        (_, Reference::Missing) => return End::Nothing,
        (_, Reference::Forbidden { grant }) => {
            return End::Retained(format!("the operator may not read the backup. Grant it: {grant}"));
        }
        (version, Reference::Unreadable { why }) => {
            let why = format!("the backup could not be read: {why}");
            return if version.is_some() { End::Retained(why) } else { End::Later(UNWATCHED_RETRY, why) };
        }
    };
    if resource.spec.deletion_policy == DeletionPolicy::Retain {
        return End::Nothing;
    }
    if resource.spec.suspend {
        return End::Retained("spec.suspend is true".into());
    }
    let desired = match consumer::desired(context, who, resource).await {
        Ok(desired) => desired,
        Err(Undesired::Starting) => return End::Later(UNWATCHED_RETRY, "the registries could not be listed".into()),
        Err(Undesired::Unresolved(failure)) if failure.reason == Reason::RegistryUnreadable => {
            return End::Later(UNWATCHED_RETRY, failure.message);
        }
        Err(Undesired::Invalid(failure) | Undesired::Unresolved(failure)) => return End::Retained(failure.message),
    };
    if let Some(heir) = heir(context, who, &desired, &backup.backup) {
        return End::Retained(format!("QuayStorage {heir} writes a location of it, too"));
    }
    let bundle = &desired.consumer.bundle;
    for _ in 0..LOOKS {
        match put_back(context, who, resource, &desired, backup, memory).await {
            Ok(end) => return end,
            // Somebody else was faster: it is looked at again.
            Err(ApiProblem::Conflict) => {}
            Err(ApiProblem::NotFound) => return End::Nothing,
            Err(problem) if is_passing(&problem) => {
                return End::Later(UNWATCHED_RETRY, format!("{problem} when Secret {bundle} was read or changed"));
            }
            Err(problem) => return End::Retained(format!("{problem} when Secret {bundle} was read or changed")),
        }
    }
    End::Later(
        UNWATCHED_RETRY,
        format!("Secret {bundle} was changed by somebody else at the same time, again and again"),
    )
}

/// Whether the API server may answer otherwise in a moment.
fn is_passing(problem: &ApiProblem) -> bool {
    match problem {
        ApiProblem::Unreachable | ApiProblem::Conflict => true,
        ApiProblem::Refused { code, .. } => *code == 429 || *code >= 500,
        ApiProblem::Forbidden | ApiProblem::NotFound => false,
    }
}

/// Puts back what stood in the bundle as it is now, if that is proven by now.
async fn put_back(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    desired: &Desired,
    seen: &BackupSeen,
    memory: &mut Memory,
) -> Result<End, ApiProblem> {
    let consumer = &desired.consumer;
    let bundle = secrets::read_bundle(&context.client, &who.namespace, &consumer.bundle).await?.content;
    if bundle.deleting {
        return Ok(End::Nothing);
    }
    let names: Vec<&str> = desired.locations.iter().map(|location| location.name.as_str()).collect();
    let written = match restore::plan(consumer, &context.allowed, &names, &seen.backup, &bundle) {
        // By a process that ended before it could go on.
        Ok(Restoration::Done) => bundle.own_write,
        Ok(Restoration::PutBack(back)) => {
            let PutBack { write, targets } = *back;
            if let Some(end) = unproven(context, who, desired, (targets, &bundle), memory) {
                return Ok(end);
            }
            secrets::write_config(&context.client, &who.namespace, &write).await?.at
        }
        Err(why) => return Ok(End::Retained(why)),
    };
    match rollout::roll(context, who, resource, consumer, written).await {
        Ok(()) => {}
        Err((failure, true)) => return Ok(End::Later(UNWATCHED_RETRY, failure.message)),
        Err((failure, false)) => report::not_rolled(context, resource, &failure).await,
    }
    let others = seen.backup.others(&consumer.bundle);
    if !others.is_empty() {
        let why = format!("Secret {} is not its bundle any more, and what was kept of it goes", others.join(", "));
        report::retained(context, resource.object_ref(&()), &why).await;
    }
    Ok(End::PutBack)
}

/// Why nothing is put back before all of it is proven; none where it is.
fn unproven(
    context: &Context,
    who: &ResourceId,
    desired: &Desired,
    (targets, bundle): (Vec<Entry>, &BundleSecret),
    memory: &mut Memory,
) -> Option<End> {
    if desired.mode == Mode::Skip {
        return None;
    }
    for Entry { location, target } in targets {
        let target = match target {
            Ok(target) => Target { certificates: bundle.certificates.clone(), ..target },
            Err(why) => return Some(End::Retained(why)),
        };
        let since = *memory.ending.get_or_insert_with(Instant::now);
        let (location, max_age) = (format!("{location} as it was"), desired.interval);
        let (of, asked, earlier, urgent) = (String::new(), Some(since), None, true);
        let question = Question { who, location: &location, target: &target, of, max_age, earlier, urgent, asked };
        let answer = context.proofs.ask(&question);
        let later =
            |why: &str| Some(End::Later(answer.ask_again.unwrap_or(PROOF_LIMIT).min(PROOF_LIMIT), why.to_owned()));
        match answer.state {
            _ if !answer.is_fresh => return later("what stood there could not be proven in time"),
            ProofState::Proven(_) => {}
            ProofState::Failed(_, failure) | ProofState::Stale(_, failure) => {
                let why = format!("what stood there does not work now: {}", failure.message);
                return if is_silence(&failure) { later(&why) } else { Some(End::Retained(why)) };
            }
            ProofState::Pending | ProofState::Earlier(_) | ProofState::Skipped => {
                return later("what stood there could not be proven in time");
            }
        }
    }
    None
}

/// Another resource that has a location of this one's in the same bundle.
fn heir(context: &Context, who: &ResourceId, desired: &Desired, backup: &Backup) -> Option<String> {
    let ours = backup.locations(&desired.consumer.bundle);
    let is_ours = |name: &str| ours.contains(&name);
    let others = super::observe::sharing(context, who, desired);
    let has_one = |other: &&Arc<Stored>| {
        other.0.as_ref().is_ok_and(|other| other.spec.locations.iter().any(|location| is_ours(&location.name)))
    };
    others.iter().find(has_one).and_then(|other| other.meta().name.clone())
}
