//! `registry-sts crd`

use std::io::Write as _;

use super::{Outcome, Problem};

/// Print the CustomResourceDefinitions as YAML.
#[derive(clap::Args)]
#[command(after_help = "Example:
  registry-sts crd | kubectl apply --server-side -f -")]
pub(super) struct Crd {}

pub(super) fn run() -> Result<Outcome, Problem> {
    let yaml = crate::api::crds_as_yaml()?;
    std::io::stdout().write_all(yaml.as_bytes())?;
    Ok(Outcome::Done)
}
