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
use crate::cluster::{ApiProblem, backups, secrets};
use crate::plan::backup::BackupSeen;
use crate::plan::observation::Reference;
use crate::plan::restore::{self, Restoration, Why};
use crate::plan::{Desired, ProofState};
use crate::proof::Question;
use crate::resource::ResourceId;

/// A proof that nobody tells the end of is asked for again after this.
const PROOF_LIMIT: Duration = Duration::from_secs(90);

/// What becomes of the bundle.
enum End {
    /// It got back what stood there.
    PutBack,
    /// It stays as it is, and why.
    Retained(Why),
    /// There is nothing to tell: nothing was asked for, or the bundle is gone.
    Nothing,
    /// It is not known yet.
    Later(Duration),
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
    let metadata = stored.meta();
    if !backups::has_finalizer(metadata) {
        context.forget(who);
        return Ok(Action::await_change());
    }
    let (mut seen, mut outcome) = (Reference::Missing, End::Nothing);
    // A namespace that ends takes everything along: nothing is read there or written.
    if !context.terminating.contains(&who.namespace) {
        seen = backup::read(context, who).await.1;
        outcome = match &stored.0 {
            // Status may be younger than what the watch has told.
            Ok(resource) => ending(context, who, &memory.newest(resource), &seen, memory).await,
            Err(_) => End::Retained("this resource cannot be read".into()),
        };
    }
    match &outcome {
        End::Later(wait) => return Ok(Action::requeue(*wait)),
        End::Nothing => {}
        End::PutBack => report::put_back(context, stored, who).await,
        End::Retained(why) => report::retained(context, stored, who, why).await,
    }
    if let Reference::Found(seen) = &seen {
        match backups::delete(&context.client, who, seen).await {
            // It holds old keys: who may not have it deleted is told, and the resource goes all the same.
            Err(ApiProblem::Forbidden) => report::backup_left(context, stored, who).await,
            deleted => deleted?,
        }
    }
    match backups::set_finalizer(&context.client, who, metadata, false).await {
        Ok(_) | Err(ApiProblem::NotFound) => {}
        Err(problem) => {
            if problem != ApiProblem::Conflict {
                report::stuck(context, stored, who, &problem).await;
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
    seen: &Reference<BackupSeen>,
    memory: &mut Memory,
) -> End {
    let backup = match seen {
        Reference::Found(backup) => backup,
        Reference::Missing => return End::Nothing,
        Reference::Forbidden { grant } => {
            return End::Retained(format!("the operator may not read the backup. Grant it: {grant}"));
        }
        Reference::Unreadable { why } => return End::Retained(format!("the backup could not be read: {why}")),
    };
    if resource.spec.deletion_policy == DeletionPolicy::Retain {
        return End::Nothing;
    }
    if resource.spec.suspend {
        return End::Retained("spec.suspend is true".into());
    }
    let desired = match consumer::desired(context, who, resource).await {
        Ok(desired) => desired,
        Err(Undesired::Starting) => return End::Later(UNWATCHED_RETRY),
        Err(Undesired::Invalid(failure) | Undesired::Unresolved(failure)) => return End::Retained(failure.message),
    };
    if let Some(heir) = heir(context, who, resource, &desired) {
        return End::Retained(format!("QuayStorage {heir} writes a location of it, too"));
    }
    for _ in 0..LOOKS {
        match put_back(context, who, resource, &desired, backup, memory).await {
            Ok(end) => return end,
            // Somebody else was faster: it is looked at again.
            Err(ApiProblem::Conflict) => {}
            Err(ApiProblem::NotFound) => return End::Nothing,
            Err(ApiProblem::Unreachable) => return End::Later(UNWATCHED_RETRY),
            Err(problem @ (ApiProblem::Forbidden | ApiProblem::Refused { .. })) => {
                return End::Retained(format!("{problem} when Secret {} was changed", desired.consumer.bundle));
            }
        }
    }
    End::Later(UNWATCHED_RETRY)
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
    let left = resource.status.as_ref().and_then(|status| status.config_bundle.as_ref());
    let left = left.filter(|left| left.secret_name == consumer.bundle);
    let written = left.map(|left| left.locations.as_slice()).unwrap_or_default();
    let Restoration { write, targets } = match restore::plan(consumer, &context.allowed, written, &seen.backup, &bundle)
    {
        Ok(Some(restoration)) => restoration,
        Ok(None) => return Ok(End::Nothing),
        Err(why) => return Ok(End::Retained(why)),
    };
    if desired.mode != Mode::Skip {
        for (location, target) in targets {
            let target = match target {
                Ok(mut target) => {
                    target.certificates.clone_from(&bundle.certificates);
                    target
                }
                Err(why) => return Ok(End::Retained(why)),
            };
            let since = *memory.ending.get_or_insert_with(Instant::now);
            let (location, max_age) = (format!("{location} as it was"), desired.interval);
            let question = Question {
                who,
                location: &location,
                target: &target,
                of: String::new(),
                max_age,
                earlier: None,
                urgent: true,
                asked: Some(since),
            };
            let answer = context.proofs.ask(&question);
            match answer.state {
                ProofState::Proven(_) if answer.is_fresh => {}
                _ if !answer.is_fresh => return Ok(End::Later(PROOF_LIMIT)),
                ProofState::Failed(_, failure) | ProofState::Stale(_, failure) => {
                    return Ok(End::Retained(format!("what stood there does not work now: {}", failure.message)));
                }
                _ => return Ok(End::Later(PROOF_LIMIT)),
            }
        }
    }
    let wrote = secrets::write_config(&context.client, &who.namespace, &write).await?;
    rollout::roll(context, who, resource, &desired.consumer, wrote.at).await;
    Ok(End::PutBack)
}

/// Another resource that has a location of this one's in the same bundle.
fn heir(context: &Context, who: &ResourceId, resource: &QuayStorage, desired: &Desired) -> Option<String> {
    let is_ours = |name: &str| resource.spec.locations.iter().any(|location| location.name == name);
    let others = super::observe::sharing(context, who, desired);
    let has_one = |other: &&Arc<Stored>| {
        other.0.as_ref().is_ok_and(|other| other.spec.locations.iter().any(|location| is_ours(&location.name)))
    };
    others.iter().find(has_one).and_then(|other| other.meta().name.clone())
}
