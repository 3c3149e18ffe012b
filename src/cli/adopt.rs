//! `registry-sts adopt`

use std::io::Write as _;

use super::files::{self, Files};
use super::policy::Tell;
use super::{Outcome, Problem, run, tell};
use crate::adopt::{self, Bundle, Named};
use crate::manifests::offline::PlainFile;

/// Print the QuayStorage that leaves a bundle as it is, for a registry whose entries were written by hand.
///
/// Prints the Secret of the access key without its values (and the command that creates it from the bundle), the
/// QuayStorage, the policies with the least privilege, and what applying it would change. Entries of S3Storage get a
/// location that would give them a role; those of other drivers are left alone. Nothing is changed, and no secret shown.
#[derive(clap::Args)]
#[command(override_usage = "registry-sts adopt [OPTIONS] [-n <NAMESPACE>] <REGISTRY>
       registry-sts adopt [OPTIONS] [-n <NAMESPACE>] --secret <NAME>
       registry-sts adopt [OPTIONS] -f <FILE>…
       registry-sts adopt [OPTIONS] --config <FILE>")]
#[command(after_help = "Examples:
  registry-sts adopt -n quay example-registry > storage.yaml
  registry-sts adopt -n quay --secret example-config-bundle
  registry-sts adopt -f quay/ example-registry
  registry-sts adopt --config /quay/conf/stack/config.yaml")]
pub(super) struct Adopt {
    /// The QuayRegistry whose bundle it is.
    #[arg(value_name = "REGISTRY", required_unless_present_any = ["secret", "filename", "config"], conflicts_with_all = ["secret", "config"])]
    registry: Option<String>,

    /// The bundle Secret, for Quay without its operator.
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,

    /// The namespace. [default: the kubeconfig's, or the manifest's]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    #[command(flatten)]
    files: Option<Files>,

    /// A plain config.yaml instead of a bundle, for Quay outside of Kubernetes.
    #[arg(long, value_name = "FILE", conflicts_with = "filename")]
    config: Option<String>,

    /// What to call the QuayStorage. [default: the name of the registry, or of the Secret]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    tell: Tell,
}

impl Adopt {
    pub(super) async fn run(self) -> Result<Outcome, Problem> {
        let named = self.registry.map(Named::ByRegistry).or_else(|| self.secret.clone().map(Named::Secret));
        let offline: Option<Bundle> = match (&self.files, self.config) {
            (Some(files), _) => {
                Some(adopt::offline::bundle(&files.any_manifests()?, named.as_ref(), self.namespace.as_deref())?)
            }
            (None, Some(name)) => {
                let file = PlainFile { name: files::called(&name).to_owned(), text: files::read(&name)? };
                Some(adopt::offline::plain(file, self.secret, self.namespace.clone())?)
            }
            (None, None) => None,
        };
        let (bundle, name) = match (offline, named) {
            (None, Some(named)) => {
                adopt::cluster::bundle(run::client().await?, self.namespace, &named, self.name).await?
            }
            (Some(bundle), _) => {
                let name = adopt::resource_name(self.name.as_deref(), &bundle.consumer)?;
                (bundle, name)
            }
            (None, None) => {
                return Ok(Outcome::Usage("name a QuayRegistry, or a bundle with --secret, -f or --config"));
            }
        };
        match bundle.adopt(&name, &self.tell.told()) {
            Ok(adoption) => {
                std::io::stdout().write_all(adoption.manifests.as_bytes())?;
                tell(&adoption.notes.join("\n"));
                Ok(Outcome::Done)
            }
            Err(lines) => {
                tell(&lines.join("\n"));
                Ok(Outcome::Refused)
            }
        }
    }
}
