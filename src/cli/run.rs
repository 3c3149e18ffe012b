//! `registry-sts run`

use std::collections::BTreeSet;
use std::process;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::election::{LeaderElection, Membership};
use super::identities::{self, Identities};
use super::reach::Reach;
use super::telemetry::Telemetry;
use super::{Outcome, Problem};
use crate::controller::{self, Options};
use crate::leadership::Election;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::Metrics;

/// After SIGTERM, what is under way has this long to end.
const GRACE: Duration = Duration::from_secs(4);

/// The exit code where leadership was lost: another process may act by now, and this one is to be started anew.
const LOST: i32 = 2;
/// After SIGTERM, what is under way has this long before leadership is given up.
const HAND_OVER: Duration = Duration::from_millis(2500);

/// Run the controller.
///
/// The Kubernetes API server is found as kubectl finds it: the in-cluster ServiceAccount, or KUBECONFIG. AWS endpoints
/// are AWS's own, unless AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL say otherwise. The operator has an AWS
/// identity of its own only for StorageIdentities (--enable-identities), and never proves a role with it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  registry-sts run
  registry-sts run --namespace quay --namespace mirror --no-leader-election
  registry-sts run --allow-endpoint https://minio.example.com:9000
  registry-sts run --enable-identities --cluster-id prod-eu-1")]
pub(super) struct Run {
    /// Work in this namespace only, instead of in all; repeat it for several.
    #[arg(long = "namespace", value_name = "NAMESPACE", value_parser = namespace)]
    namespaces: Vec<String>,

    #[command(flatten)]
    reach: Reach,

    #[command(flatten)]
    election: LeaderElection,

    /// Ask STS at most so many times a second, all namespaces together.
    #[arg(long, value_name = "CALLS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    sts_rate: u32,

    /// Pass over at most so many resources at the same time, and make so many proofs.
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,

    #[command(flatten)]
    identities: Identities,

    #[command(flatten)]
    telemetry: Telemetry,
}

/// A namespace's name; an empty one would mean all of them.
pub(super) fn namespace(name: &str) -> Result<String, &'static str> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = (1..=63).contains(&name.len()) && name.bytes().all(is_inner);
    let is_name = is_label && !name.starts_with('-') && !name.ends_with('-');
    is_name.then(|| name.to_owned()).ok_or("expected a namespace's name: lower-case letters, digits and hyphens")
}

impl Run {
    pub(super) async fn run(self) -> Result<Outcome, Problem> {
        let traces = self.telemetry.log()?;
        let stop = CancellationToken::new();
        end_on_signal(stop.clone())?;

        let config = kube::Config::infer().await.map_err(|error| no_cluster(&kube::Error::InferConfig(error)))?;
        let namespace = config.default_namespace.clone();
        let Membership { client, fence, election } = self.election.join(config)?;
        let (metrics, health) = (Metrics::default(), Health::default());
        let aws = self.reach.aws(fence)?.counting(metrics.clone());
        self.telemetry.serve(&metrics, &health).await?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), endpoints = aws.configured_endpoints(), "started");
        let leads = CancellationToken::new();
        let options = Options {
            namespaces: BTreeSet::from_iter(self.namespaces).into_iter().collect(),
            allowed: self.reach.allowed(),
            sts_calls_per_second: self.sts_rate,
            concurrency: self.concurrency,
            identities: self.identities.options()?,
            metrics: metrics.clone(),
            health: health.clone(),
        };
        if options.identities.is_some() {
            identities::ask_for_credentials(client.clone(), namespace, leads.clone());
        }
        tokio::spawn(tell(leads.clone(), metrics, stop.clone(), health));
        let controlled = controller::run(client, aws, options, (leads.clone(), stop.clone()));
        match election {
            None => {
                leads.cancel();
                controlled.await;
            }
            Some(election) => as_candidate(election, leads, controlled, stop).await,
        }
        tracing::info!("stopped");
        if let Some(traces) = traces {
            tokio::task::block_in_place(|| traces.end());
        }
        Ok(Outcome::Done)
    }
}

/// Tells whether this process acts, and that it is about to end.
async fn tell(leads: CancellationToken, metrics: Metrics, stop: CancellationToken, health: Health) {
    tokio::select! {
        () = leads.cancelled() => metrics.leads(true),
        () = stop.cancelled() => {}
    }
    stop.cancelled().await;
    health.is_stopping();
}

/// Takes part in the election for as long as the controller runs.
async fn as_candidate(
    election: Election,
    leads: CancellationToken,
    controlled: impl Future<Output = ()>,
    stop: CancellationToken,
) {
    // Leadership is given up once nothing is under way any more.
    let ended = CancellationToken::new();
    let mut elected = tokio::spawn(election.run(leads, ended.clone()));
    tokio::select! {
        () = controlled => {}
        // What has not ended by then is cut off, so that there is time left to give leadership up.
        () = long_after(stop) => {}
        // What is under way is cut off: the fence lets none of it change anything. Nothing is waited for.
        _ = &mut elected => process::exit(LOST),
    }
    ended.cancel();
    let _ = elected.await;
}

async fn long_after(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(HAND_OVER).await;
}

/// The cluster as kubectl finds it.
pub(super) async fn client() -> Result<kube::Client, Problem> {
    kube::Client::try_default().await.map_err(|error| no_cluster(&error).into())
}

/// Why there is no client. What cannot be read of a kubeconfig is not quoted: tokens stand there.
fn no_cluster(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::InferConfig(_) => {
            "there is no cluster to work in: no in-cluster ServiceAccount, and no kubeconfig that can be read. Set KUBECONFIG to a file that kubectl accepts"
        }
        _ => "the kubeconfig's credentials or certificates cannot be used: check them with kubectl",
    }
}

/// On SIGTERM or SIGINT passes under way are finished; what has not ended after the grace period is given up.
fn end_on_signal(stop: CancellationToken) -> Result<(), Problem> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
        tokio::time::sleep(GRACE).await;
        tracing::warn!("not everything had ended in time");
        process::exit(0);
    });
    Ok(())
}
