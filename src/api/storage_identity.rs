//! `StorageIdentity`: who assumes the role of a storage location, made and kept by the operator.

// The schema derive repeats each struct in a scope of its own, where its `pub` reaches nobody.
#![allow(unreachable_pub)]
// Each printer column has a type of its own.
#![allow(clippy::duplicated_attributes)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Makes and keeps the IAM user with its access key, or the keyless role, that the storage locations of a registry use,
/// and rotates the key. What may be asked for is said by the administrator's IdentityPolicies.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "registry-sts.dev",
    version = "v1alpha1",
    kind = "StorageIdentity",
    plural = "storageidentities",
    shortname = "sid",
    category = "registry-sts",
    namespaced,
    status = "StorageIdentityStatus",
    derive = "PartialEq",
    doc = "Makes and keeps the IAM user with its access key, or the keyless role, that the storage locations of a registry use, and rotates the key. What may be asked for is said by the administrator's IdentityPolicies.",
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].status"#, name = "Ready", type_ = "string"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, name = "Reason", type_ = "string"),
    printcolumn(json_path = ".spec.trust", name = "Trust", type_ = "string"),
    printcolumn(
        json_path = r#".status.conditions[?(@.type=="Rotating")].reason"#,
        name = "Rotation",
        type_ = "string"
    ),
    printcolumn(json_path = ".status.nextRotationTime", name = "Next", type_ = "string", priority = 1),
    printcolumn(json_path = ".status.roleArn", name = "Role", type_ = "string", priority = 1),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.trust == 'webIdentity') == has(self.webIdentity)").message("give webIdentity with trust: webIdentity, and only there: it says which service account the role trusts"),
    validation = Rule::new("self.trust == 'user' || (!has(self.secretName) && !has(self.userName))").message("remove secretName and userName: with trust: webIdentity there is no user and no key"),
    validation = Rule::new("self.trust == oldSelf.trust").message("trust cannot be changed: make another StorageIdentity, let the QuayStorage refer to that, and delete this one (docs/identities.md, From keys to keyless)"),
)]
pub struct StorageIdentitySpec {
    /// Who assumes the role: an IAM user with an access key (`user`), or a service account of this namespace with its token
    /// and no key at all (`webIdentity`).
    pub trust: Trust,

    /// The service account, with `trust: webIdentity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<TrustedAccount>,

    /// What the role opens, 1 to 8; an IdentityPolicy has to allow each.
    #[schemars(length(min = 1, max = 8))]
    pub storage: Vec<Storage>,

    /// With `trust: user`: the Secret in which the access key is put, as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. The
    /// operator makes it; one of that name that it has not made is left alone. Default: this resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("secretName must be the name of a Secret in this namespace: lower-case letters, digits, '-' and '.'"),
    )]
    pub secret_name: Option<String>,

    /// When the access key is replaced, and for how long the old one goes on working. Only with `trust: user`.
    #[serde(default)]
    pub rotation: Rotation,

    /// The IAM user's name, if not one that is made from the cluster, the namespace and the name of this resource. It has to
    /// begin with the IdentityPolicy's `namePrefix`, or stand in its `takeOver`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9+=,.@_-]+$')").message("userName must be the name of an IAM user: 1 to 64 of A-Z a-z 0-9 + = , . @ _ -"),
    )]
    pub user_name: Option<String>,

    /// The IAM role's name; as `userName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9+=,.@_-]+$')").message("roleName must be the name of an IAM role: 1 to 64 of A-Z a-z 0-9 + = , . @ _ -"),
    )]
    pub role_name: Option<String>,

    /// What becomes of the user, its key and the role when this resource is deleted: they stay (`Retain`), or go (`Delete`)
    /// once no QuayStorage refers to this resource any more.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// While true nothing is looked at, made or rotated. What is to go when this resource is deleted goes all the same.
    #[serde(default)]
    pub suspend: bool,
}

/// Who assumes the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Trust {
    /// An IAM user with an access key.
    #[serde(rename = "user")]
    User,
    /// A service account with its token.
    #[serde(rename = "webIdentity")]
    WebIdentity,
}

/// What becomes of what was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It goes.
    Delete,
}

