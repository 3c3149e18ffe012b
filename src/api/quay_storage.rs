//! `QuayStorage`: which S3 role a Quay registry's storage locations use, and in which config bundle they stand.

// The schema derive repeats each struct in a scope of its own, where its `pub` reaches nobody.
#![allow(unreachable_pub)]
// Each printer column has a type of its own.
#![allow(clippy::duplicated_attributes)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::auth::Auth;
use super::quay::{ConsumerEnv, RegistryRef, Workload};
use super::status::QuayStorageStatus;

/// Proves the S3 role of each storage location of one Quay registry by assuming it as Quay will, and keeps
/// `DISTRIBUTED_STORAGE_CONFIG` in the registry's config bundle right.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "registry-sts.dev",
    version = "v1alpha1",
    kind = "QuayStorage",
    plural = "quaystorages",
    shortname = "qst",
    category = "registry-sts",
    namespaced,
    status = "QuayStorageStatus",
    derive = "PartialEq",
    doc = "Proves the S3 role of each storage location of one Quay registry by assuming it as Quay will, and keeps `DISTRIBUTED_STORAGE_CONFIG` in the registry's config bundle right.",
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].status"#, name = "Ready", type_ = "string"),
    printcolumn(json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, name = "Reason", type_ = "string"),
    printcolumn(json_path = ".status.configBundle.secretName", name = "Bundle", type_ = "string"),
    printcolumn(json_path = ".status.summary", name = "Summary", type_ = "string"),
    printcolumn(
        json_path = r#".status.conditions[?(@.type=="Suspended")].status"#,
        name = "Suspended",
        type_ = "string"
    ),
    printcolumn(
        json_path = r#".status.conditions[?(@.type=="ConsumerCurrent")].status"#,
        name = "Consumer",
        type_ = "string",
        priority = 1
    ),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.outputSecret) || has(self.registryRef) != has(self.configBundleSecret)").message("give exactly one of registryRef (with the Quay operator: the QuayRegistry names the bundle) and configBundleSecret (without it); both only with outputSecret"),
    validation = Rule::new("!has(self.outputSecret) || has(self.configBundleSecret)").message("outputSecret needs configBundleSecret: the Secret that is read"),
    validation = Rule::new("!has(self.registryRef) || !has(self.consumerEnv)").message("remove consumerEnv: with registryRef the environment of Quay's pods is read from the QuayRegistry (overrides.env of components quay and mirror)"),
    validation = Rule::new("!has(self.restart) || size(self.restart) == 0 || !has(self.registryRef)").message("remove restart: with registryRef the Quay operator rolls Quay's pods"),
    validation = Rule::new("!has(self.outputSecret) || !has(self.deletionPolicy) || self.deletionPolicy == 'Retain'").message("deletionPolicy Restore is for a bundle that is changed in place: with outputSecret the source is never changed, and the output stays"),
    validation = Rule::new("self.locations.all(l, !has(l.auth.webIdentity) || !l.auth.webIdentity.annotateServiceAccount || (has(self.registryRef) && l.auth.webIdentity.serviceAccountName == self.registryRef.name + '-quay-app' && has(l.auth.webIdentity.roleArn)))").message("annotateServiceAccount needs registryRef, the service account of that registry's pods (<registry>-quay-app), and roleArn beside it"),
)]
pub struct QuayStorageSpec {
    /// The QuayRegistry whose storage it is: its `spec.configBundleSecret` is the bundle, and its component overrides
    /// say what Quay's pods have in their environment. Exactly one of `registryRef` and `configBundleSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_ref: Option<RegistryRef>,

