//! What of the process is logged, traced and served.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Problem;
use crate::telemetry::health::Health;
use crate::telemetry::logs::{self, Format};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::server::{Serving, serve};
use crate::telemetry::traces::Traces;

/// Flags of what is told of the process.
#[derive(clap::Args)]
pub(super) struct Telemetry {
    /// What to log: error, warn, info, debug, or a filter such as registry_sts=debug.
    #[arg(long, value_name = "FILTER", default_value = "info", env = "RUST_LOG")]
    log: String,

    /// The form of a log line.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    log_format: Format,

    /// Serve /metrics at this address, for example `[::]:8443`; without it they are not served.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_address: Option<SocketAddr>,

    /// Serve /metrics over TLS with tls.crt and tls.key of this folder; they are read again when they change.
    #[arg(long, value_name = "FOLDER", requires = "metrics_address")]
    metrics_tls: Option<PathBuf>,

    /// Serve /healthz and /readyz at this address, for example `[::]:8081`; without it they are not served.
    #[arg(long, value_name = "ADDRESS:PORT")]
    health_address: Option<SocketAddr>,
}

impl Telemetry {
    /// Logs from here on. Traces are sent where the variables of OpenTelemetry say so.
    pub(super) fn log(&self) -> Result<Option<Traces>, Problem> {
        let traces = Traces::from_variables(|name| std::env::var(name).ok())?;
        logs::begin(&self.log, self.log_format, traces.as_ref())?;
        Ok(traces)
    }

    /// Serves from here on.
    pub(super) async fn serve(self, metrics: &Metrics, health: &Health) -> Result<(), Problem> {
        let serving =
            Serving { metrics: self.metrics_address, health: self.health_address, certificate: self.metrics_tls };
        Ok(serve(serving, metrics, health).await?)
    }
}
