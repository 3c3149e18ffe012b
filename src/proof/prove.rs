//! One proof: the role assumed as Quay's programs will assume it, and done with it what Quay will do.

use std::time::{Duration, Instant};

use super::session::{NoSession, Program, Sessions};
use super::slots::Slots;
use super::storage::{Attempt, Depth, FOLDER, Trial};
use super::turnstile::Turnstile;
use crate::arn::Partition;
use crate::aws::Aws;
use crate::aws::sts::Session;
use crate::cluster::tokens::Tokens;
use crate::consumer::{StsEndpoint, StsEndpoints, is_opt_in};
use crate::place::Endpoint;
use crate::reason::{Failure, Reason};
use crate::target::{Principal, Target};
use crate::verdict::advice::{Circumstances, Subject, judge};
use crate::verdict::{Answer, Findings, Step, Verdict, is_silence};

/// Makes proofs.
#[derive(Clone)]
pub struct Prover {
    pub(super) aws: Aws,
    pub(super) sessions: Sessions,
}

/// How a proof is to be made.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// How much is tried.
    pub depth: Depth,
    /// Who pays for the calls to STS.
    pub namespace: &'a str,
    /// How old the role's credentials may be.
    pub max_age: Duration,
    /// Since when somebody asks for it to be made anew: with credentials of before that nothing is proven.
    pub asked: Option<Instant>,
    /// What tells this proof from others at the same place.
    pub id: [u8; 32],
    /// How many use S3 at the same time; any number, if nothing says.
    pub slots: Option<&'a Slots>,
}

impl Prover {
    /// Asks STS at most so many times a second; mints tokens with `tokens`, if there is a cluster.
    pub fn new(aws: Aws, tokens: Option<Tokens>, sts_calls_per_second: u32) -> Self {
        let sessions = Sessions::new(aws.clone(), tokens, Turnstile::new(sts_calls_per_second));
        Self { aws, sessions }
    }

    /// Makes a proof. Whatever fails is a finding.
    pub async fn prove(&self, target: &Target, terms: Terms<'_>) -> Findings {
        let session = self.sessions.get(target, Program::Driver, terms).await;
        let session = match session {
            Ok(session) => session,
            Err(none) => return without_session(target, &none),
        };
        // Only now: who waits for credentials, each namespace in its turn, keeps nobody from S3.
        let _slot = match terms.slots {
            Some(slots) => Some(slots.take(terms.namespace).await),
            None => None,
        };
        let circumstances = circumstances(target, &target.sts.driver);
        let aws = self.aws.trusting(target.certificates.as_ref());
        let s3 = aws.s3(&session, &target.endpoint, &target.signing_region, &target.bucket);
        let trial = Trial::new(&s3, target, &terms.id, circumstances);
        let (tried, pod_start) = match terms.depth {
            Depth::ReadOnly => (Box::pin(trial.look()).await, None),
            Depth::Full => {
                let pod_start = Box::pin(self.pod_start(target, &session, terms));
                let (tried, pod_start) = tokio::join!(Box::pin(trial.all()), pod_start);
                (tried, Some(pod_start))
            }
        };
        let assumed = match &target.role {
            Some(_) => Verdict::Passed,
            None => Verdict::NotTried("the key itself opens the storage"),
        };
        let mut findings = Findings {
            steps: vec![(Step::Principal, Verdict::Passed), (Step::AssumeRole, assumed)],
            principal: None,
            notes: self.notes(target, tried.keeps_versions),
        };
        if let Some(Verdict::Unknown(why)) = &pod_start {
            findings.notes.push(format!("Not proven: {why}."));
        }
        findings.steps.extend(pod_start.map(|verdict| (Step::PodStart, verdict)));
        let subject = Subject { target, caller: None, circumstances };
        findings
            .steps
            .extend(tried.attempts.into_iter().map(|(step, attempt)| (step, verdict(step, attempt, &subject))));
        // Of a step that was tried twice the failure counts.
        findings.steps.sort_by_key(|(step, verdict)| (*step, !matches!(verdict, Verdict::Failed(_))));
        findings.steps.dedup_by_key(|(step, _)| *step);
        if findings.failure().is_some_and(|(_, failure)| failure.reason == Reason::GlobalTokenRefused) {
            self.word_by_region(target, terms, &mut findings).await;
        }
        findings
    }

