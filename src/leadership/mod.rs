//! One process of several acts. Which one is decided by a Lease: every renewal and every take-over is a write at the very
//! version that was seen, so that of two who try only one succeeds.

mod fence;
mod lease;

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio_util::sync::CancellationToken;

pub use fence::{Fence, within};
use lease::GIVEN_UP;
pub use lease::{Move, Record, Terms, Watcher};

use crate::cluster::secrets::FIELD_MANAGER;
use crate::cluster::{ApiProblem, answered};

/// How often a lease is given up against others who touch it.
const TRIES: usize = 3;

/// Which lease, and who asks for it.
pub struct Candidate {
    /// A client that nothing is fenced off from.
    pub client: Client,
    /// The namespace of the lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who asks: no two processes say the same.
    pub me: String,
    /// How long leadership lasts.
    pub terms: Terms,
}

/// A lease that is held.
struct Held {
    /// It at the version of the last renewal.
    lease: Lease,
    /// When that was asked for.
    renewed: Instant,
}

/// Takes part in the election of a leader.
pub struct Election {
    leases: Api<Lease>,
    candidate: Candidate,
    watcher: Watcher,
    fence: Fence,
}

impl Election {
    /// Nobody is asked yet, and the fence is closed.
    pub fn new(candidate: Candidate, fence: Fence) -> Self {
        let leases = Api::namespaced(candidate.client.clone(), &candidate.namespace);
        let watcher = Watcher::new(candidate.me.clone(), candidate.terms);
        Self { leases, candidate, watcher, fence }
    }

    /// Waits for leadership, cancels `leads` when it comes, and keeps it until `stop`; then gives it up. Returns before that
    /// only if it was lost.
    pub async fn run(mut self, leads: CancellationToken, stop: CancellationToken) {
        let retry = self.candidate.terms.retry;
        let Some(mut held) = self.wait(&stop).await else { return };
        tracing::info!(lease = %self.candidate.name, holder = %self.candidate.me, "leading");
        leads.cancel();
        loop {
            tokio::select! {
                () = tokio::time::sleep(retry) => {}
                () = stop.cancelled() => return self.give_up(held).await,
            }
            let deadline = held.renewed + self.candidate.terms.deadline;
            let kept = tokio::select! {
                kept = tokio::time::timeout_at(deadline.into(), self.keep(&held)) => kept,
                () = stop.cancelled() => return self.give_up(held).await,
            };
            match kept {
                Ok(Some(kept)) => held = kept,
                Ok(None) | Err(_) => break,
            }
        }
        self.fence.close();
        tracing::error!(lease = %self.candidate.name, "leadership was lost: another process acts, or nobody could be asked in time");
    }

    /// Renews a lease until that has succeeded; none if somebody else has it.
    async fn keep(&mut self, held: &Held) -> Option<Held> {
        let mut lease = held.lease.clone();
        loop {
            let asked = Instant::now();
            match self.renew(&lease).await {
                Ok(lease) => return Some(self.holds(lease, asked)),
                Err(ApiProblem::Conflict | ApiProblem::NotFound) => {
                    // Until it is known to be ours nothing is changed.
                    self.fence.close();
                    match self.look().await {
                        // Somebody else touched it, an annotation perhaps, or a renewal was made and not answered.
                        Ok(Some(now)) if record(&now).holder == self.candidate.me => lease = now,
                        Ok(Some(_)) => return None,
                        Ok(None) => return self.attempt().await.ok().flatten(),
                        Err(problem) => tracing::warn!(%problem, "the lease could not be read"),
                    }
                }
                Err(problem) => {
                    tracing::warn!(%problem, "the lease could not be renewed");
                    tokio::time::sleep(self.candidate.terms.retry / 2).await;
                }
            }
        }
    }

    /// The fence is open for as long as counts from before it was asked for.
    fn holds(&self, lease: Lease, asked: Instant) -> Held {
        self.fence.open_until(asked + self.candidate.terms.deadline);
        Held { lease, renewed: asked }
    }

