//! Whether the Quay operator gives the registry a role of its own: keys in the bundle would then block the rollout, which is
//! to be told before they are written.

use super::memory::Memory;
use super::{Context, report};
use crate::api::QuayStorage;
use crate::cluster::workloads;
use crate::plan::Desired;
use crate::plan::desired::Auth;
use crate::plan::observation::Reference;
use crate::resource::ResourceId;
use crate::rollout::WorkloadSeen;

/// What Quay's operator calls it, by which it is known that it was told.
const ROLE_MODE: &str = "ROLEARN";

/// Looks once at what runs the registry, where keys are to be written; later looks come with those at the rollout. Who may
/// not look is told nothing.
pub(super) async fn note(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    desired: &Desired,
    memory: &mut Memory,
) -> Option<String> {
    let has_key = |wanted: &crate::plan::desired::Wanted| matches!(wanted.auth, Auth::AccessKey { .. });
    let registry = desired.consumer.registry.as_ref()?;
    if !desired.locations.iter().any(|location| location.wanted.as_ref().is_ok_and(has_key)) {
        return None;
    }
    let runner = desired.consumer.runners.workloads.first()?;
    if memory.role_mode.is_none() {
        let seen = workloads::read_alone(&context.client, &who.namespace, runner.kind, &runner.name).await;
        memory.role_mode = Some(seen.is_ok_and(|seen| seen.has_credentials_file));
        let is_told =
            resource.status.iter().flat_map(|status| &status.conditions).any(|c| c.message.contains(ROLE_MODE));
        if memory.role_mode == Some(true) && !is_told {
            report::role_mode(context, resource, registry).await;
        }
    }
    memory.role_mode?.then(|| told(registry, &runner.called()))
}

/// What was seen of it meanwhile.
pub(super) fn seen(memory: &mut Memory, seen: &[Reference<WorkloadSeen>]) {
    if let Some(Reference::Found(seen)) = seen.first() {
        memory.role_mode = Some(seen.has_credentials_file);
    }
}

fn told(registry: &str, called: &str) -> String {
    format!(
        "Warning: {called} has AWS_SHARED_CREDENTIALS_FILE, as where the Quay operator was given a role ({ROLE_MODE}) for all of its registries: it blocks the rollout of QuayRegistry {registry} when the bundle has keys. Use one of the two."
    )
}
