//! The only room that names the AWS SDK: clients, calls, and what AWS's answers mean.

mod answer;
mod sts;

use std::time::Duration;

use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Credentials, FrameworkMetadata, Region, SharedHttpClient};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use secrecy::ExposeSecret as _;

use crate::place::EndpointUrl;
use crate::plan::key::AccessKey;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The host that Quay's pods ask where their environment names no region: the global endpoint.
const GLOBAL_STS: &str = "https://sts.amazonaws.com";

/// Everything that clients share: one connector, one configuration. Clients are built from explicit credentials only:
/// no default chain, no instance metadata, no profile.
#[derive(Clone)]
pub struct Aws {
    http: SharedHttpClient,
    sts_url: String,
}

/// An environment variable that names an endpoint does not hold one.
#[derive(Debug, thiserror::Error)]
#[error("{variable} is no endpoint: expected http://host[:port] or https://host[:port], without user, path or query")]
pub struct InvalidEndpoint {
    variable: &'static str,
}

impl Aws {
    /// Reads the endpoints from the SDK's own variables: `AWS_ENDPOINT_URL_STS`, else `AWS_ENDPOINT_URL`, unless
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is true. Without them the endpoint is AWS's global one.
    ///
    /// # Errors
    /// A variable is no URL of scheme, host and port. Its value is not told: it may hold a password.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidEndpoint> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let ignored = set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let configured = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"]
            .into_iter()
            .filter(|_| !ignored)
            .find_map(|name| set(name).map(|value| (name, value)));
        let sts_url = match configured {
            None => GLOBAL_STS.into(),
            Some((variable, value)) => {
                value.parse::<EndpointUrl>().map_err(|_| InvalidEndpoint { variable })?.as_str().to_owned()
            }
        };
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
        Ok(Self { http, sts_url })
    }

    /// The host of the STS endpoint, for messages and proof keys.
    pub fn sts_endpoint(&self) -> &str {
        &self.sts_url
    }

    fn sts(&self, key: &AccessKey) -> aws_sdk_sts::Client {
        let credentials = Credentials::new(key.id(), key.secret().expose_secret(), None, None, "registry-sts");
        let timeouts = TimeoutConfig::builder().operation_timeout(CALL_TIMEOUT).connect_timeout(CALL_TIMEOUT / 2);
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials)
            .endpoint_url(&self.sts_url)
            .http_client(self.http.clone())
            .region(Region::from_static("us-east-1"))
            // The global endpoint is signed for us-east-1. Retries are the proof room's, so that they are counted once.
            .retry_config(aws_sdk_sts::config::retry::RetryConfig::disabled())
            .timeout_config(timeouts.build())
            .disable_clock_skew_correction(true);
        let config =
            match FrameworkMetadata::new("registry-sts", Some(std::borrow::Cow::Borrowed(env!("CARGO_PKG_VERSION")))) {
                Ok(name_and_version) => config.framework_metadata(name_and_version),
                Err(_) => config,
            };
        aws_sdk_sts::Client::from_conf(config.build())
    }
}
