//! `registry-sts render`

use std::io::Write as _;

use secrecy::ExposeSecret as _;

use super::{Outcome, Problem, files, tell};
use crate::bundle::ConfigYaml;
use crate::manifests::offline::{Bundle, Refused};

/// Print what the operator would write, without a cluster, a network or a proof.
///
/// Reads QuayStorages and the Secrets that they name (data or stringData; other kinds are passed over). For pipelines
/// that keep the bundle in Git: the edit is the operator's own, and what it would refuse is refused here, with exit
/// code 1 and nothing on stdout; but any endpointUrl is taken, and nothing is proven.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  registry-sts render -f quay/ -o diff
  kustomize build overlays/prod | registry-sts render -f - > bundle.yaml
  registry-sts render -f storage.yaml --config /quay/conf/stack/config.yaml -o config")]
pub(super) struct Render {
    /// A file or folder of manifests, or - for stdin. May be given several times.
    #[arg(short, long, value_name = "FILE", required = true)]
    filename: Vec<String>,

    /// A plain config.yaml to edit instead of a bundle Secret, for Quay outside of Kubernetes.
    #[arg(long, value_name = "FILE")]
    config: Option<String>,

    /// What to print: the Secret's manifest, its config.yaml, or the change with every secret masked.
    /// [default: secret, or config with --config]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Output>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Secret,
    Config,
    Diff,
}

impl Render {
    pub(super) fn run(&self) -> Result<Outcome, Problem> {
        let output = match (self.output, &self.config) {
            (Some(Output::Secret), Some(_)) => {
                return Ok(Outcome::Usage("with --config there is no Secret to print: use -o config or -o diff"));
            }
            (Some(output), _) => output,
            (None, Some(_)) => Output::Config,
            (None, None) => Output::Secret,
        };
        let manifests = files::manifests(&self.filename)?;
        let plain = self.config.as_ref().map(|name| files::read(name)).transpose()?;
        let bundles = match manifests.render(plain.as_ref()) {
            Ok(bundles) => bundles,
            Err(refused) => {
                for Refused { resource, location, failure } in refused {
                    tell(&format!("{resource}, {location}: {}: {}", failure.reason.as_str(), failure.message));
                }
                return Ok(Outcome::Refused);
            }
        };
        if output == Output::Config && bundles.len() > 1 {
            return Err("the manifests have several bundles: use -o secret, or give one at a time".into());
        }
        let mut stdout = std::io::stdout();
        for bundle in &bundles {
            match output {
                Output::Secret => {
                    let manifest = manifests.manifest_of(bundle)?;
                    let yaml = manifest.as_ref().map_or("", |yaml| yaml.expose_secret());
                    write!(stdout, "---\n{yaml}")?;
                }
                Output::Config => stdout.write_all(bundle.after.expose_secret())?,
                Output::Diff => write!(stdout, "{}", diff(bundle)?)?,
            }
        }
        tell("Nothing was proven: that the roles work is for the operator to find out.");
        Ok(Outcome::Done)
    }
}

fn diff(bundle: &Bundle) -> Result<String, Problem> {
    let before = ConfigYaml::parse(bundle.before.expose_secret())?;
    Ok(before.diff(&ConfigYaml::parse(bundle.after.expose_secret())?, &format!("{}/config.yaml", bundle.name)))
}
