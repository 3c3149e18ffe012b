//! What becomes of a bundle whose resource is deleted, and is to get back what stood before the first write: only if
//! nobody has changed it since, and only if Quay then finds its blobs where they are.

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::BundleWrite;
use super::allowed::Allowed;
use super::backup::Backup;
use super::key::AccessKey;
use super::observation::BundleSecret;
use crate::arn::Partition;
use crate::bundle::{ConfigYaml, Edit, Refusal, Remembered, StandingArguments, StandingDriver, StandingEntry};
use crate::consumer::Consumer;
use crate::place::{Endpoint, LocationName, Place, S3Host};
use crate::target::{Principal, Target, endpoint_gets_sts, same_partition, sts_endpoints};

/// What `s3.amazonaws.com` is the host of.
const FIRST_REGION: &str = "us-east-1";

/// Why nothing is put back, as the rest of a sentence.
pub type Why = String;

/// What is to be done.
pub enum Restoration {
    /// It stands there again already.
    Done,
    /// This is to be written.
    PutBack(Box<PutBack>),
}

/// What is to be written.
pub struct PutBack {
    /// The change of the bundle.
    pub write: BundleWrite,
    /// What is to be proven of it first.
    pub targets: Vec<Entry>,
}

/// An entry that is put back.
pub struct Entry {
    /// The name of its location.
    pub location: String,
    /// What is to be proven of it, or why that cannot be.
    pub target: Result<Target, Why>,
}

/// What is to be put back into a bundle, for a resource that has or had these locations.
///
/// # Errors
/// Why nothing is.
pub fn plan(
    consumer: &Consumer,
    allowed: &Allowed,
    names: &[&str],
    backup: &Backup,
    secret: &BundleSecret,
) -> Result<Restoration, Why> {
    let bundle = &consumer.bundle;
    if let Some(owner) = &secret.owner {
        return Err(format!("Secret {bundle} is kept by {}", owner.name));
    }
    if secret.immutable {
        return Err(format!("Secret {bundle} is immutable"));
    }
    let layers = backup.layers(bundle).ok_or_else(|| format!("nothing is known of what stood in Secret {bundle}"))?;
    let refused = |refusal: Refusal| format!("Secret {bundle} cannot be edited with certainty: {refusal}");
    let config = secret.config.as_ref().ok_or_else(|| format!("Secret {bundle} has no config.yaml"))?;
    let before = ConfigYaml::parse(config.expose_secret()).map_err(refused)?;
    let covered = backup.locations(bundle);
    if let Some(unknown) = names.iter().find(|name| !covered.contains(name) && before.digest(name).is_some()) {
        return Err(format!("what stood at location {unknown} is not known"));
    }
    let stands_again = |name: &str| layers.iter().any(|layer| layer.stands_in(&before, name));
    let is_ours = |name: &str| before.digest(name).is_some_and(|digest| backup.wrote(bundle, name, &digest));
    let gone: Vec<&str> = covered.into_iter().filter(|name| !stands_again(name)).collect();
    if gone.is_empty() {
        return Ok(Restoration::Done);
    }
    if let Some(changed) = gone.iter().find(|name| !is_ours(name)) {
        return Err(format!("somebody has changed location {changed} since"));
    }
    for name in &gone {
        let name: LocationName = name.parse().map_err(|_| format!("{name} is no name of a location"))?;
        let now = before.entry(&name).and_then(|entry| entry.place);
        let now = now.ok_or_else(|| format!("where location {name} has its blobs cannot be read"))?;
        let layer = layers.iter().find(|layer| layer.locations().any(|covered| covered == name.as_str()));
        layer.map_or(Ok(()), |layer| could(layer, name.as_str(), Some(&now), consumer))?;
    }
    let mut new: Option<(ConfigYaml, SecretString)> = None;
    for layer in &layers {
        let document = new.as_ref().map_or(&before, |(document, _)| document);
        if let Edit::Changed(text) = document.restore(layer).map_err(refused)? {
            let document = ConfigYaml::parse(text.expose_secret().as_bytes()).map_err(refused)?;
            new = Some((document, text));
        }
    }
    let Some((document, config)) = new else { return Ok(Restoration::Done) };
    let entry = |name: &&str| {
        let target = target(document.standing_at(name), consumer, allowed).map_err(|why| unproven(name, &why));
        Entry { location: (*name).to_owned(), target }
    };
    let targets = gone.iter().map(entry).collect();
    let write = BundleWrite {
        secret_name: bundle.clone(),
        uid: secret.uid.clone(),
        resource_version: secret.resource_version.clone(),
        before: SecretSlice::from(Vec::new()),
        config,
        locations: gone.iter().map(|name| (*name).to_owned()).collect(),
        last_writer: None,
        keep: None,
        output: None,
    };
    Ok(Restoration::PutBack(Box::new(PutBack { write, targets })))
}

