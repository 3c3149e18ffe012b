//! Reporting: status with the version that was observed, and an Event for each transition.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, Resource};
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use serde_json::json;

use super::Context;
use super::events::Told;
use super::memory::Memory;
use super::resources::slim;
use crate::api::status::QuayStorageStatus;
use crate::api::{QuayStorage, without_values};
use crate::cluster::secrets::FIELD_MANAGER;
use crate::cluster::{ApiProblem, answered};
use crate::plan::backup;
use crate::plan::web_identity::{Annotation, ROLE_ARN};
use crate::plan::{BundleWrite, Desired};
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;
use crate::rollout::Roll;
use crate::status::{Outcome, report};
use crate::telemetry::metrics::{PassOutcome, Standing};

/// Tells of a write to the bundle.
pub(super) async fn written(context: &Context, resource: &QuayStorage, write: &BundleWrite) {
    let what = if write.locations.is_empty() {
        "the lists".into()
    } else {
        format!("location {}", write.locations.join(", "))
    };
    let note = match &write.output {
        None => format!("Wrote {what} into config.yaml of Secret {}.", write.secret_name),
        Some(output) if write.locations.is_empty() => {
            format!("Brought Secret {} in step with Secret {}.", write.secret_name, output.source)
        }
        Some(output) => {
            let (output, source) = (&write.secret_name, &output.source);
            format!("Wrote {what} into config.yaml of Secret {output}, and all else as Secret {source} has it.")
        }
    };
    tell(context, resource, EventType::Normal, "BundleWritten", "Write", note).await;
}

/// Tells of an annotation that was added to a service account.
pub(super) async fn annotated(context: &Context, resource: &QuayStorage, annotation: &Annotation) {
    let Annotation { account, role, .. } = annotation;
    let note = format!(
        "Added annotation {ROLE_ARN} with {role} to service account {account}. Restart Quay's pods: they get the role when they start."
    );
    tell(context, resource, EventType::Normal, "AccountAnnotated", "Annotate", note).await;
}

/// Tells of a workload that was rolled.
pub(super) async fn rolled(context: &Context, resource: &QuayStorage, roll: &Roll, bundle: &str) {
    let note =
        format!("Rolled {}: its pods were created before the last write into Secret {bundle}.", roll.runner.called());
    tell(context, resource, EventType::Normal, "WorkloadRolled", "Roll", note).await;
}

/// Warns of keys in the bundle of a registry that the Quay operator gives a role.
pub(super) async fn role_mode(context: &Context, resource: &QuayStorage, registry: &str) {
    let note = format!(
        "The Quay operator gives QuayRegistry {registry} a role of its own, and blocks the rollout of a bundle with keys."
    );
    tell(context, resource, EventType::Warning, "QuayOperatorHasRole", "Look", note).await;
}

/// Tells that a bundle got back what stood there before.
pub(super) async fn put_back(context: &Context, about: ObjectReference) {
    let note = "The bundle has again what stood there before the first write.";
    ended(context, about, "Restored", EventType::Normal, note.into()).await;
}

/// Tells that a bundle stays as it is, though it was to get back what stood there before.
pub(super) async fn retained(context: &Context, about: ObjectReference, why: &str) {
    let note = format!("The bundle stays as it is (deletionPolicy: Restore): {why}.");
    ended(context, about, "Retained", EventType::Warning, note).await;
}

/// Tells that a backup is left behind.
pub(super) async fn backup_left(context: &Context, about: ObjectReference, who: &ResourceId) {
    let (name, grant) = (backup::name(who), context.grants.restore(&who.namespace).await);
    let note = format!(
        "Secret {name}, the backup, holds old keys and could not be deleted: delete it by hand. To grant that: {grant}"
    );
    ended(context, about, "BackupLeft", EventType::Warning, note).await;
}

/// Tells that a resource cannot go.
pub(super) async fn stuck(context: &Context, about: ObjectReference, problem: &ApiProblem) {
    let note = format!(
        "Finalizer {} could not be taken: {problem}. It is tried again. If it is forbidden, apply deploy/rbac/operator.yaml of this version.",
        backup::FINALIZER
    );
    ended(context, about, "FinalizerLeft", EventType::Warning, note).await;
}

