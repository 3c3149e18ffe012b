//! Traces by OTLP over HTTP, where the standard variables of OpenTelemetry name a collector.

use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// What is traced: passes and proofs, and the requests to the API server.
const TRACED: &str = "registry_sts=info,kube_client::client::builder=debug,off";
/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where spans go.
pub struct Traces(SdkTracerProvider);

/// Why there are no traces although they are asked for.
#[derive(Debug, thiserror::Error)]
pub enum TracesProblem {
    /// The protocol is not spoken here.
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL is {0}: expected http/protobuf, to which most collectors listen on port 4318")]
    Protocol(String),
    /// The variables cannot be used.
    #[error("traces cannot be sent: check the variables OTEL_EXPORTER_OTLP_…: {0}")]
    Exporter(String),
}

impl Traces {
    /// Traces, if `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT` is set, and neither
    /// `OTEL_SDK_DISABLED` nor `OTEL_TRACES_EXPORTER` says otherwise. Sampling, headers, names and sizes are those of
    /// OpenTelemetry's other variables.
    ///
    /// # Errors
    /// They are asked for in a way that cannot be had.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, TracesProblem> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let endpoint = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let is_off = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || set("OTEL_TRACES_EXPORTER").is_some_and(|value| value != "otlp");
        let Some(named) = endpoint.filter(|_| !is_off) else { return Ok(None) };
        let protocol = set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"));
        if let Some(protocol) = protocol.filter(|protocol| protocol != "http/protobuf") {
            return Err(TracesProblem::Protocol(protocol));
        }
        let unusable = |error: &dyn std::fmt::Display| TracesProblem::Exporter(error.to_string());
        let exporter = SpanExporter::builder().with_http();
        let exporter = if named.starts_with("https:") {
            let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| unusable(&error))?;
            exporter.with_http_client(OnRuntime::with(connector.https_only().enable_http1().build())).build()
        } else {
            exporter.with_http_client(OnRuntime::with(HttpConnector::new())).build()
        };
        let exporter = exporter.map_err(|error| unusable(&error))?;
        let resource = Resource::builder();
        let resource = match set("OTEL_SERVICE_NAME") {
            Some(_) => resource,
            None => resource.with_service_name("registry-sts"),
        };
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
        Ok(Some(Self(provider.build())))
    }

    pub(super) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("registry-sts"));
        layer.with_filter(EnvFilter::new(TRACED)).boxed()
    }

    /// Sends what is still to be sent.
    pub fn end(&self) {
        // What the collector does not take is lost, and nothing else depends on it.
        let _ = self.0.shutdown_with_timeout(Duration::from_secs(1));
    }
}

/// Gives a span the id of its trace in field `trace_id`: OpenTelemetry's, if the span is traced, else one of its own, so
/// that the lines of one pass are found together.
pub fn identify(span: &tracing::Span) {
    let context = span.context();
    let traced = context.span().span_context().clone();
    if traced.is_valid() {
        span.record("trace_id", tracing::field::display(traced.trace_id()));
    } else {
        span.record("trace_id", tracing::field::display(format_args!("{:032x}", fastrand::u128(1..))));
    }
}

/// A client for the exporter's thread, which is none of the runtime's.
#[derive(Debug)]
struct OnRuntime<C: Connect + Clone + Send + Sync + 'static> {
    runtime: Handle,
    client: HyperClient<C>,
}

impl<C: Connect + Clone + Send + Sync + 'static> OnRuntime<C> {
    fn with(connector: C) -> Self {
        Self { runtime: Handle::current(), client: HyperClient::new(connector, TIMEOUT, None) }
    }
}

#[async_trait::async_trait]
impl<C: Connect + Clone + std::fmt::Debug + Send + Sync + 'static> HttpClient for OnRuntime<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn traces(variables: &[(&str, &str)]) -> Result<bool, String> {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Traces::from_variables(variable).map(|traces| traces.is_some()).map_err(|problem| problem.to_string())
    }

    #[tokio::test]
    async fn traces_are_sent_only_where_a_collector_is_named_and_in_a_protocol_that_is_spoken() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        assert_eq!(traces(&[]), Ok(false));
        assert_eq!(traces(&[endpoint]), Ok(true));
        assert_eq!(traces(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(false));
        assert_eq!(traces(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), Ok(false));
        assert_eq!(traces(&[endpoint, ("OTEL_SDK_DISABLED", "true")]), Ok(false));
        assert!(traces(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err().contains("http/protobuf"));
    }

    #[test]
    fn spans_that_are_not_traced_have_ids_of_their_own() {
        let lines: Lines = Arc::default();
        let writer = Arc::clone(&lines);
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || Written(Arc::clone(&writer))).finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..2 {
                let span = tracing::info_span!("pass", trace_id = tracing::field::Empty);
                identify(&span);
                span.in_scope(|| tracing::info!("passed"));
            }
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        let ids: Vec<&str> = text.split("trace_id=").skip(1).map(|rest| &rest[..32]).collect();
        assert_eq!(ids.len(), 2, "{text}");
        assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit())) && ids[0] != ids[1], "{text}");
    }

    type Lines = Arc<Mutex<Vec<u8>>>;

    struct Written(Lines);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
