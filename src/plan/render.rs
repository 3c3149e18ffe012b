//! The bundle's text with what is proven in it.

use secrecy::SecretString;

use super::Standing;
use super::backup::Keep;
use super::desired::{Auth, Desired, DesiredLocation, Wanted};
use super::in_place::would_move;
use super::key::last_four_of_id;
use super::observation::{BundleSecret, Observation, ObservedLocation, ProofState, Reference};
use crate::api::quay_storage::{self as api, Mode};
use crate::bundle::{Change, ConfigYaml, Edit, Preference, Refusal, RoleKey, SignatureVersion, StorageEntry};
use crate::fingerprint::{fingerprint, hex};
use crate::place::Endpoint;
use crate::reason::{Failure, Reason};
use crate::target::Principal;

/// What becomes of `config.yaml`.
pub(super) struct Rendered {
    /// How each location stands afterwards, in the order of the spec.
    pub(super) standings: Vec<Standing>,
    /// The new text, if it differs.
    pub(super) config: Option<SecretString>,
    /// The entries that differ.
    pub(super) changed: Vec<StorageEntry>,
    /// What is to be kept before something is written, if what stands may be put back one day.
    pub(super) keep: Option<Keep>,
    /// The places in the spec of those whose entries differ, or of all that may be written where none does.
    concerned: Vec<usize>,
}

impl Rendered {
    /// The same, with nothing written: of the entries that would change, or of all where only the lists would, it is said
    /// why.
    pub(super) fn held_back(mut self, why: &Failure) -> Self {
        for index in std::mem::take(&mut self.concerned) {
            if let Some(standing) = self.standings.get_mut(index) {
                *standing = Standing::Kept(why.clone());
            }
        }
        (self.config, self.changed) = (None, Vec::new());
        self
    }
}

/// What is to stand in the bundle for a location, as two hashes: of its entry, and of the lists. Every argument counts, for
/// each can be changed on its own. It stands in status, so no secret is in it. AWS gives a new secret a new id; elsewhere
/// both are what people choose, and the version of the key's Secret stands for the secret there.
pub(super) fn digest(
    desired: &Desired,
    location: &DesiredLocation,
    seen: &ObservedLocation,
    has_elder: bool,
) -> Option<String> {
    let (Ok(wanted), Ok(principal)) = (&location.wanted, &seen.principal) else { return None };
    let entry = entry(wanted, principal);
    let version = match &entry.endpoint {
        Endpoint::Region(_) => None,
        Endpoint::Url(_) => entry.role_key.as_ref().and(seen.key_version.as_deref()),
    };
    let lists = format!("{:?} {}", preference(desired, has_elder), desired.replicate);
    let rest = fingerprint([version.unwrap_or_default(), &lists]);
    Some(format!("{}/{}", entry.digest(), hex(rest.get(..4).unwrap_or_default())))
}

/// Puts what is proven, ours to write and at its place into `config`; everything else stays.
pub(super) fn render(
    desired: &Desired,
    seen: &Observation,
    secret: &BundleSecret,
    config: &[u8],
) -> Result<Rendered, Refusal> {
    let document = ConfigYaml::parse(config)?;
    let mut standings = Vec::with_capacity(seen.locations.len());
    let (mut entries, mut indices) = (Vec::new(), Vec::new());
    for (index, (location, seen)) in desired.locations.iter().zip(&seen.locations).enumerate() {
        standings.push(match (&location.wanted, &seen.principal) {
            (Ok(wanted), Ok(principal)) => {
                let entry = entry(wanted, principal);
                let standing = standing((secret, &document), wanted, &entry, seen, desired.mode)?;
                // What is current without a proof, or is another's, stays as it is, and in the lists where it is.
                let may_write = unproven(&seen.proof, desired.mode).is_none() && seen.claimed_by.is_none();
                if standing == Standing::Current && may_write {
                    entries.push(entry);
                    indices.push(index);
                }
                standing
            }
            (Err(failure), _) | (_, Err(failure)) => Standing::Kept(failure.clone()),
        });
    }
    let ours: Vec<_> = entries.iter().map(|entry| entry.name.clone()).collect();
    let differs = |entry: &StorageEntry| !document.is_current(entry);
    let changed: Vec<StorageEntry> = entries.iter().filter(|entry| differs(entry)).cloned().collect();
    let concerns = |entry: &StorageEntry| changed.is_empty() || differs(entry);
    let concerned = entries.iter().zip(indices).filter(|(entry, _)| concerns(entry)).map(|(_, index)| index).collect();
    let entries: Vec<&StorageEntry> = entries.iter().collect();
    let preference = preference(desired, seen.has_elder);
    let change = Change { entries: &entries, ours: &ours, preference, replicate: desired.replicate };
    let keep = keep(desired, seen, (&document, &changed), &change);
    let config = match document.edit(&change)? {
        Edit::Unchanged => None,
        Edit::Changed(text) => Some(text),
    };
    Ok(Rendered { standings, config, changed, keep, concerned })
}

