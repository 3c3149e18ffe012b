//! What may be reached beside AWS, as whoever starts the program allows it.

use std::path::PathBuf;

use ipnet::IpNet;

use super::Problem;
use crate::aws::{Aws, Networks};
use crate::leadership::Fence;
use crate::place::EndpointUrl;
use crate::plan::desired::Allowed;

#[derive(clap::Args)]
pub(super) struct Reach {
    /// Allow this value of endpointUrl: scheme, host and port. May be given several times.
    #[arg(long, value_name = "URL")]
    allow_endpoint: Vec<EndpointUrl>,

    /// Allow an endpointUrl to resolve into this network though it is not public, for example 10.1.0.0/16. May be
    /// given several times.
    #[arg(long, value_name = "CIDR")]
    allow_network: Vec<IpNet>,

    /// Allow tokens of service accounts for this audience. May be given several times.
    #[arg(long, value_name = "AUDIENCE", default_values_t = ["sts.amazonaws.com".to_owned()])]
    allow_audience: Vec<String>,

    /// Trust these certificates beside the system's own when AWS or an endpointUrl is asked: a file in PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Reach {
    /// What a spec may name.
    pub(super) fn allowed(&self) -> Allowed {
        Allowed {
            endpoints: self.allow_endpoint.iter().cloned().collect(),
            audiences: Some(self.allow_audience.iter().cloned().collect()),
        }
    }

    /// AWS, as the environment and these flags say how to reach it. Behind a fence that is closed nothing is changed there.
    pub(super) fn aws(&self, fence: Fence) -> Result<Aws, Problem> {
        let mut networks = Networks { allowed: self.allow_network.clone(), certificates: None };
        if let Some(file) = &self.ca_file {
            let told = |error: &dyn std::fmt::Display| format!("--ca-file {}: {error}", file.display());
            let pem = std::fs::read_to_string(file).map_err(|error| told(&error))?;
            networks = networks.with_certificates(pem).map_err(|error| told(&error))?;
        }
        Ok(Aws::from_variables(|name| std::env::var(name).ok(), networks, fence)?)
    }
}
