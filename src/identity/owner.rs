//! Whose a user or a role is. AWS says it by tags, and default names carry a hash of it, so that two clusters that share an
//! account never meet.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::fingerprint::{fingerprint, hex};
use crate::resource::ResourceId;

/// The tag that says of which cluster a user or role is.
pub const CLUSTER: &str = "registry-sts.dev/cluster-id";
/// The tag that says of which namespace.
pub const NAMESPACE: &str = "registry-sts.dev/namespace";
/// The tag that says of which `StorageIdentity`.
pub const NAME: &str = "registry-sts.dev/name";
/// The tag with the uid of the `StorageIdentity`: it informs, and decides nothing, so that a resource which is made again by
/// Git or from a backup finds what is its.
pub const UID: &str = "registry-sts.dev/uid";

/// The longest name that IAM takes.
const LONGEST: usize = 64;
/// How many characters of a name tell whose it is.
const HASH: usize = 10;

/// A cluster, as its administrator calls it: unique among the clusters that share an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterId(String);

impl ClusterId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClusterId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if (1..=64).contains(&text.len()) && begins && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "expected 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or a digit, and no other cluster's of the same AWS account, for example prod-eu-1",
            )
        }
    }
}

/// Whose a user or a role is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster.
    pub cluster: ClusterId,
    /// The `StorageIdentity`.
    pub resource: ResourceId,
    /// Its uid, if it is known.
    pub uid: Option<String>,
}

/// What tags say of whose something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This owner's.
    Ours,
    /// Nobody's: there are no tags of this operator.
    Nobodys,
    /// Another's, in words.
    Others(String),
}

impl Owner {
    /// The tags that say so.
    pub fn tags(&self) -> BTreeMap<String, String> {
        let mut tags = BTreeMap::from([
            (CLUSTER.to_owned(), self.cluster.as_str().to_owned()),
            (NAMESPACE.to_owned(), self.resource.namespace.clone()),
            (NAME.to_owned(), self.resource.name.clone()),
        ]);
        tags.extend(self.uid.clone().map(|uid| (UID.to_owned(), uid)));
        tags
    }

    /// What tags say.
    pub fn reads(&self, tags: &BTreeMap<String, String>) -> Whose {
        let tag = |key: &str| tags.get(key).map(String::as_str);
        let found = [tag(CLUSTER), tag(NAMESPACE), tag(NAME)];
        let ours = [self.cluster.as_str(), &self.resource.namespace, &self.resource.name].map(Some);
        if found == ours {
            return Whose::Ours;
        }
        if found.iter().all(Option::is_none) {
            return Whose::Nobodys;
        }
        let [cluster, namespace, name] = found.map(|found| found.unwrap_or("?"));
        Whose::Others(format!("StorageIdentity {namespace}/{name} of cluster {cluster}"))
    }

    /// A name that nobody else's is, and that people can read.
    pub fn default_name(&self, prefix: &str) -> String {
        let ResourceId { namespace, name } = &self.resource;
        let hash = hex(&fingerprint([self.cluster.as_str(), namespace, name]));
        let hash = hash.get(..HASH).unwrap_or_default();
        let mut readable = format!("{prefix}{namespace}-{name}");
        // Names of Kubernetes are ASCII, and so is the prefix.
        readable.truncate(LONGEST - HASH - 1);
        format!("{readable}-{hash}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(cluster: &str, namespace: &str, name: &str) -> Owner {
        let resource = ResourceId { namespace: namespace.into(), name: name.into() };
        Owner { cluster: cluster.parse().unwrap(), resource, uid: Some("1-2".into()) }
    }

    #[test]
    fn a_name_tells_clusters_namespaces_and_resources_apart_and_is_never_too_long() {
        let of =
            |cluster: &str, namespace: &str, name: &str| owner(cluster, namespace, name).default_name("registry-sts-");
        let one = of("one", "quay", "example");
        assert!(one.starts_with("registry-sts-quay-example-"), "{one}");
        assert_eq!(one, of("one", "quay", "example"));
        // Both read quay-a-b.
        assert_ne!(of("one", "quay-a", "b"), of("one", "quay", "a-b"));
        assert_ne!(one, of("two", "quay", "example"));
        let long = of("one", &"n".repeat(63), &"r".repeat(253));
        assert_eq!(long.len(), LONGEST, "{long}");
        assert_ne!(long, of("one", &"n".repeat(63), &"r".repeat(252)));
    }

    #[test]
    fn the_uid_informs_and_all_else_decides_whose_something_is() {
        let ours = owner("one", "quay", "example");
        assert_eq!(ours.reads(&ours.tags()), Whose::Ours);
        assert_eq!(Owner { uid: Some("3".into()), ..ours.clone() }.reads(&ours.tags()), Whose::Ours);
        assert_eq!(ours.reads(&BTreeMap::from([("team".into(), "quay".into())])), Whose::Nobodys);
        for other in [owner("two", "quay", "example"), owner("one", "mirror", "example"), owner("one", "quay", "other")]
        {
            assert!(matches!(ours.reads(&other.tags()), Whose::Others(_)));
        }
        let half = BTreeMap::from([(CLUSTER.to_owned(), "one".to_owned())]);
        assert_eq!(ours.reads(&half), Whose::Others("StorageIdentity ?/? of cluster one".into()));
    }

    #[test]
    fn a_cluster_id_is_a_word() {
        for text in ["", "-a", "a b", "a/b", &"a".repeat(65)] {
            assert!(text.parse::<ClusterId>().is_err(), "{text}");
        }
        assert!("Prod_eu-1.example".parse::<ClusterId>().is_ok());
    }
}
