//! What is to be known of a service account before a role is tried as it, and the one change that is made to it.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, PartialObjectMeta, Patch, PatchParams};
use serde_json::json;

use super::grants::Grants;
use super::secrets::FIELD_MANAGER;
use super::{ApiProblem, answered};
use crate::plan::web_identity::{AccountSeen, Annotation, ROLE_ARN, Webhook};
use crate::reason::{Failure, Reason};

/// The configuration that puts role and token into pods, as EKS and OpenShift name it.
const WEBHOOK: &str = "pod-identity-webhook";

/// Reads a service account, and whether the cluster has a pod identity webhook.
///
/// # Errors
/// What the API server answered instead.
pub async fn read(client: &Client, namespace: &str, name: &str) -> Result<AccountSeen, ApiProblem> {
    let accounts: Api<PartialObjectMeta<ServiceAccount>> = Api::namespaced(client.clone(), namespace);
    let webhooks: Api<PartialObjectMeta<MutatingWebhookConfiguration>> = Api::all(client.clone());
    let (account, webhook) =
        tokio::join!(answered(accounts.get_metadata(name)), answered(webhooks.get_metadata_opt(WEBHOOK)),);
    let webhook = match webhook {
        Ok(Some(_)) => Webhook::Installed,
        Ok(None) => Webhook::Missing,
        Err(ApiProblem::Forbidden) => Webhook::Unseen,
        Err(problem) => return Err(problem),
    };
    Ok(AccountSeen { webhook, ..without_webhook(account?.metadata) })
}

/// Adds the annotation to the very account at the very version that was observed; anything else is a `Conflict`.
///
/// # Errors
/// What the API server answered instead; then nothing was added.
pub async fn annotate(client: &Client, namespace: &str, annotation: &Annotation) -> Result<AccountSeen, ApiProblem> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let patch = json!({"metadata": {
        "uid": annotation.uid,
        "resourceVersion": annotation.resource_version,
        "annotations": {ROLE_ARN: annotation.role.as_str()},
    }});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let account = answered(accounts.patch_metadata(&annotation.account, &params, &Patch::Merge(&patch))).await?;
    Ok(without_webhook(account.metadata))
}

fn without_webhook(metadata: ObjectMeta) -> AccountSeen {
    AccountSeen {
        uid: metadata.uid.unwrap_or_default(),
        resource_version: metadata.resource_version.unwrap_or_default(),
        annotations: metadata.annotations.unwrap_or_default(),
        webhook: Webhook::Unseen,
    }
}

/// A service account as it was read, or why it was not and what to change.
///
/// # Errors
/// Why it was not.
pub async fn seen(client: &Client, grants: &Grants, namespace: &str, name: &str) -> Result<AccountSeen, Failure> {
    let problem = match read(client, namespace, name).await {
        Ok(seen) => return Ok(seen),
        Err(problem) => problem,
    };
    let what = format!("Service account {name} (auth.webIdentity.serviceAccountName)");
    Err(match problem {
        ApiProblem::NotFound => missing(name),
        ApiProblem::Forbidden => Failure::new(
            Reason::TokenForbidden,
            format!("{} may not see {what}. Grant it: {}", grants.who(), grants.mint(namespace).await),
        ),
        problem => {
            Failure::new(Reason::AccountUnanswered, format!("{what} could not be read: {problem}. It is tried again."))
        }
    })
}

/// That a service account does not exist, and what to do.
pub(super) fn missing(name: &str) -> Failure {
    Failure::new(
        Reason::AccountUnusable,
        format!(
            "Service account {name} (auth.webIdentity.serviceAccountName) does not exist in this namespace. The Quay operator creates <registry>-quay-app; without it, create the one that Quay's pods run as."
        ),
    )
}
