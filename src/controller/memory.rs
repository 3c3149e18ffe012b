//! What is remembered of a resource between two passes, so that a pass in which nothing is new asks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::requests::Answering;
use crate::api::QuayStorage;
use crate::api::quay_storage::QuayStorageSpec;
use crate::api::status::ConfigBundleStatus;
use crate::cluster::secrets::{KeyReading, Wrote};
use crate::cluster::version::Version;
use crate::consumer::Consumer;
use crate::fingerprint::fingerprint;
use crate::plan::backup::BackupSeen;
use crate::plan::observation::{BundleSecret, Reference};
use crate::plan::web_identity::AccountSeen;
use crate::plan::{ProofState, Standings};
use crate::reason::Failure;
use crate::rollout::{Runners, Runs};
use crate::telemetry::metrics::{PassOutcome, Standing};

/// One resource's memory. What most resources have no use for most of the time takes no room then.
#[derive(Default)]
pub(super) struct Memory {
    /// What the pass under way has come to so far.
    pub(super) outcome: Option<PassOutcome>,
    /// How the resource stands, as its status says.
    pub(super) standing: Option<Standing>,
    /// How old a proof may be, as the spec said last.
    pub(super) interval: Option<Duration>,
    /// The generation of the resource that was passed over last.
    pub(super) met: Option<i64>,
    /// What the spec asked for that status speaks of, as far as this process knows.
    pub(super) told_of: Option<Asked>,
    /// What is asked for by annotation.
    pub(super) requests: Answering,
    /// Something is to be written, so that what an earlier process proved is proven at once.
    pub(super) urgent: bool,
    /// The bundle that was meant then.
    pub(super) bundle: Option<String>,
    /// Since when answers of AWS are awaited, while they are.
    pub(super) awaiting: Option<Instant>,
    /// The uid of the resource that is remembered: another of the same name is another resource.
    pub(super) uid: Option<String>,
    /// The keys as they were read, by Secret.
    pub(super) keys: BTreeMap<String, Arc<KeyReading>>,
    /// The service accounts as they were read, by name.
    pub(super) accounts: BTreeMap<String, AccountReading>,
    /// The certificates in the bundle, as it was read at a version.
    pub(super) certificates: Option<(Version, Option<Arc<str>>)>,
    /// The last plan's inputs, and how the bundle stands since.
    pub(super) settled: Option<(Inputs, Standings)>,
    /// How the bundle was left, while that is not in status yet.
    pub(super) left: Option<Box<ConfigBundleStatus>>,
    /// A write that is not in status yet.
    pub(super) unreported: Option<Unreported>,
    /// When the bundle was last written, as it told.
    pub(super) written: Option<LastWrites>,
    /// Since when the API server refuses what it granted before, while that is not believed yet.
    pub(super) doubted: Option<Instant>,
    /// Everything is to be looked at anew, also what status says.
    pub(super) is_anew: bool,
    /// The backup as it was read, at a version.
    pub(super) backup: Option<Box<(Version, Reference<BackupSeen>)>>,
    /// What became of its bundle at its end has been told.
    pub(super) is_end_told: bool,
    /// Since when the resource is being ended.
    pub(super) ending: Option<Instant>,
    /// What was seen of the workloads that run Quay.
    pub(super) rollout: Option<Box<Rollout>>,
    /// Whether the Quay operator gives the registry a role of its own, once somebody looked.
    pub(super) role_mode: Option<bool>,
    /// The pods of the very second of a write that were there right after it.
    pub(super) of_before: Option<(Timestamp, BTreeSet<String>)>,
    /// The resource as our last status write left it: the watch may not have told us of it yet.
    pub(super) reported: Option<Arc<QuayStorage>>,
}

impl Memory {
    /// Forgets what was read, so that all of it is read again.
    pub(super) fn look_anew(&mut self) {
        self.keys.clear();
        self.accounts.clear();
        self.certificates = None;
        self.settled = None;
        self.rollout = None;
        self.backup = None;
        self.role_mode = None;
        self.is_anew = true;
    }

    /// The newer of what the watch told and of what our last status write was answered with.
    pub(super) fn newest(&self, told: &QuayStorage) -> Arc<QuayStorage> {
        let newer = self.reported.as_ref().filter(|reported| is_at_least(reported, told));
        newer.map_or_else(|| Arc::new(told.clone()), Arc::clone)
    }

