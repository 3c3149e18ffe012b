//! registry-sts gives container registries AWS STS roles that are proven to work.
//!
//! Data flows one way, and every pass over a resource ends in a report:
//!
//! ```text
//! CR, Secrets, proofs --observe--> Observation --plan (pure)--> Plan --act--> Outcome --status (pure)--> report
//! ```
//!
//! A proof is an observation: a pass asks the proof room and never waits for AWS; a finished proof brings the resource
//! back. Pure rooms know no async, clock, environment, kube or AWS: what they need is passed in, time included.

pub mod adopt;
pub mod api;
/// PURE: the ARN of an IAM role.
pub mod arn;
pub mod aws;
/// PURE: Quay's `config.yaml`, text in, text out.
pub mod bundle;
pub mod check;
pub mod cli;
pub mod cluster;
/// PURE: whose bundle it is, and which STS host that Quay asks.
pub mod consumer;
pub mod controller;
/// PURE: a hash of several texts.
pub mod fingerprint;
/// PURE: users, roles and keys that are made: what they are to be, and the steps there.
pub mod identity;
pub mod leadership;
/// PURE: manifests as people write them.
pub mod manifests;
/// PURE: where blobs are, and what counts as the same place.
pub mod place;
/// PURE: desired and observed, turned into what is to be done.
pub mod plan;
/// PURE: IAM policy documents with the least privilege.
pub mod policy;
pub mod proof;
pub mod provision;
/// PURE: what the operator may do, and why.
pub mod rbac;
/// PURE: the closed set of reasons.
pub mod reason;
/// PURE: what a `QuayRegistry` says of its Quay.
pub mod registry;
/// PURE: what people ask of a resource by annotation.
pub mod requests;
/// PURE: how a resource is named.
pub mod resource;
/// PURE: whether Quay runs what was written.
pub mod rollout;
/// PURE: what came of a plan, turned into status.
pub mod status;
/// PURE: what is to be proven.
pub mod target;
pub mod telemetry;
pub mod verdict;
