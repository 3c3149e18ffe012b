//! Scenarios on a real API server and a real AWS-protocol peer, or a scripted one for what no other answers, with the
//! operator as a process under the RBAC of deploy/. What is asserted is what the API server, its audit log and the peer
//! say.

// A test that cannot go on has failed, and says on stderr why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod adopt;
mod answers;
mod approval;
mod backup;
mod check;
mod claims;
mod coalescing;
mod consumer;
mod contested;
mod controllers;
mod ending;
mod grants;
mod harness;
mod inputs;
mod kubectl;
mod leadership;
mod lifecycle;
mod main_job;
mod namespaced;
mod network;
mod others;
mod output;
mod overwriters;
mod owners;
mod places;
mod policy;
mod quiet;
mod radosgw;
mod registry;
mod requests;
mod restore;
mod retained;
mod roles;
mod rotation;
mod storage;
mod telemetry;
mod tokens;
