//! What AWS and the cluster say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::consumers::Consumer;
use crate::reason::Failure;

/// A user or a role as AWS has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Its ARN.
    pub arn: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
    /// Its inline policies by name; what is no JSON is null.
    pub inline: BTreeMap<String, Value>,
    /// The ARNs of the managed policies that are attached to it.
    pub attached: BTreeSet<String>,
    /// Of a role: who may assume it.
    pub trust: Option<Value>,
}

/// When a key was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastUsed {
    /// AWS knows of no use.
    Never,
    /// Then. AWS tells of a use after some minutes.
    At(Timestamp),
    /// AWS does not say.
    Unknown(Failure),
}

/// An access key of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// When it was made, by the clock of AWS.
    pub created: Timestamp,
    /// Whether it works.
    pub is_active: bool,
    /// When it was last used.
    pub last_used: LastUsed,
}

/// What the Secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySecret {
    /// There is none.
    Absent,
    /// It is ours, and holds the key of this id; none if what it holds is no key.
    Holds(Option<String>),
    /// It cannot be used: somebody else's, or not to be read or written.
    Unusable(Failure),
}

/// A key that was made by this very process and is not in the Secret yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: String,
    /// Whether it has been proven at all: enough where nobody has a key that works.
    pub is_proven_once: bool,
    /// Whether it has been proven often and long enough.
    pub is_proven: bool,
}

/// All that is seen of a user's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The keys that the user has.
    pub listed: Vec<Key>,
    /// The Secret.
    pub secret: KeySecret,
    /// A key that this process made and that is not in the Secret yet.
    pub held: Option<Held>,
    /// By key: the Secrets with a config bundle that has it.
    pub in_bundles: BTreeMap<String, BTreeSet<String>>,
    /// A bundle could not be read, so that nobody can say which keys it has.
    pub is_bundle_unread: bool,
    /// The `QuayStorages` that use the key in the Secret.
    pub consumers: Vec<Consumer>,
    /// What people ask for.
    pub asked: Asked,
}

/// What people ask for by annotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The key is to be replaced if it is of before then.
    pub rotate: Option<Timestamp>,
    /// The last four characters of a key that may be deactivated without a sign that nobody uses it.
    pub retire: Option<String>,
}

/// What is seen of everything that a `StorageIdentity` asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The user, if it is there.
    pub user: Option<Found>,
    /// The role, if it is there.
    pub role: Option<Found>,
    /// Its keys, where there is to be a user.
    pub keys: Option<Keys>,
    /// Whether the identity provider is there; none where none is needed, or where nobody may say.
    pub has_provider: Option<bool>,
}
