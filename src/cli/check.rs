//! `registry-sts check`

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use super::files::Files;
use super::reach::Reach;
use super::{Outcome, Problem, progress, run, tell};
use crate::check::case::{self, Case};
use crate::check::cluster::{self, NoCases};
use crate::check::report::{self, Report};
use crate::check::table::Style;
use crate::check::{Looker, report::Outcome as Found};
use crate::cluster::grants::Grants;
use crate::cluster::tokens::Tokens;
use crate::leadership::Fence;
use crate::proof::Depth;
use crate::resource::ResourceId;

/// Prove the roles now, from here, step by step: the operator's own proof, without the operator.
///
/// Of manifests it proves what has an access key among them; of a QuayStorage in a cluster, everything, with the rights
/// of your kubeconfig. It uses the identity of Quay (the key, or a token of the service account), never yours, and the
/// network of this machine, which may not be that of Quay's pods. AWS endpoints are AWS's own, unless
/// AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL say otherwise. What it puts it removes again (a bucket that keeps versions keeps them of that too).
///
/// Exit codes: 0 every location works, 1 one is refused, 2 one could not be looked at, 64 usage.
#[derive(clap::Args)]
#[command(override_usage = "registry-sts check [OPTIONS] -f <FILE>…
       registry-sts check [OPTIONS] [-n <NAMESPACE>] <NAME>")]
#[command(after_help = "Examples:
  registry-sts check -n quay example
  registry-sts check -R -f quay/
  sops -d key.yaml | registry-sts check -f storage.yaml -f - -o json | jq '.[] | select(.proven | not)'
  registry-sts check -n quay example --read-only")]
pub(super) struct Check {
    /// The QuayStorage in the cluster, instead of manifests.
    #[arg(value_name = "NAME", required_unless_present = "filename", conflicts_with_all = ["filename", "recursive"])]
    name: Option<String>,

    /// The namespace of the QuayStorage. [default: the kubeconfig's]
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "filename")]
    namespace: Option<String>,

    #[command(flatten)]
    files: Option<Files>,

    /// Put nothing: look only at what can be seen without changing anything. Then nothing is proven of writing.
    #[arg(long)]
    read_only: bool,

    #[command(flatten)]
    reach: Reach,

    /// What to print: a table for people, or JSON for machines.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

impl Check {
    pub(super) async fn run(self) -> Result<Outcome, Problem> {
        let aws = self.reach.aws(Fence::open())?;
        let Some((cases, tokens)) = self.cases().await? else { return Ok(Outcome::Refused) };
        let depth = if self.read_only { Depth::ReadOnly } else { Depth::Full };
        let looker = Looker::new(aws, tokens, depth);
        let what = format!("proving {} location(s)", cases.len());
        let reports = progress::shown(&what, looker.look(&cases)).await;
        self.print(&reports)?;
        match report::worst(&reports) {
            Found::Proven | Found::Seen => Ok(Outcome::Done),
            Found::Refused => Ok(Outcome::Refused),
            Found::Unknown => Err("not everything could be looked at; nothing that was looked at is refused".into()),
        }
    }

    /// What is to be looked at, and what mints tokens; nothing where that was refused and told.
    async fn cases(&self) -> Result<Option<(Vec<Case>, Option<Tokens>)>, Problem> {
        let allowed = self.reach.allowed();
        let refused = |lines: Vec<String>| {
            for line in lines {
                tell(&line);
            }
            Ok(None)
        };
        if let Some(files) = &self.files {
            return match case::of_manifests(&files.manifests()?, &allowed) {
                Ok(cases) => Ok(Some((cases, None))),
                Err(all) => refused(all.iter().map(ToString::to_string).collect()),
            };
        }
        let client = run::client().await?;
        let namespace = self.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let who = ResourceId { namespace, name: self.name.clone().unwrap_or_default() };
        let grants = Arc::new(Grants::of_caller(client.clone()));
        match cluster::cases(&client, &grants, &who, &allowed).await {
            Ok(cases) => Ok(Some((cases, Some(Tokens::new(client, grants))))),
            Err(invalid @ NoCases::Invalid(..)) => refused(vec![invalid.to_string()]),
            Err(problem) => Err(problem.into()),
        }
    }

    fn print(&self, reports: &[Report]) -> Result<(), Problem> {
        let mut stdout = std::io::stdout();
        match self.output {
            Output::Json => writeln!(stdout, "{}", serde_json::to_string_pretty(reports)?)?,
            Output::Table => {
                let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let style = Style { colours: stdout.is_terminal() && !plain };
                stdout.write_all(style.draw(reports).as_bytes())?;
            }
        }
        Ok(())
    }
}
