//! What stood in a bundle before the first write, kept in a Secret of its own, so that it can be put back when the resource
//! is deleted. The Secret has no owner and says whose it is by name: one that was restored with its resource is found.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};

use super::desired::{Desired, DesiredLocation};
use super::mark::hash_of;
use super::observation::Reference;
use super::{BundleWrite, Standing, Standings, restore};
use crate::bundle::{ConfigYaml, Remembered};
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

/// What becomes of the bundle when the resource is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restorable {
    /// What stood before is kept in the Secret of this name.
    Kept(String),
    /// It is kept for nothing yet: nothing was written.
    NotYet,
    /// It is not kept, or cannot be put back.
    Lost(Failure),
}

/// What could be put back, once the write is made.
pub(super) fn restorable(
    (owner, desired): (&ResourceId, &Desired),
    backup: &Reference<BackupSeen>,
    standings: &Standings,
    (write, is_held): (Option<&BundleWrite>, bool),
) -> Restorable {
    let (name, bundle) = (name(owner), desired.consumer.bundle.as_str());
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
    let now = write.filter(|_| !is_held).and_then(|write| write.keep.as_ref()?.remembered.as_ref());
    let layers = known.and_then(|backup| backup.layers(bundle)).unwrap_or_default();
    let before = |location: &str| {
        let has_it = |layer: &&Remembered| layer.locations().any(|name| name == location);
        now.into_iter().chain(&layers).find(has_it)
    };
    let waits = |location: &String| is_held && write.is_some_and(|write| write.locations.contains(location));
    let each = match standings {
        Standings::Each(each) => each.as_slice(),
        Standings::NotLooked | Standings::Unusable(_) => &[],
    };
    let locations = || desired.locations.iter().zip(each);
    let is_unknown = |(location, standing): &(&DesiredLocation, &Standing)| {
        **standing == Standing::Current && before(&location.name).is_none() && !waits(&location.name)
    };
    let unknown: Vec<&str> = locations().filter(is_unknown).map(|(location, _)| location.name.as_str()).collect();
    if !unknown.is_empty() {
        return lost(
            Reason::NoBackup,
            format!(
                "What stood in Secret {bundle} before location {} was written is not known: it was written before deletionPolicy was set, or stood there already. Deleting this resource leaves the bundle as it is.",
                unknown.join(", ")
            ),
        );
    }
    let covered: BTreeSet<&str> = now.into_iter().chain(&layers).flat_map(Remembered::locations).collect();
    for name in &covered {
        let location = desired.locations.iter().find(|location| location.name == *name);
        let place = location.and_then(|location| Some(location.wanted.as_ref().ok()?.place()));
        let could = before(name).map(|before| restore::could(before, name, place.as_ref(), &desired.consumer));
        if let Some(Err(why)) = could {
            return lost(
                Reason::NotRestorable,
                format!(
                    "What stood in Secret {bundle} before cannot be put back: {why}. Deleting this resource leaves the bundle as it is."
                ),
            );
        }
    }
    if covered.is_empty() { Restorable::NotYet } else { Restorable::Kept(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Change, Preference, StorageEntry};
    use crate::place::Endpoint;

    const ENTRY: &str = "DISTRIBUTED_STORAGE_CONFIG:\n  default: [S3Storage, {}]\n  second: [S3Storage, {}]\n";

    fn keep(text: &str, locations: &[&str], digest: &str) -> Keep {
        let entries: Vec<StorageEntry> = locations.iter().map(|name| entry(name)).collect();
        let entries: Vec<&StorageEntry> = entries.iter().collect();
        let change = Change { entries: &entries, ours: &[], preference: Preference::Keep, replicate: false };
        let remembered = ConfigYaml::parse(text.as_bytes()).unwrap().remember(&change);
        let writes = locations.iter().map(|name| ((*name).to_owned(), digest.to_owned())).collect();
        Keep { remembered: Some(remembered), writes }
    }

    fn entry(name: &str) -> StorageEntry {
        StorageEntry {
            name: name.parse().unwrap(),
            role_key: None,
            bucket: "my-quay-bucket".parse().unwrap(),
            storage_path: "/datastorage".parse().unwrap(),
            endpoint: Endpoint::Region("us-east-1".parse().unwrap()),
            maximum_chunk_size_gb: None,
            signature_version: None,
        }
    }

    #[test]
    fn a_backup_is_read_back_as_it_was() {
        let first = Backup::default().with("bundle", &keep(ENTRY, &["default"], "one")).unwrap();
        let second = first.with("bundle", &keep(ENTRY, &["second"], "two")).unwrap();
        let third = second.with("another", &keep(ENTRY, &["default"], "one")).unwrap();
        let values = third.values().into_iter();
        let values = values.map(|(key, text)| (key, SecretSlice::from(text.expose_secret().as_bytes().to_vec())));
        let read = Backup::read(&values.collect()).unwrap();
        assert_eq!(read.layers("bundle").unwrap().len(), 2);
        assert_eq!((read.locations("bundle"), read.locations("another")), (vec!["default", "second"], vec!["default"]));
        assert!(read.wrote("bundle", "second", "two") && !read.wrote("bundle", "second", "one"));
        assert!(read.layers("third").is_none());
        assert!(Backup::read(&[("bundle".to_owned(), SecretSlice::from(b"{}".to_vec()))].into()).is_none());
    }

    #[test]
    fn a_rotated_key_is_noted_and_nothing_is_remembered_twice() {
        let first = Backup::default().with("bundle", &keep(ENTRY, &["default"], "one")).unwrap();
        let writes = |digest: &str| {
            let writes = vec![("default".to_owned(), digest.to_owned()), ("other".to_owned(), "x".to_owned())];
            Keep { remembered: None, writes }
        };
        assert!(first.with("bundle", &writes("one")).is_none(), "it is known already, and the other is not covered");
        let mut backup = first;
        for digest in (0..20).map(|count| count.to_string()) {
            // What stands again is as young as any.
            backup = backup.with("bundle", &writes("one")).unwrap_or(backup);
            backup = backup.with("bundle", &writes(&digest)).unwrap();
        }
        assert!(backup.wrote("bundle", "default", "one") && backup.wrote("bundle", "default", "19"));
        assert!(!backup.wrote("bundle", "default", "2") && !backup.wrote("bundle", "other", "x"));
        assert_eq!(backup.layers("bundle").unwrap().len(), 1);
    }

    #[test]
    fn what_stands_anew_where_it_was_not_ours_is_what_stood_there_before() {
        let first = Backup::default().with("bundle", &keep(ENTRY, &["default", "second"], "one")).unwrap();
        let renewed = "DISTRIBUTED_STORAGE_CONFIG:\n  default: [S3Storage, {s3_bucket: new}]\n";
        let second = first.with("bundle", &keep(renewed, &["default"], "two")).unwrap();
        let layers = second.layers("bundle").unwrap();
        let locations: Vec<Vec<&str>> = layers.iter().map(|layer| layer.locations().collect()).collect();
        assert_eq!(locations, [vec!["default"], vec!["second"]], "each in one of them");
        assert!(layers[0].stands_in(&ConfigYaml::parse(renewed.as_bytes()).unwrap(), "default"));
        assert!(second.wrote("bundle", "default", "two") && !second.wrote("bundle", "default", "one"));
        assert!(second.wrote("bundle", "second", "one"));
    }

    #[test]
    fn a_name_fits_however_long_that_of_the_resource_is_and_is_one_resources_alone() {
        let id = |namespace: &str, name: &str| ResourceId { namespace: namespace.into(), name: name.into() };
        assert!(name(&id("quay", &"a".repeat(253))).len() <= 253);
        assert!(name(&id("quay", "example")).starts_with("example-backup-"));
        assert!(!name(&id("quay", &format!("{}.b", "a".repeat(219)))).contains(".-"));
        assert_ne!(name(&id("quay", &"a".repeat(253))), name(&id("quay", &"a".repeat(252))));
    }
}
