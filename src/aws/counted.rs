//! Counts calls to AWS, by operation and by how they were answered.

use aws_sdk_sts::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

use crate::telemetry::metrics::{CallResult, Metrics};

/// Counts the calls of a client.
#[derive(Clone)]
pub(super) struct Counted(pub(super) Metrics);

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

impl Intercept for Counted {
    fn name(&self) -> &'static str {
        "Counted"
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(call) = config.load::<Metadata>() else { return Ok(()) };
        let answer = context.response();
        let status = answer.map(|response| response.status().as_u16());
        let body = answer.and_then(|response| response.body().bytes()).unwrap_or_default();
        self.0.called(call.service(), call.name(), result(status, body));
        Ok(())
    }
}

/// STS asks for patience with 400.
const THROTTLES: [&[u8]; 4] =
    [b"<Code>Throttling", b"<Code>RequestLimitExceeded", b"<Code>TooManyRequests", b"<Code>SlowDown"];

fn result(status: Option<u16>, body: &[u8]) -> CallResult {
    let has = |code: &&[u8]| body.windows(code.len()).any(|window| window == *code);
    match status {
        Some(400..) if THROTTLES.iter().any(has) => CallResult::Throttled,
        // That there is no such object is what is asked for.
        Some(200..=399 | 404) => CallResult::Answered,
        Some(429 | 503) => CallResult::Throttled,
        Some(500..) => CallResult::ServerError,
        Some(_) => CallResult::Refused,
        None => CallResult::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_by_what_it_says_of_the_call() {
        let of = |status| result(Some(status), b"");
        assert_eq!([200, 204, 404].map(of), [CallResult::Answered; 3]);
        assert_eq!([400, 403].map(of), [CallResult::Refused; 2]);
        assert_eq!([429, 503].map(of), [CallResult::Throttled; 2]);
        assert_eq!(of(500), CallResult::ServerError);
        assert_eq!(result(None, b""), CallResult::Unreachable);
        let patience = b"<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>";
        assert_eq!(result(Some(400), patience), CallResult::Throttled);
    }
}