/// The service account that a role trusts.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustedAccount {
    /// The service account that Quay's pods run as: with the Quay operator, `<registry>-quay-app`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("serviceAccountName must be the name of a service account in this namespace: lower-case letters, digits, '-' and '.'"),
    )]
    pub service_account_name: String,

    /// The audience of its tokens, which the role demands.
    #[serde(default = "default_audience")]
    #[schemars(length(min = 1, max = 256))]
    pub audience: String,

    /// Whether a QuayStorage that refers to this resource adds the annotation `eks.amazonaws.com/role-arn` to the service
    /// account, as its own `auth.webIdentity.annotateServiceAccount` does.
    #[serde(default)]
    pub annotate_service_account: bool,
}

/// A bucket, or a path in it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// The S3 bucket.
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$')").message("bucket must be the name of an S3 bucket: 3 to 63 of a-z 0-9 . -, beginning and ending with a letter or a digit (not an ARN, not a URL)"),
    )]
    pub bucket: String,

    /// The path in the bucket below which Quay keeps its blobs.
    #[serde(default = "default_storage_path")]
    #[schemars(length(max = 512))]
    #[x_kube(
        validation = Rule::new("self.matches('^[^\\\\x00-\\\\x1f\\\\x7f*?$]*$')").message("storagePath must have no control characters and none of * ? $, which mean something else in IAM policies, for example /datastorage"),
    )]
    pub storage_path: String,

    /// The customer managed KMS key that the bucket encrypts with by default, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^arn:(aws|aws-cn|aws-us-gov):kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$')").message("kmsKeyArn must be the ARN of a KMS key: arn:aws:kms:<region>:<12-digit account>:key/<id>"),
    )]
    pub kms_key_arn: Option<String>,
}

/// When the access key is replaced.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// How old a key becomes: at least 24h, for example `2160h` (90 days).
    #[serde(default = "default_interval")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(
        validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') && duration(self) >= duration('24h') && duration(self) <= duration('87600h')").message("interval must be from 24h to 87600h (ten years), for example 2160h"),
    )]
    pub interval: String,

    /// For how long the old key goes on working once the new one is in the Secret, and then stays, inactive, before it is
    /// deleted: at least 1h. It is counted from the old key's last use, too.
    #[serde(default = "default_overlap")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(
        validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') && duration(self) >= duration('1h') && duration(self) <= duration('720h')").message("overlap must be from 1h to 720h (30 days), for example 24h"),
    )]
    pub overlap: String,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { interval: default_interval(), overlap: default_overlap() }
    }
}

fn default_interval() -> String {
    "2160h".into()
}

fn default_overlap() -> String {
    "24h".into()
}

fn default_audience() -> String {
    "sts.amazonaws.com".into()
}

fn default_storage_path() -> String {
    "/datastorage".into()
}

/// What was made, and how it stands.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageIdentityStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default)]
    pub observed_generation: Option<i64>,

    /// The last value of annotation `reconcile.fluxcd.io/requestedAt` that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// The last value of annotation `registry-sts.dev/rotate` that was answered: a key of after it is in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_rotate_at: Option<String>,

    /// `Ready`; `Provisioned`: user and role are as intended; `Rotating` while there are two keys or a new one is to be made,
    /// and Unknown while nobody can look; `Reconciling`, `Stalled` and `Suspended` only while they are true.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The IdentityPolicy that allows it.
    #[serde(default)]
    pub policy_name: Option<String>,

    /// The ARN of the IAM user.
    #[serde(default)]
    pub user_arn: Option<String>,

    /// The ARN of the role.
    #[serde(default)]
    pub role_arn: Option<String>,

    /// The Secret with the access key, once there is one in it.
    #[serde(default)]
    pub secret_name: Option<String>,

    /// The user's access keys, the one in the Secret first.
    #[serde(default)]
    pub keys: Vec<KeyStatus>,

    /// When the key is replaced, if nothing else happens.
    #[serde(default)]
    pub next_rotation_time: Option<Time>,
}

/// An access key of the user.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyStatus {
    /// The last four characters of its id.
    pub last_four: String,

    /// What it is for now.
    pub state: KeyState,

    /// When it was made, by the clock of AWS: its age.
    pub created: Time,

    /// When it was last used, as AWS says. AWS tells of a use after some minutes.
    #[serde(default)]
    pub last_used: Option<Time>,
}

/// What an access key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum KeyState {
    /// It was made, and is not in the Secret yet.
    Pending,
    /// It is in the Secret.
    Current,
    /// The one before: it goes on working until nobody uses it.
    Old,
    /// It was deactivated, and is deleted if nobody misses it.
    Inactive,
    /// Somebody else made it.
    Foreign,
}
