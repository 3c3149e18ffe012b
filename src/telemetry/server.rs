//! What is served: `/metrics`, `/healthz` and `/readyz`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use super::health::Health;
use super::metrics::Metrics;

/// How often it is looked whether the serving certificate is another one by now.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(30);
/// Who connects and asks nothing is let go after this.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// What is served where.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    /// Where `/metrics` is.
    pub metrics: Option<SocketAddr>,
    /// Where `/healthz` and `/readyz` are.
    pub health: Option<SocketAddr>,
    /// A folder with `tls.crt` and `tls.key`, as a Secret of type `kubernetes.io/tls` is mounted: for the metrics.
    pub certificate: Option<PathBuf>,
}

/// Why something cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServingProblem {
    /// The address cannot be listened on.
    #[error("{flag} {address} cannot be listened on: {why}")]
    Address {
        /// The flag that named it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        why: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("--metrics-tls {}: tls.crt and tls.key in it cannot be used: {why}", folder.display())]
    Certificate {
        /// The folder that was named.
        folder: PathBuf,
        /// What is wrong.
        why: std::io::Error,
    },
}

/// Serves from here on, until the process ends.
///
/// # Errors
/// What cannot be served.
pub async fn serve(serving: Serving, metrics: &Metrics, health: &Health) -> Result<(), ServingProblem> {
    let (metrics, health) = (of_metrics(metrics.registry()), of_health(health.clone()));
    match (serving.metrics, serving.health) {
        (Some(address), Some(same)) if address == same && serving.certificate.is_none() => {
            plain(listen("--metrics-address", address)?, metrics.merge(health));
        }
        (of_metrics, of_health) => {
            if let Some(address) = of_metrics {
                let listener = listen("--metrics-address", address)?;
                match serving.certificate {
                    Some(folder) => with_certificate(listener, metrics, folder).await?,
                    None => plain(listener, metrics),
                }
            }
            if let Some(address) = of_health {
                plain(listen("--health-address", address)?, health);
            }
        }
    }
    Ok(())
}

fn of_metrics(registry: Registry) -> Router {
    let registry = Arc::new(registry);
    Router::new().route(
        "/metrics",
        get(move || {
            let mut all = String::new();
            let told = match text::encode(&mut all, &registry) {
                Ok(()) => {
                    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                    ([(header::CONTENT_TYPE, form)], all).into_response()
                }
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            };
            std::future::ready(told)
        }),
    )
}

fn of_health(health: Health) -> Router {
    let answer = |state: Result<(), String>| match state {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    };
    let (alive, ready) = (health.clone(), health);
    Router::new()
        .route("/healthz", get(move || std::future::ready(answer(alive.alive()))))
        .route("/readyz", get(move || std::future::ready(answer(ready.ready().map_err(str::to_owned)))))
}

fn listen(flag: &'static str, address: SocketAddr) -> Result<TcpListener, ServingProblem> {
    // Where the kernel has no IPv6, all addresses are those of IPv4.
    let bound = TcpListener::bind(address).or_else(|why| match address.ip() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())),
        _ => Err(why),
    });
    let listener = bound.and_then(|listener| {
        listener.set_nonblocking(true)?;
        tracing::info!(flag, address = %listener.local_addr()?, "listening");
        Ok(listener)
    });
    listener.map_err(|why| ServingProblem::Address { flag, address, why })
}

fn plain(listener: TcpListener, router: Router) {
    go_on(async move {
        let server = axum_server::from_tcp(listener)?.first_request_timeout(FIRST_REQUEST);
        server.serve(router.into_make_service()).await
    });
}

/// Serves for as long as the process runs.
fn go_on(serving: impl Future<Output = std::io::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "nothing is served any more");
        }
    });
}

async fn with_certificate(listener: TcpListener, router: Router, folder: PathBuf) -> Result<(), ServingProblem> {
    let [certificate, key] = files(&folder);
    let config = RustlsConfig::from_pem_file(certificate, key).await;
    let config = config.map_err(|why| ServingProblem::Certificate { folder: folder.clone(), why })?;
    tokio::spawn(renew(config.clone(), folder));
    go_on(async move {
        let server = axum_server::from_tcp_rustls(listener, config)?.first_request_timeout(FIRST_REQUEST);
        server.serve(router.into_make_service()).await
    });
    Ok(())
}

/// Takes another certificate when there is one: they are renewed while the process runs.
async fn renew(config: RustlsConfig, folder: PathBuf) {
    let mut known = changed(&folder);
    loop {
        tokio::time::sleep(CERTIFICATE_LOOK).await;
        let now = changed(&folder);
        if now == known {
            continue;
        }
        let [certificate, key] = files(&folder);
        match config.reload_from_pem_file(certificate, key).await {
            Ok(()) => {
                tracing::info!("the serving certificate was renewed");
                known = now;
            }
            // Half of it may be there: it is looked again.
            Err(error) => tracing::warn!(%error, "the serving certificate cannot be renewed; the old one is used on"),
        }
    }
}

fn changed(folder: &Path) -> [Option<SystemTime>; 2] {
    files(folder).map(|file| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok())
}

fn files(folder: &Path) -> [PathBuf; 2] {
    ["tls.crt", "tls.key"].map(|name| folder.join(name))
}
