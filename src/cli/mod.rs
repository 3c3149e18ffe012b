//! The command line: one verb, one file. Data goes to stdout, everything else to stderr.

// What is documented here is read on a terminal, as it stands.
#![allow(clippy::doc_markdown)]

mod adopt;
mod check;
mod crd;
mod election;
mod files;
mod identities;
mod policy;
mod progress;
mod provision;
mod rbac;
mod reach;
mod render;
mod run;
mod telemetry;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Gives container registries AWS STS roles that are proven to work.
///
/// The operator test-assumes each role exactly as Quay will, and only then writes the STSS3Storage entry into
/// DISTRIBUTED_STORAGE_CONFIG of the registry's config bundle.
#[derive(Parser)]
#[command(name = "registry-sts", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Run(run::Run),
    Crd(crd::Crd),
    Render(render::Render),
    Check(check::Check),
    Policy(policy::Policy),
    Provision(provision::Provision),
    Adopt(adopt::Adopt),
    Rbac(rbac::Rbac),
}

/// Parses the arguments and does what they say. Exit codes: 0 done, 1 refused, 2 could not, 64 usage.
pub async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            // Help and version are asked for; everything else is a usage error.
            let code = if message.use_stderr() { 64 } else { 0 };
            return if message.print().is_ok() { ExitCode::from(code) } else { ExitCode::from(2) };
        }
    };
    let done = match arguments.verb {
        Verb::Run(run) => Box::pin(run.run()).await,
        Verb::Crd(crd) => crd.run(),
        Verb::Render(render) => render.run(),
        Verb::Check(check) => check.run().await,
        Verb::Policy(policy) => policy.run(),
        Verb::Provision(provision) => Box::pin(provision.run()).await,
        Verb::Adopt(adopt) => adopt.run().await,
        Verb::Rbac(rbac) => rbac.run(),
    };
    match done {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::from(1),
        Ok(Outcome::Usage(what)) => {
            tell(&format!("registry-sts: {what}"));
            ExitCode::from(64)
        }
        Err(problem) => {
            tell(&format!("registry-sts: {problem}"));
            ExitCode::from(2)
        }
    }
}

/// How a verb ended.
enum Outcome {
    Done,
    /// What was asked for is refused; what is wrong has been told.
    Refused,
    /// The arguments do not go together.
    Usage(&'static str),
}

/// Why a verb could not do its work.
type Problem = Box<dyn std::error::Error + Send + Sync>;

fn tell(line: &str) {
    use std::io::Write as _;
    // Where stderr is closed nobody is left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
