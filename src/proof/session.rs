//! The role's temporary credentials: asked for once, by whoever needs them first, and shared while they are young.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::prove::Terms;
use super::turnstile::Turnstile;
use crate::aws::Aws;
use crate::aws::sts::{SESSION_NAME, Session};
use crate::cluster::tokens::Tokens;
use crate::consumer::StsEndpoint;
use crate::fingerprint::{fingerprint, hex};
use crate::reason::{Failure, Reason};
use crate::target::{Account, Principal, Target};
use crate::verdict::{Answer, Step};

/// Credentials last an hour; a proof takes a minute.
const LONGEST_USE: Duration = Duration::from_mins(30);
/// A refusal is shared by those who ask at the same time, and by nobody later.
const REFUSAL_SHARED: Duration = Duration::from_secs(1);
/// Credentials that are no longer used are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

/// Why there are no credentials.
#[derive(Clone)]
pub(super) enum NoSession {
    /// There is nothing to assume the role with.
    NoPrincipal(Failure),
    /// AWS did not give any; and who the principal is, if AWS said so.
    Answered(Answer, Option<String>),
}

/// Which of Quay's programs assumes the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Driver,
    ConfigTool,
}

type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Result<Session, NoSession>)>>>;

/// By what the credentials depend on, with the time of the last use.
type Slots = HashMap<[u8; 32], (Instant, Slot)>;

/// Gets and keeps credentials.
#[derive(Clone)]
pub(super) struct Sessions {
    aws: Aws,
    tokens: Option<Tokens>,
    turnstile: Turnstile,
    slots: Arc<Mutex<Slots>>,
}

impl Sessions {
    pub(super) fn new(aws: Aws, tokens: Option<Tokens>, turnstile: Turnstile) -> Self {
        Self { aws, tokens, turnstile, slots: Arc::default() }
    }

    /// Credentials as a program of Quay's gets them, as young as the terms ask.
    pub(super) async fn get(&self, target: &Target, program: Program, terms: Terms<'_>) -> Result<Session, NoSession> {
        let endpoint = match program {
            Program::Driver => &target.sts.driver,
            Program::ConfigTool => &target.sts.config_tool,
        };
        let name = session_name(&target.principal, program);
        let key = fingerprint([hex(&target.session_key()).as_str(), &endpoint.host(), name.kind()]);
        let slot = self.slot(key);
        let mut kept = slot.lock().await;
        if let Some((since, outcome)) = &*kept {
            let usable = if outcome.is_ok() { terms.max_age.min(LONGEST_USE) } else { REFUSAL_SHARED };
            if since.elapsed() < usable && terms.asked.is_none_or(|asked| asked <= *since) {
                return outcome.clone();
            }
        }
        let outcome = self.ask(target, endpoint, name, terms.namespace).await;
        *kept = Some((Instant::now(), outcome.clone()));
        outcome
    }

    fn slot(&self, key: [u8; 32]) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        slots.retain(|_, (used, _)| now.saturating_duration_since(*used) < FORGOTTEN_AFTER);
        let (used, slot) = slots.entry(key).or_insert_with(|| (now, Slot::default()));
        *used = now;
        Arc::clone(slot)
    }

    async fn ask(
        &self,
        target: &Target,
        endpoint: &StsEndpoint,
        name: SessionName,
        namespace: &str,
    ) -> Result<Session, NoSession> {
        let role = match (&target.role, &target.principal) {
            (Some(role), _) => role,
            (None, Principal::Key(key)) => return Ok(Session::of_key(key)),
            (None, Principal::Account(_)) => {
                let message = "There is no role, and a service account opens no storage without one.";
                return Err(NoSession::NoPrincipal(Failure::new(Reason::AccountUnusable, message)));
            }
        };
        match &target.principal {
            Principal::Key(key) => {
                let certificates =
                    target.certificates.as_ref().filter(|_| matches!(endpoint, StsEndpoint::Elsewhere(_)));
                let aws = self.aws.trusting(certificates);
                self.turnstile.pass(namespace).await;
                let answer = match aws.assume_role(key, role, endpoint).await {
                    Ok(session) => return Ok(session),
                    Err(answer) => answer,
                };
                let caller = if is_denial(&answer) {
                    self.turnstile.pass(namespace).await;
                    aws.caller(key, endpoint).await.ok()
                } else {
                    None
                };
                Err(NoSession::Answered(answer, caller))
            }
            Principal::Account(account) => {
                let token = self.token(account).await.map_err(NoSession::NoPrincipal)?;
                self.turnstile.pass(namespace).await;
                let assumed = self.aws.assume_role_with_web_identity(&token, role, &name.text(), endpoint).await;
                assumed.map_err(|answer| NoSession::Answered(answer, None))
            }
        }
    }

    async fn token(&self, account: &Account) -> Result<SecretString, Failure> {
        match &self.tokens {
            Some(tokens) => tokens.mint(account).await,
            None => Err(Failure::new(
                Reason::AccountUnusable,
                format!(
                    "A token for service account {}/{} can be minted only by its cluster: look from there, with -n NAMESPACE NAME.",
                    account.namespace, account.name
                ),
            )),
        }
    }
}

/// Whether it helps to know who asked.
fn is_denial(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(refused) if refused.code.starts_with("AccessDenied"))
}

/// What a program of Quay's calls its session.
#[derive(Clone, Copy)]
enum SessionName {
    Quay,
    /// `botocore-session-<epoch>`
    Botocore,
}

fn session_name(principal: &Principal, program: Program) -> SessionName {
    match (principal, program) {
        (Principal::Account(_), Program::Driver) => SessionName::Botocore,
        (Principal::Account(_), Program::ConfigTool) | (Principal::Key(_), _) => SessionName::Quay,
    }
}

impl SessionName {
    fn kind(self) -> &'static str {
        match self {
            Self::Quay => SESSION_NAME,
            Self::Botocore => "botocore",
        }
    }

    fn text(self) -> String {
        match self {
            Self::Quay => SESSION_NAME.into(),
            Self::Botocore => format!("botocore-session-{}", jiff::Timestamp::now().as_second()),
        }
    }
}

impl NoSession {
    /// The step that failed.
    pub(super) fn step(&self) -> Step {
        match self {
            Self::NoPrincipal(_) => Step::Principal,
            Self::Answered(..) => Step::AssumeRole,
        }
    }
}
