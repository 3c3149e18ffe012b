//! What stands in a bundle is kept before the first write, where it is to be put back one day.

use std::sync::Arc;

use super::Context;
use super::act::Acted;
use super::memory::Memory;
use super::principals::note;
use crate::api::QuayStorage;
use crate::api::quay_storage::DeletionPolicy;
use crate::bundle::Remembered;
use crate::cluster::version::Version;
use crate::cluster::{ApiProblem, backups};
use crate::plan::Desired;
use crate::plan::backup::{self, Backup, BackupSeen};
use crate::plan::observation::Reference;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// Reads the backup of a resource that is to have one, if it may have changed.
pub(super) async fn observe(
    context: &Context,
    who: &ResourceId,
    desired: &Desired,
    memory: &mut Memory,
) -> Option<(ResourceId, Reference<BackupSeen>)> {
    if desired.deletion_policy == DeletionPolicy::Retain {
        memory.backup = None;
        return None;
    }
    let name = backup::name(who);
    let known = context.secrets.version(&who.namespace, &name);
    if let Some((version, seen)) = &memory.backup
        && known.as_ref() == Some(version)
    {
        return Some((who.clone(), seen.clone()));
    }
    let before = context.secrets.before_request(&who.namespace, &name);
    let (version, seen) = read(context, who).await;
    note(context, who, &name, before.as_ref(), version.as_ref());
    memory.backup = version.map(|version| (version, seen.clone()));
    Some((who.clone(), seen))
}

/// The backup as it stands now.
pub(super) async fn read(context: &Context, who: &ResourceId) -> (Option<Version>, Reference<BackupSeen>) {
    match backups::read(&context.client, who).await {
        Ok(read) => (
            Some(read.version),
            read.content.map_or_else(
                || Reference::Unreadable { why: "it is somebody else's, or was changed by hand".into() },
                Reference::Found,
            ),
        ),
        Err(ApiProblem::NotFound) => (Some(Version::Absent), Reference::Missing),
        Err(ApiProblem::Forbidden) => {
            (None, Reference::Forbidden { grant: context.grants.bundle(&who.namespace).await })
        }
        Err(problem) => (None, Reference::Unreadable { why: problem.to_string() }),
    }
}

/// Keeps what stands, before it is written over: the finalizer comes first, so that no resource goes without its backup
/// being looked at.
pub(super) async fn keep(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    (bundle, remembered): (&str, &Remembered),
    (seen, memory): (&Reference<BackupSeen>, &mut Memory),
) -> Result<(), Acted> {
    let name = backup::name(who);
    let known = match seen {
        Reference::Found(seen) => Some(seen),
        Reference::Missing => None,
        Reference::Forbidden { .. } | Reference::Unreadable { .. } => {
            let message = format!(
                "Secret {name} is to keep what stands in Secret {bundle} (deletionPolicy: Restore), and could not be read. Nothing is written before it is kept."
            );
            return Err(Acted::Failed(Failure::new(Reason::BackupFailed, message)));
        }
    };
    if !backups::has_finalizer(&resource.metadata) {
        match backups::set_finalizer(&context.client, who, &resource.metadata, true).await {
            Ok(resource) => memory.reported = Some(Arc::new(resource)),
            Err(problem) => return Err(failed(context, who, &problem).await),
        }
    }
    let Some(new) = known.map_or_else(Backup::default, |seen| seen.backup.clone()).with(bundle, remembered) else {
        return Ok(());
    };
    memory.backup = None;
    match backups::write(&context.client, who, known, &new).await {
        Ok(_) => Ok(()),
        Err(problem) => Err(failed(context, who, &problem).await),
    }
}

async fn failed(context: &Context, who: &ResourceId, problem: &ApiProblem) -> Acted {
    let name = backup::name(who);
    let before = "Nothing is written before it is kept.";
    match problem {
        ApiProblem::Conflict | ApiProblem::NotFound => Acted::Raced(Failure::new(
            Reason::Raced,
            format!(
                "Secret {name}, the backup, or this resource was changed by somebody else at the same time. {before} It is tried again."
            ),
        )),
        ApiProblem::Forbidden => Acted::Failed(Failure::new(
            Reason::BackupForbidden,
            format!(
                "The operator may not keep what stands in the bundle in Secret {name} (deletionPolicy: Restore). {before} Grant it: {}",
                context.grants.restore(&who.namespace).await
            ),
        )),
        problem => Acted::Failed(Failure::new(
            Reason::BackupFailed,
            format!("Secret {name}, the backup, could not be written: {problem}. {before} It is tried again."),
        )),
    }
}

/// Of a resource that is to have no backup any more: the backup goes, and then the finalizer.
///
/// # Errors
/// What the API server answered instead.
pub(super) async fn give_up(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    memory: &mut Memory,
) -> Result<(), ApiProblem> {
    if let (_, Reference::Found(seen)) = read(context, who).await {
        backups::delete(&context.client, who, &seen).await?;
    }
    let resource = backups::set_finalizer(&context.client, who, &resource.metadata, false).await?;
    memory.reported = Some(Arc::new(resource));
    Ok(())
}
