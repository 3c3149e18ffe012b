//! What is to be known of a service account before a role is tried as it.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PartialObjectMeta};

use super::{ApiProblem, answered};
use crate::plan::web_identity::AccountSeen;

/// The configuration that puts role and token into pods, as EKS and OpenShift name it.
const WEBHOOK: &str = "pod-identity-webhook";

/// Reads a service account, and whether the cluster has a pod identity webhook.
///
/// # Errors
/// What the API server answered instead of the service account.
pub async fn read(client: &Client, namespace: &str, name: &str) -> Result<AccountSeen, ApiProblem> {
    let accounts: Api<PartialObjectMeta<ServiceAccount>> = Api::namespaced(client.clone(), namespace);
    let webhooks: Api<PartialObjectMeta<MutatingWebhookConfiguration>> = Api::all(client.clone());
    let (account, webhook) =
        tokio::join!(answered(accounts.get_metadata(name)), answered(webhooks.get_metadata_opt(WEBHOOK)),);
    let metadata = account?.metadata;
    Ok(AccountSeen {
        uid: metadata.uid.unwrap_or_default(),
        annotations: metadata.annotations.unwrap_or_default(),
        // Where it may not be seen, whether it is there cannot be known, and is not held against the registry.
        has_webhook: !matches!(webhook, Ok(None)),
    })
}