    /// Without the Quay operator, or with `outputSecret`: the name of the Secret that holds the registry's config bundle. It
    /// is in the same namespace; its key `config.yaml` is changed in place (unless there is an `outputSecret`), and only
    /// after the role has been proven. Exactly one of `registryRef` and `configBundleSecret`, unless there is an
    /// `outputSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("configBundleSecret must be the name of a Secret in this namespace: lower-case letters, digits, '-' and '.', for example example-config-bundle"),
    )]
    pub config_bundle_secret: Option<String>,

    /// Where the result is written, if not in place: a Secret of its own in the same namespace, made from
    /// `configBundleSecret` and kept in step with it, for bundles that Git or another operator owns. The
    /// registry is to use this one. With `registryRef` it is also checked that it does. Deleting this resource leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("outputSecret must be the name of a Secret in this namespace: lower-case letters, digits, '-' and '.', for example example-config-bundle-sts"),
    )]
    pub output_secret: Option<String>,

    /// The storage locations to prove and to write, 1 to 16. A location that leaves this list stays in the bundle:
    /// Quay's database may still point to it.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub locations: Vec<Location>,

    /// Whether every blob is to be replicated to every location of this resource
    /// (`DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS`). False leaves that list as it is.
    #[serde(default)]
    pub replicate: bool,

    /// Where these locations stand in `DISTRIBUTED_STORAGE_PREFERENCE`; Quay pushes to the first. `First` and `Last`
    /// count for the oldest of the resources that share a bundle.
    #[serde(default)]
    pub preference: Preference,

    /// The `AWS_*` variables that Quay's pods have: they decide which STS host Quay asks, and so where the role is
    /// proven. Without them Quay asks the global one. Not beside `registryRef`, which says them itself.
    #[serde(default, skip_serializing_if = "ConsumerEnv::is_empty")]
    pub consumer_env: ConsumerEnv,

    /// How the role is proven.
    #[serde(default)]
    pub verification: Verification,

    /// Whether a change is written as soon as it is proven (`Auto`), or once somebody approves of it (`Approve`):
    /// `status.configBundle.pending` shows it, and annotation `registry-sts.dev/approve` with its digest releases it.
    #[serde(default)]
    pub apply: Apply,

    /// Without the Quay operator: the workloads that run Quay. After a change of the bundle those that mount it are rolled, as
    /// `kubectl rollout restart` does it, and `ConsumerCurrent` follows them. With `registryRef` the Quay operator does that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub restart: Vec<Workload>,

    /// What becomes of the bundle when this resource is deleted: it stays as it is (`Retain`), or gets back what stood there
    /// before the first write (`Restore`), if nobody has changed it since, if that keeps its blobs at the same place, and
    /// if it is proven to work then.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// While true nothing is looked at, proven or written, and `Ready` becomes Unknown once the spec changes; false goes on
    /// from what is there then.
    #[serde(default)]
    pub suspend: bool,
}

/// What becomes of the bundle when the resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DeletionPolicy {
    /// It stays as it is.
    #[default]
    Retain,
    /// It gets back what stood there before the first write, where that is safe.
    Restore,
}

/// Where the locations of a resource stand in `DISTRIBUTED_STORAGE_PREFERENCE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Preference {
    /// Wherever they stand; those that are missing are appended.
    #[default]
    Keep,
    /// Before all others, in spec order.
    First,
    /// After all others, in spec order.
    Last,
}

