//! What is counted. Labels come from closed sets, but for the resources' own names; none holds an ARN, a key's id or the
//! name of a bucket.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::runtime::Handle;

use super::process::Process;
use super::standing::Standings;
pub use super::standing::{IdentityStanding, Standing};
use crate::resource::ResourceId;
use crate::verdict::{Findings, Verdict};

/// From five milliseconds to a minute.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// How a pass over a resource ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PassOutcome {
    /// A Secret was written.
    Wrote,
    /// The status was written.
    Reported,
    /// Nothing was to be told.
    Unchanged,
    /// An answer is awaited, of AWS or of a watch.
    Waiting,
    /// The resource, or its namespace, is being deleted.
    Ending,
    /// The outcome could not be reported.
    Unreported,
    /// It broke down, by a defect of the operator.
    Broken,
}

impl PassOutcome {
    /// As metrics and logs name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wrote => "wrote",
            Self::Reported => "reported",
            Self::Unchanged => "unchanged",
            Self::Waiting => "waiting",
            Self::Ending => "ending",
            Self::Unreported => "unreported",
            Self::Broken => "broken",
        }
    }
}

/// How a write of a bundle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteOutcome {
    /// It was written.
    Written,
    /// Somebody else was faster.
    Raced,
    /// It was refused, or not answered.
    Failed,
}

impl WriteOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Raced => "raced",
            Self::Failed => "failed",
        }
    }
}

/// How AWS answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallResult {
    /// With success, or that there is no such thing.
    Answered,
    /// It refused.
    Refused,
    /// It asked for patience.
    Throttled,
    /// It had an error of its own.
    ServerError,
    /// It did not answer.
    Unreachable,
}

impl CallResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Unreachable => "unreachable",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepVerdict {
    step: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    service: String,
    operation: String,
    result: &'static str,
}

/// What is counted.
#[derive(Clone, Default)]
pub struct Metrics {
    reconciles: Family<Outcome, Counter>,
    reconcile_seconds: Seconds,
    proofs: Family<StepVerdict, Counter>,
    proof_seconds: Seconds,
    calls: Family<Call, Counter>,
    writes: Family<Outcome, Counter>,
    leads: Gauge,
    standings: Standings<Standing>,
    identities: Standings<IdentityStanding>,
}

#[derive(Clone)]
struct Seconds(Histogram);

impl Default for Seconds {
    fn default() -> Self {
        Self(Histogram::new(SECONDS))
    }
}

impl Metrics {
    /// All of it, to be asked for. What tokio says is that of the runtime that this is called on.
    pub fn registry(&self) -> Registry {
        let mut all = Registry::default();
        all.register_collector(Box::new(Process { runtime: Handle::current() }));
        let ours = all.sub_registry_with_prefix("registry_sts");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        ours.register("build", "Which operator this is", version);
        ours.register("reconciles", "Passes over resources by outcome", self.reconciles.clone());
        let help = "How long a pass took";
        ours.register_with_unit("reconcile_duration", help, Unit::Seconds, self.reconcile_seconds.0.clone());
        ours.register("proof_steps", "Steps of proofs by what was found", self.proofs.clone());
        let help = "How long a proof took, waiting for its turn included";
        ours.register_with_unit("proof_duration", help, Unit::Seconds, self.proof_seconds.0.clone());
        ours.register("aws_calls", "Calls to AWS by how they were answered", self.calls.clone());
        ours.register("bundle_writes", "Writes of bundles by how they ended", self.writes.clone());
        ours.register("leader", "1 while this process acts", self.leads.clone());
        ours.register_collector(Box::new(self.standings.clone()));
        ours.register_collector(Box::new(self.identities.clone()));
        all
    }

    /// A pass has ended.
    pub fn passed(&self, outcome: PassOutcome, took: Duration) {
        self.reconciles.get_or_create(&Outcome { outcome: outcome.as_str() }).inc();
        self.reconcile_seconds.0.observe(took.as_secs_f64());
    }

    /// A proof has ended.
    pub fn proved(&self, findings: &Findings, took: Duration) {
        self.proof_seconds.0.observe(took.as_secs_f64());
        for (step, verdict) in &findings.steps {
            let reason = match verdict {
                Verdict::Passed => "Passed",
                Verdict::Failed(failure) => failure.reason.as_str(),
                Verdict::Unknown(_) => "Unknown",
                Verdict::NotTried(_) => continue,
            };
            self.proofs.get_or_create(&StepVerdict { step: step.told().replace(' ', "_"), reason }).inc();
        }
    }

    /// A call to AWS has ended.
    pub fn called(&self, service: &str, operation: &str, result: CallResult) {
        let call = Call { service: service.to_owned(), operation: operation.to_owned(), result: result.as_str() };
        self.calls.get_or_create(&call).inc();
    }

