//! The only room that names the AWS SDK: clients, calls, and how its answers are read.

mod counted;
pub mod iam;
mod network;
pub mod own;
mod read;
pub mod s3;
pub mod sts;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{
    BehaviorVersion, Credentials, FrameworkMetadata, Region, SharedCredentialsProvider, SharedHttpClient,
    StalledStreamProtectionConfig,
};

use crate::consumer::StsEndpoint;
use crate::leadership::Fence;
use crate::place::{Endpoint, EndpointUrl};
use crate::telemetry::metrics::Metrics;
use counted::Counted;
pub use network::{InvalidCertificate, Network, Networks};

/// How long one call may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How many connectors are kept for registries with certificates of their own.
const MOST_CONNECTORS: usize = 64;

/// Everything that clients share: one connector, one configuration. Clients are built from explicit credentials only:
/// no default chain, no instance metadata, no profile.
#[derive(Clone)]
pub struct Aws {
    http: SharedHttpClient,
    /// Connectors that trust certificates of a registry too, by these.
    trusting: Arc<Mutex<HashMap<Arc<str>, SharedHttpClient>>>,
    network: Network,
    configured: Configured,
    counted: Counted,
}

/// Endpoints that the environment names instead of AWS's own.
#[derive(Clone, Default)]
struct Configured {
    sts: Option<EndpointUrl>,
    s3: Option<EndpointUrl>,
    iam: Option<EndpointUrl>,
}

/// An environment variable that names an endpoint does not hold one.
#[derive(Debug, thiserror::Error)]
#[error("{variable} is no endpoint: expected http://host[:port] or https://host[:port], without user, path or query")]
pub struct InvalidEndpoint {
    variable: &'static str,
}

impl Configured {
    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidEndpoint> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            return Ok(Self::default());
        }
        let first = |names: [&'static str; 2]| {
            let found = names.into_iter().find_map(|name| set(name).map(|value| (name, value)));
            found.map(|(variable, value)| value.parse().map_err(|_| InvalidEndpoint { variable })).transpose()
        };
        Ok(Self {
            sts: first(["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"])?,
            s3: first(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])?,
            iam: first(["AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL"])?,
        })
    }
}

impl Aws {
    /// Reads the endpoints from the SDK's own variables: `AWS_ENDPOINT_URL_STS`, `…_S3` and `…_IAM`, else
    /// `AWS_ENDPOINT_URL`, unless `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is true; without them the endpoints are AWS's.
    /// The proxy is that of `HTTPS_PROXY` and `NO_PROXY`. What changes something is sent only while the fence is open.
    ///
    /// # Errors
    /// A variable is no URL of scheme, host and port. Its value is not told: it may hold a password.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
        networks: Networks,
        fence: Fence,
    ) -> Result<Self, InvalidEndpoint> {
        let configured = Configured::from_variables(variable)?;
        let named =
            [&configured.sts, &configured.s3, &configured.iam].into_iter().flatten().map(|url| url.host().to_owned());
        let network = Network::new(networks, named.collect(), fence);
        Ok(Self {
            http: network.http_client(None),
            trusting: Arc::default(),
            network,
            configured,
            counted: Counted(Metrics::default()),
        })
    }

    /// The same with its calls counted there.
    #[must_use]
    pub fn counting(self, metrics: Metrics) -> Self {
        Self { counted: Counted(metrics), ..self }
    }

    /// The same with a registry's own certificates trusted as well, for the endpoint that its location names.
    #[must_use]
    pub fn trusting(&self, certificates: Option<&Arc<str>>) -> Self {
        let Some(pem) = certificates else { return self.clone() };
        let mut trusting = self.trusting.lock().unwrap_or_else(PoisonError::into_inner);
        if trusting.len() >= MOST_CONNECTORS && !trusting.contains_key(pem) {
            trusting.clear();
        }
        let http = trusting.entry(Arc::clone(pem)).or_insert_with(|| self.network.http_client(Some(pem)));
        Self { http: http.clone(), ..self.clone() }
    }

    /// What is asked instead of AWS's own hosts, for people.
    pub fn configured_endpoints(&self) -> String {
        let told = |url: &Option<EndpointUrl>| url.as_ref().map_or("AWS", EndpointUrl::as_str).to_owned();
        format!("sts={} s3={}", told(&self.configured.sts), told(&self.configured.s3))
    }

    /// The proxy through which an endpoint is reached, if there is one: its host and port.
    pub fn proxy_to(&self, endpoint: &Endpoint) -> Option<String> {
        self.network.proxy_to(&self.s3_url(endpoint))
    }

    /// The host of STS that is asked, for people.
    pub fn sts_host(&self, endpoint: &StsEndpoint) -> String {
        without_https(&self.sts_url(endpoint))
    }

    /// The host of S3 that is asked, for people.
    pub fn s3_host(&self, endpoint: &Endpoint) -> String {
        without_https(&self.s3_url(endpoint))
    }

    fn sts_url(&self, endpoint: &StsEndpoint) -> String {
        match (endpoint, &self.configured.sts) {
            (StsEndpoint::Elsewhere(url), _) | (_, Some(url)) => url.as_str().to_owned(),
            (StsEndpoint::Global | StsEndpoint::Regional(_), None) => format!("https://{}", endpoint.host()),
        }
    }

    fn s3_url(&self, endpoint: &Endpoint) -> String {
        match (endpoint, &self.configured.s3) {
            (Endpoint::Url(url), _) | (Endpoint::Region(_), Some(url)) => url.as_str().to_owned(),
            (Endpoint::Region(region), None) => format!("https://{}", region.s3_host()),
        }
    }

    fn sts(&self, url: &str, region: &str, credentials: Option<Credentials>) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(url)
            .http_client(self.http.clone())
            .interceptor(self.counted.clone())
            .region(Region::new(region.to_owned()))
            // Retries are the proof room's, so that they are counted once.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            // One deadline a call, its body's included.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .disable_clock_skew_correction(true);
        let config = match credentials {
            Some(credentials) => config.credentials_provider(credentials),
            None => config.allow_no_auth(),
        };
        let config = match framework() {
            Some(framework) => config.framework_metadata(framework),
            None => config,
        };
        aws_sdk_sts::Client::from_conf(config.build())
    }
}

impl Aws {
    /// The credentials that the AWS CLI would use: of the environment, of a profile, of IAM Identity Center. For somebody at a
    /// terminal only: the operator never looks for credentials.
    pub async fn of_caller(&self) -> Option<SharedCredentialsProvider> {
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(self.http.clone());
        config.load().await.credentials_provider()
    }
}

fn without_https(url: &str) -> String {
    url.strip_prefix("https://").unwrap_or(url).to_owned()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_timeout(CALL_TIMEOUT).connect_timeout(CALL_TIMEOUT / 2).build()
}

/// What the User-Agent says: `registry-sts/<version>`.
fn framework() -> Option<FrameworkMetadata> {
    FrameworkMetadata::new("registry-sts", Some(Cow::Borrowed(env!("CARGO_PKG_VERSION")))).ok()
}
