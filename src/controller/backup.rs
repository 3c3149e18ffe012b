//! What stands in a bundle is kept before the first write, where it is to be put back one day.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;

use super::Context;
use super::act::Acted;
use super::memory::Memory;
use super::principals::note;
use super::{reference, report};
use crate::api::QuayStorage;
use crate::api::quay_storage::DeletionPolicy;
use crate::cluster::version::Version;
use crate::cluster::{ApiProblem, backups};
use crate::plan::backup::{self, Backup, BackupSeen};
use crate::plan::observation::Reference;
use crate::plan::{Desired, Keep};
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
    if let Some((version, seen)) = memory.backup.as_deref()
        && known.as_ref() == Some(version)
    {
        return Some((who.clone(), seen.clone()));
    }
    let before = context.secrets.before_request(&who.namespace, &name);
    let (version, seen) = read(context, who).await;
    note(context, who, &name, &before, version.as_ref());
    memory.backup = version.map(|version| Box::new((version, seen.clone())));
    Some((who.clone(), seen))
}

/// The backup as it stands now. That it was read, and says nothing that could be used, is told by its version being known.
pub(super) async fn read(context: &Context, who: &ResourceId) -> (Option<Version>, Reference<BackupSeen>) {
    let answer = backups::read(&context.client, who).await;
    let (seen, version) = reference::of_secret(answer, context.grants.bundle(&who.namespace)).await;
    let useless = || Reference::Unreadable { why: "it is somebody else's, or was changed by hand".into() };
    (version, seen.and_then(|content| content.map_or_else(useless, Reference::Found)))
}

/// Keeps what stands, before it is written over: the finalizer comes first, so that no resource goes without its backup
/// being looked at.
pub(super) async fn keep(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    (bundle, keep): (&str, &Keep),
    (seen, memory): (&Reference<BackupSeen>, &mut Memory),
) -> Result<(), Acted> {
    let name = backup::name(who);
    let known = match seen {
        Reference::Found(seen) => Some(seen),
        Reference::Missing => None,
        Reference::Forbidden { .. } | Reference::Unreadable { .. } => {
            let message = format!(
                "Secret {name} is to keep what stands in Secret {bundle} (deletionPolicy: Restore), and could not be read, or is somebody else's. Nothing is written before it is kept."
            );
            return Err(Acted::Failed(Failure::new(Reason::BackupFailed, message)));
        }
    };
    let Some(new) = known.map_or_else(Backup::default, |seen| seen.backup.clone()).with(bundle, keep) else {
        return Ok(());
    };
    if let Err(failure) = hold(context, who, &memory.newest(resource), memory).await {
        return Err(Acted::Failed(failure));
    }
    let before = context.secrets.before_request(&who.namespace, &name);
    match backups::write(&context.client, who, known, &new).await {
        Ok(version) => {
            // Our own echo is no news.
            context.secrets.saw(&who.namespace, &name, &before, &version);
            let (uid, resource_version) = (version.uid().to_owned(), version.resource_version().to_owned());
            let seen = Reference::Found(BackupSeen { uid, resource_version, backup: new });
            memory.backup = Some(Box::new((version, seen)));
            Ok(())
        }
        Err(problem) => {
            context.secrets.lost(&who.namespace, &name);
            memory.backup = None;
            Err(failed(context, who, &problem).await)
        }
    }
}

/// Sets the finalizer where there is none.
///
/// # Errors
/// Why it could not be set, and what to change.
pub(super) async fn hold(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    memory: &mut Memory,
) -> Result<(), Failure> {
    if backups::has_finalizer(&resource.metadata) || resource.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let problem = match backups::set_finalizer(&context.client, who, &resource.metadata, true).await {
        Ok(metadata) => {
            memory.reported = with_metadata(resource, metadata);
            return Ok(());
        }
        Err(problem) => problem,
    };
    let forbidden = problem == ApiProblem::Forbidden;
    let reason = if forbidden { Reason::BackupForbidden } else { Reason::BackupFailed };
    let fix = if forbidden { "Apply deploy/rbac/operator.yaml of this version." } else { "It is tried again." };
    Err(Failure::new(
        reason,
        format!(
            "Finalizer {} could not be set on this resource: {problem}. What stands in the bundle would not be put back without. {fix}",
            backup::FINALIZER
        ),
    ))
}

async fn failed(context: &Context, who: &ResourceId, problem: &ApiProblem) -> Acted {
    let name = backup::name(who);
    let before = "Nothing is written before it is kept.";
    match problem {
        ApiProblem::Conflict | ApiProblem::NotFound => Acted::Raced(Failure::new(
            Reason::Raced,
            format!(
                "Secret {name}, the backup, was changed by somebody else at the same time. {before} It is tried again."
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

/// Of a resource that is to have no backup any more: the backup goes, and then the finalizer. What cannot be done now is
/// left for a later pass, and keeps this one from nothing.
pub(super) async fn give_up(context: &Context, who: &ResourceId, resource: &QuayStorage, memory: &mut Memory) {
    let (version, seen) = read(context, who).await;
    let deleted = match &seen {
        Reference::Found(seen) => backups::delete(&context.client, who, seen).await,
        Reference::Missing => Ok(()),
        // It is somebody else's.
        Reference::Unreadable { .. } if version.is_some() => Ok(()),
        Reference::Unreadable { .. } => Err(ApiProblem::Unreachable),
        Reference::Forbidden { .. } => Err(ApiProblem::Forbidden),
    };
    match deleted {
        Ok(()) => {}
        Err(ApiProblem::Forbidden) => report::backup_left(context, resource.object_ref(&()), who).await,
        Err(problem) => return tracing::warn!(resource = %who, %problem, "the backup could not be deleted"),
    }
    match backups::set_finalizer(&context.client, who, &resource.metadata, false).await {
        Ok(metadata) => memory.reported = with_metadata(resource, metadata),
        Err(problem) => tracing::warn!(resource = %who, %problem, "the finalizer could not be taken"),
    }
}

/// The resource with the metadata that a change of it was answered with; none where somebody has changed its spec meanwhile.
fn with_metadata(resource: &QuayStorage, metadata: ObjectMeta) -> Option<Arc<QuayStorage>> {
    let is_same = metadata.generation == resource.metadata.generation;
    is_same.then(|| Arc::new(QuayStorage { metadata, ..resource.clone() }))
}
