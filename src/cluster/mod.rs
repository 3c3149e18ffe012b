//! The only room that names `kube::Api` for what is not ours: what is read, written and watched there, and what
//! the API server's answers mean.

pub mod accounts;
pub mod backups;
pub mod credentials_request;
pub mod fenced;
pub mod finalizers;
pub mod grants;
pub mod issuer;
pub mod key_secrets;
pub mod namespaces;
pub mod outputs;
pub mod registries;
pub mod secret_watches;
pub mod secrets;
pub mod tokens;
pub mod version;
pub mod workloads;

use std::future::Future;
use std::time::Duration;

use kube::runtime::watcher;

/// How long one request to the API server may take. kube sets no limit of its own.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// An API server that has just started refuses for a moment what is granted. Who was let in before asks again after this,
/// before a refusal is believed.
pub const DOUBT: Duration = Duration::from_secs(2);

/// Why the API server did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiProblem {
    /// There is no such object.
    #[error("the API server answered 404 NotFound")]
    NotFound,
    /// RBAC, admission or a terminating namespace forbids it.
    #[error("the API server answered 403 Forbidden")]
    Forbidden,
    /// The object is no longer at the version that was observed.
    #[error("the API server answered 409 Conflict")]
    Conflict,
    /// Another answer. Its text stays out: it may quote what was sent.
    #[error("the API server answered {code} {reason}")]
    Refused {
        /// The HTTP status.
        code: u16,
        /// The API's word for it.
        reason: String,
    },
    /// No answer.
    #[error("the API server could not be reached")]
    Unreachable,
}

impl From<&kube::Error> for ApiProblem {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::NotFound,
                403 => Self::Forbidden,
                409 => Self::Conflict,
                code => Self::Refused { code, reason: status.reason.clone() },
            },
            _ => Self::Unreachable,
        }
    }
}

impl From<&watcher::Error> for ApiProblem {
    fn from(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::from(error),
            watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => Self::Unreachable,
        }
    }
}

/// The answer to a request, within the time that a request has.
pub async fn answered<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, ApiProblem> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| ApiProblem::from(&error)),
        Err(_) => Err(ApiProblem::Unreachable),
    }
}
