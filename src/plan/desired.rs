//! What a `QuayStorage` asks for, parsed once.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

pub use super::allowed::{Allowed, AllowedEndpoints};
use crate::api::quay_storage::{self as api, Location, QuayStorageSpec, SignatureVersion};
use crate::arn::{RoleArn, RoleArnError};
use crate::consumer::{Consumer, Environment, StsEndpoints};
use crate::place::{Bucket, Endpoint, LocationName, Malformed, Place, StoragePath};
use crate::reason::{Failure, Reason};
use crate::registry::{QuayVersion, account_of};
use crate::target::{Principal, Target, endpoint_gets_sts, same_partition, sts_endpoints};

/// A spec that can be acted on. A location that cannot does not stop the others.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Whose bundle it is.
    pub consumer: Consumer,
    /// The locations in spec order.
    pub locations: Vec<DesiredLocation>,
    /// Whether `DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS` is ours too.
    pub replicate: bool,
    /// Where the locations stand in `DISTRIBUTED_STORAGE_PREFERENCE`.
    pub preference: api::Preference,
    /// What is written without a proof.
    pub mode: api::Mode,
    /// Whether somebody has to approve of each change.
    pub apply: api::Apply,
    /// What becomes of the bundle when the resource is deleted.
    pub deletion_policy: api::DeletionPolicy,
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
    /// Whether the annotation is to be added where there is none.
    pub annotate: bool,
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
    pub fn target(
        &self,
        principal: Principal,
        role: RoleArn,
        (sts, environment): (StsEndpoints, &Environment),
        version: Option<QuayVersion>,
    ) -> Target {
        Target {
            principal,
            role: Some(role),
            sts,
            endpoint: self.endpoint.clone(),
            endpoint_gets_sts: endpoint_gets_sts(&self.endpoint, version),
            signing_region: environment.signing_region(),
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

impl Desired {
    /// Reads a spec, for the Quay that reads its bundle.
    ///
    /// # Errors
    /// `InvalidSpec` for what concerns the whole resource. The schema refuses it too, so it is met only where an
    /// older or a loosened schema let it in.
    pub fn parse(spec: &QuayStorageSpec, consumer: Consumer, allowed: &Allowed) -> Result<Self, Failure> {
        let interval = interval(&spec.verification.interval)?;
        let mode = spec.verification.mode;
        let wanted = |location| wanted(location, &consumer, mode, allowed);
        let locations = spec
            .locations
            .iter()
            .map(|location| DesiredLocation { name: location.name.clone(), wanted: wanted(location) })
            .collect();
        let (replicate, preference) = (spec.replicate, spec.preference);
        let (apply, deletion_policy) = (spec.apply, spec.deletion_policy);
        Ok(Self { consumer, locations, replicate, preference, mode, apply, deletion_policy, interval })
    }

    /// The same with locations of which it is known why they cannot be: what they refer to does not say yet.
    #[must_use]
    pub fn without(mut self, unknown: &BTreeMap<String, Failure>) -> Self {
        for location in &mut self.locations {
            if let Some(failure) = unknown.get(&location.name) {
                location.wanted = Err(failure.clone());
            }
        }
        self
    }

    /// The names of all Secrets that this resource refers to.
    pub fn secrets(&self) -> BTreeSet<String> {
        let keys = self.locations.iter().filter_map(|l| l.wanted.as_ref().ok()?.key_secret()).cloned();
        keys.chain([self.consumer.bundle.clone()]).chain(self.consumer.source.clone()).collect()
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

fn wanted(location: &Location, consumer: &Consumer, mode: api::Mode, allowed: &Allowed) -> Result<Wanted, Failure> {
    let endpoint = match (&location.region, &location.endpoint_url) {
        (Some(region), None) => Endpoint::Region(parsed("region", region)?),
        (None, Some(url)) => Endpoint::Url(allowed.endpoint(parsed("endpointUrl", url)?)?),
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
    too_old(location, consumer, mode)?;
    Ok(Wanted {
        name: parsed("name", &location.name)?,
        auth: auth(location, consumer, &endpoint, allowed)?,
        bucket: parsed("bucket", &location.bucket)?,
        storage_path: parsed("storagePath", &location.storage_path)?,
        endpoint,
        kms_key_arn: location.kms_key_arn.clone(),
        maximum_chunk_size_gb: location.maximum_chunk_size_gb,
        signature_version: location.signature_version,
        accept_place: location.accept_place.clone(),
    })
}

/// That the Quay which runs can do what the location asks of it; one of a version that is not known is trusted to.
fn too_old(location: &Location, consumer: &Consumer, mode: api::Mode) -> Result<(), Failure> {
    let Some(version) = consumer.version else { return Ok(()) };
    let registry = consumer.registry.as_deref().unwrap_or_default();
    let failure = |message: String| Err(Failure::new(Reason::QuayTooOld, message));
    if location.signature_version.is_some() && !version.knows_signature_version() {
        return failure(format!(
            "QuayRegistry {registry} runs Quay {version}, which does not know signatureVersion (signature_version) and would not start with it. Remove signatureVersion, or upgrade to Quay 3.12.1 or later."
        ));
    }
    // By mode Skip the entry is written ahead of an upgrade.
    if location.auth.web_identity.is_some() && !version.knows_web_identity() && mode != api::Mode::Skip {
        return failure(format!(
            "QuayRegistry {registry} runs Quay {version}, which cannot use auth.webIdentity: it would not start with an entry that has no role. Upgrade to Quay 3.13.5, 3.14.1, 3.15.0 or later, or use auth.accessKey."
        ));
    }
    Ok(())
}

fn auth(location: &Location, consumer: &Consumer, endpoint: &Endpoint, allowed: &Allowed) -> Result<Auth, Failure> {
    if let Some(of) = &location.auth.identity_ref {
        // Whoever can see it has put what it says in its place.
        return Err(Failure::new(
            Reason::IdentityPending,
            format!(
                "auth.identityRef: what StorageIdentity {} says is known in the cluster alone. Ask there: registry-sts check -n <namespace> <name>",
                of.name
            ),
        ));
    }
    match (&location.auth.access_key, &location.auth.web_identity, &location.role_arn) {
        (Some(key), None, Some(arn)) => {
            let role = role("roleArn", arn)?;
            same_partition(&role, endpoint)?;
            let sts = sts_endpoints(&consumer.environment, &role);
            Ok(Auth::AccessKey { secret: key.secret_ref.name.clone(), role, sts })
        }
        (None, Some(identity), None) => web_identity(identity, consumer, allowed).map(Auth::WebIdentity),
        (Some(_), None, None) => {
            Err(Failure::new(Reason::InvalidSpec, "roleArn is missing: give it with auth.accessKey"))
        }
        (None, Some(_), Some(_)) => Err(Failure::new(
            Reason::InvalidSpec,
            "roleArn is given beside auth.webIdentity: put it into auth.webIdentity.roleArn, or leave it to the service account's annotation",
        )),
        _ => Err(Failure::new(
            Reason::InvalidSpec,
            "auth has to have exactly one of accessKey, webIdentity and identityRef",
        )),
    }
}

fn web_identity(
    identity: &crate::api::auth::WebIdentity,
    consumer: &Consumer,
    allowed: &Allowed,
) -> Result<WebIdentity, Failure> {
    let account = &identity.service_account_name;
    let registry = consumer.registry.as_deref();
    if identity.annotate_service_account
        && (identity.role_arn.is_none() || registry.is_none_or(|registry| account_of(registry) != *account))
    {
        return Err(Failure::new(
            Reason::InvalidSpec,
            "auth.webIdentity.annotateServiceAccount is for the service account of a registry's pods: give spec.registryRef, serviceAccountName: <registry>-quay-app, and roleArn beside it, or leave annotateServiceAccount out.",
        ));
    }
    if let (Some(registry), false) = (registry, consumer.identities.is_empty()) {
        return Err(Failure::new(
            Reason::EnvironmentOverrides,
            format!(
                "QuayRegistry {registry} sets {} in overrides.env of component quay or mirror: Quay's pods would use that, and not the role of service account {account}. Remove it there.",
                consumer.identities.join(", ")
            ),
        ));
    }
    Ok(WebIdentity {
        account: account.clone(),
        audience: allowed.audience(&identity.audience)?,
        role: identity.role_arn.as_deref().map(|arn| role("auth.webIdentity.roleArn", arn)).transpose()?,
        annotate: identity.annotate_service_account,
    })
}

fn role(field: &str, arn: &str) -> Result<RoleArn, Failure> {
    arn.parse().map_err(|why: RoleArnError| {
        Failure::new(
            Reason::InvalidRoleArn,
            format!("{field} {arn:?} {why}. Copy the ARN from the role's page in the IAM console."),
        )
    })
}

pub(super) fn parsed<T: FromStr<Err = Malformed>>(field: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|why| Failure::new(Reason::InvalidSpec, format!("{field} {why}")))
}