    /// What config-tool asks before it lets a pod start: the role, where the bucket is, and whether it is there.
    async fn pod_start(&self, target: &Target, session: &Session, terms: Terms<'_>) -> Verdict {
        let circumstances = circumstances(target, &target.sts.config_tool);
        let subject = Subject { target, caller: None, circumstances };
        let failed = |answer: &Answer| Verdict::Failed(judge(Step::PodStart, answer, &subject));
        let session = match self.session_of_config_tool(target, session, terms).await {
            Ok(session) => session,
            Err(verdict) => return verdict,
        };
        if matches!(target.endpoint, Endpoint::Region(_)) && target.partition() != Partition::Aws {
            return Verdict::Unknown(format!(
                "config-tool asks s3.amazonaws.com when a pod starts, which knows nothing of partition {}: whether Quay's pods start there cannot be known here",
                target.partition().as_str()
            ));
        }
        let aws = self.aws.trusting(target.certificates.as_ref());
        let s3_in = |found: Option<&str>| aws.s3_of_config_tool(&session, &target.endpoint, found, &target.bucket);
        let region = match s3_in(None).bucket_location().await {
            Ok(region) => region,
            Err(answer) => match answer.region() {
                Some(region) => region.to_owned(),
                None => return failed(&answer),
            },
        };
        match s3_in(Some(&region)).head_bucket().await {
            Ok(()) => Verdict::Passed,
            Err(answer) => failed(&answer),
        }
    }

    async fn session_of_config_tool(
        &self,
        target: &Target,
        session: &Session,
        terms: Terms<'_>,
    ) -> Result<Session, Verdict> {
        if target.role.is_none() {
            // There is no role to ask for.
            return Ok(session.clone());
        }
        // A Quay of an unknown version may ask either; of the two the endpoint is the one that may not answer.
        let elsewhere = match &target.endpoint {
            Endpoint::Url(url) if target.endpoint_gets_sts != Some(false) => Some(StsEndpoint::Elsewhere(url.clone())),
            Endpoint::Url(_) | Endpoint::Region(_) => None,
        };
        let asked = elsewhere.clone().unwrap_or_else(|| target.sts.config_tool.clone());
        let same_name = matches!(target.principal, Principal::Key(_));
        if elsewhere.is_some() && !same_name {
            // A service account's token is shown to AWS's STS alone.
            return Err(match target.endpoint_gets_sts {
                Some(true) => Verdict::Failed(Failure::new(
                    Reason::StsEndpointUnknown,
                    "config-tool of Quay 3.17 and later sends the service account's token to endpointUrl when a pod starts, and tokens are shown to AWS's STS alone: whether that host takes it cannot be proven. Use region for AWS S3, or auth.accessKey.",
                )),
                _ => Verdict::Unknown(
                    "config-tool of Quay 3.17 and later sends the token to endpointUrl when a pod starts: whether that host takes it is not tried".into(),
                ),
            });
        }
        if same_name && asked == target.sts.driver {
            return Ok(session.clone());
        }
        let target = &Target { sts: StsEndpoints { config_tool: asked, ..target.sts.clone() }, ..target.clone() };
        let none = match self.sessions.get(target, Program::ConfigTool, terms).await {
            Ok(session) => return Ok(session),
            Err(none) => none,
        };
        // What is told is what was asked here, not what the driver asks.
        let asked = &target.sts.config_tool;
        let told = Target { sts: StsEndpoints { driver: asked.clone(), ..target.sts.clone() }, ..target.clone() };
        let findings = without_session(&told, &none);
        let failure = findings.failure().map(|(_, failure)| failure);
        match (&elsewhere, target.endpoint_gets_sts) {
            (Some(_), None) => Err(Verdict::Unknown(
                "config-tool of Quay 3.17 and later sends AssumeRole to endpointUrl when a pod starts, and that host does not answer it: such pods would not start. Older ones ask STS".into(),
            )),
            (Some(host), Some(_)) if failure.is_some_and(|failure| is_refusal(&none, failure)) => {
                Err(Verdict::Failed(Failure::new(
                    Reason::RoleNotAssumable,
                    format!(
                        "config-tool of Quay 3.17 and later sends AssumeRole to endpointUrl when a pod starts, and {} does not grant {} to {}: Quay's pods would not start. Let that host answer AssumeRole for this role, or use region for AWS S3.",
                        host.host(),
                        target.holder(),
                        target.principal.told()
                    ),
                )))
            }
            _ => Err(failure.map_or(Verdict::NotTried("there are no credentials"), |failure| {
                let message = format!("When a pod starts, config-tool asks {}. {}", asked.host(), failure.message);
                Verdict::Failed(Failure { message, ..failure.clone() })
            })),
        }
    }

