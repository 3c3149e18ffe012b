//! `registry-sts crd`

use std::io::Write as _;

use super::Problem;

/// Print the CustomResourceDefinitions as YAML.
///
/// Example: registry-sts crd | kubectl apply --server-side -f -
#[derive(clap::Args)]
pub(super) struct Crd {}

impl Crd {
    pub(super) fn run(self) -> Result<(), Problem> {
        let yaml = crate::api::crds_as_yaml()?;
        Ok(std::io::stdout().write_all(yaml.as_bytes())?)
    }
}
