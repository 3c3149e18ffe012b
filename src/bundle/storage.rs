//! The `STSS3Storage` entry that we write, and what can be told of an entry that stands.

use secrecy::{ExposeSecret, SecretString};

use super::screen::quoted;
use super::tree::{Kind, Node, Pair, Style};
use crate::arn::{Partition, RoleArn};
use crate::place::{Bucket, Endpoint, LocationName, Place, Region, S3Host, StoragePath};

/// The driver that assumes a role.
pub(super) const DRIVER: &str = "STSS3Storage";
pub(super) const STATIC_KEYS_DRIVER: &str = "S3Storage";

/// Every argument of `STSS3Storage`; any other kills Quay at its start.
pub(super) const ARGUMENTS: [&str; 9] = [
    "sts_role_arn",
    "s3_bucket",
    "storage_path",
    "s3_region",
    "endpoint_url",
    "sts_user_access_key",
    "sts_user_secret_key",
    "maximum_chunk_size_gb",
    "signature_version",
];

/// `signature_version` of an entry: the values that Quay accepts and that can be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVersion {
    /// `s3v4`.
    S3v4,
    /// `v4`.
    V4,
}

impl SignatureVersion {
    /// The value as the bundle spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3v4 => "s3v4",
            Self::V4 => "v4",
        }
    }
}

/// One location of `DISTRIBUTED_STORAGE_CONFIG` as we want it: what `STSS3Storage` takes, and nothing else.
#[derive(Clone)]
pub struct StorageEntry {
    /// The location's name, the key of the entry.
    pub name: LocationName,
    /// The role and the key that assumes it; none where Quay's pods get their role by a service account.
    pub role_key: Option<RoleKey>,
    /// `s3_bucket`.
    pub bucket: Bucket,
    /// `storage_path`: what Quay puts before every key of the bucket.
    pub storage_path: StoragePath,
    /// `s3_region` or `endpoint_url`.
    pub endpoint: Endpoint,
    /// `maximum_chunk_size_gb`, where it is not Quay's default.
    pub maximum_chunk_size_gb: Option<u32>,
    /// `signature_version`, where it is not Quay's default.
    pub signature_version: Option<SignatureVersion>,
}

/// A role, and the access key that assumes it.
#[derive(Clone)]
pub struct RoleKey {
    /// `sts_role_arn`: the role that Quay assumes.
    pub role_arn: RoleArn,
    /// `sts_user_access_key`: the id of the key that may assume the role.
    pub access_key_id: String,
    /// `sts_user_secret_key`.
    pub secret_access_key: SecretString,
}

/// The value of one argument.
pub(super) enum Argument<'a> {
    Text(&'a str),
    Number(u32),
}

impl Argument<'_> {
    /// As it is written.
    pub(super) fn spelled(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Number(number) => number.to_string(),
        }
    }

    /// Whether all three readers read this very value at the node.
    pub(super) fn is_read_at(&self, node: &Node) -> bool {
        match self {
            Self::Text(text) => node.string() == Some(text),
            Self::Number(number) => {
                let plain = matches!(node.kind, Kind::Scalar { style: Style::Plain, .. });
                plain && !node.anchored && !node.tagged && node.text() == Some(&number.to_string())
            }
        }
    }
}

impl StorageEntry {
    /// The arguments in the order in which they are written.
    pub(super) fn arguments(&self) -> Vec<(&'static str, Argument<'_>)> {
        let endpoint = match &self.endpoint {
            Endpoint::Region(region) => ("s3_region", region.as_str()),
            Endpoint::Url(url) => ("endpoint_url", url.as_str()),
        };
        let key = self.role_key.as_ref();
        let mut all: Vec<_> = key.map(|key| ("sts_role_arn", key.role_arn.as_str())).into_iter().collect();
        all.extend([("s3_bucket", self.bucket.as_str()), ("storage_path", self.storage_path.as_str()), endpoint]);
        all.extend(key.into_iter().flat_map(|key| {
            [
                ("sts_user_access_key", key.access_key_id.as_str()),
                ("sts_user_secret_key", key.secret_access_key.expose_secret()),
            ]
        }));
        let mut all: Vec<_> = all.into_iter().map(|(key, text)| (key, Argument::Text(text))).collect();
        all.extend(self.maximum_chunk_size_gb.map(|size| ("maximum_chunk_size_gb", Argument::Number(size))));
        all.extend(self.signature_version.map(|version| ("signature_version", Argument::Text(version.as_str()))));
        all
    }

    /// Whether all three readers read this entry as the intent, whatever its style.
    pub(super) fn is_read_at(&self, pair: &Pair) -> bool {
        let Kind::List { items, .. } = &pair.value.kind else { return false };
        let [driver, arguments] = items.as_slice() else { return false };
        let wanted = self.arguments();
        pair.key.string() == Some(self.name.as_str())
            && pair.value.guard_all().is_ok()
            && driver.string() == Some(DRIVER)
            && arguments.pairs().len() == wanted.len()
            && wanted.iter().all(|(key, value)| {
                arguments.get(key).is_some_and(|found| found.key.string().is_some() && value.is_read_at(&found.value))
            })
    }
}

/// What stands at a location's name in a config.yaml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEntry {
    /// The driver's name; empty where none can be told.
    pub driver: String,
    /// Where the entry keeps its blobs; `None` where that cannot be told: another driver, a value that the readers do
    /// not read alike, an alias, a region and a host that contradict each other.
    pub place: Option<Place>,
    /// Whether the driver is one whose blobs `STSS3Storage` finds: `S3Storage` or `STSS3Storage`.
    pub known_driver: bool,
}

impl FoundEntry {
    pub(super) fn of(entry: &Node) -> Self {
        let (driver, arguments) = match &entry.kind {
            Kind::List { items, .. } => (items.first().and_then(Node::string), items.get(1)),
            _ => (None, None),
        };
        let driver = driver.unwrap_or_default();
        let known_driver = matches!(driver, DRIVER | STATIC_KEYS_DRIVER);
        let readable = arguments.filter(|_| known_driver && entry.guard_all().is_ok());
        let place = readable.and_then(|arguments| place(driver, arguments));
        Self { driver: driver.to_owned(), place, known_driver }
    }
}

fn place(driver: &str, arguments: &Node) -> Option<Place> {
    let string = |key| arguments.get(key).map(|found| found.value.string());
    let path = string("storage_path")??;
    let bucket = string("s3_bucket")??;
    let mut hosts = Vec::new();
    if let Some(region) = string("s3_region") {
        hosts.push(Endpoint::Region(region?.parse::<Region>().ok()?).host());
    }
    // Quay's STSS3Storage ignores the URL where there is a region.
    if let (Some(url), false) = (string("endpoint_url"), driver == DRIVER && !hosts.is_empty()) {
        hosts.push(S3Host::of_url(&url?.parse().ok()?));
    }
    if let (Some(host), STATIC_KEYS_DRIVER) = (string("host"), driver) {
        let port = arguments.get("port").and_then(|port| port.value.text()).map(|port| format!(":{port}"));
        hosts.push(S3Host::of_url(&format!("https://{}{}", host?, port.unwrap_or_default()).parse().ok()?));
    }
    let host = hosts.first().cloned().unwrap_or(S3Host::Aws(Partition::Aws));
    hosts.iter().all(|other| *other == host).then(|| Place::new(host, bucket, path))
}
