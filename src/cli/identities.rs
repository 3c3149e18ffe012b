//! Whether StorageIdentities are kept, and for which cluster.

use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::Problem;
use crate::arn::RoleArn;
use crate::cluster::{ApiProblem, credentials_request};
use crate::controller::IdentityOptions;
use crate::identity::owner::ClusterId;
use crate::policy::principal::Issuer;

/// How long until the Cloud Credential Operator is asked again.
const ASK_AGAIN: Duration = Duration::from_mins(1);

/// Flags of who makes IAM users and roles.
#[derive(clap::Args)]
#[command(next_help_heading = "Identities")]
#[allow(clippy::struct_field_names)] // The flags are called so.
pub(super) struct Identities {
    /// Keep StorageIdentities: make IAM users, keys and roles, and rotate keys, within what IdentityPolicies allow. Needs
    /// --cluster-id and an AWS identity: IRSA, or on OpenShift ROLEARN. See docs/identities.md.
    #[arg(long, env = "REGISTRY_STS_ENABLE_IDENTITIES", requires = "cluster_id")]
    enable_identities: bool,

    /// What this cluster is called in tags and names of IAM: no other cluster of the same AWS account may be called so, and
    /// it must not change.
    #[arg(long, value_name = "ID", env = "REGISTRY_STS_CLUSTER_ID")]
    cluster_id: Option<ClusterId>,

    /// The issuer of the cluster's service account tokens, for trust: webIdentity, where neither OpenShift nor a minted token
    /// says it.
    #[arg(long, value_name = "URL", env = "REGISTRY_STS_OIDC_ISSUER")]
    oidc_issuer: Option<Issuer>,
}

impl Identities {
    /// What was said, if they are to be kept.
    pub(super) fn options(self) -> Result<Option<IdentityOptions>, Problem> {
        if !self.enable_identities {
            return Ok(None);
        }
        let cluster = self.cluster_id.ok_or("--enable-identities needs --cluster-id")?;
        Ok(Some(IdentityOptions { cluster, issuer: self.oidc_issuer }))
    }
}

/// Where OLM's Subscription names a role, OpenShift is asked for it once this process leads.
pub(super) fn ask_for_credentials(client: Client, namespace: String, leads: CancellationToken) {
    let Some(role) = std::env::var("ROLEARN").ok().filter(|role| !role.is_empty()) else { return };
    let role: RoleArn = match role.parse() {
        Ok(role) => role,
        Err(why) => return tracing::error!("ROLEARN {role:?} {why}: correct it in the Subscription's spec.config.env"),
    };
    tokio::spawn(async move {
        leads.cancelled().await;
        loop {
            match credentials_request::ask(&client, &namespace, &role).await {
                Ok(()) => return tracing::info!("asked OpenShift for role {role} by a CredentialsRequest"),
                Err(ApiProblem::NotFound) => {
                    tracing::error!(
                        "ROLEARN is set, and the cluster has no Cloud Credential Operator to ask: use IRSA instead"
                    );
                }
                Err(problem) => tracing::error!(
                    %problem,
                    "a CredentialsRequest could not be written: bind Role registry-sts-cloud-credentials"
                ),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    });
}
