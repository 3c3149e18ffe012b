//! `registry-sts crd`

use std::io::Write as _;

use super::{Outcome, Problem};
use crate::api::{crd_as_yaml, crds};

/// Print the CustomResourceDefinitions as YAML.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  registry-sts crd | kubectl apply --server-side -f -
  registry-sts crd quaystorages")]
pub(super) struct Crd {
    /// Only these: quaystorages, storageidentities, identitypolicies.
    #[arg(value_name = "NAME", value_parser = ["quaystorages", "storageidentities", "identitypolicies"])]
    names: Vec<String>,
}

impl Crd {
    pub(super) fn run(self) -> Result<Outcome, Problem> {
        for crd in crds() {
            if self.names.is_empty() || self.names.contains(&crd.spec.names.plural) {
                std::io::stdout().write_all(crd_as_yaml(&crd)?.as_bytes())?;
            }
        }
        Ok(Outcome::Done)
    }
}
