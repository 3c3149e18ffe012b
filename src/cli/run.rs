//! `registry-sts run`

use std::collections::BTreeSet;
use std::process;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Level;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::election::{LeaderElection, Membership};
use super::reach::Reach;
use super::{Outcome, Problem};
use crate::controller::{self, Options};

/// After SIGTERM, what is under way has this long to end.
const GRACE: Duration = Duration::from_secs(4);

/// The exit code where leadership was lost: another process may act by now, and this one is to be started anew.
const LOST: i32 = 2;
/// After SIGTERM, what is under way has this long before leadership is given up.
const HAND_OVER: Duration = Duration::from_millis(2500);

/// Where the Kubernetes client logs whole bodies that it cannot decode, a Secret's among them.
const NO_BODIES: &str = "kube_client::client=error";
/// Where the AWS SDK traces whole requests, a service account's token and a session's among them.
const NO_TRACES: [&str; 4] = ["aws_sdk", "aws_sigv4", "aws_smithy", "aws_runtime"];

/// Run the controller.
///
/// The Kubernetes API server is found as kubectl finds it: the in-cluster ServiceAccount, or KUBECONFIG. AWS endpoints
/// are AWS's own, unless AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL say otherwise. The operator has no AWS identity.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  registry-sts run
  registry-sts run --namespace quay --namespace mirror --no-leader-election
  registry-sts run --allow-endpoint https://minio.example.com:9000")]
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

    /// What to log: error, warn, info, debug, or a filter such as registry_sts=debug.
    #[arg(long, value_name = "FILTER", default_value = "info", env = "RUST_LOG")]
    log: String,
}

/// A namespace's name; an empty one would mean all of them.
fn namespace(name: &str) -> Result<String, &'static str> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = (1..=63).contains(&name.len()) && name.bytes().all(is_inner);
    let is_name = is_label && !name.starts_with('-') && !name.ends_with('-');
    is_name.then(|| name.to_owned()).ok_or("expected a namespace's name: lower-case letters, digits and hyphens")
}

impl Run {
    pub(super) async fn run(self) -> Result<Outcome, Problem> {
        let asked = EnvFilter::try_new(&self.log)?.add_directive(NO_BODIES.parse()?);
        let is_safe = filter_fn(|event| {
            let is_trace = *event.level() == Level::TRACE;
            !(is_trace && NO_TRACES.iter().any(|target| event.target().starts_with(target)))
        });
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
        tracing_subscriber::registry().with(lines.with_filter(asked.and(is_safe))).init();
        let stop = CancellationToken::new();
        end_on_signal(stop.clone())?;

        let config = kube::Config::infer().await.map_err(|error| no_cluster(&kube::Error::InferConfig(error)))?;
        let Membership { client, fence, election } = self.election.join(config)?;
        let aws = self.reach.aws(fence)?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), endpoints = aws.configured_endpoints(), "started");
        let options = Options {
            namespaces: BTreeSet::from_iter(self.namespaces).into_iter().collect(),
            allowed: self.reach.allowed(),
            sts_calls_per_second: self.sts_rate,
            concurrency: self.concurrency,
        };
        let leads = CancellationToken::new();
        let Some(election) = election else {
            leads.cancel();
            controller::run(client, aws, options, (leads, stop)).await;
            tracing::info!("stopped");
            return Ok(Outcome::Done);
        };
        // Leadership is given up once nothing is under way any more.
        let ended = CancellationToken::new();
        let mut elected = tokio::spawn(election.run(leads.clone(), ended.clone()));
        tokio::select! {
            () = controller::run(client, aws, options, (leads, stop.clone())) => {}
            // What has not ended by then is cut off, so that there is time left to give leadership up.
            () = long_after(stop) => {}
            // What is under way is cut off: the fence lets none of it change anything. Nothing is waited for.
            _ = &mut elected => process::exit(LOST),
        }
        ended.cancel();
        let _ = elected.await;
        tracing::info!("stopped");
        Ok(Outcome::Done)
    }
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