/// What is to be kept before these entries are written, where the resource has a backup.
fn keep(
    desired: &Desired,
    seen: &Observation,
    (document, changed): (&ConfigYaml, &[StorageEntry]),
    change: &Change<'_>,
) -> Option<Keep> {
    let (bundle, (_, backup)) = (desired.consumer.bundle.as_str(), seen.backup.as_ref()?);
    let backup = match backup {
        Reference::Found(seen) => Some(&seen.backup),
        Reference::Missing | Reference::Forbidden { .. } | Reference::Unreadable { .. } => None,
    };
    let is_ours = |entry: &&StorageEntry| {
        let name = entry.name.as_str();
        match backup.filter(|backup| backup.covers(bundle, name)) {
            // What somebody changed of ours is no less ours; only what is of another driver stood there without us.
            Some(backup) => document.has_sts(name) || backup.has(bundle, name, document),
            None => document.digest(name).is_some_and(|stands| seen.left.entry(bundle, name) == Some(&stands)),
        }
    };
    let unknown: Vec<&StorageEntry> = changed.iter().filter(|entry| !is_ours(entry)).collect();
    let remembered = (!unknown.is_empty()).then(|| document.remember(&Change { entries: &unknown, ..*change }));
    let writes = changed.iter().map(|entry| (entry.name.to_string(), entry.digest())).collect();
    Some(Keep { remembered, writes })
}

/// Where our locations stand in the preference.
pub(super) fn preference(desired: &Desired, has_elder: bool) -> Preference {
    match desired.preference {
        // Two resources that both want to be first would undo each other for ever.
        _ if has_elder => Preference::Keep,
        api::Preference::Keep => Preference::Keep,
        api::Preference::First => Preference::First,
        api::Preference::Last => Preference::Last,
    }
}

/// `Current` for an entry that stands as intended, or may be written now.
pub(super) fn standing(
    (secret, document): (&BundleSecret, &ConfigYaml),
    wanted: &Wanted,
    entry: &StorageEntry,
    seen: &ObservedLocation,
    mode: Mode,
) -> Result<Standing, Refusal> {
    // Also where both ask for the very same: as soon as one of them asks for something else, only the owner's counts.
    if let Some(failure) = claimed(seen) {
        return Ok(Standing::Kept(failure));
    }
    if document.is_current(entry) {
        return Ok(Standing::Current);
    }
    let kept = match unproven(&seen.proof, mode) {
        Some(why) => Some(not_written(document, entry, why)),
        None => moved((secret, document), wanted, entry, seen.written_at.as_deref())?,
    };
    Ok(kept.map_or(Standing::Current, Standing::Kept))
}

pub(super) fn claimed(seen: &ObservedLocation) -> Option<Failure> {
    let owner = seen.claimed_by.as_ref()?;
    let message = format!("QuayStorage {owner} writes this location of the bundle. Remove it from one of the two.");
    Some(Failure::new(Reason::LocationClaimed, message))
}

