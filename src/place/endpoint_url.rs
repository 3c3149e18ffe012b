//! The URL of an S3-compatible endpoint.

use std::str::FromStr;

use super::{Malformed, Region};

/// The URL of an S3-compatible endpoint: scheme, host and port, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    text: String,
    origin: String,
}

impl EndpointUrl {
    const EXPECTED: &'static str = "http://host[:port] or https://host[:port], without user, path or query";

    /// The URL as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host in lower case and port, the default port spelled out: two URLs of the same origin are equal here.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The region of an AWS host of S3, `s3.<region>` or `s3-<region>`.
    pub fn aws_region(&self) -> Option<Region> {
        let host = self.host().trim_end_matches(".cn").strip_suffix(".amazonaws.com")?;
        host.strip_prefix("s3.").or_else(|| host.strip_prefix("s3-"))?.parse().ok()
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        let authority = self.origin.split_once("://").map_or(self.origin.as_str(), |(_, rest)| rest);
        authority.rsplit_once(':').map_or(authority, |(host, _)| host)
    }
}

impl FromStr for EndpointUrl {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed { found: text.into(), expected: Self::EXPECTED };
        let (scheme, rest) = text.split_once("://").ok_or_else(malformed)?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => "80",
            "https" => "443",
            _ => return Err(malformed()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            // An IPv6 address in brackets has colons of its own.
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority.as_str(), default_port),
        };
        let bare_host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host_fits = match bare_host {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
                    && host.starts_with(|c: char| c.is_ascii_alphanumeric())
            }
        };
        match port.parse::<u16>() {
            Ok(port) if port > 0 && host_fits && text.len() <= 512 => {
                Ok(Self { text: text.into(), origin: format!("{scheme}://{host}:{port}") })
            }
            _ => Err(malformed()),
        }
    }
}
