//! Whether the Quay operator gives the registry a role of its own: keys in the bundle would then block the rollout, which is
//! to be told before they are written.

use super::memory::Memory;
use super::{Context, report};
use crate::api::QuayStorage;
use crate::cluster::{ApiProblem, workloads};
use crate::consumer::Consumer;
use crate::plan::Desired;
use crate::plan::desired::{Auth, Wanted};
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
    let has_key = |wanted: &Wanted| matches!(wanted.auth, Auth::AccessKey { .. });
    let registry = desired.consumer.registry.as_ref()?;
    if !desired.locations.iter().any(|location| location.wanted.as_ref().is_ok_and(has_key)) {
        return None;
    }
    let runner = desired.consumer.runners.workloads.first()?;
    if memory.role_mode.is_none() {
        match workloads::read_alone(&context.client, &who.namespace, runner.kind, &runner.name).await {
            Ok(seen) => become_known(context, resource, registry, seen.has_credentials_file, memory).await,
            // It is looked at again once it is there.
            Err(ApiProblem::NotFound) => {}
            Err(_) => memory.role_mode = Some(false),
        }
    }
    memory.role_mode?.then(|| told(registry, &runner.called()))
}

/// What was seen of it meanwhile.
pub(super) async fn seen(
    context: &Context,
    resource: &QuayStorage,
    consumer: &Consumer,
    memory: &mut Memory,
    seen: &[Reference<WorkloadSeen>],
) {
    if let (Some(Reference::Found(seen)), Some(registry)) = (seen.first(), &consumer.registry) {
        become_known(context, resource, registry, seen.has_credentials_file, memory).await;
    }
}

async fn become_known(context: &Context, resource: &QuayStorage, registry: &str, is_so: bool, memory: &mut Memory) {
    let is_told = resource.status.iter().flat_map(|status| &status.conditions).any(|c| c.message.contains(ROLE_MODE));
    if is_so && memory.role_mode != Some(true) && !is_told {
        report::role_mode(context, resource, registry).await;
    }
    memory.role_mode = Some(is_so);
}

fn told(registry: &str, called: &str) -> String {
    format!(
        "Warning: {called} has AWS_SHARED_CREDENTIALS_FILE, as where the Quay operator was given a role ({ROLE_MODE}) for all of its registries: it blocks the rollout of QuayRegistry {registry} when the bundle has keys. Use one of the two."
    )
}
