//! A client that changes nothing while somebody else leads: the fence is asked right before each request is sent.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{BoxFuture, ready};
use http::{Method, Request};
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use crate::leadership::{Fence, within};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client for a cluster, behind a fence.
///
/// # Errors
/// The configuration cannot be used.
pub fn client(config: Config, fence: Fence) -> Result<Client, kube::Error> {
    // What is sent again, or late, would pass the fence unseen; and retries of our own begin with a look.
    let mut config = config;
    (config.default_retry, config.connect_timeout) = (false, Some(CONNECT_TIMEOUT));
    Ok(ClientBuilder::try_from(config)?.with_layer(&FenceLayer(fence)).build())
}

#[derive(Clone)]
struct FenceLayer(Fence);

impl<S> Layer<S> for FenceLayer {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced { inner, fence: self.0.clone() }
    }
}

/// A service that is asked for changes only while the fence is open.
#[derive(Clone)]
struct Fenced<S> {
    inner: S,
    fence: Fence,
}

/// Whether a request is a question: what one may do, and who one is, is asked by POST.
fn changes_nothing(method: &Method, path: &str) -> bool {
    let asks = |review: &str| path.rsplit('/').next() == Some(review);
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
        || (*method == Method::POST && (asks("selfsubjectaccessreviews") || asks("selfsubjectreviews")))
}

/// That somebody else leads.
#[derive(Debug, thiserror::Error)]
#[error("nothing was sent: this process does not lead")]
struct NotLeading;

impl<S, B> Service<Request<B>> for Fenced<S>
where
    S: Service<Request<B>, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if changes_nothing(request.method(), request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        match self.fence.admits() {
            Some(until) => Box::pin(within(until, || NotLeading.into(), self.inner.call(request))),
            None => Box::pin(ready(Err(NotLeading.into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_are_asked_while_somebody_else_leads() {
        let access = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        assert!(changes_nothing(&Method::POST, access));
        assert!(changes_nothing(&Method::GET, "/api/v1/namespaces/quay/secrets/key"));
        for (method, path) in [
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/quay/events"),
            (Method::PATCH, access),
            (Method::PATCH, "/api/v1/namespaces/quay/secrets/bundle"),
            (Method::POST, "/api/v1/namespaces/quay/serviceaccounts/selfsubjectreviews/token"),
        ] {
            assert!(!changes_nothing(&method, path), "{method} {path}");
        }
    }
}
