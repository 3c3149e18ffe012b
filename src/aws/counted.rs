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
        let status = context.response().map(|response| response.status().as_u16());
        self.0.called(call.service(), call.name(), result(status));
        Ok(())
    }
}

fn result(status: Option<u16>) -> CallResult {
    match status {
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
        assert_eq!([200, 204, 404].map(|status| result(Some(status))), [CallResult::Answered; 3]);
        assert_eq!([400, 403].map(|status| result(Some(status))), [CallResult::Refused; 2]);
        assert_eq!([429, 503].map(|status| result(Some(status))), [CallResult::Throttled; 2]);
        assert_eq!(result(Some(500)), CallResult::ServerError);
        assert_eq!(result(None), CallResult::Unreachable);
    }
}