    fn notes(&self, target: &Target, keeps_versions: bool) -> Vec<String> {
        let proxy =
            self.aws.proxy_to(&target.endpoint).map(|proxy| format!("It was proven through the proxy {proxy}."));
        let folder = format!("{}{FOLDER}", target.prefix());
        let rule = keeps_versions.then(|| format!(
            r#"The bucket keeps versions, also of what a proof removes. A lifecycle rule, added to those that it has, keeps it clean: {{"Status":"Enabled","Filter":{{"Prefix":"{folder}"}},"NoncurrentVersionExpiration":{{"NoncurrentDays":1}},"Expiration":{{"ExpiredObjectDeleteMarker":true}}}}."#
        ));
        proxy.into_iter().chain(rule).collect()
    }

    /// Tries the STS host of the bucket's region, only to word the advice.
    async fn word_by_region(&self, target: &Target, terms: Terms<'_>, findings: &mut Findings) {
        let Endpoint::Region(region) = &target.endpoint else { return };
        let driver = StsEndpoint::Regional(region.clone());
        let regional = Target { sts: StsEndpoints { driver, ..target.sts.clone() }, ..target.clone() };
        let Ok(session) = self.sessions.get(&regional, Program::Driver, terms).await else {
            return;
        };
        // The region is AWS's, and its certificates too.
        let s3 = self.aws.s3(&session, &target.endpoint, &target.signing_region, &target.bucket);
        if s3.head_bucket().await.is_err() {
            return;
        }
        for (_, verdict) in &mut findings.steps {
            if let Verdict::Failed(failure) = verdict
                && failure.reason == Reason::GlobalTokenRefused
            {
                failure.message.push_str(" With the region's own host it works.");
            }
        }
    }
}

/// Whether a host that speaks S3 has said that it grants no role, be it only by not knowing the question.
fn is_refusal(none: &NoSession, failure: &Failure) -> bool {
    match none {
        NoSession::Answered(Answer::Refused(_), _) => !is_silence(failure),
        NoSession::Answered(Answer::Status(status, _), _) => !matches!(status, 429 | 500 | 502..=504),
        NoSession::Answered(Answer::NoConnection | Answer::TimedOut | Answer::AddressNotAllowed, _)
        | NoSession::NoPrincipal(_) => false,
    }
}

/// What is known of the answers to credentials of an STS host.
fn circumstances(target: &Target, asked: &StsEndpoint) -> Circumstances {
    let global_token =
        *asked == StsEndpoint::Global && matches!(&target.endpoint, Endpoint::Region(region) if is_opt_in(region));
    Circumstances { global_token, encryption: false }
}

fn verdict(step: Step, attempt: Attempt, subject: &Subject<'_>) -> Verdict {
    match attempt {
        Attempt::Answered(Ok(()), _) => Verdict::Passed,
        Attempt::Answered(Err(answer), circumstances) => {
            Verdict::Failed(judge(step, &answer, &Subject { circumstances, ..*subject }))
        }
        Attempt::NotTried(why) => Verdict::NotTried(why),
    }
}

fn without_session(target: &Target, none: &NoSession) -> Findings {
    let step = none.step();
    match none {
        NoSession::NoPrincipal(failure) => Findings::ending_with(step, Verdict::Failed(failure.clone())),
        NoSession::Answered(answer, caller) => {
            let subject = Subject { target, caller: caller.as_deref(), circumstances: Circumstances::default() };
            Findings {
                steps: vec![(Step::Principal, Verdict::Passed), (step, Verdict::Failed(judge(step, answer, &subject)))],
                principal: caller.clone(),
                notes: Vec::new(),
            }
        }
    }
}

#[cfg(test)]
mod tests;
