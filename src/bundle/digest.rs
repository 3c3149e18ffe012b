//! What an entry says, as a hash that may be shown: every argument counts but the secret.

use secrecy::{ExposeSecret as _, SecretString};

use super::standing::StandingArguments;
use super::storage::{SignatureVersion, StorageEntry};
use crate::arn::RoleArn;
use crate::fingerprint::{fingerprint, hex};
use crate::place::{Endpoint, EndpointUrl, Region};

/// What counts.
struct Said<'a> {
    role: Option<&'a RoleArn>,
    bucket: &'a str,
    storage_path: &'a str,
    /// A URL beside a region is ignored by Quay, and is none that we write.
    region: Option<&'a Region>,
    url: Option<&'a EndpointUrl>,
    access_key_id: Option<&'a str>,
    maximum_chunk_size_gb: Option<u32>,
    signature_version: Option<SignatureVersion>,
}

impl StorageEntry {
    /// The hash of what is written for it.
    pub fn digest(&self) -> String {
        let key = self.role_key.as_ref();
        let (region, url) = match &self.endpoint {
            Endpoint::Region(region) => (Some(region), None),
            Endpoint::Url(url) => (None, Some(url)),
        };
        Said {
            role: key.map(|key| &key.role_arn),
            bucket: self.bucket.as_str(),
            storage_path: self.storage_path.as_str(),
            region,
            url,
            access_key_id: key.map(|key| key.access_key_id.as_str()),
            maximum_chunk_size_gb: self.maximum_chunk_size_gb,
            signature_version: self.signature_version,
        }
        .digest()
    }
}

impl StandingArguments {
    /// The hash of an entry of `STSS3Storage` that stands: the same as that of what was written, unless somebody changed it.
    pub fn digest(&self) -> String {
        Said {
            role: self.role_arn.as_ref(),
            bucket: self.bucket.as_str(),
            storage_path: self.storage_path.as_str(),
            region: self.region.as_ref(),
            url: self.url.as_ref(),
            access_key_id: self.access_key_id.as_ref().map(SecretString::expose_secret),
            maximum_chunk_size_gb: self.maximum_chunk_size_gb,
            signature_version: self.signature_version,
        }
        .digest()
    }
}

impl Said<'_> {
    fn digest(&self) -> String {
        let size = self.maximum_chunk_size_gb.map(|size| size.to_string());
        let parts = [
            ("role", self.role.map(RoleArn::as_str)),
            ("bucket", Some(self.bucket)),
            ("path", Some(self.storage_path)),
            ("region", self.region.map(Region::as_str)),
            ("url", self.url.map(EndpointUrl::as_str)),
            ("key", self.access_key_id),
            ("size", size.as_deref()),
            ("signature", self.signature_version.map(SignatureVersion::as_str)),
        ];
        let given = parts.into_iter().filter_map(|(name, value)| value.map(|value| [name, value])).flatten();
        hex(fingerprint(given).get(..8).unwrap_or_default())
    }
}
