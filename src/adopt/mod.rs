//! The `QuayStorage` that leaves a bundle as it is, worked out from the bundle: for registries whose entries were written
//! by hand. No secret value leaves this room.

pub mod cluster;
mod fill_in;
mod keys;
mod location;
pub mod offline;
mod preview;
mod print;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;

use crate::api::QuayStorageSpec;
use crate::api::quay::{ConsumerEnv, RegistryRef};
use crate::api::quay_storage::{Apply, DeletionPolicy, Preference, Verification};
use crate::bundle::ConfigYaml;
use crate::consumer::Consumer;
use crate::place::Endpoint;
use crate::plan::desired::Auth;
use crate::plan::observation::BundleSecret;
use crate::policy::location::{Documents, Of, Told};
use location::{Adopted, Left};
use preview::Preview;
use print::Printed;

/// As many locations as a `QuayStorage` may have.
const MOST_LOCATIONS: usize = 16;

/// What a bundle is named by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The `QuayRegistry` of this name.
    ByRegistry(String),
    /// The Secret of this name itself.
    Secret(String),
}

/// A bundle that is to be adopted.
pub struct Bundle {
    /// Its namespace, if that is known.
    pub namespace: Option<String>,
    /// The Quay that reads it.
    pub consumer: Consumer,
    /// The Secret.
    pub secret: BundleSecret,
    /// Whether it was read from a cluster.
    pub is_live: bool,
    /// What is worth knowing though nothing fails.
    pub notes: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Adoption {
    /// The manifests, with all that is no manifest in comments.
    pub manifests: String,
    /// What a person has to know, each on a line.
    pub notes: Vec<String>,
}

impl Bundle {
    /// Works out the `QuayStorage` of this name that leaves the bundle as it is.
    ///
    /// # Errors
    /// Why there is none, line by line.
    pub fn adopt(&self, resource: &str, told: &Told) -> Result<Adoption, Vec<String>> {
        let called = self.called();
        let refused = |why: String| vec![format!("{called}: {}", fill_in::shown(&why))];
        let config = self.secret.config.as_ref();
        let config = config.ok_or_else(|| refused("there is no key config.yaml in it.".to_owned()))?;
        let document = ConfigYaml::parse(config.expose_secret()).map_err(|refusal| refused(format!("{refusal}.")))?;
        let of = location::Of { registry: self.consumer.registry.as_deref(), told };
        let (mut adopted, mut left) = (Vec::new(), Vec::new());
        for entry in document.standing() {
            match Adopted::of(&entry, &of) {
                Ok(one) if adopted.len() < MOST_LOCATIONS => adopted.push(one),
                Ok(one) => left.push(format!(
                    "location {} (line {}): a QuayStorage has at most {MOST_LOCATIONS} locations; name it in another.",
                    one.location.name, entry.line
                )),
                Err(Left(why)) => left.push(why),
            }
        }
        if adopted.is_empty() {
            let nothing =
                "DISTRIBUTED_STORAGE_CONFIG has no entry of STSS3Storage or S3Storage that a QuayStorage can speak of.";
            return Err(refused(nothing.to_owned()).into_iter().chain(left).collect());
        }
        let keys = keys::assign(resource, &mut adopted);
        let spec = self.spec(&document, &adopted);
        let preview = Preview::of(self, &document, &spec, &adopted)
            .map_err(|failure| refused(format!("{}: {}", failure.reason.as_str(), failure.message)))?;
        let (policies, told_of_policies) = self.policies(resource, &preview, told).map_err(refused)?;
        let mut notes: Vec<String> = left.iter().map(|left| format!("Left alone: {left}")).collect();
        notes.extend(preview.failures.iter().map(|(location, failure)| {
            let location = location.as_ref().map_or_else(String::new, |name| format!("location {name}: "));
            format!("As it is, this would not be written: {location}{}: {}", failure.reason.as_str(), failure.message)
        }));
        notes.extend(self.notes.iter().chain(&self.consumer.notes).cloned());
        notes.extend(about_reaching(&preview));
        notes.extend(told_of_policies);
        notes.push("Nothing was proven, and nothing was changed.".to_owned());
        let printed = Printed {
            bundle: self,
            resource,
            spec: &spec,
            adopted: &adopted,
            left: &left,
            keys: &keys,
            preview: &preview,
            policies: &policies,
        };
        let manifests = printed.text().map_err(|_| refused("it cannot be written as YAML.".to_owned()))?;
        Ok(Adoption { manifests, notes: notes.iter().map(|note| fill_in::shown(note)).collect() })
    }

