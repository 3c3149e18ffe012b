//! Carrying a plan out, and what came of it.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use super::memory::{Inputs, Memory, Unreported};
use super::observe::Seen;
use super::{Context, backup};
use crate::api::QuayStorage;
use crate::cluster::secrets::Wrote;
use crate::cluster::{ApiProblem, outputs, secrets};
use crate::plan::{Desired, Held, Plan, Standings};
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;
use crate::status::Written;
use crate::telemetry::metrics::WriteOutcome;

/// A bundle that others keep changing is looked at again this often within a pass.
pub(super) const LOOKS: usize = 5;
/// What no watch tells of (a permission, an answer of the API server) is looked at again after this.
pub(super) const UNWATCHED_RETRY: Duration = Duration::from_secs(15);

/// What came of a plan's write.
pub(super) enum Acted {
    NotNeeded,
    Wrote(Wrote),
    /// Somebody else was faster.
    Raced(Failure),
    Failed(Failure),
    /// Not written for now, or no more, because it keeps being undone.
    Held(Held),
}

impl Acted {
    /// When to act again, if nothing else happens.
    pub(super) fn again(&self) -> Option<Duration> {
        match self {
            Self::NotNeeded | Self::Wrote(_) => None,
            Self::Raced(_) | Self::Failed(_) => Some(UNWATCHED_RETRY),
            Self::Held(held) => held.wait.map(SignedDuration::unsigned_abs),
        }
    }

    /// As status is told of it; a write of before that status has not been told of yet counts, too.
    pub(super) fn into_status(self, unreported: Option<&Unreported>) -> Written {
        match (self, unreported) {
            (Self::Raced(failure) | Self::Failed(failure) | Self::Held(Held { failure, .. }), _) => {
                Written::Failed(failure)
            }
            (Self::Wrote(Wrote { version, at }), _) => {
                Written::Done { resource_version: version.resource_version().to_owned(), at }
            }
            (Self::NotNeeded, Some(Unreported { resource_version, at, .. })) => {
                Written::Done { resource_version: resource_version.clone(), at: *at }
            }
            (Self::NotNeeded, None) => Written::NotNeeded,
        }
    }
}

/// Carries the plan out.
pub(super) async fn act(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    desired: &Desired,
    (seen, plan): (&Seen, &Plan),
    memory: &mut Memory,
) -> Acted {
    let Some(write) = &plan.write else { return Acted::NotNeeded };
    let secret = &write.secret_name;
    if let (Some(keep), Some((_, backup))) = (&write.keep, &seen.observation.backup)
        && let Err(acted) = backup::keep(context, who, resource, (secret, keep), (backup, memory)).await
    {
        return acted;
    }
    let before = context.secrets.before_request(&who.namespace, secret);
    let (client, namespace) = (&context.client, &who.namespace);
    let answer = match &write.output {
        Some(output) => outputs::write(client, namespace, write, output).await,
        None => secrets::write_config(client, namespace, write).await,
    };
    let problem = match answer {
        Ok(done) => {
            context.metrics.wrote(WriteOutcome::Written);
            context.secrets.saw(&who.namespace, secret, &before, &done.version);
            return Acted::Wrote(done);
        }
        Err(problem) => problem,
    };
    let was_raced = matches!(problem, ApiProblem::Conflict | ApiProblem::NotFound);
    context.metrics.wrote(if was_raced { WriteOutcome::Raced } else { WriteOutcome::Failed });
    // Whatever happened, what is there now is not known.
    context.secrets.lost(&who.namespace, secret);
    match problem {
        ApiProblem::Conflict | ApiProblem::NotFound => Acted::Raced(Failure::new(
            Reason::Raced,
            format!(
                "Secret {secret} was changed by somebody else at the same time, {LOOKS} times in a row. Nothing was written; it is tried again."
            ),
        )),
        ApiProblem::Forbidden => Acted::Failed(Failure::new(
            Reason::BundleForbidden,
            format!(
                "The operator may not {} Secret {secret}. Grant it: {} If it is granted, an admission policy refuses the change.",
                if write.output.as_ref().is_some_and(|output| output.creates) { "create" } else { "change" },
                context.grants.secrets(&who.namespace, &desired.consumer).await
            ),
        )),
        ApiProblem::Unreachable => Acted::Failed(Failure::new(
            Reason::WriteRefused,
            format!(
                "The API server did not answer the change of Secret {secret}: whether it was made is not known. It is looked at again."
            ),
        )),
        ApiProblem::Refused { .. } => Acted::Failed(Failure::new(
            Reason::WriteRefused,
            format!("Secret {secret} could not be changed: {problem}. It is tried again."),
        )),
    }
}

/// How the bundle stands now and what that depends on, if both are known.
pub(super) fn settled(seen: &Seen, plan: &Plan, acted: &Acted) -> Option<(Inputs, Standings)> {
    let inputs = seen.inputs.clone()?;
    match acted {
        Acted::NotNeeded => Some((inputs, plan.standings.clone())),
        Acted::Wrote(wrote) => Some((Inputs { bundle: wrote.version.clone(), ..inputs }, plan.standings.clone())),
        Acted::Raced(_) | Acted::Failed(_) | Acted::Held(_) => None,
    }
}
