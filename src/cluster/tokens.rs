//! Tokens of service accounts, minted for a proof and shown to STS alone.

use std::sync::Arc;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PostParams};
use secrecy::SecretString;

use super::grants::Grants;
use super::{ApiProblem, accounts, answered};
use crate::reason::{Failure, Reason};
use crate::target::Account;

/// How long a token is good for, in seconds: the shortest that the API server gives.
const LIFETIME: i64 = 600;

/// Mints tokens.
#[derive(Clone)]
pub struct Tokens {
    client: Client,
    grants: Arc<Grants>,
}

impl Tokens {
    /// Mints with this client.
    pub fn new(client: Client, grants: Arc<Grants>) -> Self {
        Self { client, grants }
    }

    /// A token of a service account for its audience, good for ten minutes.
    ///
    /// # Errors
    /// Why there is none, and what to change.
    pub async fn mint(&self, account: &Account) -> Result<SecretString, Failure> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &account.namespace);
        let spec = TokenRequestSpec {
            audiences: Some(vec![account.audience.clone()]),
            expiration_seconds: Some(LIFETIME),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let parameters = PostParams::default();
        let asked = api.create_token_request(&account.name, &parameters, &request);
        let (name, namespace) = (&account.name, &account.namespace);
        let problem = match answered(asked).await {
            Ok(TokenRequest { status: Some(status), .. }) => {
                return status.token.map(SecretString::from).ok_or_else(|| {
                    Failure::new(
                        Reason::AccountUnusable,
                        format!("The API server gave no token for service account {name}."),
                    )
                });
            }
            Ok(_) => ApiProblem::Unreachable,
            Err(problem) => problem,
        };
        Err(match problem {
            ApiProblem::NotFound => accounts::missing(name),
            ApiProblem::Forbidden => Failure::new(
                Reason::TokenForbidden,
                format!(
                    "{} may not mint a token for service account {name}. Grant it: {}",
                    self.grants.who(),
                    self.grants.mint(namespace).await
                ),
            ),
            problem => Failure::new(
                Reason::AccountUnanswered,
                format!("A token for service account {name} could not be minted: {problem}. It is tried again."),
            ),
        })
    }
}
