//! PURE: the IAM user or the keyless role that a `StorageIdentity` asks for: what it is to be, how it stands in AWS, and the
//! steps from one to the other.
//!
//! ```text
//! IdentityPolicies + spec --permit--> Desired ─┐
//!            AWS, Secret, consumers --> Observed ┴─plan--> Plan {steps, rotation, again, stop}
//! ```
//!
//! A plan is made from what AWS and the cluster say, never from what was done before: whoever is killed between two steps
//! goes on where that left it.

pub mod answer;
pub mod consumers;
pub mod desired;
pub mod document;
pub mod entity;
pub mod keys;
pub mod marker;
pub mod observed;
pub mod owner;
pub mod permit;
pub mod plan;
pub mod proving;
pub mod status;
pub mod step;
