//! The annotations that a plan adds to service accounts, before the accounts are looked at again.

use std::time::Instant;

use super::memory::Memory;
use super::{Context, report};
use crate::api::QuayStorage;
use crate::cluster::{ApiProblem, accounts};
use crate::plan::web_identity::{AccountSeen, Annotation, ROLE_ARN, Webhook};
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// Adds the annotations. What came of it is what is then known of the accounts.
pub(super) async fn annotate(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    annotations: &[Annotation],
    memory: &mut Memory,
) {
    for annotation in annotations {
        let answer = accounts::annotate(&context.client, &who.namespace, annotation).await;
        let Some(reading) = memory.accounts.get_mut(&annotation.account) else { continue };
        reading.at = Instant::now();
        let webhook = reading.seen.as_ref().map_or(Webhook::Unseen, |seen| seen.webhook);
        reading.seen = match answer {
            Ok(seen) if seen.annotations.contains_key(ROLE_ARN) => {
                report::annotated(context, resource, annotation).await;
                Ok(AccountSeen { webhook, ..seen })
            }
            Ok(_) => Err(Failure::new(
                Reason::AnnotationMismatch,
                format!(
                    "Annotation {ROLE_ARN} was added to service account {}, and something in the API server (an admission webhook) took it out again. Find what does; it is tried again.",
                    annotation.account
                ),
            )),
            Err(ApiProblem::Conflict | ApiProblem::NotFound) => {
                // Somebody else was faster: it is read again.
                memory.accounts.remove(&annotation.account);
                continue;
            }
            Err(problem) => Err(refused(context, who, &annotation.account, &problem).await),
        };
    }
}

async fn refused(context: &Context, who: &ResourceId, account: &str, problem: &ApiProblem) -> Failure {
    match problem {
        ApiProblem::Forbidden => Failure::new(
            Reason::AnnotateForbidden,
            format!(
                "The operator may not annotate service account {account} (auth.webIdentity.annotateServiceAccount). Grant it: {} If it is granted, an admission policy refuses the change.",
                context.grants.annotate(&who.namespace).await
            ),
        ),
        problem => Failure::new(
            Reason::AccountUnusable,
            format!("Service account {account} could not be annotated: {problem}. It is tried again."),
        ),
    }
}
