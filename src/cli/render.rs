//! `registry-sts render`

use std::io::Write as _;

use secrecy::ExposeSecret as _;

use super::files::{self, Files};
use super::{Outcome, Problem, tell};
use crate::bundle::ConfigYaml;
use crate::manifests::offline::{Bundle, PlainFile, Secrets};
use crate::place::EndpointUrl;
use crate::plan::desired::{Allowed, AllowedEndpoints};

/// Print what the operator would write, without a cluster, a network or a proof.
///
/// Reads QuayStorages, and the Secrets and QuayRegistries that they name (Secrets with data or stringData; other kinds
/// are passed over). For pipelines
/// that keep the bundle in Git: the edit is the operator's own, and what it or the API server would refuse is refused
/// here, with exit code 1 and nothing on stdout; but nothing is proven.
///
/// The Secret's manifest is printed as it was given, comments and all, with another value of config.yaml; of a file with
/// several documents, the Secret's alone.
#[derive(clap::Args)]
#[command(group(files::required()))]
#[command(after_help = "Examples:
  registry-sts render -f quay/ -o diff
  registry-sts render -R -f clusters/prod --allow-endpoint https://minio.example.com:9000
  kustomize build overlays/prod | registry-sts render -f - > bundle.yaml
  registry-sts render -f storage.yaml --config /quay/conf/stack/config.yaml -o config")]
pub(super) struct Render {
    #[command(flatten)]
    files: Files,

    /// A plain config.yaml to edit instead of a bundle Secret, for Quay outside of Kubernetes.
    #[arg(long, value_name = "FILE")]
    config: Option<String>,

    /// Refuse every other endpointUrl, as the operator does that runs with these. May be given several times. Without it
    /// any is taken.
    #[arg(long, value_name = "URL")]
    allow_endpoint: Vec<EndpointUrl>,

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
        let manifests = self.files.manifests()?;
        let plain = match &self.config {
            Some(name) => Some(PlainFile { name: files::called(name).to_owned(), text: files::read(name)? }),
            None => None,
        };
        let bundles = match manifests.render(plain.as_ref(), &self.allowed()) {
            Ok(bundles) => bundles,
            Err(refused) => {
                for one in refused {
                    tell(&one.to_string());
                }
                return Ok(Outcome::Refused);
            }
        };
        if output == Output::Config && bundles.len() > 1 {
            return Err("the manifests have several bundles: use -o secret, or give one at a time".into());
        }
        let mut stdout = std::io::stdout();
        match output {
            Output::Secret => {
                let Secrets { stream, anew } = manifests.secrets(&bundles)?;
                stdout.write_all(stream.expose_secret().as_bytes())?;
                for (called, why) in anew {
                    tell(&format!("Secret {called} is written anew, without its comments and its layout: {why}."));
                }
            }
            Output::Config => bundles.iter().try_for_each(|one| stdout.write_all(one.after.expose_secret()))?,
            Output::Diff => bundles.iter().try_for_each(|one| Ok::<_, Problem>(write!(stdout, "{}", diff(one)?)?))?,
        }
        let endpoints = manifests.endpoints().join(", ");
        if self.allow_endpoint.is_empty() && !endpoints.is_empty() {
            tell(&format!(
                "Taken unseen: endpointUrl {endpoints}. The operator takes what its --allow-endpoint lists: give the same here to check that."
            ));
        }
        tell("Nothing was proven: that the roles work is for the operator to find out.");
        Ok(Outcome::Done)
    }

    fn allowed(&self) -> Allowed {
        let endpoints = match self.allow_endpoint.as_slice() {
            [] => AllowedEndpoints::Any,
            urls => urls.iter().cloned().collect(),
        };
        Allowed { endpoints, ..Allowed::any() }
    }
}

fn diff(bundle: &Bundle) -> Result<String, Problem> {
    let before = ConfigYaml::parse(bundle.before.expose_secret())?;
    Ok(before.diff(&ConfigYaml::parse(bundle.after.expose_secret())?, &bundle.name))
}
