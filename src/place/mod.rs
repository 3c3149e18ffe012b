//! Where a registry's blobs are: the S3 host, the bucket and the path. Quay finds blobs by location name, so a
//! location whose place changes loses them; what counts as the same place is decided here.

mod endpoint_url;
mod grammar;

use std::fmt;

pub use endpoint_url::EndpointUrl;
pub use grammar::{Bucket, LocationName, Malformed, Region, StoragePath};

use crate::arn::Partition;

/// Where a location's S3 is, as the spec names it: exactly one of the two, because Quay ignores `endpoint_url` when
/// `s3_region` is set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// AWS itself, in this region (`s3_region`).
    Region(Region),
    /// Something that speaks S3 at this address (`endpoint_url`).
    Url(EndpointUrl),
}

impl Endpoint {
    /// The host that this endpoint is, for comparing places.
    pub fn host(&self) -> S3Host {
        match self {
            Self::Region(region) => match Partition::of_region(region.as_str()) {
                Some(partition) => S3Host::Aws(partition),
                None => S3Host::Other(format!("s3.{region}")),
            },
            Self::Url(url) => S3Host::of_url(url),
        }
    }
}

impl Region {
    /// The host of AWS's S3 in this region, as Quay's driver builds it.
    pub fn s3_host(&self) -> String {
        let china = Partition::of_region(self.as_str()) == Some(Partition::China);
        format!("s3.{self}.amazonaws.com{}", if china { ".cn" } else { "" })
    }
}

/// An S3 host as far as it decides which bucket a bucket's name means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum S3Host {
    /// AWS: a bucket's name is unique in a partition, whichever region's host is asked for it.
    Aws(Partition),
    /// Another provider, by its origin.
    Other(String),
}

impl S3Host {
    /// The host that a URL is: AWS's own S3 hosts of one partition are one.
    pub fn of_url(url: &EndpointUrl) -> Self {
        let host = url.host();
        let (partition, rest) = match (host.strip_suffix(".amazonaws.com.cn"), host.strip_suffix(".amazonaws.com")) {
            (Some(rest), _) => (Partition::China, rest),
            (None, Some(rest)) if rest.contains("us-gov-") => (Partition::GovCloud, rest),
            (None, Some(rest)) => (Partition::Aws, rest),
            (None, None) => return Self::Other(url.origin().into()),
        };
        if rest == "s3" || rest.starts_with("s3.") || rest.starts_with("s3-") {
            Self::Aws(partition)
        } else {
            Self::Other(url.origin().into())
        }
    }
}

impl S3Host {
    /// What a consent to move here has before the bucket.
    fn in_consent(&self) -> String {
        match self {
            Self::Aws(Partition::Aws) => String::new(),
            Self::Aws(partition) => format!("{}:", partition.as_str()),
            Self::Other(origin) => format!("{origin}/"),
        }
    }
}

impl fmt::Display for S3Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws(Partition::Aws) => f.write_str("AWS"),
            Self::Aws(partition) => write!(f, "AWS ({})", partition.as_str()),
            Self::Other(origin) => f.write_str(origin),
        }
    }
}

/// A location's place. Two equal places hold the same blobs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    host: S3Host,
    bucket: String,
    /// What Quay puts before every key, after its own normalisation.
    prefix: String,
}

impl Place {
    /// The place at a host, a bucket and a `storage_path` as Quay reads it.
    pub fn new(host: S3Host, bucket: &str, storage_path: &str) -> Self {
        Self { host, bucket: bucket.into(), prefix: key_prefix(storage_path) }
    }

    /// Whether `acceptPlace` names this place: `<bucket>/<path>` on AWS, the endpoint's origin before it elsewhere.
    pub fn is_named_by(&self, accept_place: &str) -> bool {
        let Some(place) = accept_place.strip_prefix(&self.host.in_consent()) else { return false };
        let (bucket, path) = place.split_once('/').unwrap_or((place, ""));
        self.bucket == bucket && self.prefix == key_prefix(path)
    }

    /// The value of `acceptPlace` that names this place.
    pub fn consent(&self) -> String {
        // Of two leading slashes Quay strips one; a prefix that still begins with one needs the other back.
        let path = if self.prefix.starts_with('/') { format!("/{}", self.prefix) } else { self.prefix.clone() };
        let full = format!("{}{}/{path}", self.host.in_consent(), self.bucket);
        match full.strip_suffix('/') {
            Some(short) if self.is_named_by(short) => short.into(),
            _ => full,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} on {}", self.bucket, self.prefix, self.host)
    }
}

