//! What could be put back into a bundle when its resource is deleted, as far as that is known before.

use std::collections::BTreeSet;

use super::backup::{BackupSeen, name};
use super::desired::{Desired, DesiredLocation};
use super::observation::Reference;
use super::{BundleWrite, Standing, Standings, restore};
use crate::bundle::Remembered;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

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
pub(super) fn judge(
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
