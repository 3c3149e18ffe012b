//! What a `QuayStorage` asks for, parsed once.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use crate::api::quay_storage::{Location, QuayStorageSpec, SignatureVersion};
use crate::arn::{Partition, RoleArn, RoleArnError};
use crate::place::{Bucket, Endpoint, EndpointUrl, LocationName, Malformed, Place, StoragePath};
use crate::reason::{Failure, Reason};

/// A spec that can be acted on. A location that cannot does not stop the others.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The name of the bundle Secret.
    pub bundle: String,
    /// The locations in spec order.
    pub locations: Vec<DesiredLocation>,
    /// Whether `DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS` is ours too.
    pub replicate: bool,
    /// How old a proof may be.
    pub interval: Duration,
}

/// A location of the spec, or what is wrong with it.
#[derive(Clone, Debug)]
pub struct DesiredLocation {
    /// Its name as the spec has it.
    pub name: String,
    /// What it asks for.
    pub wanted: Result<Wanted, Failure>,
}

/// A location that can be proven and written.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The location's name.
    pub name: LocationName,
    /// The role that Quay assumes.
    pub role: RoleArn,
    /// The bucket.
    pub bucket: Bucket,
    /// The path below which Quay keeps its blobs.
    pub storage_path: StoragePath,
    /// Where the bucket is.
    pub endpoint: Endpoint,
    /// The name of the Secret with the access key.
    pub key_secret: String,
    /// `maximum_chunk_size_gb`.
    pub maximum_chunk_size_gb: Option<u32>,
    /// `signature_version`.
    pub signature_version: Option<SignatureVersion>,
    /// The place that the user consents to move to.
    pub accept_place: Option<String>,
}

impl Wanted {
    /// Where the blobs of this location are.
    pub fn place(&self) -> Place {
        Place::new(self.endpoint.host(), self.bucket.as_str(), self.storage_path.as_str())
    }
}

/// The endpoints that the operator's administrator allows, by origin (`--allow-endpoint`).
#[derive(Clone, Debug)]
pub enum AllowedEndpoints {
    /// All: whoever asks goes to none of them.
    Any,
    /// These origins.
    Only(BTreeSet<String>),
}

impl FromIterator<EndpointUrl> for AllowedEndpoints {
    fn from_iter<T: IntoIterator<Item = EndpointUrl>>(urls: T) -> Self {
        Self::Only(urls.into_iter().map(|url| url.origin().to_owned()).collect())
    }
}

impl Desired {
    /// Reads a spec.
    ///
    /// # Errors
    /// `InvalidSpec` for what concerns the whole resource. The schema refuses it too, so it is met only where an
    /// older or a loosened schema let it in.
    pub fn parse(spec: &QuayStorageSpec, allowed: &AllowedEndpoints) -> Result<Self, Failure> {
        let interval = interval(&spec.verification.interval)?;
        let locations = spec
            .locations
            .iter()
            .map(|location| DesiredLocation { name: location.name.clone(), wanted: wanted(location, allowed) })
            .collect();
        Ok(Self { bundle: spec.config_bundle_secret.clone(), locations, replicate: spec.replicate, interval })
    }

    /// The names of all Secrets that this resource refers to.
    pub fn secrets(&self) -> BTreeSet<String> {
        let keys = self.locations.iter().filter_map(|l| l.wanted.as_ref().ok()).map(|wanted| wanted.key_secret.clone());
        keys.chain([self.bundle.clone()]).collect()
    }
}

fn interval(text: &str) -> Result<Duration, Failure> {
    let invalid = || {
        Failure::new(
            Reason::InvalidSpec,
            format!("spec.verification.interval is {text:?}: expected 5m to 24h, for example 1h, 90m or 1h30m"),
        )
    };
    let duration: jiff::SignedDuration = text.parse().map_err(|_| invalid())?;
    let duration = Duration::try_from(duration).map_err(|_| invalid())?;
    let allowed = Duration::from_mins(5)..=Duration::from_hours(24);
    if allowed.contains(&duration) { Ok(duration) } else { Err(invalid()) }
}

fn wanted(location: &Location, allowed: &AllowedEndpoints) -> Result<Wanted, Failure> {
    let role: RoleArn = location.role_arn.parse().map_err(|why: RoleArnError| {
        Failure::new(
            Reason::InvalidRoleArn,
            format!("roleArn {:?} {why}. Copy the ARN from the role's page in the IAM console.", location.role_arn),
        )
    })?;
    if role.partition() != Partition::Aws {
        return Err(Failure::new(
            Reason::StsEndpointUnknown,
            format!(
                "roleArn is in partition {}, where Quay asks the STS host of the region that its pods' AWS_DEFAULT_REGION names. This version does not know that region, so it can prove nothing there; it proves roles of partition aws.",
                role.partition().as_str()
            ),
        ));
    }
    let endpoint = match (&location.region, &location.endpoint_url) {
        (Some(region), None) if Partition::of_region(region) != Some(role.partition()) => {
            return Err(Failure::new(
                Reason::InvalidSpec,
                format!(
                    "region {region} is not in the role's partition ({}): a role of one partition opens no bucket of another. Correct the region or the role.",
                    role.partition().as_str()
                ),
            ));
        }
        (Some(region), None) => Endpoint::Region(parsed("region", region)?),
        (None, Some(url)) => Endpoint::Url(allowed_endpoint(parsed("endpointUrl", url)?, allowed)?),
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                Reason::InvalidSpec,
                "region and endpointUrl are both given: keep one. Quay ignores endpoint_url when s3_region is set.",
            ));
        }
        (None, None) => {
            return Err(Failure::new(
                Reason::InvalidSpec,
                "region and endpointUrl are both missing: give region for AWS S3, endpointUrl for something else that speaks S3.",
            ));
        }
    };
    if let Some(size) = location.maximum_chunk_size_gb.filter(|size| !(1..=5).contains(size)) {
        return Err(Failure::new(Reason::InvalidSpec, format!("maximumChunkSizeGb is {size}: expected 1 to 5")));
    }
    Ok(Wanted {
        name: parsed("name", &location.name)?,
        role,
        bucket: parsed("bucket", &location.bucket)?,
        storage_path: parsed("storagePath", &location.storage_path)?,
        endpoint,
        key_secret: location.auth.access_key.secret_ref.name.clone(),
        maximum_chunk_size_gb: location.maximum_chunk_size_gb,
        signature_version: location.signature_version,
        accept_place: location.accept_place.clone(),
    })
}

fn parsed<T: FromStr<Err = Malformed>>(field: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|why| Failure::new(Reason::InvalidSpec, format!("{field} {why}")))
}

fn allowed_endpoint(url: EndpointUrl, allowed: &AllowedEndpoints) -> Result<EndpointUrl, Failure> {
    match allowed {
        AllowedEndpoints::Any => return Ok(url),
        AllowedEndpoints::Only(origins) if origins.contains(url.origin()) => return Ok(url),
        AllowedEndpoints::Only(_) => {}
    }
    Err(Failure::new(
        Reason::EndpointNotAllowed,
        format!(
            "endpointUrl {} is not among the endpoints that the operator's administrator allows. Ask for --allow-endpoint={} on `registry-sts run`, or use region for AWS S3.",
            url.as_str(),
            url.origin()
        ),
    ))
}