/// Whether what stood at a location could be put back, as far as that is known before: Quay would find its blobs where
/// they are now, if that is known, and there is a key to prove it with.
pub(super) fn could(before: &Remembered, name: &str, now: Option<&Place>, consumer: &Consumer) -> Result<(), Why> {
    let Some(found) = before.found(name) else {
        return Err(format!("location {name} did not stand there before, and Quay may have blobs there now"));
    };
    if !found.known_driver || now.is_some_and(|now| found.place.as_ref() != Some(now)) {
        return Err(format!("location {name} had its blobs at another place before, and would lose those of now"));
    }
    // Which endpoints are allowed is asked when it is proven.
    let target = target(before.standing(name), consumer, &Allowed::any());
    target.map(drop).map_err(|why| unproven(name, &why))
}

fn unproven(name: &str, why: &str) -> Why {
    format!("what stood at location {name} cannot be proven: {why}")
}

fn arguments(standing: Option<StandingEntry>) -> Result<Box<StandingArguments>, Why> {
    match standing.map(|entry| entry.driver) {
        Some(StandingDriver::Sts(arguments) | StandingDriver::StaticKeys(arguments)) => Ok(arguments),
        Some(StandingDriver::Unclear(refusal)) => Err(refusal.to_string()),
        Some(StandingDriver::Other(_)) | None => Err("it is of another driver".into()),
    }
}

fn key(arguments: &StandingArguments) -> Result<AccessKey, Why> {
    let key = match (&arguments.access_key_id, &arguments.secret_access_key) {
        (Some(id), Some(secret)) => AccessKey::new(id, secret),
        _ => None,
    };
    key.ok_or_else(|| "it has no access key of an IAM user, and who Quay's pods are is not known".to_owned())
}

/// What is to be proven of an entry that is put back.
fn target(standing: Option<StandingEntry>, consumer: &Consumer, allowed: &Allowed) -> Result<Target, Why> {
    let arguments = arguments(standing)?;
    of_key(key(&arguments)?, &arguments, consumer, allowed)
}

fn of_key(
    key: AccessKey,
    arguments: &StandingArguments,
    consumer: &Consumer,
    allowed: &Allowed,
) -> Result<Target, Why> {
    let endpoint = match (&arguments.region, &arguments.url) {
        (Some(region), _) => Endpoint::Region(region.clone()),
        // AWS's own host, named instead of a region; the one without a region is that of the first.
        (None, Some(url)) if matches!(S3Host::of_url(url), S3Host::Aws(Partition::Aws)) => {
            let first = || FIRST_REGION.parse().map_err(|_| FIRST_REGION.to_owned());
            Endpoint::Region(url.aws_region().map_or_else(first, Ok)?)
        }
        (None, Some(url)) => Endpoint::Url(allowed.endpoint(url.clone()).map_err(|failure| failure.message)?),
        (None, None) => return Err("it names no region".into()),
    };
    let environment = &consumer.environment;
    let sts = match &arguments.role_arn {
        Some(role) => same_partition(role, &endpoint).and_then(|()| sts_endpoints(environment, role)),
        None => Ok(environment.sts()),
    };
    Ok(Target {
        principal: Principal::Key(key),
        role: arguments.role_arn.clone(),
        sts: sts.map_err(|failure| failure.message)?,
        endpoint_gets_sts: endpoint_gets_sts(&endpoint, consumer.version),
        signing_region: environment.signing_region(),
        endpoint,
        bucket: arguments.bucket.clone(),
        storage_path: arguments.storage_path.clone(),
        kms_key_arn: None,
        certificates: None,
    })
}

#[cfg(test)]
mod tests;
