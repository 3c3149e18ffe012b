//! What is delivered is installed on a real API server as its page says, and does its work there: the operator runs with
//! that very ServiceAccount, with those rights and those flags.

// A test that cannot go on has failed, and says on stderr why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

// Of what the scenarios are played on not all is needed here.
#[allow(dead_code, unused_imports)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
// Nor of the programs.
#[allow(dead_code)]
#[path = "../packaging/files.rs"]
mod files;

mod admission;
mod cluster;
#[allow(dead_code)]
#[path = "../packaging/console.rs"]
mod console;
mod identities;
mod installs;
mod kubectl;
mod pages;
mod pod;
mod reader;
