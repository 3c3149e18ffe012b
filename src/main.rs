//! registry-sts: parse, dispatch, exit code.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    registry_sts::cli::main().await
}