    /// What messages call it.
    fn called(&self) -> String {
        let secret = || match &self.namespace {
            Some(namespace) => format!("Secret {namespace}/{}", self.consumer.bundle),
            None => format!("Secret {}", self.consumer.bundle),
        };
        self.secret.called.clone().unwrap_or_else(secret)
    }

    fn spec(&self, document: &ConfigYaml, adopted: &[Adopted]) -> QuayStorageSpec {
        let defaults = document.default_locations();
        let registry = self.consumer.registry.clone();
        QuayStorageSpec {
            config_bundle_secret: registry.is_none().then(|| self.consumer.bundle.clone()),
            registry_ref: registry.map(|name| RegistryRef { name }),
            locations: adopted.iter().map(|one| one.location.clone()).collect(),
            replicate: adopted.iter().all(|one| defaults.contains(&one.location.name.as_str())),
            // Whatever the bundle prefers stands there already.
            preference: Preference::Keep,
            output_secret: None,
            consumer_env: ConsumerEnv::default(),
            apply: Apply::default(),
            restart: Vec::new(),
            deletion_policy: DeletionPolicy::default(),
            suspend: false,
            verification: Verification::default(),
        }
    }

    /// The policies of each location, and what has to be filled in there.
    fn policies(
        &self,
        resource: &str,
        preview: &Preview,
        told: &Told,
    ) -> Result<(Vec<Documents>, Vec<String>), String> {
        let mut notes = BTreeSet::new();
        let namespace = self.namespace.as_deref();
        let resource = namespace.map_or_else(|| resource.to_owned(), |namespace| format!("{namespace}/{resource}"));
        let locations = preview.desired.locations.iter();
        let wanted = locations.filter_map(|location| Some((location, location.wanted.as_ref().ok()?)));
        let documents = wanted
            .map(|(location, wanted)| {
                Documents::new(
                    Of { resource: &resource, namespace, location: &location.name },
                    wanted,
                    told,
                    &mut notes,
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok((documents, notes.into_iter().map(|note| format!("Of the policies: {note}")).collect()))
    }
}

/// What the operator has to be let do, or be told, before it can prove the locations.
fn about_reaching(preview: &Preview) -> Vec<String> {
    let mut notes = BTreeSet::new();
    for wanted in preview.desired.locations.iter().filter_map(|location| location.wanted.as_ref().ok()) {
        if let Endpoint::Url(url) = &wanted.endpoint {
            notes.insert(format!("The operator has to run with --allow-endpoint {}.", url.origin()));
        }
        if let Auth::AccessKey { sts: Err(failure), .. } = &wanted.auth {
            notes.insert(failure.message.clone());
        }
    }
    notes.into_iter().collect()
}

/// Whether Kubernetes takes a text for the name of a Secret or of a resource of ours, with room for what is added to it.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=253).contains(&text.len())
        && text.bytes().all(|byte| is_plain(byte) || b"-.".contains(&byte))
        && text.bytes().next().is_some_and(is_plain)
        && text.bytes().last().is_some_and(is_plain)
}

/// The name of the `QuayStorage` for a bundle, where nobody says one.
///
/// # Errors
/// What is wrong with the one that is said.
pub fn resource_name(said: Option<&str>, consumer: &Consumer) -> Result<String, String> {
    /// Leaves room for what the names of Secrets have behind it.
    const LONGEST: usize = 230;
    match said {
        Some(name) if is_name(name) && name.len() <= LONGEST => Ok(name.to_owned()),
        Some(_) => Err(format!(
            "--name has to be a name that Kubernetes takes: at most {LONGEST} lower-case letters, digits, '-' and '.'"
        )),
        None => {
            let bundle = if consumer.bundle == fill_in::BUNDLE { "quay" } else { &consumer.bundle };
            let name = consumer.registry.as_deref().unwrap_or(bundle);
            Ok(name.chars().take(LONGEST).collect::<String>().trim_end_matches(['-', '.']).to_owned())
        }
    }
}
