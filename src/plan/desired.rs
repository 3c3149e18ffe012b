//! What a `QuayStorage` asks for, parsed once.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use crate::api::quay_storage::{self as api, Location, QuayStorageSpec, SignatureVersion, StsRegionalEndpoints};
use crate::arn::{RoleArn, RoleArnError};
use crate::consumer::{Environment, StsEndpoints};
use crate::place::{Bucket, Endpoint, EndpointUrl, LocationName, Malformed, Place, StoragePath};
use crate::reason::{Failure, Reason};
use crate::target::{Principal, Target, same_partition, sts_endpoints};

/// A spec that can be acted on. A location that cannot does not stop the others.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The name of the bundle Secret.
    pub bundle: String,
    /// The locations in spec order.
    pub locations: Vec<DesiredLocation>,
    /// Whether `DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS` is ours too.
    pub replicate: bool,
    /// Where the locations stand in `DISTRIBUTED_STORAGE_PREFERENCE`.
    pub preference: api::Preference,
    /// The environment of Quay's pods, as far as it is known.
    pub environment: Environment,
    /// What is written without a proof.
    pub mode: api::Mode,
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
    /// Who assumes the role.
    pub auth: Auth,
    /// The bucket.
    pub bucket: Bucket,
    /// The path below which Quay keeps its blobs.
    pub storage_path: StoragePath,
    /// Where the bucket is.
    pub endpoint: Endpoint,
    /// The customer managed key that the bucket encrypts with, if it is known.
    pub kms_key_arn: Option<String>,
    /// `maximum_chunk_size_gb`.
    pub maximum_chunk_size_gb: Option<u32>,
    /// `signature_version`.
    pub signature_version: Option<SignatureVersion>,
    /// The place that the user consents to move to.
    pub accept_place: Option<String>,
}

/// Who assumes the role.
#[derive(Clone, Debug)]
pub enum Auth {
    /// An IAM user.
    AccessKey {
        /// The name of the Secret with its access key.
        secret: String,
        /// The role.
        role: RoleArn,
        /// The STS hosts that Quay asks, or why they cannot be known.
        sts: Result<StsEndpoints, Failure>,
    },
    /// A service account.
    WebIdentity(WebIdentity),
}

/// The service account that Quay's pods run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebIdentity {
    /// Its name.
    pub account: String,
    /// The audience of its tokens.
    pub audience: String,
    /// The role; without it the account's annotation says.
    pub role: Option<RoleArn>,
}

impl Wanted {
    /// The name of the Secret with the access key, if there is to be one.
    pub fn key_secret(&self) -> Option<&String> {
        match &self.auth {
            Auth::AccessKey { secret, .. } => Some(secret),
            Auth::WebIdentity(_) => None,
        }
    }

    /// What is to be proven of the location.
    pub fn target(&self, principal: Principal, role: RoleArn, sts: StsEndpoints, environment: &Environment) -> Target {
        let region = environment.default_region.as_ref();
        Target {
            principal,
            role,
            sts,
            endpoint: self.endpoint.clone(),
            signing_region: region.map_or_else(|| "us-east-1".to_owned(), ToString::to_string),
            bucket: self.bucket.clone(),
            storage_path: self.storage_path.clone(),
            kms_key_arn: self.kms_key_arn.clone(),
            certificates: None,
        }
    }

    /// Whether the certificates of the bundle count for reaching the location's bucket.
    pub fn needs_certificates(&self) -> bool {
        matches!(&self.endpoint, Endpoint::Url(url) if url.origin().starts_with("https:"))
    }

    /// Where the blobs of this location are.
    pub fn place(&self) -> Place {
        Place::new(self.endpoint.host(), self.bucket.as_str(), self.storage_path.as_str())
    }
}

/// What the operator's administrator allows.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// Endpoints.
    pub endpoints: AllowedEndpoints,
    /// Audiences of service accounts' tokens (`--allow-audience`); any, if none is named: who asks mints none.
    pub audiences: Option<BTreeSet<String>>,
}

