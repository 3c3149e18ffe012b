//! Log lines: what is logged, and in which form. Nothing secret can get there.

use std::fmt;

use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use super::traces::Traces;

/// Where the Kubernetes client logs whole bodies that it cannot decode, a Secret's among them.
const NO_BODIES: &str = "kube_client::client";
/// Where the AWS SDK traces whole requests, a service account's token and a session's among them.
const NO_TRACES: [&str; 4] = ["aws_sdk", "aws_sigv4", "aws_smithy", "aws_runtime"];

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Logs to stderr what the filter asks for, as far as it is safe, and traces spans where that is wanted.
///
/// # Errors
/// The filter cannot be read.
pub fn begin(
    filter: &str,
    format: Format,
    traces: Option<&Traces>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let asked = EnvFilter::try_new(filter)?;
    let is_safe = filter_fn(|event| {
        let is_trace = *event.level() == Level::TRACE;
        let has_body = event.target() == NO_BODIES && *event.level() > Level::ERROR;
        let has_request = is_trace && NO_TRACES.iter().any(|target| event.target().starts_with(target));
        !has_body && !has_request
    });
    let lines = lines(format).with_filter(asked.and(is_safe));
    tracing_subscriber::registry().with(lines).with(traces.map(Traces::layer)).init();
    Ok(())
}

fn lines<S>(format: Format) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    }
}
