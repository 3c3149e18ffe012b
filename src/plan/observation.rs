//! What was seen. An answer is a value: that something is missing, forbidden or unreachable is one too.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::approval::Approval;
use super::backup::BackupSeen;
use super::contest::Left;
use super::mark::Mark;
use super::output::OutputSeen;
use super::owner::Owner;
use super::web_identity::AccountSeen;
use crate::reason::Failure;
use crate::resource::ResourceId;
use crate::target::Principal;
use crate::verdict::Step;

/// The key of a bundle that holds Quay's configuration.
pub const CONFIG: &str = "config.yaml";
/// What the names of the keys begin with that hold certificates.
const CERTIFICATES: &str = "extra_ca_cert_";
/// What the names of the keys have in common that the Quay operator merges over it.
const OVERLAY: &str = ".config.yaml";

/// What a reference to an object leads to.
#[derive(Clone)]
pub enum Reference<T> {
    /// The object.
    Found(T),
    /// There is none of that name.
    Missing,
    /// The API server does not let the operator see it.
    Forbidden {
        /// The command that grants it.
        grant: String,
    },
    /// The API server did not answer the question.
    Unreadable {
        /// What it said instead.
        why: String,
    },
}

impl<T> Reference<T> {
    /// What of that which was found is meant.
    pub fn and_then<U>(self, meant: impl FnOnce(T) -> Reference<U>) -> Reference<U> {
        match self {
            Self::Found(found) => meant(found),
            Self::Missing => Reference::Missing,
            Self::Forbidden { grant } => Reference::Forbidden { grant },
            Self::Unreadable { why } => Reference::Unreadable { why },
        }
    }
}

/// One location as it was seen, in the order of the spec.
#[derive(Clone)]
pub struct ObservedLocation {
    /// Who assumes the role: the key that would be written, or a service account. Or why there is nobody.
    pub principal: Result<Principal, Failure>,
    /// Uid and version of the Secret with the access key, if there is one.
    pub key_version: Option<String>,
    /// The service account, where one was looked at.
    pub account: Option<AccountSeen>,
    /// What is known of the role.
    pub proof: ProofState,
    /// Where this resource last wrote the location into this bundle, as `acceptPlace` spells it.
    pub written_at: Option<String>,
    /// The `QuayStorage` that writes this location, if that is another one.
    pub claimed_by: Option<String>,
}

/// What is known of a location's role and storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofState {
    /// The first attempt is under way.
    Pending,
    /// It works, as this process found not longer ago than the interval.
    Proven(Proof),
    /// It worked not longer ago than the interval, as an earlier process found: enough for status, not for a write.
    Earlier(Proof),
    /// It worked not long ago; AWS could not be reached since.
    Stale(Proof, Failure),
    /// A step of it fails.
    Failed(Step, Failure),
    /// Nobody tried, because whoever asked wants it written without.
    Skipped,
}

/// A proof that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// When.
    pub at: Timestamp,
    /// Of what: uid and resourceVersion of the key's Secret, and a hash of the inputs that are no secret.
    pub of: String,
    /// What is worth knowing though nothing failed.
    pub notes: Vec<String>,
}

/// The bundle Secret as it was seen.
#[derive(Clone)]
pub enum ObservedBundle {
    /// Not looked at: no location has an answer yet.
    NotLooked,
    /// As it was when it was last planned, and so is everything else that the plan depends on.
    Unchanged(super::Standings),
    /// Read just now.
    Read(Box<Reference<BundleSecret>>),
    /// The Secret that it is made from, and it, both read just now.
    Output(Box<OutputSeen>),
}

/// A bundle Secret.
#[derive(Clone)]
pub struct BundleSecret {
    /// What messages call it where that is not its name: with its file, or a file that is no Secret.
    pub called: Option<String>,
    /// Its uid.
    pub uid: String,
    /// Its version, the precondition of a write.
    pub resource_version: String,
    /// Whether Kubernetes refuses any change of it.
    pub immutable: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Another tool that keeps it, and would undo what is written.
    pub owner: Option<Owner>,
    /// When this operator last wrote `config.yaml`, as the Secret tells.
    pub own_write: Option<Timestamp>,
    /// When anybody did.
    pub last_change: Option<Timestamp>,
    /// The field manager that was the last to write its data, if that is not ours.
    pub last_writer: Option<String>,
    /// Whose output it is, if it is one.
    pub mark: Option<Mark>,
    /// The value of `config.yaml`, if it has that key. As a whole it is a secret.
    pub config: Option<SecretSlice<u8>>,
    /// The values of the other keys whose names contain `.config.yaml`: the Quay operator merges them over
    /// `config.yaml`.
    pub overlays: BTreeMap<String, SecretSlice<u8>>,
    /// The certificates that Quay trusts beside the system's own, as PEM: the values of `extra_ca_cert_*`.
    pub certificates: Option<Arc<str>>,
    /// The size of all values but that of `config.yaml`, in bytes.
    pub other_bytes: usize,
}

impl BundleSecret {
    /// A bundle Secret that holds these values.
    pub fn of(mut data: BTreeMap<String, SecretSlice<u8>>) -> Self {
        let config = data.remove(CONFIG);
        Self {
            called: None,
            uid: String::new(),
            resource_version: String::new(),
            immutable: false,
            deleting: false,
            owner: None,
            own_write: None,
            last_change: None,
            last_writer: None,
            mark: None,
            config,
            certificates: certificates(&data),
            other_bytes: data.values().map(|value| value.expose_secret().len()).sum(),
            overlays: data.into_iter().filter(|(key, _)| key.contains(OVERLAY)).collect(),
        }
    }
}

fn certificates(data: &BTreeMap<String, SecretSlice<u8>>) -> Option<Arc<str>> {
    let found = data.iter().filter(|(key, _)| key.starts_with(CERTIFICATES));
    let texts: Vec<&str> = found.filter_map(|(_, value)| std::str::from_utf8(value.expose_secret()).ok()).collect();
    (!texts.is_empty()).then(|| texts.join("\n").into())
}

/// All that a plan is made from.
#[derive(Clone)]
pub struct Observation {
    /// The locations, in the order of the spec.
    pub locations: Vec<ObservedLocation>,
    /// The bundle.
    pub bundle: ObservedBundle,
    /// The command that lets the operator watch the Secrets, if it may read but not watch them.
    pub unwatched: Option<String>,
    /// Whether an older resource writes into the same bundle: that one's preference counts.
    pub has_elder: bool,
    /// What status tells of the bundle as it was left.
    pub left: Left,
    /// Which change somebody approves of.
    pub approval: Approval,
    /// The backup of that resource, where there is to be one.
    pub backup: Option<(ResourceId, Reference<BackupSeen>)>,
}
