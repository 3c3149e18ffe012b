//! What stood in a bundle before the first write, kept in a Secret of its own, so that it can be put back when the resource
//! is deleted. The Secret has no owner and says whose it is by name: one that was restored with its resource is found.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};

use super::mark::hash_of;
use crate::bundle::{ConfigYaml, Remembered};
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
/// How many of the last writes at a location are known as ours.
const WRITES: usize = 16;

/// The name of a resource's backup.
pub fn name(owner: &ResourceId) -> String {
    let hash = hash_of(owner);
    let readable = owner.name.get(..NAME_LIMIT).unwrap_or(&owner.name);
    // A part of a name that ends with a point would let the next one begin with a hyphen.
    let readable = readable.trim_end_matches(['.', '-']);
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
    bundles: BTreeMap<String, Kept>,
}

/// What is kept of one bundle.
#[derive(Clone, Default)]
struct Kept {
    /// What stood before each write that was about something new, the first one first. A location is in one of them.
    layers: Vec<Layer>,
    /// What was written since at each location, or was about to be, as digests of entries: by these a later process, too, knows
    /// what of the bundle is ours.
    wrote: BTreeMap<String, Vec<String>>,
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
    layers: Vec<String>,
    wrote: BTreeMap<String, Vec<String>>,
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

/// What is to be kept before a write.
pub struct Keep {
    /// What stands where it is not known to be ours.
    pub remembered: Option<Remembered>,
    /// What is to be written: the names of locations, and the digests of their entries.
    pub writes: Vec<(String, String)>,
}

impl Layer {
    fn of(remembered: &Remembered) -> Self {
        Self { text: remembered.to_text(), locations: remembered.locations().map(str::to_owned).collect() }
    }

    fn read(&self) -> Option<Remembered> {
        Remembered::from_text(self.text.expose_secret())
    }

    /// The same without a location. The lists stay remembered.
    fn without(self, location: &str) -> Self {
        match self.locations.iter().any(|name| name == location).then(|| self.read()).flatten() {
            Some(mut remembered) => {
                remembered.forget(location);
                Self::of(&remembered)
            }
            None => self,
        }
    }
}

impl Backup {
    /// Reads a Secret's values; none where this program did not write one of them.
    pub fn read(values: &BTreeMap<String, SecretSlice<u8>>) -> Option<Self> {
        let kept = |value: &SecretSlice<u8>| {
            let Value { version, layers, wrote } = serde_json::from_slice(value.expose_secret()).ok()?;
            let layer = |text: String| Some(Layer::of(&Remembered::from_text(&text)?));
            let layers = layers.into_iter().map(layer).collect::<Option<_>>()?;
            (version == VERSION).then_some(Kept { layers, wrote })
        };
        let bundles = values.iter().map(|(bundle, value)| Some((bundle.clone(), kept(value)?)));
        Some(Self { bundles: bundles.collect::<Option<_>>()? })
    }

    /// The Secret's values.
    pub fn values(&self) -> BTreeMap<String, SecretString> {
        let value = |kept: &Kept| {
            let layers = kept.layers.iter().map(|layer| layer.text.expose_secret().to_owned()).collect();
            let value = Value { version: VERSION, layers, wrote: kept.wrote.clone() };
            // Nothing in it can fail to be serialised; an empty value is one that nobody reads back.
            SecretString::from(serde_json::to_string(&value).unwrap_or_default())
        };
        self.bundles.iter().map(|(bundle, kept)| (bundle.clone(), value(kept))).collect()
    }

    /// The locations of a bundle of which it has what stood there.
    pub fn locations(&self, bundle: &str) -> Vec<&str> {
        let layers = self.bundles.get(bundle).into_iter().flat_map(|kept| &kept.layers);
        layers.flat_map(|layer| &layer.locations).map(String::as_str).collect()
    }

    /// The other bundles of which it has something.
    pub fn others(&self, bundle: &str) -> Vec<&str> {
        self.bundles.keys().map(String::as_str).filter(|name| *name != bundle).collect()
    }

    /// Whether it has what stood at a location of a bundle.
    pub fn covers(&self, bundle: &str, location: &str) -> bool {
        self.locations(bundle).contains(&location)
    }

    /// Whether what stood at a location of a bundle stands in a document now.
    pub fn has(&self, bundle: &str, location: &str, document: &ConfigYaml) -> bool {
        let layers = self.layers(bundle).unwrap_or_default();
        layers.iter().any(|layer| layer.stands_in(document, location))
    }

    /// Whether an entry with this digest was written at a location of a bundle, or was about to be.
    pub fn wrote(&self, bundle: &str, location: &str, digest: &str) -> bool {
        let wrote = self.bundles.get(bundle).and_then(|kept| kept.wrote.get(location));
        wrote.into_iter().flatten().any(|wrote| wrote == digest)
    }

    /// The same with what is to be kept before another write; none where it has all of it.
    pub fn with(&self, bundle: &str, keep: &Keep) -> Option<Self> {
        let mut new = self.clone();
        let kept = new.bundles.entry(bundle.to_owned()).or_default();
        let mut is_new = false;
        if let Some(remembered) = &keep.remembered {
            let layer = Layer::of(remembered);
            // What stands there now is what stood before; of older times nothing counts.
            for location in &layer.locations {
                kept.wrote.remove(location);
                kept.layers = kept.layers.drain(..).map(|layer| layer.without(location)).collect();
            }
            kept.layers.push(layer);
            is_new = true;
        }
        for (location, digest) in &keep.writes {
            let is_covered = kept.layers.iter().any(|layer| layer.locations.contains(location));
            let wrote = kept.wrote.entry(location.clone()).or_default();
            if is_covered && wrote.last() != Some(digest) {
                wrote.retain(|known| known != digest);
                wrote.push(digest.clone());
                wrote.drain(..wrote.len().saturating_sub(WRITES));
                is_new = true;
            }
        }
        kept.wrote.retain(|_, wrote| !wrote.is_empty());
        is_new.then_some(new)
    }

    /// What stood in a bundle before each write, the last one first; none if nothing is known of it.
    pub fn layers(&self, bundle: &str) -> Option<Vec<Remembered>> {
        let kept = self.bundles.get(bundle).filter(|kept| !kept.layers.is_empty())?;
        kept.layers.iter().rev().map(Layer::read).collect()
    }
}

#[cfg(test)]
mod tests;