impl Allowed {
    /// Everything: whoever asks goes nowhere and mints nothing.
    pub fn any() -> Self {
        Self { endpoints: AllowedEndpoints::Any, audiences: None }
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
    pub fn parse(spec: &QuayStorageSpec, allowed: &Allowed) -> Result<Self, Failure> {
        let interval = interval(&spec.verification.interval)?;
        let environment = environment(&spec.consumer_env)?;
        let wanted = |location| wanted(location, &environment, allowed);
        let locations = spec
            .locations
            .iter()
            .map(|location| DesiredLocation { name: location.name.clone(), wanted: wanted(location) })
            .collect();
        Ok(Self {
            bundle: spec.config_bundle_secret.clone(),
            locations,
            replicate: spec.replicate,
            preference: spec.preference,
            environment,
            mode: spec.verification.mode,
            interval,
        })
    }

    /// The names of all Secrets that this resource refers to.
    pub fn secrets(&self) -> BTreeSet<String> {
        let keys = self.locations.iter().filter_map(|l| l.wanted.as_ref().ok()?.key_secret()).cloned();
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

fn environment(spec: &api::ConsumerEnv) -> Result<Environment, Failure> {
    let region = |name: &str, value: &Option<String>| {
        value.as_deref().map(|value| parsed(&format!("consumerEnv.{name}"), value)).transpose()
    };
    Ok(Environment {
        default_region: region("AWS_DEFAULT_REGION", &spec.default_region)?,
        region: region("AWS_REGION", &spec.region)?,
        regional: spec.sts_regional_endpoints == Some(StsRegionalEndpoints::Regional),
    })
}

fn wanted(location: &Location, environment: &Environment, allowed: &Allowed) -> Result<Wanted, Failure> {
    let endpoint = match (&location.region, &location.endpoint_url) {
        (Some(region), None) => Endpoint::Region(parsed("region", region)?),
        (None, Some(url)) => Endpoint::Url(allowed_endpoint(parsed("endpointUrl", url)?, &allowed.endpoints)?),
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
        auth: auth(location, environment, &endpoint, allowed)?,
        bucket: parsed("bucket", &location.bucket)?,
        storage_path: parsed("storagePath", &location.storage_path)?,
        endpoint,
        kms_key_arn: location.kms_key_arn.clone(),
        maximum_chunk_size_gb: location.maximum_chunk_size_gb,
        signature_version: location.signature_version,
        accept_place: location.accept_place.clone(),
    })
}

fn auth(
    location: &Location,
    environment: &Environment,
    endpoint: &Endpoint,
    allowed: &Allowed,
) -> Result<Auth, Failure> {
    match (&location.auth.access_key, &location.auth.web_identity, &location.role_arn) {
        (Some(key), None, Some(arn)) => {
            let role = role("roleArn", arn)?;
            same_partition(&role, endpoint)?;
            let sts = sts_endpoints(environment, &role);
            Ok(Auth::AccessKey { secret: key.secret_ref.name.clone(), role, sts })
        }
        (None, Some(identity), None) => Ok(Auth::WebIdentity(WebIdentity {
            account: identity.service_account_name.clone(),
            audience: allowed_audience(&identity.audience, allowed)?,
            role: identity.role_arn.as_deref().map(|arn| role("auth.webIdentity.roleArn", arn)).transpose()?,
        })),
        (Some(_), None, None) => {
            Err(Failure::new(Reason::InvalidSpec, "roleArn is missing: give it with auth.accessKey"))
        }
        (None, Some(_), Some(_)) => Err(Failure::new(
            Reason::InvalidSpec,
            "roleArn is given beside auth.webIdentity: put it into auth.webIdentity.roleArn, or leave it to the service account's annotation",
        )),
        _ => Err(Failure::new(Reason::InvalidSpec, "auth has to have exactly one of accessKey and webIdentity")),
    }
}

fn allowed_audience(audience: &str, allowed: &Allowed) -> Result<String, Failure> {
    let Some(audiences) = &allowed.audiences else { return Ok(audience.to_owned()) };
    if audiences.contains(audience) {
        return Ok(audience.to_owned());
    }
    let known: Vec<&str> = audiences.iter().map(String::as_str).collect();
    Err(Failure::new(
        Reason::AudienceNotAllowed,
        format!(
            "auth.webIdentity.audience {audience:?} is not among those that the operator's administrator allows ({}). Use one of them, or ask for --allow-audience={audience} on `registry-sts run`.",
            known.join(", ")
        ),
    ))
}

fn role(field: &str, arn: &str) -> Result<RoleArn, Failure> {
    arn.parse().map_err(|why: RoleArnError| {
        Failure::new(
            Reason::InvalidRoleArn,
            format!("{field} {arn:?} {why}. Copy the ARN from the role's page in the IAM console."),
        )
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
