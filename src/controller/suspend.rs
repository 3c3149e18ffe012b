//! A resource that somebody suspended: nothing is observed, proven or written for it, and no watch is kept.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;

use super::memory::{Asked, Memory};
use super::requests::Answering;
use super::{Context, report};
use crate::api::QuayStorage;
use crate::cluster::ApiProblem;
use crate::resource::ResourceId;
use crate::status::{self, Outcome};

/// Reports that the resource is suspended, and forgets what would have to be looked at again to be known.
///
/// # Errors
/// That the status could not be written.
pub(super) async fn rest(
    context: &Context,
    who: &ResourceId,
    resource: &Arc<QuayStorage>,
    memory: &mut Memory,
) -> Result<Action, ApiProblem> {
    context.proofs.keep_only(who, &[]);
    context.secrets.forget(who);
    context.registries.forget(who);
    memory.look_anew();
    memory.awaiting = None;
    // What is asked for is taken up when it goes on.
    memory.requests = Answering::default();

    let (before, generation) = (resource.status.as_ref(), resource.metadata.generation);
    let was_told = before.is_some_and(|before| {
        before.observed_generation == generation && before.conditions.iter().any(|c| c.type_ == "Suspended")
    });
    let is_known = memory.told_of.is_some() && memory.told_of == Asked::by(&resource.spec);
    // What was awaited is awaited no more.
    let moved = !was_told
        && (!is_known || before.is_none_or(|before| before.conditions.is_empty() || status::is_pending(before)));
    let status = status::report(&Outcome::Suspended { moved }, before, generation, Timestamp::now());
    report::status(context, who, resource, memory, status).await?;
    if moved {
        memory.told_of = None;
    }
    Ok(Action::await_change())
}
