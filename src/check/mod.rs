//! The operator's proof, made once for whoever asks: each location with each of its steps, from manifests or from a
//! cluster.

pub mod case;
pub mod cluster;
pub mod report;
pub mod table;

use std::time::Duration;

use futures::StreamExt as _;

use crate::aws::Aws;
use crate::cluster::tokens::Tokens;
use crate::proof::{Depth, Prover, Terms};
use crate::target::{Principal, Target};
use crate::verdict::{Findings, Step, Verdict};
use case::Case;
use report::{Circumstances, Report};

/// How many locations are looked at at the same time.
const AT_ONCE: usize = 8;
/// How often STS is asked in a second.
const STS_CALLS_PER_SECOND: u32 = 10;
/// For this long one session of a role serves all that is asked of it.
const SESSION_AGE: Duration = Duration::from_mins(10);

/// Looks at locations.
pub struct Looker {
    aws: Aws,
    prover: Prover,
    depth: Depth,
}

impl Looker {
    /// Looks with these connections, and with tokens if there is a cluster.
    pub fn new(aws: Aws, tokens: Option<Tokens>, depth: Depth) -> Self {
        let prover = Prover::new(aws.clone(), tokens, STS_CALLS_PER_SECOND);
        Self { aws, prover, depth }
    }

    /// What is found of each, in their order.
    pub async fn look(&self, cases: &[Case]) -> Vec<Report> {
        futures::stream::iter(cases).map(|case| self.one(case)).buffered(AT_ONCE).collect().await
    }

    async fn one(&self, case: &Case) -> Report {
        let target = match &case.target {
            Ok(target) => target,
            Err((step, verdict)) => {
                let findings = Findings::ending_with(*step, verdict.clone());
                return Report::new(case, findings, self.depth, Circumstances::default());
            }
        };
        let mut id = [0; 32];
        // Not the operator's, which is the same for the same target: two trials in one folder remove each other's.
        fastrand::Rng::new().fill(&mut id);
        let (namespace, max_age) = (case.namespace.as_str(), SESSION_AGE);
        let terms = Terms { depth: self.depth, namespace, max_age, asked: None, id, slots: None };
        let (findings, caller) = tokio::join!(self.prover.prove(target, terms), self.caller(target));
        // Where the role was not assumed it is not tried once more.
        let assumed = findings.steps.contains(&(Step::AssumeRole, Verdict::Passed));
        let stored = if assumed { self.prover.stored(target, terms).await } else { None };
        let circumstances = Circumstances {
            principal: Some(match findings.principal.clone().or(caller) {
                Some(arn) => format!("{arn} ({})", target.principal.told()),
                None => target.principal.told(),
            }),
            network: Some(self.network(target)),
            stored,
        };
        Report::new(case, findings, self.depth, circumstances)
    }

    /// Who AWS says that a key is of.
    async fn caller(&self, target: &Target) -> Option<String> {
        match &target.principal {
            Principal::Key(key) => self.aws.caller(key, &target.sts.driver).await.ok(),
            Principal::Account(_) => None,
        }
    }

    fn network(&self, target: &Target) -> String {
        let (sts, s3) = (self.aws.sts_host(&target.sts.driver), self.aws.s3_host(&target.endpoint));
        match self.aws.proxy_to(&target.endpoint) {
            Some(proxy) => format!("{sts} and {s3}, from this machine through the proxy {proxy}"),
            None => format!("{sts} and {s3}, from this machine"),
        }
    }
}