async fn ended(context: &Context, about: ObjectReference, reason: &str, kind: EventType, note: String) {
    tracing::info!("{note}");
    publish(context, about, kind, reason, "End", note).await;
}

/// Tells that what runs Quay could not be rolled at the end.
pub(super) async fn not_rolled(context: &Context, resource: &QuayStorage, failure: &Failure) {
    let note = format!("Quay was not rolled after the bundle got back what stood there: {}", failure.message);
    tell(context, resource, EventType::Warning, failure.reason.as_str(), "Roll", note).await;
}

/// Tells of the locations that left the spec: their entries stay, for Quay's database may point to them.
pub(super) async fn orphans(context: &Context, resource: &QuayStorage, desired: &Desired) {
    let Some(before) = resource.status.as_ref().and_then(|status| status.config_bundle.as_ref()) else { return };
    let is_desired = |name: &String| desired.locations.iter().any(|location| location.name == *name);
    let names = before.locations.iter().map(|location| &location.name);
    let orphans: Vec<&str> = names.filter(|name| !is_desired(name)).map(String::as_str).collect();
    if orphans.is_empty() || before.secret_name != desired.consumer.bundle {
        return;
    }
    let note = format!(
        "Location {} left the spec. Its entry stays in config.yaml of Secret {}, for Quay may have blobs there; remove it by hand once it is empty.",
        orphans.join(", "),
        before.secret_name
    );
    publish(context, resource.object_ref(&()), EventType::Normal, "LocationOrphaned", "Keep", note).await;
}

/// Writes the status, if it differs, and tells of a transition.
///
/// # Errors
/// That the status could not be written.
pub(super) async fn status(
    context: &Context,
    who: &ResourceId,
    resource: &Arc<QuayStorage>,
    memory: &mut Memory,
    status: QuayStorageStatus,
) -> Result<(), ApiProblem> {
    let before = resource.status.as_ref();
    stands(context, who, memory, &status);
    if before == Some(&status) {
        return Ok(());
    }
    memory.outcome = memory.outcome.or(Some(PassOutcome::Reported));
    let patch = json!({"metadata": {"resourceVersion": resource.metadata.resource_version}, "status": status});
    let resources: Api<QuayStorage> = Api::namespaced(context.client.clone(), &who.namespace);
    match answered(resources.patch_status(&who.name, &PatchParams::apply(FIELD_MANAGER), &Patch::Merge(&patch))).await {
        Ok(reported) => {
            memory.reported = Some(Arc::new(slim(reported)));
            tell_of_transition(context, resource, before, &status, memory.outcome).await;
            Ok(())
        }
        // It is gone: nobody is left to report to.
        Err(ApiProblem::NotFound) => Ok(()),
        // A stored object that its own schema refuses gets no status; only its next edit changes that.
        Err(ApiProblem::Refused { code: 422, .. }) => {
            tracing::warn!("the API server takes no status: the stored object violates its schema");
            tell_of_transition(context, resource, before, &status, memory.outcome).await;
            // As if it had been written: the next pass tells only what is new.
            memory.reported = Some(Arc::new(QuayStorage { status: Some(status), ..QuayStorage::clone(resource) }));
            Ok(())
        }
        Err(problem) => Err(problem),
    }
}

/// Notes how the resource stands, for those who ask the operator instead of the API server.
fn stands(context: &Context, who: &ResourceId, memory: &mut Memory, status: &QuayStorageStatus) {
    let Some(ready) = status.conditions.iter().find(|condition| condition.type_ == "Ready") else { return };
    let proven = status.locations.iter().map(|location| location.proof.as_ref().map(|proof| proof.time.0));
    // Ready keeps what was known; who asks for alerts is told that nobody looks.
    let is_suspended = status.conditions.iter().any(|c| c.type_ == "Suspended" && c.status == "True");
    let standing = Standing {
        is_ready: ready.status == "True",
        reason: if is_suspended { Reason::Suspended.as_str().to_owned() } else { ready.reason.clone() },
        // Without a proof of one of them there is none of the resource.
        proven: proven.min().flatten(),
        interval: memory.interval,
        key_changed: memory.keys.values().filter_map(|reading| reading.changed).min(),
    };
    context.metrics.stands(who, standing.clone());
    memory.standing = Some(standing);
}

