//! What the scenarios are played on.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod control_plane;
pub(crate) mod iam;
pub(crate) mod install;
pub(crate) mod operator;
pub(crate) mod pods;
pub(crate) mod scrape;
pub(crate) mod scripted_aws;
pub(crate) mod slow_network;
pub(crate) mod verb;
pub(crate) mod webhook;
pub(crate) mod world;
pub(crate) mod writers;
