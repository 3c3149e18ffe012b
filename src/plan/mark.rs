//! How an output Secret says whose it is. It is the name of the `QuayStorage` that counts, and not its uid: one that was
//! created again or restored from a backup finds its output.

use std::collections::BTreeMap;

use crate::fingerprint::{fingerprint, hex};
use crate::resource::ResourceId;

/// The label of every output. Its value is a hash: namespace and name together have no room in a label's value.
pub const LABEL: &str = "registry-sts.dev/output";
/// The annotation that says the same to people.
pub const OF: &str = "registry-sts.dev/output-of";
/// The annotation with the names of the locations that were written: they stay, whatever becomes of the spec.
pub const LOCATIONS: &str = "registry-sts.dev/locations";

/// Who a resource is, as a label has room for it.
pub(super) fn hash_of(owner: &ResourceId) -> String {
    let hash = fingerprint([owner.namespace.as_str(), owner.name.as_str()]);
    hex(hash.get(..16).unwrap_or_default())
}

/// What an output says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    label: String,
    of: String,
    /// The locations that were written into it, in the order in which they were.
    pub locations: Vec<String>,
}

impl Mark {
    /// The mark of a resource's output.
    pub fn new(owner: &ResourceId, locations: Vec<String>) -> Self {
        let label = hash_of(owner);
        Self { label, of: format!("{}/{}", owner.namespace, owner.name), locations }
    }

    /// The mark that a Secret has, if it has one.
    pub fn read(
        labels: Option<&BTreeMap<String, String>>,
        annotations: Option<&BTreeMap<String, String>>,
    ) -> Option<Self> {
        let label = labels?.get(LABEL)?.clone();
        let annotation = |key: &str| annotations.and_then(|all| all.get(key)).map(String::as_str).unwrap_or_default();
        let locations = annotation(LOCATIONS).split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some(Self { label, of: annotation(OF).to_owned(), locations })
    }

    /// Whether it is the mark of that resource, whatever it says of locations.
    pub fn is_of(&self, owner: &ResourceId) -> bool {
        self.label == Self::new(owner, Vec::new()).label
    }

    /// Whose it is, for people.
    pub fn owner(&self) -> String {
        if self.of.is_empty() { "another QuayStorage".to_owned() } else { format!("QuayStorage {}", self.of) }
    }

    /// The labels of the Secret.
    pub fn labels(&self) -> BTreeMap<String, String> {
        [(LABEL.to_owned(), self.label.clone())].into()
    }

    /// The annotations of the Secret.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        [(OF.to_owned(), self.of.clone()), (LOCATIONS.to_owned(), self.locations.join(","))].into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(namespace: &str, name: &str) -> ResourceId {
        ResourceId { namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn a_mark_fits_a_label_however_long_the_names_are_and_is_read_back() {
        let owner = id(&"n".repeat(63), &"a".repeat(253));
        let mark = Mark::new(&owner, vec!["default".into(), "second".into()]);
        assert!(mark.labels()[LABEL].len() <= 63);
        assert_eq!(Mark::read(Some(&mark.labels()), Some(&mark.annotations())), Some(mark.clone()));
        assert!(mark.is_of(&owner) && !mark.is_of(&id("n", "a")));
        assert_ne!(Mark::new(&id("a", "b-c"), Vec::new()), Mark::new(&id("a-b", "c"), Vec::new()));
    }

    #[test]
    fn who_owns_an_output_is_told_by_its_label_alone() {
        let owner = id("quay", "example");
        let mark = Mark::new(&owner, Vec::new());
        let bare = Mark::read(Some(&mark.labels()), None).unwrap();
        assert!(bare.is_of(&owner) && bare.locations.is_empty());
        assert_eq!(bare.owner(), "another QuayStorage");
        assert_eq!(Mark::read(None, Some(&mark.annotations())), None);
    }
}