    /// A write of a bundle has ended.
    pub fn wrote(&self, outcome: WriteOutcome) {
        self.writes.get_or_create(&Outcome { outcome: outcome.as_str() }).inc();
    }

    /// Whether this process acts.
    pub fn leads(&self, leads: bool) {
        self.leads.set(leads.into());
    }

    /// A resource stands so from here on.
    pub fn stands(&self, who: &ResourceId, standing: Standing) {
        self.standings.lock().insert(who.clone(), standing);
    }

    /// A resource is gone.
    pub fn gone(&self, who: &ResourceId) {
        self.standings.lock().remove(who);
    }

    /// A `StorageIdentity` stands so from here on.
    pub fn identity_stands(&self, who: &ResourceId, standing: IdentityStanding) {
        self.identities.lock().insert(who.clone(), standing);
    }

    /// Only these `StorageIdentities` are still there.
    pub fn identities_are(&self, is_there: impl Fn(&ResourceId) -> bool) {
        self.identities.lock().retain(|who, _| is_there(who));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::reason::{Failure, Reason};
    use crate::verdict::Step;

    fn told(metrics: &Metrics) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.registry()).unwrap();
        text
    }

    #[tokio::test]
    async fn everything_is_told_under_its_name_and_what_is_gone_is_not() {
        let metrics = Metrics::default();
        metrics.leads(true);
        metrics.passed(PassOutcome::Wrote, Duration::from_millis(20));
        metrics.wrote(WriteOutcome::Written);
        metrics.called("STS", "AssumeRole", CallResult::Refused);
        let failure = Failure::new(Reason::RoleNotAssumable, "the ARN is no label");
        metrics.proved(&Findings::ending_with(Step::AssumeRole, Verdict::Failed(failure)), Duration::from_secs(1));
        let who = |name: &str| ResourceId { namespace: "quay".into(), name: name.into() };
        let proven = Some(Timestamp::from_second(1_700_000_000).unwrap());
        let interval = Some(Duration::from_hours(1));
        let key_changed = Some(Timestamp::from_second(1_600_000_000).unwrap());
        let ready = Standing { is_ready: true, reason: "Proven".into(), proven, interval, key_changed };
        let (reason, none) = ("InvalidSpec".into(), None);
        metrics.stands(&who("a"), ready.clone());
        metrics
            .stands(&who("b"), Standing { is_ready: false, reason, proven: none, interval: None, key_changed: none });
        metrics.stands(&who("c"), ready);
        metrics.gone(&who("c"));
        let rotating = Some("ConfirmationNeeded".into());
        metrics.identity_stands(
            &who("d"),
            IdentityStanding { is_ready: true, reason: "Provisioned".into(), rotating: rotating.clone() },
        );
        metrics.identity_stands(&who("c"), IdentityStanding { is_ready: true, reason: "Provisioned".into(), rotating });
        metrics.identities_are(|who| who.name == "d");
        let text = told(&metrics);
        for line in [
            "registry_sts_reconciles_total{outcome=\"wrote\"} 1",
            "registry_sts_reconcile_duration_seconds_count 1",
            "registry_sts_proof_steps_total{step=\"assume_role\",reason=\"RoleNotAssumable\"} 1",
            "registry_sts_aws_calls_total{service=\"STS\",operation=\"AssumeRole\",result=\"refused\"} 1",
            "registry_sts_bundle_writes_total{outcome=\"written\"} 1",
            "registry_sts_leader 1",
            "registry_sts_ready{namespace=\"quay\",name=\"a\",reason=\"Proven\"} 1",
            "registry_sts_ready{namespace=\"quay\",name=\"b\",reason=\"InvalidSpec\"} 0",
            "registry_sts_last_proof_timestamp_seconds{namespace=\"quay\",name=\"a\"} 1700000000",
            "registry_sts_key_changed_timestamp_seconds{namespace=\"quay\",name=\"a\"} 1600000000",
            "registry_sts_proof_interval_seconds{namespace=\"quay\",name=\"a\"} 3600.0",
            "registry_sts_identity_ready{namespace=\"quay\",name=\"d\",reason=\"Provisioned\"} 1",
            "registry_sts_identity_rotating{namespace=\"quay\",name=\"d\",reason=\"ConfirmationNeeded\"} 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is missing in\n{text}");
        }
        for name in [
            "process_resident_memory_bytes ",
            "process_cpu_seconds_total ",
            "tokio_workers ",
            "registry_sts_build_info{",
        ] {
            assert!(text.lines().any(|told| told.starts_with(name)), "{name} is missing in\n{text}");
        }
        assert!(!text.contains("name=\"c\"") && !text.contains("no label"), "{text}");
    }
}
