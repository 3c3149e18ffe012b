//! What the operator costs, on a real etcd and kube-apiserver: the release binary as a process of its own, with the rights
//! of deploy/ in the whole cluster, beside an AWS that answers at once. Everything is measured in one run, so that ratios
//! hold on a machine that others use, too.

// A benchmark prints, and one that cannot go on has failed. Its counts are far from what a float cannot hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod audit;
mod aws;
mod content;
mod convergence;
mod edits;
mod failover;
mod figures;
mod floor;
mod foreign;
mod machine;
mod operator;
mod plane;
mod progress;
mod ready;
mod report;
mod run;

use tokio::signal::unix::{SignalKind, signal};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) is_quick: bool,
    pub(crate) resources: usize,
    pub(crate) rounds: usize,
    pub(crate) edits: usize,
    pub(crate) fail_overs: usize,
    pub(crate) large: usize,
    pub(crate) small: usize,
}

/// What the resources grow to.
pub(crate) const GROWTH: usize = 10;

const FULL: Size =
    Size { is_quick: false, resources: 1000, rounds: 3, edits: 200, fail_overs: 3, large: 10_000, small: 3000 };
/// To see that it works: its figures are none.
const QUICK: Size =
    Size { is_quick: true, resources: 100, rounds: 1, edits: 20, fail_overs: 1, large: 500, small: 150 };

#[tokio::main]
async fn main() {
    let size = if std::env::var("BENCH").is_ok_and(|bench| bench == "quick") { QUICK } else { FULL };
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    tokio::select! {
        () = run::run(size) => return,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // What was started has ended with what held it.
    progress::say("ended before its time: nothing is written");
    std::process::exit(1);
}