/// That an entry is not written now, and what stands there instead.
pub(super) fn not_written(document: &ConfigYaml, entry: &StorageEntry, why: &str) -> Failure {
    Failure::new(Reason::NotProven, format!("{}: {why}.", untouched(document, entry)))
}

/// What it means that an entry is not written now.
fn untouched(document: &ConfigYaml, entry: &StorageEntry) -> String {
    let new = entry.role_key.as_ref().map(|key| key.access_key_id.as_str());
    let old = document.access_key_id(&entry.name).filter(|old| new.is_some_and(|new| new != *old));
    match (document.entry(&entry.name), old) {
        (None, _) => "Nothing is written into the bundle".into(),
        (Some(_), None) => "The entry in the bundle is left as it is".into(),
        (Some(_), Some(old)) => {
            let four = last_four_of_id(old).map(|four| format!(" …{four}"));
            format!("The entry in the bundle is left as it is, with the old access key{}", four.unwrap_or_default())
        }
    }
}

/// Why nothing may be written, if nothing may.
pub(super) fn unproven(proof: &ProofState, mode: Mode) -> Option<&'static str> {
    Some(match proof {
        ProofState::Proven(_) | ProofState::Skipped => return None,
        ProofState::Failed(..) if mode == Mode::Warn => return None,
        ProofState::Pending => "its role is being proven",
        ProofState::Earlier(_) | ProofState::Stale(..) => "it has to be proven again first",
        ProofState::Failed(step, _) if step.is_storage() => "what Quay does on S3 is not proven",
        ProofState::Failed(..) => "its role is not proven",
    })
}

/// That the entry would move the location's blobs, and nobody consented.
pub(super) fn moved(
    (secret, document): (&BundleSecret, &ConfigYaml),
    wanted: &Wanted,
    entry: &StorageEntry,
    written_at: Option<&str>,
) -> Result<Option<Failure>, Refusal> {
    let intended = wanted.place();
    if wanted.accept_place.as_deref().is_some_and(|accepted| intended.is_named_by(accepted)) {
        return Ok(None);
    }
    let Some(found) = document.entry(&wanted.name) else {
        // Somebody took the entry out; the blobs are where it was.
        let elsewhere = written_at.filter(|place| !intended.is_named_by(place));
        return Ok(elsewhere.map(|place| {
            would_move(secret, &format!("last written at {place}, though the entry is gone"), &intended)
        }));
    };
    let stands = match found.place {
        Some(place) if found.known_driver && place == intended => return Ok(None),
        Some(place) if found.known_driver => format!("at {place}"),
        _ => {
            // An entry that cannot be read is no place to move from: what is wrong with it comes first.
            let entries = [entry];
            let only = Change { entries: &entries, ours: &[], preference: Preference::Keep, replicate: false };
            document.edit(&only)?;
            format!("with driver {}, at a place that cannot be compared", found.driver)
        }
    };
    Ok(Some(would_move(secret, &stands, &intended)))
}

pub(super) fn entry(wanted: &Wanted, principal: &Principal) -> StorageEntry {
    use crate::api::quay_storage::SignatureVersion as Asked;
    StorageEntry {
        name: wanted.name.clone(),
        role_key: match (&wanted.auth, principal) {
            (Auth::AccessKey { role, .. }, Principal::Key(key)) => Some(RoleKey {
                role_arn: role.clone(),
                access_key_id: key.id().to_owned(),
                secret_access_key: key.secret().clone(),
            }),
            _ => None,
        },
        bucket: wanted.bucket.clone(),
        storage_path: wanted.storage_path.clone(),
        endpoint: wanted.endpoint.clone(),
        maximum_chunk_size_gb: wanted.maximum_chunk_size_gb,
        signature_version: wanted.signature_version.map(|version| match version {
            Asked::S3v4 => SignatureVersion::S3v4,
            Asked::V4 => SignatureVersion::V4,
        }),
    }
}
