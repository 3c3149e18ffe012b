//! What becomes of a bundle whose resource is deleted, and is to get back what stood before the first write: only if
//! nobody has changed it since, and only if Quay then finds its blobs where they are.

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::BundleWrite;
use super::allowed::Allowed;
use super::backup::Backup;
use super::key::AccessKey;
use super::observation::BundleSecret;
use crate::api::status::WrittenLocation;
use crate::bundle::{ConfigYaml, Edit, Refusal, Remembered, StandingArguments, StandingDriver};
use crate::consumer::{Consumer, Environment};
use crate::place::{Endpoint, LocationName};
use crate::target::{Principal, Target, same_partition, sts_endpoints};

/// Why nothing is put back, as the rest of a sentence.
pub type Why = String;

/// What is put back.
pub struct Restoration {
    /// The change of the bundle.
    pub write: BundleWrite,
    /// What is to be proven of it first, by location.
    pub targets: Vec<(String, Result<Target, Why>)>,
}

/// What is to be put back into a bundle that has what `written` says; none if it has it already.
///
/// # Errors
/// Why nothing is.
pub fn plan(
    consumer: &Consumer,
    allowed: &Allowed,
    written: &[WrittenLocation],
    backup: &Backup,
    secret: &BundleSecret,
) -> Result<Option<Restoration>, Why> {
    let bundle = &consumer.bundle;
    if let Some(owner) = &secret.owner {
        return Err(format!("Secret {bundle} is kept by {}", owner.name));
    }
    if secret.immutable {
        return Err(format!("Secret {bundle} is immutable"));
    }
    let layers = backup.layers(bundle).ok_or_else(|| format!("nothing is known of what stood in Secret {bundle}"))?;
    let left = layers.iter().flat_map(Remembered::locations);
    if let Some(left) = left.into_iter().find(|name| written.iter().all(|location| location.name != *name)) {
        return Err(format!("location {left} left the spec, and its entry stays"));
    }
    if let Some(unknown) = written.iter().find(|location| !backup.covers(bundle, &location.name)) {
        return Err(format!("what stood at location {} is not known", unknown.name));
    }
    let refused = |refusal: Refusal| format!("Secret {bundle} cannot be edited with certainty: {refusal}");
    let config = secret.config.as_ref().ok_or_else(|| format!("Secret {bundle} has no config.yaml"))?;
    let before = ConfigYaml::parse(config.expose_secret()).map_err(refused)?;
    for location in written {
        unchanged(&before, location)?;
    }
    let mut new: Option<(ConfigYaml, SecretString)> = None;
    for layer in &layers {
        let document = new.as_ref().map_or(&before, |(document, _)| document);
        if let Edit::Changed(text) = document.restore(layer).map_err(refused)? {
            let document = ConfigYaml::parse(text.expose_secret().as_bytes()).map_err(refused)?;
            new = Some((document, text));
        }
    }
    let Some((document, config)) = new else { return Ok(None) };
    let mut targets = Vec::with_capacity(written.len());
    for location in written {
        let name = at_its_place(&before, &document, location)?;
        targets.push((location.name.clone(), target(&document, &name, consumer, allowed)));
    }
    let write = BundleWrite {
        secret_name: bundle.clone(),
        uid: secret.uid.clone(),
        resource_version: secret.resource_version.clone(),
        before: SecretSlice::from(Vec::new()),
        config,
        locations: written.iter().map(|location| location.name.clone()).collect(),
        last_writer: None,
        remembered: None,
        output: None,
    };
    Ok(Some(Restoration { write, targets }))
}

/// That an entry stands as this resource wrote it.
fn unchanged(document: &ConfigYaml, location: &WrittenLocation) -> Result<(), Why> {
    let name = &location.name;
    let changed = || format!("somebody has changed location {name} since");
    let standing =
        document.standing().into_iter().find(|entry| entry.name.as_ref().is_some_and(|n| n.as_str() == name));
    let Some(StandingDriver::Sts(arguments)) = standing.map(|entry| entry.driver) else { return Err(changed()) };
    let (entry, _) = location.of.as_deref().and_then(|of| of.split_once('/')).ok_or_else(changed)?;
    if arguments.digest() == entry { Ok(()) } else { Err(changed()) }
}

/// That a location keeps its blobs where they are.
fn at_its_place(before: &ConfigYaml, after: &ConfigYaml, location: &WrittenLocation) -> Result<LocationName, Why> {
    let name: LocationName = location.name.parse().map_err(|_| format!("location {} has no name", location.name))?;
    let (now, then) = (before.entry(&name).and_then(|entry| entry.place), after.entry(&name));
    match then {
        None => Err(format!("location {name} did not stand there before, and Quay may have blobs there now")),
        Some(then) if then.known_driver && then.place.is_some() && then.place == now => Ok(name),
        Some(_) => Err(format!("location {name} had its blobs at another place before, and would lose those of now")),
    }
}

/// What is to be proven of an entry that is put back.
fn target(document: &ConfigYaml, name: &LocationName, consumer: &Consumer, allowed: &Allowed) -> Result<Target, Why> {
    let unproven = |why: &str| format!("what stood at location {name} cannot be proven: {why}");
    let standing = document.standing().into_iter().find(|entry| entry.name.as_ref() == Some(name));
    let arguments = match standing.map(|entry| entry.driver) {
        Some(StandingDriver::Sts(arguments) | StandingDriver::StaticKeys(arguments)) => arguments,
        Some(StandingDriver::Unclear(refusal)) => return Err(unproven(&refusal.to_string())),
        Some(StandingDriver::Other(_)) | None => return Err(unproven("it is of another driver")),
    };
    let key = match (&arguments.access_key_id, &arguments.secret_access_key) {
        (Some(id), Some(secret)) => AccessKey::new(id, secret),
        _ => None,
    };
    let key = key.ok_or_else(|| unproven("it has no access key, and who Quay's pods are is not known"))?;
    of_key(key, &arguments, consumer, allowed).map_err(|why| unproven(&why))
}

fn of_key(
    key: AccessKey,
    arguments: &StandingArguments,
    consumer: &Consumer,
    allowed: &Allowed,
) -> Result<Target, Why> {
    let endpoint = match (&arguments.region, &arguments.url) {
        (Some(region), _) => Endpoint::Region(region.clone()),
        (None, Some(url)) => Endpoint::Url(allowed.endpoint(url.clone()).map_err(|failure| failure.message)?),
        (None, None) => return Err("it names no region".into()),
    };
    let environment: &Environment = &consumer.environment;
    let sts = match &arguments.role_arn {
        Some(role) => same_partition(role, &endpoint).and_then(|()| sts_endpoints(environment, role)),
        None => Ok(environment.sts()),
    };
    let gets_sts = consumer.version.map(crate::registry::QuayVersion::asks_endpoint_url_for_roles);
    Ok(Target {
        principal: Principal::Key(key),
        role: arguments.role_arn.clone(),
        sts: sts.map_err(|failure| failure.message)?,
        endpoint_gets_sts: gets_sts.filter(|_| matches!(endpoint, Endpoint::Url(_))),
        signing_region: environment.default_region.as_ref().map_or_else(|| "us-east-1".into(), ToString::to_string),
        endpoint,
        bucket: arguments.bucket.clone(),
        storage_path: arguments.storage_path.clone(),
        kms_key_arn: None,
        certificates: None,
    })
}

#[cfg(test)]
mod tests;
