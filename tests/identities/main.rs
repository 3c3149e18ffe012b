//! `StorageIdentities` on a real API server and an AWS peer that enforces IAM, with an operator that has nothing in AWS but the
//! policy that `registry-sts policy --operator` prints. Its token is one of its ServiceAccount, never of a cluster admin.

// A test that cannot go on has failed, and says on stderr why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod account;
mod clusters;
mod crashes;
mod drift;
mod endings;
mod fenced;
mod flapping;
// Of what the scenarios are played on not all is needed here.
#[allow(dead_code, unused_imports)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod keyless;
mod openshift;
mod prober;
mod provision;
mod rotations;
mod scaffold;