    /// Forgets what our last status write was answered with, once the watch has told as much.
    pub(super) fn is_told(&mut self, told: &QuayStorage) {
        self.reported.take_if(|reported| is_at_least(told, reported));
    }
}

/// Whether it is the same resource at the same version or a later one.
fn is_at_least(this: &QuayStorage, other: &QuayStorage) -> bool {
    let version = |resource: &QuayStorage| resource.metadata.resource_version.as_ref()?.parse::<u128>().ok();
    this.metadata.uid == other.metadata.uid && version(this).is_some_and(|this| Some(this) >= version(other))
}

/// What a spec asks for, whether it is suspended or not: the same if it is the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked([u8; 32]);

impl Asked {
    /// What a spec asks for; none if it cannot be said.
    pub(super) fn by(spec: &QuayStorageSpec) -> Option<Self> {
        let spec = serde_json::to_string(&QuayStorageSpec { suspend: false, ..spec.clone() }).ok()?;
        Some(Self(fingerprint([spec.as_str()])))
    }
}

/// A write that is not in status yet.
pub(super) struct Unreported {
    /// The Secret's name.
    pub(super) secret: String,
    /// Its version since.
    pub(super) resource_version: String,
    /// When, by the clock of the API server.
    pub(super) at: Option<Timestamp>,
}

impl Unreported {
    pub(super) fn of(secret: &str, wrote: &Wrote) -> Self {
        let resource_version = wrote.version.resource_version().to_owned();
        Self { secret: secret.to_owned(), resource_version, at: wrote.at }
    }
}

/// When a bundle was last written, as the Secret of that name told.
pub(super) struct LastWrites {
    pub(super) bundle: String,
    /// By this operator, if it is still the one that did.
    pub(super) by_us: Option<Timestamp>,
    /// By anybody.
    pub(super) by_anybody: Option<Timestamp>,
}

impl LastWrites {
    pub(super) fn of(bundle: &str, secret: &BundleSecret) -> Self {
        Self { bundle: bundle.to_owned(), by_us: secret.own_write, by_anybody: secret.last_change }
    }
}

/// What was seen of the workloads that run Quay.
pub(super) struct Rollout {
    /// When they were first looked at for what it depends on.
    pub(super) since: Instant,
    /// When.
    pub(super) at: Instant,
    /// What it depends on, but for the workloads.
    pub(super) of: RolloutOf,
    /// What came of it.
    pub(super) runs: Runs,
}

/// What it depends on, but for the workloads, whether Quay runs what was written.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RolloutOf {
    pub(super) bundle: String,
    pub(super) written: Option<Timestamp>,
    pub(super) runners: Runners,
}

/// A service account as it was read.
pub(super) struct AccountReading {
    /// When.
    pub(super) at: Instant,
    /// What was seen.
    pub(super) seen: Result<AccountSeen, Failure>,
}

/// Everything that a plan depends on. The same inputs give the same plan.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Inputs {
    pub(super) generation: Option<i64>,
    pub(super) consumer: Consumer,
    pub(super) bundle: Version,
    /// The Secret that the bundle is made from, where that is another one.
    pub(super) source: Option<Version>,
    pub(super) has_elder: bool,
    pub(super) locations: Vec<LocationInput>,
}

/// What a plan depends on in one location.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct LocationInput {
    pub(super) principal: Option<Version>,
    pub(super) proof: ProofInput,
    pub(super) claimed_by: Option<String>,
    pub(super) identity: Option<Box<str>>,
}

/// What a plan depends on in a proof: whether there is one, not when it was made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ProofInput {
    Pending,
    Proven,
    Earlier,
    Stale,
    Failed,
    Skipped,
}

impl ProofInput {
    pub(super) fn of(proof: &ProofState) -> Self {
        match proof {
            ProofState::Pending => Self::Pending,
            ProofState::Proven(_) => Self::Proven,
            ProofState::Earlier(_) => Self::Earlier,
            ProofState::Stale(..) => Self::Stale,
            ProofState::Failed(..) => Self::Failed,
            ProofState::Skipped => Self::Skipped,
        }
    }
}
