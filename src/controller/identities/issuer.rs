//! Finding the issuer of the cluster's tokens.

use kube::ResourceExt as _;

use super::super::Context;
use super::Identities;
use crate::api::StorageIdentity;
use crate::cluster::{issuer, tokens::Tokens};
use crate::policy::principal::Issuer;
use crate::reason::{Failure, Reason};
use crate::target::Account;

/// The issuer: as `OpenShift` says it, else as a token of the service account names it, else as the administrator told.
///
/// # Errors
/// `IssuerUnknown`.
pub(super) async fn issuer(
    context: &Context,
    identities: &Identities,
    resource: &StorageIdentity,
) -> Result<Issuer, Failure> {
    let found = identities.issuer.get_or_try_init(|| async {
        match issuer::of_openshift(&context.client).await {
            Ok(Some(issuer)) => return Ok(issuer),
            Ok(None) => {}
            Err(problem) => tracing::debug!(%problem, "whether the cluster is OpenShift is not known"),
        }
        let Some(trusted) = &resource.spec.web_identity else {
            return Err(unknown("there is no service account to ask"));
        };
        let account = Account {
            namespace: resource.namespace().unwrap_or_default(),
            name: trusted.service_account_name.clone(),
            uid: String::new(),
            audience: trusted.audience.clone(),
        };
        let tokens = Tokens::new(context.client.clone(), context.grants.clone());
        let why = match tokens.mint(&account).await {
            Ok(token) => match issuer::of_token(&token) {
                Some(issuer) => return Ok(issuer),
                None => "the cluster's tokens name no issuer that AWS could reach".to_owned(),
            },
            Err(failure) => failure.message,
        };
        identities.options.issuer.clone().ok_or_else(|| unknown(&why))
    });
    found.await.cloned()
}

fn unknown(why: &str) -> Failure {
    Failure::new(
        Reason::IssuerUnknown,
        format!(
            "The issuer of the cluster's tokens is not known: {}. Or start the operator with --oidc-issuer: `kubectl get --raw /.well-known/openid-configuration` shows it.",
            why.trim_end_matches('.')
        ),
    )
}
