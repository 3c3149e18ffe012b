//! registry-sts: parse, dispatch, exit code.

use std::process::ExitCode;

// What the operator does is waiting. One thread does all of it in less processor time than several, and what it takes does
// not depend on how many processors its node has.
#[tokio::main(worker_threads = 1)]
async fn main() -> ExitCode {
    registry_sts::cli::main().await
}
