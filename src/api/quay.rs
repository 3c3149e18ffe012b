//! The Quay that reads a bundle, as a resource names it: its registry, its pods' environment, what runs it.

// The schema derive repeats each struct in a scope of its own, where its `pub` reaches nobody.
#![allow(unreachable_pub)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A QuayRegistry (`quay.redhat.com/v1`) of the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryRef {
    /// The QuayRegistry's name.
    #[schemars(length(min = 1, max = 244))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("registryRef.name must be the name of a QuayRegistry in this namespace: lower-case letters, digits, '-' and '.'"),
    )]
    pub name: String,
}

/// A workload of the same namespace that runs Quay.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// What it is.
    pub kind: WorkloadKind,

    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("restart[].name must be the name of a workload in this namespace: lower-case letters, digits, '-' and '.', for example quay"),
    )]
    pub name: String,
}

/// What a workload is (`apps/v1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A `StatefulSet`.
    StatefulSet,
}

/// The environment of Quay's pods, as far as it decides which STS host Quay asks.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConsumerEnv {
    /// The region that Quay's driver asks STS in: for one that has to be opted into, of China or of GovCloud always,
    /// for the others only with `AWS_STS_REGIONAL_ENDPOINTS=regional`.
    #[serde(rename = "AWS_DEFAULT_REGION", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z]+(-[a-z]+)+-[0-9]+$')").message("AWS_DEFAULT_REGION must be an AWS region, for example us-east-1"),
    )]
    pub default_region: Option<String>,

    /// The same for Quay's config-tool, which checks the configuration when a pod starts.
    #[serde(rename = "AWS_REGION", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z]+(-[a-z]+)+-[0-9]+$')").message("AWS_REGION must be an AWS region, for example us-east-1"),
    )]
    pub region: Option<String>,

    /// `regional` or `legacy`.
    #[serde(rename = "AWS_STS_REGIONAL_ENDPOINTS", default, skip_serializing_if = "Option::is_none")]
    pub sts_regional_endpoints: Option<StsRegionalEndpoints>,
}

impl ConsumerEnv {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What `AWS_STS_REGIONAL_ENDPOINTS` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StsRegionalEndpoints {
    /// The host of the region, where one is named.
    Regional,
    /// The global host for the older regions.
    Legacy,
}