    /// Waits until it is held; none if it was stopped before.
    async fn wait(&mut self, stop: &CancellationToken) -> Option<Held> {
        let mut told = None;
        loop {
            match self.attempt().await {
                Ok(Some(held)) => return Some(held),
                Ok(None) => {
                    let holder = self.watcher.holder().unwrap_or("nobody yet").to_owned();
                    if told.as_ref() != Some(&holder) {
                        tracing::info!(lease = %self.candidate.name, leader = %holder, "waiting for leadership");
                        told = Some(holder);
                    }
                }
                Err(problem) => {
                    let (name, namespace) = (&self.candidate.name, &self.candidate.namespace);
                    tracing::warn!(%problem, "Lease {namespace}/{name} cannot be taken; trying again. If it is forbidden, apply deploy/manager/leader.yaml, or run with --no-leader-election where no other process is");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.candidate.terms.retry) => {}
                () = stop.cancelled() => return None,
            }
        }
    }

    /// Takes the lease if it can be had now.
    async fn attempt(&mut self) -> Result<Option<Held>, ApiProblem> {
        let seen = self.look().await?;
        let record = seen.as_ref().map(record);
        let (changes_hands, made) = match (self.watcher.judge(Instant::now(), record.as_ref()), seen) {
            (Move::Wait, _) => return Ok(None),
            (Move::Create, _) | (Move::Take { .. }, None) => (true, None),
            (Move::Take { changes_hands }, Some(lease)) => (changes_hands, Some(lease)),
        };
        let (asked, creates) = (Instant::now(), made.is_none());
        let taken = match made {
            None => {
                let metadata = ObjectMeta { name: Some(self.candidate.name.clone()), ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: Some(self.spec(None, changes_hands)) };
                self.soon(answered(self.leases.create(&params(), &lease))).await
            }
            Some(lease) => {
                let spec = self.spec(lease.spec.as_ref(), changes_hands);
                self.put(&Lease { spec: Some(spec), ..lease }).await
            }
        };
        match taken {
            Ok(lease) => Ok(Some(self.holds(lease, asked))),
            // Somebody else was faster.
            Err(ApiProblem::Conflict) => Ok(None),
            Err(ApiProblem::NotFound) if !creates => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, ApiProblem> {
        let spec = self.spec(lease.spec.as_ref(), false);
        self.put(&Lease { spec: Some(spec), ..lease.clone() }).await
    }

    /// Leaves the lease to whoever comes next, if it is still ours.
    async fn give_up(self, held: Held) {
        self.fence.close();
        let mut lease = held.lease;
        for _ in 0..TRIES {
            let spec = lease.spec.clone().unwrap_or_default();
            let lasts = i32::try_from(GIVEN_UP.as_secs()).ok();
            let spec = LeaseSpec { holder_identity: Some(String::new()), lease_duration_seconds: lasts, ..spec };
            match self.put(&Lease { spec: Some(spec), ..lease }).await {
                Err(ApiProblem::Conflict) => match self.look().await {
                    // A renewal was under way.
                    Ok(Some(now)) if record(&now).holder == self.candidate.me => lease = now,
                    _ => return,
                },
                Err(problem) => return tracing::debug!(%problem, "the lease could not be given up"),
                Ok(_) => return,
            }
        }
    }

    async fn put(&self, lease: &Lease) -> Result<Lease, ApiProblem> {
        self.soon(answered(self.leases.replace(&self.candidate.name, &params(), lease))).await
    }

    async fn look(&self) -> Result<Option<Lease>, ApiProblem> {
        self.soon(answered(self.leases.get_opt(&self.candidate.name))).await
    }

    /// An answer that leaves time for another attempt before leadership is lost.
    async fn soon<T>(&self, answer: impl Future<Output = Result<T, ApiProblem>>) -> Result<T, ApiProblem> {
        let limit = self.candidate.terms.deadline / 3;
        tokio::time::timeout(limit, answer).await.unwrap_or(Err(ApiProblem::Unreachable))
    }

    fn spec(&self, before: Option<&LeaseSpec>, changes_hands: bool) -> LeaseSpec {
        let before = before.cloned().unwrap_or_default();
        let now = MicroTime(Timestamp::now());
        let transitions = before.lease_transitions.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.candidate.me.clone()),
            lease_duration_seconds: i32::try_from(self.candidate.terms.duration.as_secs()).ok(),
            renew_time: Some(now.clone()),
            acquire_time: if changes_hands { Some(now) } else { before.acquire_time.clone() },
            lease_transitions: Some(if changes_hands { transitions.saturating_add(1) } else { transitions }),
            ..before
        }
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        renewed: spec.renew_time.map(|time| time.0.to_string()),
        duration: spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}
