//! The bundle's text with what is proven in it.

use secrecy::SecretString;

use super::desired::{Desired, Wanted};
use super::key::AccessKey;
use super::observation::{ObservedLocation, ProofState};
use super::{Standing, would_move};
use crate::bundle::{Change, ConfigYaml, Edit, Preference, Refusal, SignatureVersion, StorageEntry};
use crate::reason::{Failure, Reason};

/// What becomes of `config.yaml`.
pub(super) struct Rendered {
    /// How each location stands afterwards, in the order of the spec.
    pub(super) standings: Vec<Standing>,
    /// The new text, if it differs.
    pub(super) config: Option<SecretString>,
    /// The locations whose entries differ.
    pub(super) changed: Vec<String>,
}

/// Puts what is proven, ours to write and at its place into `config`; everything else stays.
pub(super) fn render(desired: &Desired, seen: &[ObservedLocation], config: &[u8]) -> Result<Rendered, Refusal> {
    let document = ConfigYaml::parse(config)?;
    let mut standings = Vec::with_capacity(seen.len());
    let mut entries = Vec::new();
    for (location, seen) in desired.locations.iter().zip(seen) {
        standings.push(match (&location.wanted, &seen.key) {
            (Ok(wanted), Ok(key)) => {
                let entry = entry(wanted, key);
                let standing = standing(&document, wanted, &entry, seen);
                if standing == Standing::Current {
                    entries.push(entry);
                }
                standing
            }
            (Err(failure), _) | (_, Err(failure)) => Standing::Kept(failure.clone()),
        });
    }
    let ours: Vec<_> =
        desired.locations.iter().filter_map(|l| l.wanted.as_ref().ok()).map(|wanted| wanted.name.clone()).collect();
    let changed =
        entries.iter().filter(|entry| !document.is_current(entry)).map(|entry| entry.name.to_string()).collect();
    let entries: Vec<&StorageEntry> = entries.iter().collect();
    let change =
        Change { entries: &entries, ours: &ours, preference: Preference::Keep, replicate: desired.replicate };
    let config = match document.edit(&change)? {
        Edit::Unchanged => None,
        Edit::Changed(text) => Some(text),
    };
    Ok(Rendered { standings, config, changed })
}

/// `Current` for an entry that stands as intended, or may be written now.
fn standing(document: &ConfigYaml, wanted: &Wanted, entry: &StorageEntry, seen: &ObservedLocation) -> Standing {
    if document.is_current(entry) {
        return Standing::Current;
    }
    if let Some(owner) = &seen.claimed_by {
        return Standing::Kept(Failure::new(
            Reason::LocationClaimed,
            format!("QuayStorage {owner} writes location {:?} of this bundle. Remove the location from one of the two.", wanted.name.as_str()),
        ));
    }
    match &seen.proof {
        ProofState::Proven(_) => {}
        ProofState::Pending => {
            return Standing::Kept(not_proven("its role is being proven"));
        }
        ProofState::Stale(..) => return Standing::Kept(not_proven("its role has to be proven again first")),
        ProofState::Failed(_) => return Standing::Kept(not_proven("its role is not proven")),
    }
    let intended = wanted.place();
    let consented = wanted.accept_place.as_deref().is_some_and(|accepted| intended.is_named_by(accepted));
    match document.entry(&wanted.name) {
        Some(found) if !consented => match found.place {
            Some(place) if found.known_driver && place == intended => Standing::Current,
            Some(place) if found.known_driver => {
                Standing::Kept(would_move(wanted.name.as_str(), &format!("at {place}"), &intended))
            }
            _ => {
                let stands = format!("with driver {}, at a place that cannot be compared", found.driver);
                Standing::Kept(would_move(wanted.name.as_str(), &stands, &intended))
            }
        },
        _ => Standing::Current,
    }
}

fn not_proven(why: &str) -> Failure {
    Failure::new(Reason::NotProven, format!("The entry in the bundle is left as it is: {why}."))
}

fn entry(wanted: &Wanted, key: &AccessKey) -> StorageEntry {
    use crate::api::quay_storage::SignatureVersion as Asked;
    StorageEntry {
        name: wanted.name.clone(),
        role_arn: wanted.role.clone(),
        bucket: wanted.bucket.clone(),
        storage_path: wanted.storage_path.clone(),
        endpoint: wanted.endpoint.clone(),
        access_key_id: key.id().to_owned(),
        secret_access_key: key.secret().clone(),
        maximum_chunk_size_gb: wanted.maximum_chunk_size_gb,
        signature_version: wanted.signature_version.map(|version| match version {
            Asked::S3v4 => SignatureVersion::S3v4,
            Asked::V4 => SignatureVersion::V4,
        }),
    }
}