/// One storage location: an entry of `DISTRIBUTED_STORAGE_CONFIG`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.region) != has(self.endpointUrl)").message("give exactly one of region (AWS S3) and endpointUrl (something else that speaks S3): Quay ignores endpoint_url when s3_region is set"),
    validation = Rule::new("has(self.roleArn) == has(self.auth.accessKey)").message("give roleArn with auth.accessKey, and only there: with auth.webIdentity the role is auth.webIdentity.roleArn, or the service account's annotation eks.amazonaws.com/role-arn"),
)]
pub struct Location {
    /// The location's name, the key of its entry in `DISTRIBUTED_STORAGE_CONFIG`. Quay stores it in its database:
    /// never rename one that is in use.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')").message("name must begin with a letter or a digit and have only A-Z a-z 0-9 . _ -, for example default"),
    )]
    pub name: String,

    /// The ARN of the role that Quay assumes (`sts_role_arn`), for example
    /// `arn:aws:iam::123492922789:role/example-role`. Required with `auth.accessKey`, absent with `auth.webIdentity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^arn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9+=,.@_-]{1,64}$')").message("roleArn must be the ARN of an IAM role: arn:aws:iam::<12-digit account>:role/<name>"),
    )]
    pub role_arn: Option<String>,

    /// The S3 bucket (`s3_bucket`).
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$')").message("bucket must be the name of an S3 bucket: 3 to 63 of a-z 0-9 . -, beginning and ending with a letter or a digit (not an ARN, not a URL)"),
    )]
    pub bucket: String,

    /// The path in the bucket below which Quay keeps its blobs (`storage_path`).
    #[serde(default = "default_storage_path")]
    #[schemars(length(max = 512))]
    #[x_kube(
        validation = Rule::new("self.matches('^[^\\\\x00-\\\\x1f\\\\x7f]*$')").message("storagePath must have no control characters, for example /datastorage"),
    )]
    pub storage_path: String,

    /// The AWS region of the bucket (`s3_region`), for example `us-east-1`. Exactly one of `region` and
    /// `endpointUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z]+(-[a-z]+)+-[0-9]+$')").message("region must be an AWS region, for example us-east-1"),
    )]
    pub region: Option<String>,

    /// The URL of an S3-compatible endpoint (`endpoint_url`). The operator's administrator must have allowed it with
    /// `--allow-endpoint`. Exactly one of `region` and `endpointUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new("self.matches('^https?://[^/?#@ ]+/?$')").message("endpointUrl must be http://host[:port] or https://host[:port], without user, path or query"),
    )]
    pub endpoint_url: Option<String>,

    /// Who assumes the role.
    pub auth: Auth,

    /// The customer managed KMS key that the bucket encrypts with by default, if it does: it is only for what `policy`
    /// prints and for the advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^arn:(aws|aws-cn|aws-us-gov):kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$')").message("kmsKeyArn must be the ARN of a KMS key: arn:aws:kms:<region>:<12-digit account>:key/<id>"),
    )]
    pub kms_key_arn: Option<String>,

    /// The largest part of a multipart upload in GiB (`maximum_chunk_size_gb`); Quay's default is 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // An API server knows no formats of unsigned numbers, and warns of them.
    #[schemars(with = "Option<i32>", range(min = 1, max = 5))]
    pub maximum_chunk_size_gb: Option<u32>,

    /// How Quay signs its requests to S3 (`signature_version`). Quay 3.11 and 3.12.0 do not know this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_version: Option<SignatureVersion>,

    /// Consent to move a live location: the new place as `<bucket>/<path>`, with `endpointUrl` as
    /// `<scheme>://<host>:<port>/<bucket>/<path>`; the message that asks for consent spells it out. Without it an entry that stands at another
    /// place is left alone, because Quay finds its blobs by the location's name and would lose them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 1200))]
    pub accept_place: Option<String>,
}

/// How Quay signs its requests to S3: what we cannot prove we do not offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum SignatureVersion {
    /// AWS Signature Version 4 as S3 wants it.
    #[serde(rename = "s3v4")]
    S3v4,
    /// AWS Signature Version 4.
    #[serde(rename = "v4")]
    V4,
}

/// How the role is proven.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// What is written without a proof: nothing (`Enforce`), what failed the proof too (`Warn`), everything (`Skip`).
    #[serde(default)]
    pub mode: Mode,

    /// How often a proven role is proven again: at least 5m, for example `1h` or `90m`.
    #[serde(default = "default_interval")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(
        validation = Rule::new("self.matches('^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') && duration(self) >= duration('5m') && duration(self) <= duration('24h')").message("interval must be from 5m to 24h, for example 1h, 90m or 1h30m"),
    )]
    pub interval: String,
}

/// When a proven change is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Apply {
    /// At once.
    #[default]
    Auto,
    /// Once somebody approves of it: each write restarts a registry.
    Approve,
}

/// What is written without a proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Mode {
    /// Nothing: prove, then write.
    #[default]
    Enforce,
    /// What failed its proof, too; status says what failed.
    Warn,
    /// Everything: nobody asks AWS, and status says so.
    Skip,
}

impl Default for Verification {
    fn default() -> Self {
        Self { mode: Mode::default(), interval: default_interval() }
    }
}

fn default_storage_path() -> String {
    "/datastorage".into()
}

fn default_interval() -> String {
    "1h".into()
}
