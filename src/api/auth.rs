//! Who assumes the role of a location: an IAM user by its access key, or a service account by its token.

// The schema derive repeats each struct in a scope of its own, where its `pub` reaches nobody.
#![allow(unreachable_pub)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Who assumes the role: exactly one way.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.accessKey), has(self.webIdentity), has(self.identityRef)].filter(given, given).size() == 1").message("give exactly one of accessKey (an IAM user's key), webIdentity (the token of a service account) and identityRef (a StorageIdentity)"),
)]
pub struct Auth {
    /// An IAM user's access key, which Quay keeps in its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<AccessKey>,

    /// The token of the service account that Quay's pods run as: no key anywhere. The service account must carry the
    /// annotation `eks.amazonaws.com/role-arn`, and the cluster a pod identity webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,

    /// A StorageIdentity of the same namespace: the operator makes and rotates what is needed, and it says the role, the
    /// Secret with the key, or the service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_ref: Option<IdentityRef>,
}

/// A StorageIdentity of the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityRef {
    /// The StorageIdentity's name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("identityRef.name must be the name of a StorageIdentity in this namespace: lower-case letters, digits, '-' and '.'"),
    )]
    pub name: String,
}

/// The token of a service account, for `AssumeRoleWithWebIdentity`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebIdentity {
    /// The service account that Quay's pods run as: with the Quay operator, `<registry>-quay-app`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("serviceAccountName must be the name of a service account in this namespace: lower-case letters, digits, '-' and '.'"),
    )]
    pub service_account_name: String,

    /// The audience of the token; the service account's annotation `eks.amazonaws.com/audience` must say the same, or
    /// be absent where it is `sts.amazonaws.com`. The operator's administrator allows audiences with
    /// `--allow-audience`.
    #[serde(default = "default_audience")]
    #[schemars(length(min = 1, max = 256))]
    pub audience: String,

    /// The role that Quay's pods get. Without it the service account's annotation `eks.amazonaws.com/role-arn` says;
    /// with it nothing is written while the annotation names another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^arn:(aws|aws-cn|aws-us-gov):iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9+=,.@_-]{1,64}$')").message("roleArn must be the ARN of an IAM role: arn:aws:iam::<12-digit account>:role/<name>"),
    )]
    pub role_arn: Option<String>,

    /// Whether the operator adds the annotation `eks.amazonaws.com/role-arn` with `roleArn` where the service account
    /// has none; it never changes one. Only with `registryRef`, for the service account of that registry's pods
    /// (`<registry>-quay-app`), with `roleArn`, and where `registry-sts-annotate` was bound in the namespace. Quay's
    /// pods get the role when they are restarted. In mode Skip nobody looks at the account, nor annotates it.
    #[serde(default)]
    pub annotate_service_account: bool,
}

/// An IAM user's access key, in a Secret.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessKey {
    /// The Secret with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `aws_access_key_id` and
    /// `aws_secret_access_key` as the Cloud Credential Operator spells them.
    pub secret_ref: SecretRef,
}

/// A Secret of the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("secretRef.name must be the name of a Secret in this namespace: lower-case letters, digits, '-' and '.'"),
    )]
    pub name: String,
}

fn default_audience() -> String {
    "sts.amazonaws.com".into()
}
