//! A location of a `QuayStorage` that says what an entry of the bundle says.

use super::fill_in;
use crate::api::auth::{AccessKey as KeyReference, Auth, SecretRef, WebIdentity};
use crate::api::quay_storage::{Location, SignatureVersion as Asked};
use crate::arn::Partition;
use crate::bundle::{SignatureVersion, StandingArguments, StandingDriver, StandingEntry};
use crate::place::{EndpointUrl, LocationName, S3Host};
use crate::plan::key::AccessKey;
use crate::policy::location::Told;
use crate::registry::account_of;

/// An entry that a `QuayStorage` can speak of.
pub(super) struct Adopted {
    /// What the `QuayStorage` says. The name of its key's Secret is still to be filled in.
    pub(super) location: Location,
    /// The key that its entry has, if it needs one.
    pub(super) key: KeyOf,
    /// Whether the entry is of a driver without a role.
    pub(super) migrates: bool,
    /// What a person has to know of it.
    pub(super) remarks: Vec<String>,
}

/// Where the access key of a location is.
pub(super) enum KeyOf {
    /// It needs none.
    Nobody,
    /// In its entry, under these arguments.
    Entry { key: AccessKey, arguments: [&'static str; 2] },
    /// Nowhere that it could be taken from.
    Elsewhere,
}

/// An entry that is left to itself, and why.
pub(super) struct Left(pub(super) String);

/// Whom an entry belongs to.
pub(super) struct Of<'a> {
    /// The registry, if that is known.
    pub(super) registry: Option<&'a str>,
    /// What was told of what no bundle says.
    pub(super) told: &'a Told,
}

impl Adopted {
    /// The location for an entry, or why there is none.
    pub(super) fn of(entry: &StandingEntry, of: &Of<'_>) -> Result<Self, Left> {
        let called = match &entry.name {
            Some(name) => format!("{name} (line {})", entry.line),
            None => format!("of line {}", entry.line),
        };
        let left = |why: String| Left(format!("location {called}: {why}"));
        match (&entry.driver, &entry.name) {
            (StandingDriver::Sts(arguments), Some(name)) => adopted(name, arguments, of).map_err(left),
            (StandingDriver::StaticKeys(arguments), Some(name)) => Ok(migrated(name, arguments, of)),
            (StandingDriver::Unclear(refusal), _) => Err(left(format!("{refusal}."))),
            (StandingDriver::Other(Some(driver)), _) => Err(left(format!("driver {driver}, which has no role."))),
            (_, _) => Err(left("no driver that has a role.".to_owned())),
        }
    }
}

fn adopted(name: &LocationName, arguments: &StandingArguments, of: &Of<'_>) -> Result<Adopted, String> {
    let mut remarks = Vec::new();
    let (role_arn, auth, key) = match (&arguments.role_arn, &arguments.access_key_id, &arguments.secret_access_key) {
        (Some(role), Some(id), Some(secret)) => {
            let key = AccessKey::new(id, secret).ok_or(
                "its sts_user_access_key and sts_user_secret_key are not those of an IAM user's access key (AKIA…): correct them there, or let them be written from a Secret.",
            )?;
            (
                Some(role.to_string()),
                by_key(),
                KeyOf::Entry { key, arguments: ["sts_user_access_key", "sts_user_secret_key"] },
            )
        }
        (None, None, None) if !arguments.has_empty_key => (None, by_account(of, &mut remarks), KeyOf::Nobody),
        (None, None, None) => {
            return Err("its keys are empty, and it has no role: remove sts_user_access_key and sts_user_secret_key, so that Quay's pods get the role by their service account.".to_owned());
        }
        (Some(_), None, None) => {
            return Err("it has a role and no key: Quay assumes the role with whatever its pods are, which cannot be proven from outside. Give it a key, or remove sts_role_arn where the pods have the role already.".to_owned());
        }
        _ => {
            return Err("of sts_role_arn, sts_user_access_key and sts_user_secret_key some are missing or empty: Quay needs all three, or none.".to_owned());
        }
    };
    let (region, endpoint_url) = match (&arguments.region, &arguments.url) {
        (Some(region), ignored) => {
            if ignored.is_some() {
                remarks.push("Quay ignores endpoint_url beside s3_region: it is removed from the entry.".to_owned());
            }
            (Some(region.to_string()), None)
        }
        (None, Some(url)) => (None, Some(url.as_str().to_owned())),
        (None, None) => {
            remarks.push("The entry names no region. Fill in that of the bucket: s3_region is added.".to_owned());
            (Some(fill_in::REGION.to_owned()), None)
        }
    };
    Ok(Adopted {
        location: location(name, arguments, (role_arn, auth), (region, endpoint_url)),
        key,
        migrates: false,
        remarks,
    })
}

/// The location that gives an entry without a role one.
fn migrated(name: &LocationName, arguments: &StandingArguments, of: &Of<'_>) -> Adopted {
    let mut remarks = vec![
        "The entry is of S3Storage: a key, and no role. This location would make it STSS3Storage at the same place, which restarts Quay. Fill in the role; or remove this location, and the entry stays as it is.".to_owned(),
    ];
    let key = match (&arguments.access_key_id, &arguments.secret_access_key) {
        (Some(id), Some(secret)) => AccessKey::new(id, secret)
            .map_or(KeyOf::Elsewhere, |key| KeyOf::Entry { key, arguments: ["s3_access_key", "s3_secret_key"] }),
        _ => KeyOf::Elsewhere,
    };
    let of_aws = arguments.url.as_ref().filter(|url| matches!(S3Host::of_url(url), S3Host::Aws(_)));
    let (region, endpoint_url) = match (&arguments.region, &arguments.url) {
        (Some(region), _) => (Some(region.to_string()), None),
        (None, Some(url)) if of_aws.is_none() => (None, Some(url.as_str().to_owned())),
        (None, _) => {
            let region = of_aws.and_then(EndpointUrl::aws_region);
            if region.is_none() {
                remarks.push("The entry names no region. Fill in that of the bucket.".to_owned());
            }
            (Some(region.map_or_else(|| fill_in::REGION.to_owned(), |region| region.to_string())), None)
        }
    };
    let partition = match (region.as_deref().and_then(Partition::of_region), of_aws.map(S3Host::of_url)) {
        (_, Some(S3Host::Aws(partition))) | (Some(partition), _) => partition,
        _ => Partition::Aws,
    };
    let role_arn = Some(fill_in::role(partition, of.told));
    let location = location(name, arguments, (role_arn, by_key()), (region, endpoint_url));
    Adopted { location, key, migrates: true, remarks }
}

fn location(
    name: &LocationName,
    arguments: &StandingArguments,
    (role_arn, auth): (Option<String>, Auth),
    (region, endpoint_url): (Option<String>, Option<String>),
) -> Location {
    Location {
        name: name.to_string(),
        role_arn,
        bucket: arguments.bucket.to_string(),
        storage_path: arguments.storage_path.to_string(),
        region,
        endpoint_url,
        auth,
        kms_key_arn: None,
        maximum_chunk_size_gb: arguments.maximum_chunk_size_gb,
        signature_version: arguments.signature_version.map(|version| match version {
            SignatureVersion::S3v4 => Asked::S3v4,
            SignatureVersion::V4 => Asked::V4,
        }),
        accept_place: None,
    }
}

fn by_key() -> Auth {
    let secret_ref = SecretRef { name: String::new() };
    Auth { access_key: Some(KeyReference { secret_ref }), web_identity: None, identity_ref: None }
}

fn by_account(of: &Of<'_>, remarks: &mut Vec<String>) -> Auth {
    if of.registry.is_none() {
        remarks.push("Quay's pods get the role by their service account: fill in which one that is.".to_owned());
    }
    let identity = WebIdentity {
        service_account_name: of.registry.map_or_else(|| fill_in::ACCOUNT.to_owned(), account_of),
        audience: "sts.amazonaws.com".to_owned(),
        role_arn: None,
        annotate_service_account: false,
    };
    Auth { access_key: None, web_identity: Some(identity), identity_ref: None }
}
