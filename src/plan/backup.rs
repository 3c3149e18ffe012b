//! What stood in a bundle before the first write, kept in a Secret of its own, so that it can be put back when the resource
//! is deleted. The Secret has no owner and says whose it is by name: one that was restored with its resource is found.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};

use super::mark::hash_of;
use super::observation::Reference;
use super::{BundleWrite, Standing, Standings};
use crate::bundle::Remembered;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// The finalizer of a resource that has a backup.
pub const FINALIZER: &str = "registry-sts.dev/restore";
/// The label of every backup. Its value is a hash, as an output's.
pub const LABEL: &str = "registry-sts.dev/backup";
/// The annotation that says the same to people.
pub const OF: &str = "registry-sts.dev/backup-of";

/// The form of a value.
const VERSION: u32 = 1;
/// The longest part of a resource's name that its backup has.
const NAME_LIMIT: usize = 220;

/// The name of a resource's backup.
pub fn name(owner: &ResourceId) -> String {
    let hash = hash_of(owner);
    // What is cut off may end in a character that no name ends in, and the hash follows.
    let readable = owner.name.get(..NAME_LIMIT).unwrap_or(&owner.name);
    format!("{readable}-backup-{}", hash.get(..8).unwrap_or_default())
}

/// The labels of a resource's backup.
pub fn labels(owner: &ResourceId) -> BTreeMap<String, String> {
    [(LABEL.to_owned(), hash_of(owner))].into()
}

/// The annotations of a resource's backup.
pub fn annotations(owner: &ResourceId) -> BTreeMap<String, String> {
    [(OF.to_owned(), format!("{}/{}", owner.namespace, owner.name))].into()
}

/// What stood in bundles, by the name of the bundle.
#[derive(Clone, Default)]
pub struct Backup {
    bundles: BTreeMap<String, Vec<Layer>>,
}

/// What stood before one write.
#[derive(Clone)]
struct Layer {
    text: SecretString,
    locations: Vec<String>,
}

/// A value of the Secret.
#[derive(Serialize, Deserialize)]
struct Value {
    version: u32,
    /// Before each write, the first one first.
    layers: Vec<String>,
}

/// A backup Secret as it was seen.
#[derive(Clone)]
pub struct BackupSeen {
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// What is in it.
    pub backup: Backup,
}

impl Backup {
    /// Reads a Secret's values; none where this program did not write one of them.
    pub fn read(values: &BTreeMap<String, SecretSlice<u8>>) -> Option<Self> {
        let layers = |value: &SecretSlice<u8>| {
            let value: Value = serde_json::from_slice(value.expose_secret()).ok()?;
            let layer = |text: String| {
                let locations = Remembered::from_text(&text)?.locations().map(str::to_owned).collect();
                Some(Layer { text: SecretString::from(text), locations })
            };
            if value.version == VERSION { value.layers.into_iter().map(layer).collect() } else { None }
        };
        let bundles = values.iter().map(|(bundle, value)| Some((bundle.clone(), layers(value)?)));
        Some(Self { bundles: bundles.collect::<Option<_>>()? })
    }

    /// The Secret's values.
    pub fn values(&self) -> BTreeMap<String, SecretString> {
        let value = |layers: &Vec<Layer>| {
            let layers = layers.iter().map(|layer| layer.text.expose_secret().to_owned()).collect();
            // Nothing in it can fail to be serialised; an empty value is one that nobody reads back.
            SecretString::from(serde_json::to_string(&Value { version: VERSION, layers }).unwrap_or_default())
        };
        self.bundles.iter().map(|(bundle, layers)| (bundle.clone(), value(layers))).collect()
    }

    /// Whether it has what stood at a location of a bundle.
    pub fn covers(&self, bundle: &str, location: &str) -> bool {
        let layers = self.bundles.get(bundle).into_iter().flatten();
        layers.flat_map(|layer| &layer.locations).any(|covered| covered == location)
    }

    /// The same with what stands before another write; none where it has just that already.
    pub fn with(&self, bundle: &str, remembered: &Remembered) -> Option<Self> {
        let text = remembered.to_text();
        let mut new = self.clone();
        let layers = new.bundles.entry(bundle.to_owned()).or_default();
        if layers.last().is_some_and(|last| last.text.expose_secret() == text.expose_secret()) {
            return None;
        }
        layers.push(Layer { text, locations: remembered.locations().map(str::to_owned).collect() });
        Some(new)
    }

    /// What stood in a bundle before each write, the last one first; none if nothing is known of it.
    pub fn layers(&self, bundle: &str) -> Option<Vec<Remembered>> {
        let layers = self.bundles.get(bundle).filter(|layers| !layers.is_empty())?;
        layers.iter().rev().map(|layer| Remembered::from_text(layer.text.expose_secret())).collect()
    }
}

