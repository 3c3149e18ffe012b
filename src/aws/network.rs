//! The one connector: through which proxy, with which certificates, to which addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use aws_sdk_sts::config::SharedHttpClient;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use hyper_util::client::proxy::matcher::Matcher;
use ipnet::IpNet;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::CALL_TIMEOUT;
use crate::leadership::{Fence, within};

/// What the operator's administrator says of the network.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// Networks that an `endpointUrl` may resolve into although they are not public (`--allow-network`).
    pub allowed: Vec<IpNet>,
    /// Certificates to trust beside the system's own, as PEM (`--ca-file`).
    pub certificates: Option<String>,
}

/// A file of certificates that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCertificate {
    /// There is none in it.
    #[error("there is no certificate in it: expected -----BEGIN CERTIFICATE----- blocks")]
    None,
    /// One cannot be read.
    #[error("certificate {0} in it cannot be read as an authority's")]
    Unreadable(usize),
}

impl Networks {
    /// Takes certificates, if all of them can be used.
    ///
    /// # Errors
    /// Which of them cannot.
    pub fn with_certificates(mut self, pem: String) -> Result<Self, InvalidCertificate> {
        let mut count = 0;
        for (index, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
            let unreadable = InvalidCertificate::Unreadable(index + 1);
            let certificate = certificate.map_err(|_| unreadable.clone())?;
            webpki::anchor_from_trusted_cert(&certificate).map_err(|_| unreadable)?;
            count += 1;
        }
        if count == 0 {
            return Err(InvalidCertificate::None);
        }
        self.certificates = Some(pem);
        Ok(self)
    }
}

/// How hosts are reached.
#[derive(Clone)]
pub struct Network {
    networks: Networks,
    proxies: Arc<Matcher>,
    guard: Guard,
    fence: Fence,
}

/// A connector that sends nothing but questions while somebody else leads: a proof puts objects, and removes them.
#[derive(Debug)]
struct Fenced {
    inner: SharedHttpConnector,
    fence: Fence,
}

impl HttpConnector for Fenced {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if ["GET", "HEAD"].contains(&request.method()) {
            return self.inner.call(request);
        }
        let not_leading = || ConnectorError::io("nothing was sent: this process does not lead".into());
        match self.fence.admits() {
            Some(until) => HttpConnectorFuture::new(within(until, not_leading, self.inner.call(request))),
            None => HttpConnectorFuture::ready(Err(not_leading())),
        }
    }
}

impl Network {
    /// `named` are hosts that the administrator named, beside AWS's own: they may have any address.
    pub(super) fn new(networks: Networks, named: BTreeSet<String>, fence: Fence) -> Self {
        let proxies = Arc::new(Matcher::from_env());
        let mut trusted = named;
        for url in ["https://host.invalid", "http://host.invalid"] {
            let proxy = url.parse().ok().and_then(|url| proxies.intercept(&url));
            trusted.extend(proxy.and_then(|proxy| proxy.uri().host().map(str::to_ascii_lowercase)));
        }
        let guard = Guard { trusted: trusted.into(), allowed: networks.allowed.clone().into() };
        Self { networks, proxies, guard, fence }
    }

    /// One connector for all clients, so that they share connections; `more` are certificates that it trusts as well.
    pub(super) fn http_client(&self, more: Option<&str>) -> SharedHttpClient {
        let timeouts = HttpConnectorSettings::builder().connect_timeout(CALL_TIMEOUT / 2).read_timeout(CALL_TIMEOUT);
        let mut trust = TrustStore::default();
        for pem in self.networks.certificates.as_deref().into_iter().chain(more) {
            for certificate in blocks(pem) {
                trust.add_pem_certificate(certificate);
            }
        }
        let mut connector = Connector::builder()
            .connector_settings(timeouts.build())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring));
        if let Ok(context) = TlsContext::builder().with_trust_store(trust).build() {
            connector = connector.tls_context(context);
        }
        let connector = SharedHttpConnector::new(connector.build_with_resolver(self.guard.clone()));
        let connector = SharedHttpConnector::new(Fenced { inner: connector, fence: self.fence.clone() });
        http_client_fn(move |_, _| connector.clone())
    }

    /// The proxy through which a URL is reached: its host and port, without what else its variable holds.
    pub(super) fn proxy_to(&self, url: &str) -> Option<String> {
        let proxy = self.proxies.intercept(&url.parse().ok()?)?;
        let host = proxy.uri().host()?;
        Some(proxy.uri().port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }
}