async fn tell_of_transition(
    context: &Context,
    resource: &QuayStorage,
    before: Option<&QuayStorageStatus>,
    now: &QuayStorageStatus,
    outcome: Option<PassOutcome>,
) {
    let ready = |status: &QuayStorageStatus| status.conditions.iter().find(|c| c.type_ == "Ready").cloned();
    let Some(ready_now) = ready(now) else { return };
    let same = before.and_then(ready).is_some_and(|c| c.status == ready_now.status && c.reason == ready_now.reason);
    // That it was written has been told, and nothing is written unproven without a reason of its own.
    let is_told = outcome == Some(PassOutcome::Wrote) && ready_now.reason == Reason::ProvenAndWritten.as_str();
    if same || is_told || ready_now.reason == Reason::ProofPending.as_str() {
        return;
    }
    let is_wanted = ready_now.status == "True" || ready_now.reason == Reason::Suspended.as_str();
    let kind = if is_wanted { EventType::Normal } else { EventType::Warning };
    publish(context, resource.object_ref(&()), kind, &ready_now.reason, "Prove", ready_now.message).await;
}

/// Logs a note, and publishes it.
async fn tell(context: &Context, resource: &QuayStorage, kind: EventType, reason: &str, action: &str, note: String) {
    match kind {
        EventType::Normal => tracing::info!("{note}"),
        EventType::Warning => tracing::warn!("{note}"),
    }
    publish(context, resource.object_ref(&()), kind, reason, action, note).await;
}

async fn publish(context: &Context, about: ObjectReference, kind: EventType, reason: &str, action: &str, note: String) {
    context.events.publish(Told { about, kind, reason, action, note }).await;
}

/// Reports on an object that is no `QuayStorage` as this version knows it: by an Event, and in status where the API
/// server takes one.
///
/// # Errors
/// That the status could not be read or written.
pub(super) async fn undecodable(
    context: &Context,
    who: &ResourceId,
    object: &InvalidObject,
    about: ObjectReference,
) -> Result<Action, ApiProblem> {
    tracing::warn!(error = without_values(&object.error), "an object cannot be decoded");
    // What it referred to and claimed is not known any more; those that share it look again.
    context.forget(who);
    let reason = Reason::InvalidSpec.as_str().to_owned();
    context.metrics.stands(who, Standing { is_ready: false, reason, proven: None, interval: None, key_changed: None });
    let failure = Failure::new(
        Reason::InvalidSpec,
        format!(
            "This object cannot be read as a QuayStorage: {}. Correct it, or install the CRD of the operator's version and apply the object again.",
            without_values(&object.error)
        ),
    );
    publish(context, about, EventType::Warning, failure.reason.as_str(), "Read", failure.message.clone()).await;

    // Of such an object only the metadata was kept; its status may still be readable.
    let kind = ApiResource::erase::<QuayStorage>(&());
    let resources: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &who.namespace, &kind);
    let stored = match answered(resources.get(&who.name)).await {
        Err(ApiProblem::NotFound) => return Ok(Action::await_change()),
        other => other?,
    };
    let before: Option<QuayStorageStatus> =
        stored.data.get("status").and_then(|status| serde_json::from_value(status.clone()).ok());
    let generation = object.metadata.generation;
    let status = report(&Outcome::Invalid(failure), before.as_ref(), generation, Timestamp::now());
    if before.as_ref() != Some(&status) {
        let patch = json!({"metadata": {"resourceVersion": stored.metadata.resource_version}, "status": status});
        let (params, patch) = (PatchParams::apply(FIELD_MANAGER), Patch::Merge(&patch));
        match answered(resources.patch_status(&who.name, &params, &patch)).await {
            // What the schema refuses gets no status either.
            Ok(_) | Err(ApiProblem::Refused { code: 422, .. }) => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(Action::await_change())
}
