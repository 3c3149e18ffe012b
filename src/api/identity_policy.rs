//! `IdentityPolicy`: what the administrator lets namespaces ask for.

// The schema derive repeats each struct in a scope of its own, where its `pub` reaches nobody.
#![allow(unreachable_pub)]
// Each printer column has a type of its own.
#![allow(clippy::duplicated_attributes)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Which namespaces may have StorageIdentities, for which buckets, paths and KMS keys, and within which bounds the operator
/// makes users and roles for them. It is the cluster administrator's: nothing of it can be said by a namespace.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "registry-sts.dev",
    version = "v1alpha1",
    kind = "IdentityPolicy",
    plural = "identitypolicies",
    category = "registry-sts",
    derive = "PartialEq",
    doc = "Which namespaces may have StorageIdentities, for which buckets, paths and KMS keys, and within which bounds the operator makes users and roles for them. It is the cluster administrator's: nothing of it can be said by a namespace.",
    printcolumn(json_path = ".spec.namespaces", name = "Namespaces", type_ = "string"),
    printcolumn(json_path = ".spec.maximum", name = "Maximum", type_ = "integer"),
    printcolumn(json_path = ".spec.permissionsBoundaryArn", name = "Boundary", type_ = "string", priority = 1),
    printcolumn(json_path = ".metadata.creationTimestamp", name = "Age", type_ = "date")
)]
#[serde(rename_all = "camelCase")]
pub struct IdentityPolicySpec {
    /// The namespaces that it is for, by name.
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 63)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.all(n, n.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))").message("namespaces must be names of namespaces: lower-case letters, digits and '-'"),
    )]
    pub namespaces: Vec<String>,

    /// The buckets that roles may open.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["bucket".into()]))]
    pub storage: Vec<AllowedStorage>,

    /// The KMS keys that roles may use, through S3 alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 20, max = 256)))]
    #[x_kube(
        validation = Rule::new("self.all(k, k.matches('^arn:(aws|aws-cn|aws-us-gov):kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$'))").message("kmsKeyArns must be ARNs of KMS keys: arn:aws:kms:<region>:<12-digit account>:key/<id>"),
    )]
    pub kms_key_arns: Vec<String>,

    /// The permissions boundary of every user and role: whatever their policies say, they can do nothing that it does not
    /// allow. `registry-sts policy --boundary` prints one that allows what this policy does.
    #[schemars(length(min = 20, max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^arn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:policy/([!-~]+/)?[A-Za-z0-9+=,.@_-]{1,128}$')").message("permissionsBoundaryArn must be the ARN of a policy of the account: arn:aws:iam::<12-digit account>:policy/<name>"),
    )]
    pub permissions_boundary_arn: String,

    /// The IAM path of users and roles.
    #[serde(default = "default_iam_path")]
    #[schemars(length(min = 3, max = 128))]
    #[x_kube(
        validation = Rule::new("self.matches('^/([A-Za-z0-9._-]+/)+$')").message("iamPath must begin and end with / and have only A-Z a-z 0-9 . _ - between, for example /registry-sts/"),
    )]
    pub iam_path: String,

    /// What the names of users and roles begin with.
    #[serde(default = "default_name_prefix")]
    #[schemars(length(min = 1, max = 24))]
    #[x_kube(
        validation = Rule::new("self.matches('^[A-Za-z0-9.-]+$')").message("namePrefix must have only A-Z a-z 0-9 . -, for example registry-sts-"),
    )]
    pub name_prefix: String,

    /// How many StorageIdentities it allows, all its namespaces together; the oldest come first.
    #[serde(default = "default_maximum")]
    #[schemars(with = "i32", range(min = 1, max = 1000))]
    pub maximum: u32,

    /// Names of users and roles that may be taken over although they do not carry the operator's tags, for example of a user
    /// that was made by hand. One that carries another cluster's tags is never taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)))]
    #[x_kube(
        validation = Rule::new("self.all(n, n.matches('^[A-Za-z0-9+=,.@_-]+$'))").message("takeOver must be names of IAM users and roles: 1 to 64 of A-Z a-z 0-9 + = , . @ _ -"),
    )]
    pub take_over: Vec<String>,
}

/// A bucket that roles may open.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedStorage {
    /// The S3 bucket.
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$')").message("bucket must be the name of an S3 bucket: 3 to 63 of a-z 0-9 . -, beginning and ending with a letter or a digit"),
    )]
    pub bucket: String,

    /// The paths in it, each with all that is below; without any, the whole bucket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 2, max = 512)))]
    #[x_kube(
        validation = Rule::new("self.all(p, p.matches('^/[^\\\\x00-\\\\x1f\\\\x7f*?$]+$'))").message("paths must begin with / and have no control characters and none of * ? $, for example /datastorage"),
    )]
    pub paths: Vec<String>,

    /// The account that owns the bucket, if it is not the permissions boundary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 12, max = 12))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9]{12}$')").message("account must be the 12 digits of an AWS account"),
    )]
    pub account: Option<String>,
}

fn default_iam_path() -> String {
    "/registry-sts/".into()
}

fn default_name_prefix() -> String {
    "registry-sts-".into()
}

fn default_maximum() -> u32 {
    10
}
