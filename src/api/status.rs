//! What the operator reports on a `QuayStorage`, in the forms that `kubectl wait`, Flux and Argo CD read.
//!
//! Status is sent as a merge patch, in which null removes a field: so an absent field outside of a list is serialised.

// The schema derive repeats each struct in a scope of its own, where its `pub` reaches nobody.
#![allow(unreachable_pub)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What was seen, proven and written.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuayStorageStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default)]
    pub observed_generation: Option<i64>,

    // What was echoed is never taken back, so these two need not be removable.
    /// The last value of annotation `reconcile.fluxcd.io/requestedAt` that was answered: everything was looked at anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// The last value of annotation `registry-sts.dev/proveAt` that was answered: every location was proven anew, or
    /// refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_prove_at: Option<String>,

    /// How many locations are proven and right in the bundle, of how many: for example `2/2`.
    #[serde(default)]
    pub summary: Option<String>,

    /// `Ready`, `RoleProven`, `StorageProven`, `BundleCurrent`; `ConsumerCurrent` where it is known what runs Quay; `Restorable`
    /// with deletionPolicy Restore; `Reconciling`, `Stalled` and `Suspended` only while they are
    /// true.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The config bundle as it was left.
    #[serde(default)]
    pub config_bundle: Option<ConfigBundleStatus>,

    /// Each location of the spec, in its order.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub locations: Vec<LocationStatus>,
}

/// The config bundle as it was left.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigBundleStatus {
    /// The Secret's name.
    pub secret_name: String,

    /// The Secret's resourceVersion after our last write to it.
    #[serde(default)]
    pub resource_version: Option<String>,

    /// With `outputSecret`: uid and resourceVersion of the Secret that was read, as our last write has it. A write that
    /// follows another version of it undoes nobody's change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,

    /// When this operator last changed the Secret for this resource.
    #[serde(default)]
    pub last_written_time: Option<Time>,

    /// The locations that this resource has in the bundle.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub locations: Vec<WrittenLocation>,

    /// With `apply: Approve`: the change that waits for somebody to approve of it.
    #[serde(default)]
    pub pending: Option<PendingStatus>,

    /// That somebody undid what stood in the bundle; absent where nobody did since the spec changed last.
    #[serde(default)]
    pub contested: Option<ContestedStatus>,
}

/// A change that waits for somebody to approve of it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingStatus {
    /// What names the change: annotation `registry-sts.dev/approve` with this value releases it.
    pub digest: String,

    /// The lines of `config.yaml` that go and come, every secret in them masked, and with `outputSecret` the names of the
    /// other keys that change.
    #[serde(default)]
    pub diff: String,
}

/// How often what stood in the bundle was undone since the spec changed last. After three repairs there are no more.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContestedStatus {
    /// How often.
    #[schemars(with = "i32", range(min = 0))]
    pub count: u32,

    /// By whom the last time: a field manager of the Secret's `managedFields`.
    #[serde(default)]
    pub writer: Option<String>,

    /// When the first undoing was seen.
    pub since: Time,

    /// The generation of the spec since which it is counted.
    #[serde(default)]
    pub generation: Option<i64>,

    /// The Secret's resourceVersion after the write that was undone last: another write, another undoing.
    #[serde(default)]
    pub resource_version: Option<String>,
}

/// A location that stands in the bundle.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenLocation {
    /// The location's name.
    pub name: String,

    /// Where its blobs are, as `acceptPlace` spells it: a later entry at another place needs consent, even if this one
    /// is gone from the bundle by then.
    pub place: String,

    /// What stands there, as a hash of what is no secret: whether a later change of the entry is ours or somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// One location's proof.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationStatus {
    /// The location's name.
    pub name: String,

    /// `True` when the role has been assumed and has done on S3 what Quay will do, with the key that stands in the
    /// bundle or is about to, `False` when that failed, `Unknown` while it is not known.
    pub proven: String,

    /// Why: one word of a closed set, as in the conditions.
    pub reason: String,

    /// What was tried, what was answered, and what to change.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,

    /// Who tried: the access key's last four characters, or the service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,

    /// The last proof that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofStatus>,
}

/// A proof that succeeded.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProofStatus {
    /// When.
    pub time: Time,

    /// Of what: uid and resourceVersion of the key's Secret, and a hash of the inputs that are no secret.
    pub of: String,
}