/// What Quay puts before every key: it joins `storage_path` and the key, then strips exactly one leading slash.
pub fn key_prefix(storage_path: &str) -> String {
    let mut joined = storage_path.to_owned();
    if !joined.is_empty() && !joined.ends_with('/') {
        joined.push('/');
    }
    joined.strip_prefix('/').map(str::to_owned).unwrap_or(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(endpoint: &str, path: &str) -> Place {
        let endpoint = match endpoint.parse::<Region>() {
            Ok(region) => Endpoint::Region(region),
            Err(_) => Endpoint::Url(endpoint.parse().unwrap()),
        };
        Place::new(endpoint.host(), "quay-bucket", path)
    }

    #[test]
    fn paths_that_give_quay_the_same_keys_are_the_same_place() {
        for (one, other, same) in [
            ("/datastorage", "datastorage", true),
            ("/datastorage", "/datastorage/", true),
            ("", "/", true),
            ("//a", "/a", false),
            ("/a//", "/a", false),
            ("/a", "/A", false),
            ("/a", "/a/b", false),
        ] {
            assert_eq!(at("us-east-1", one) == at("us-east-1", other), same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn hosts_of_one_partition_are_the_same_place_and_others_are_not() {
        for (one, other, same) in [
            ("us-east-1", "eu-west-1", true),
            ("us-east-1", "https://s3.amazonaws.com", true),
            ("us-east-1", "https://s3.eu-west-1.amazonaws.com:443/", true),
            ("us-east-1", "https://s3-eu-west-1.amazonaws.com", true),
            ("us-east-1", "cn-north-1", false),
            ("us-east-1", "us-iso-east-1", false),
            ("us-east-1", "eusc-de-east-1", false),
            ("cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn", true),
            ("us-gov-west-1", "https://s3.us-gov-west-1.amazonaws.com", true),
            ("us-east-1", "https://s3.us-gov-west-1.amazonaws.com", false),
            ("us-east-1", "https://minio.example.com", false),
            ("https://MINIO.example.com", "https://minio.example.com:443", true),
            ("https://minio.example.com", "http://minio.example.com", false),
            ("us-east-1", "https://s3.amazonaws.com.example.com", false),
        ] {
            assert_eq!(at(one, "/x") == at(other, "/x"), same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn the_consent_that_is_printed_is_the_consent_that_is_accepted() {
        for path in ["", "/", "//", "///", "/datastorage", "datastorage/", "//a", "/a//", "a b"] {
            let place = at("us-east-1", path);
            assert!(place.is_named_by(&place.consent()), "{path:?}: {}", place.consent());
        }
        assert_eq!(at("us-east-1", "/datastorage").consent(), "quay-bucket/datastorage");
        assert!(!at("us-east-1", "/datastorage").is_named_by("other-bucket/datastorage"));
        assert!(!at("us-east-1", "/datastorage").is_named_by("quay-bucket"));
        let elsewhere = at("https://MINIO.example.com", "/datastorage");
        assert_eq!(elsewhere.consent(), "https://minio.example.com:443/quay-bucket/datastorage");
        assert!(elsewhere.is_named_by(&elsewhere.consent()) && !elsewhere.is_named_by("quay-bucket/datastorage"));
        assert!(!at("us-east-1", "/datastorage").is_named_by(&elsewhere.consent()));
    }

    #[test]
    fn grammars_refuse_what_the_schema_refuses() {
        assert!("default".parse::<LocationName>().is_ok() && "123".parse::<LocationName>().is_ok());
        assert!("".parse::<LocationName>().is_err() && "a b".parse::<LocationName>().is_err());
        assert!("my-quay.bucket".parse::<Bucket>().is_ok() && "My".parse::<Bucket>().is_err());
        assert!("us-gov-west-1".parse::<Region>().is_ok() && "us-east".parse::<Region>().is_err());
        for bad in ["minio", "ftp://a", "https://", "https://a/path", "https://u:p@a", "http://a:0", "http://a b"] {
            assert!(bad.parse::<EndpointUrl>().is_err(), "{bad}");
        }
        assert_eq!("HTTP://[::1]:9000".parse::<EndpointUrl>().unwrap().origin(), "http://[::1]:9000");
    }
}