/// Each usable certificate's own block: the connector takes them one by one, and panics at others.
fn blocks(pem: &str) -> impl Iterator<Item = String> + '_ {
    const END: &str = "-----END CERTIFICATE-----";
    pem.split_inclusive(END).filter_map(|part| {
        let begin = part.find("-----BEGIN CERTIFICATE-----")?;
        let block = part.ends_with(END).then(|| format!("{}\n", &part[begin..]))?;
        let certificate = CertificateDer::from_pem_slice(block.as_bytes()).ok()?;
        webpki::anchor_from_trusted_cert(&certificate).is_ok().then_some(block)
    })
}

/// That a host has an address which it may not have.
#[derive(Debug, thiserror::Error)]
#[error("the host resolves to an address that is not allowed")]
pub(super) struct AddressRefused;

/// Resolves hosts, and hands out no address that a tenant must not reach: the address that is dialled is the one that
/// was checked.
#[derive(Clone, Debug)]
struct Guard {
    trusted: Arc<BTreeSet<String>>,
    allowed: Arc<[IpNet]>,
}

impl Guard {
    fn trusts(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let is_aws = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
        is_aws || self.trusted.contains(&host)
    }

    fn may_dial(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|network| network.contains(&address)) || is_public(address)
    }
}

impl ResolveDns for Guard {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = tokio::net::lookup_host((name, 0)).await.map_err(ResolveDnsError::new)?;
            let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            if self.trusts(name) || addresses.iter().all(|address| self.may_dial(*address)) {
                Ok(addresses)
            } else {
                Err(ResolveDnsError::new(AddressRefused))
            }
        })
    }
}

/// Whether an address belongs to the internet at large: not private, loopback, link-local (the cloud's metadata
/// service among them), shared, reserved or multicast, nor one of these inside an IPv6 address.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = (a, b, c) == (192, 0, 0) || (a == 198 && (b == 18 || b == 19));
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || shared
        || protocol)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let last_two = || {
        let [.., high, low] = segments;
        Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
    };
    if let Some(mapped) = address.to_ipv4() {
        // IPv4-mapped, and the older IPv4-compatible with loopback and the unspecified address among them.
        return is_public_v4(mapped);
    }
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(last_two());
    }
    if segments[0] == 0x2002 {
        return is_public_v4(Ipv4Addr::from((u32::from(segments[1]) << 16) | u32::from(segments[2])));
    }
    let unique_local = segments[0] & 0xfe00 == 0xfc00;
    let link_local = segments[0] & 0xffc0 == 0xfe80;
    let site_local = segments[0] & 0xffc0 == 0xfec0;
    let documentation = segments[..2] == [0x2001, 0xdb8];
    let local_nat64 = segments[..3] == [0x64, 0xff9b, 1];
    let teredo = segments[..2] == [0x2001, 0];
    !(unique_local || link_local || site_local || documentation || local_nat64 || teredo || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_at_large_are_public() {
        for public in ["8.8.8.8", "52.216.0.1", "2600:1f18::1", "64:ff9b::808:808", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for inside in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a00:1",
            "2002:a00:1::1",
            "2001:0:53aa::1",
            "ff02::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
    }

    #[test]
    fn a_host_outside_is_dialled_inside_only_where_the_network_is_allowed() {
        let networks = Networks { allowed: vec!["10.1.0.0/16".parse().unwrap()], certificates: None };
        let network = Network::new(networks, ["sts.corp".to_owned()].into(), Fence::open());
        assert!(network.guard.may_dial("10.1.2.3".parse().unwrap()));
        assert!(!network.guard.may_dial("10.2.0.1".parse().unwrap()));
        assert!(network.guard.trusts("sts.corp") && network.guard.trusts("s3.eu-west-1.amazonaws.com"));
        assert!(!network.guard.trusts("amazonaws.com.example.org") && !network.guard.trusts("minio.corp"));
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_very_machine_is_refused() {
        let network = Network::new(Networks::default(), BTreeSet::new(), Fence::open());
        let refused = network.guard.resolve_dns("localhost").await.unwrap_err();
        assert!(
            std::error::Error::source(&refused).is_some_and(<dyn std::error::Error>::is::<AddressRefused>),
            "{refused:?}"
        );
    }

    #[test]
    fn a_file_without_usable_certificates_is_refused() {
        let refused = |pem: &str| Networks::default().with_certificates(pem.into()).unwrap_err();
        assert_eq!(refused("hello"), InvalidCertificate::None);
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(refused(garbage), InvalidCertificate::Unreadable(1));
    }
}
