//! Reporting on a `StorageIdentity`: status with the version that was observed, and an Event for what was done.

use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::EventType;
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use super::super::Context;
use super::super::events::Told;
use crate::api::StorageIdentity;
use crate::api::storage_identity::StorageIdentityStatus;
use crate::cluster::secrets::FIELD_MANAGER;
use crate::cluster::{ApiProblem, answered};
use crate::identity::desired::Desired;
use crate::identity::keys::Rotation;
use crate::identity::observed::{Asked, KeySecret, Observed};
use crate::identity::plan::Plan;
use crate::identity::status::{Outcome, report as status_of};
use crate::identity::step::Step;
use crate::requests::LOOK;
use crate::resource::ResourceId;
use crate::telemetry::metrics::IdentityStanding;

/// Replace the key if it is of before the value, a time.
pub(super) const ROTATE: &str = "registry-sts.dev/rotate";
/// Deactivate the old key with these last four characters without a sign that nobody uses it.
const RETIRE: &str = "registry-sts.dev/retire-key";

/// What is asked for by annotation, and of that what is answered.
#[derive(Clone, Default)]
pub(super) struct Echo {
    look: Option<String>,
    rotate: Option<String>,
    retire: Option<String>,
    is_rotated: bool,
}

impl Echo {
    pub(super) fn of(resource: &StorageIdentity) -> Self {
        let value = |key: &str| resource.annotations().get(key).cloned();
        Self { look: value(LOOK), rotate: value(ROTATE), retire: value(RETIRE), is_rotated: false }
    }

    /// What is asked for and was not answered yet.
    pub(super) fn asked(&self, resource: &StorageIdentity) -> Asked {
        let open = self.rotate.as_ref().filter(|asked| {
            resource.status.as_ref().and_then(|status| status.last_handled_rotate_at.as_ref()) != Some(*asked)
        });
        Asked { rotate: open.and_then(|asked| asked.parse().ok()), retire: self.retire.clone() }
    }

    /// What was answered: a rotation once a key of after it is in the Secret, and works.
    pub(super) fn answered(self, seen: Option<(&Observed, &Plan)>, rotated_for: Option<&String>) -> Self {
        let is_newer = seen.is_some_and(|(observed, plan)| {
            let asked: Option<Timestamp> = self.rotate.as_ref().and_then(|asked| asked.parse().ok());
            let keys = observed.keys.as_ref();
            let current = keys.and_then(|keys| match &keys.secret {
                KeySecret::Holds(Some(id)) => keys.listed.iter().find(|key| key.id == *id),
                _ => None,
            });
            let is_made = !matches!(plan.rotation, Some(Rotation::Making { .. } | Rotation::Stopped { .. }));
            // What is no time asks for nothing.
            is_made && current.is_some_and(|key| asked.is_none_or(|asked| key.created.as_second() >= asked.as_second()))
        });
        let is_rotated = self.rotate.is_some() && (is_newer || rotated_for == self.rotate.as_ref());
        Self { is_rotated, ..self }
    }
}

/// Reports what came of a pass, if it is news.
///
/// # Errors
/// That it could not be reported.
pub(super) async fn report(
    context: &Context,
    resource: &StorageIdentity,
    outcome: &Outcome<'_>,
    echo: Echo,
) -> Result<(), ApiProblem> {
    let before = resource.status.as_ref();
    let mut status = status_of(outcome, before, resource.metadata.generation, Timestamp::now());
    status.last_handled_reconcile_at = echo.look.or(status.last_handled_reconcile_at);
    if echo.is_rotated {
        status.last_handled_rotate_at = echo.rotate;
    }
    let who = ResourceId::of(&resource.metadata);
    stands(context, &who, &status);
    if before == Some(&status) {
        return Ok(());
    }
    let patch = json!({"metadata": {"uid": resource.metadata.uid}, "status": status});
    let resources: Api<StorageIdentity> = Api::namespaced(context.client.clone(), &who.namespace);
    match answered(resources.patch_status(&who.name, &PatchParams::apply(FIELD_MANAGER), &Patch::Merge(&patch))).await {
        Ok(_) => {}
        Err(ApiProblem::NotFound) => return Ok(()),
        Err(problem) => return Err(problem),
    }
    for kind in ["Ready", "Rotating"] {
        let said = |conditions: Option<&Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>>| {
            let condition = conditions?.iter().find(|condition| condition.type_ == kind)?;
            Some((condition.status.clone(), condition.reason.clone(), condition.message.clone()))
        };
        let (was, is) = (said(before.map(|before| &before.conditions)), said(Some(&status.conditions)));
        let is_news = |a: &(String, String, String)| was.as_ref().map(|b| (&b.0, &b.1)) != Some((&a.0, &a.1));
        let Some((value, reason, message)) = is.filter(is_news) else { continue };
        let asks = ["ConfirmationNeeded", "OldKeyStillUsed"].contains(&reason.as_str());
        let warns = (kind == "Ready" && value == "False" && reason != "MakingKey") || asks;
        let event = if warns { EventType::Warning } else { EventType::Normal };
        tell(context, resource, event, (&reason, "Report"), message).await;
    }
    Ok(())
}

/// Notes how it stands, for those who ask the operator instead of the API server.
fn stands(context: &Context, who: &ResourceId, status: &StorageIdentityStatus) {
    let said = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind);
    let Some(ready) = said("Ready") else { return };
    let rotating = said("Rotating").filter(|condition| condition.status == "True");
    context.metrics.identity_stands(
        who,
        IdentityStanding {
            is_ready: ready.status == "True",
            reason: ready.reason.clone(),
            rotating: rotating.map(|condition| condition.reason.clone()),
        },
    );
}

/// Tells of a step that was made; notes on the user are nothing to tell of.
pub(super) async fn made(context: &Context, resource: &StorageIdentity, desired: &Desired, step: &Step) {
    let reason = match step {
        Step::Create(_) => "Created",
        Step::CreateKey => "KeyCreated",
        Step::Publish(_) => "KeyPublished",
        Step::Activate(_) => "KeyActivated",
        Step::Deactivate(_) => "KeyDeactivated",
        Step::DeleteKey(_) => "KeyDeleted",
        Step::Delete(_) => "Deleted",
        Step::Bound(_) | Step::PutPolicy(_) | Step::DeletePolicy(..) | Step::Detach(..) | Step::Trust => "Corrected",
        Step::Tag(_) | Step::NoteIntent(_) | Step::Mark(..) | Step::Unmark(_) => {
            return tracing::debug!("{}", step.says(desired));
        }
    };
    let says = step.says(desired);
    let mut letters = says.chars();
    let note = letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>() + ".");
    tell(context, resource, EventType::Normal, (reason, "Keep"), note.unwrap_or_default()).await;
}

async fn tell(
    context: &Context,
    resource: &StorageIdentity,
    kind: EventType,
    (reason, action): (&str, &str),
    note: String,
) {
    match kind {
        EventType::Normal => tracing::info!("{note}"),
        EventType::Warning => tracing::warn!("{note}"),
    }
    context.events.publish(Told { about: resource.object_ref(&()), kind, reason, action, note }).await;
}