/// Whether a location that is about to be written is to be remembered first: what stands there is not ours, or is not
/// known to be.
pub(super) fn is_to_be_remembered(is_covered: bool, was_written: bool, is_sts: bool) -> bool {
    if is_covered { !is_sts } else { !(was_written && is_sts) }
}

/// What becomes of the bundle when the resource is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restorable {
    /// What stood before is kept in the Secret of this name.
    Kept(String),
    /// It is kept for nothing yet: nothing was written.
    NotYet,
    /// It is not kept.
    Lost(Failure),
}

/// What could be put back, once the write is made.
pub(super) fn restorable(
    (owner, bundle): (&ResourceId, &str),
    backup: &Reference<BackupSeen>,
    (names, standings): (&[&str], &Standings),
    write: Option<&BundleWrite>,
) -> Restorable {
    let name = name(owner);
    let lost = |reason, message: String| Restorable::Lost(Failure::new(reason, message));
    let known = match backup {
        Reference::Found(seen) => Some(&seen.backup),
        Reference::Missing => None,
        Reference::Forbidden { grant } => {
            let message = format!("The operator may not read Secret {name}, the backup. Grant it: {grant}");
            return lost(Reason::BackupForbidden, message);
        }
        Reference::Unreadable { why } => {
            return lost(Reason::BackupFailed, format!("Secret {name}, the backup, could not be read: {why}."));
        }
    };
    let is_written = |location: &str| write.is_some_and(|write| write.locations.iter().any(|name| name == location));
    let is_remembered = |location: &str| {
        known.is_some_and(|backup| backup.covers(bundle, location))
            || (is_written(location) && write.is_some_and(|write| write.remembered.is_some()))
    };
    let each = match standings {
        Standings::Each(each) => each.as_slice(),
        Standings::NotLooked | Standings::Unusable(_) => &[],
    };
    let stand = names.iter().zip(each).filter(|(_, standing)| **standing == Standing::Current);
    let unknown: Vec<&str> = stand.map(|(name, _)| *name).filter(|name| !is_remembered(name)).collect();
    if !unknown.is_empty() {
        return lost(
            Reason::NoBackup,
            format!(
                "What stood in Secret {bundle} before location {} was written is not known: it was written before deletionPolicy was set, or stood there already. Deleting this resource leaves the bundle as it is.",
                unknown.join(", ")
            ),
        );
    }
    if names.iter().any(|name| is_remembered(name)) { Restorable::Kept(name) } else { Restorable::NotYet }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Change, ConfigYaml, Preference};

    fn remembered(text: &str) -> Remembered {
        let ours = ["default".parse().unwrap()];
        let change = Change { entries: &[], ours: &ours, preference: Preference::Keep, replicate: false };
        ConfigYaml::parse(text.as_bytes()).unwrap().remember(&change)
    }

    #[test]
    fn a_backup_is_read_back_as_it_was_and_what_it_has_already_is_not_added_again() {
        let first = Backup::default().with("bundle", &remembered("A: 1\n")).unwrap();
        assert!(first.with("bundle", &remembered("A: 1\n")).is_none());
        let second = first.with("bundle", &remembered("DISTRIBUTED_STORAGE_PREFERENCE: [a]\n")).unwrap();
        let second = second.with("another", &remembered("A: 1\n")).unwrap();
        let values = second.values().into_iter();
        let values = values.map(|(key, text)| (key, SecretSlice::from(text.expose_secret().as_bytes().to_vec())));
        let read = Backup::read(&values.collect()).unwrap();
        assert_eq!(read.layers("bundle").unwrap().len(), 2);
        assert!(read.layers("another").is_some() && read.layers("third").is_none());
        assert!(Backup::read(&[("bundle".to_owned(), SecretSlice::from(b"{}".to_vec()))].into()).is_none());
    }

    #[test]
    fn what_stands_is_remembered_unless_it_is_known_to_be_ours() {
        for (is_covered, was_written, is_sts, expected, says) in [
            (false, false, false, true, "an entry of another driver, or none"),
            (false, false, true, true, "a role that somebody set up by hand"),
            (false, true, true, false, "our own of before there was a backup"),
            (false, true, false, true, "the old one, which somebody put back"),
            (true, true, true, false, "our own"),
            (true, true, false, true, "the old one, which somebody put back over ours"),
        ] {
            assert_eq!(is_to_be_remembered(is_covered, was_written, is_sts), expected, "{says}");
        }
    }

    #[test]
    fn a_name_fits_however_long_that_of_the_resource_is_and_is_one_resources_alone() {
        let id = |namespace: &str, name: &str| ResourceId { namespace: namespace.into(), name: name.into() };
        assert!(name(&id("quay", &"a".repeat(253))).len() <= 253);
        assert!(name(&id("quay", "example")).starts_with("example-backup-"));
        assert_ne!(name(&id("quay", &"a".repeat(253))), name(&id("quay", &"a".repeat(252))));
    }
}
