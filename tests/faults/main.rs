//! Faults to survive: each is done to the real components, on a control plane that this binary has to itself. What is
//! looked at afterwards is what etcd, the API server, its audit log, AWS's peer and the process itself say.

// A test that cannot go on has failed, and says on stderr why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod aftermath;
mod api_server;
mod cut;
mod editor;
mod fleet;
// Of what the scenarios are played on not all is needed here.
#[allow(dead_code, unused_imports)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod kills;
mod line;
mod outages;
mod restored;
mod silence;
mod stored;
mod storm;
