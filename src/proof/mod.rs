//! The proof room: it makes proofs, keeps them, makes them again, and tells who waits. Asking never waits for AWS.

mod prove;
mod queues;
mod record;
mod session;
mod slots;
mod storage;
mod stored;
mod turnstile;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::place::Endpoint;
use crate::plan::ProofState;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;
use crate::target::Target;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces;
use crate::verdict::{Findings, Step, Verdict};
pub use prove::{Prover, Terms};
use record::Record;
use slots::Slots;
pub use storage::Depth;
pub use stored::Stored;

/// How many proofs are made at the same time on an endpoint that is not AWS's: one that hangs stops no other.
const CONCURRENT_PROOFS_ELSEWHERE: usize = 4;

/// What identifies a proof: everything that its outcome depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ProofKey([u8; 32]);

/// What is to be proven, and for whom.
pub struct Question<'a> {
    /// The resource that asks; it is told when an answer that it waits for is there.
    pub who: &'a ResourceId,
    /// The location that it asks for.
    pub location: &'a str,
    /// What is to be proven.
    pub target: &'a Target,
    /// What the proof is said to be of.
    pub of: String,
    /// How old a proof may be.
    pub max_age: Duration,
    /// When an earlier process proved the very same, if status says so.
    pub earlier: Option<Timestamp>,
    /// An earlier proof is not enough: something is to be written.
    pub urgent: bool,
    /// Since when somebody asks for everything to be tried again, if somebody does.
    pub asked: Option<Instant>,
}

/// What is known now.
pub struct Answer {
    /// The proof, or what is instead of it.
    pub state: ProofState,
    /// When to ask again, if nobody will be told before.
    pub ask_again: Option<Duration>,
    /// Everything was tried since it was asked for, if it was.
    pub is_fresh: bool,
}

#[derive(Default)]
struct Rooms {
    records: HashMap<ProofKey, Record>,
    /// Which proof each location of a resource is interested in.
    seats: HashMap<ResourceId, Vec<(String, ProofKey)>>,
}

/// Makes and keeps proofs.
#[derive(Clone)]
pub struct ProofRoom {
    prover: Prover,
    rooms: Arc<Mutex<Rooms>>,
    /// How many proofs are made at the same time on AWS.
    concurrency: usize,
    slots: Arc<Mutex<HashMap<String, Slots>>>,
    metrics: Metrics,
    finished: mpsc::UnboundedSender<ResourceId>,
}

impl ProofRoom {
    /// A room without proofs, where at most so many are made at the same time on AWS. Who waits for one is sent to
    /// `finished`.
    pub fn new(
        prover: Prover,
        concurrency: usize,
        metrics: Metrics,
        finished: mpsc::UnboundedSender<ResourceId>,
    ) -> Self {
        Self { prover, rooms: Arc::default(), concurrency, slots: Arc::default(), metrics, finished }
    }

    /// What is known of the target; starts a proof where one is due.
    pub fn ask(&self, question: &Question<'_>) -> Answer {
        let now = Instant::now();
        let key = ProofKey(question.target.proof_key());
        let mut rooms = self.lock();
        rooms.seat(question.who, question.location, key);
        let record = rooms.records.entry(key).or_default();
        let earlier = question.earlier.map(age);
        record.look_later(now, question.max_age, earlier.filter(|_| !question.urgent));
        if record.is_due(now, question.max_age) || record.is_wanted(question.asked) {
            let depth = if record.is_fresh(question.asked) { record.depth(now) } else { Depth::Full };
            record.start(now);
            self.prove(key, depth, question);
        }
        if record.is_running() {
            record.waiting.insert(question.who.clone());
        }
        Answer {
            state: record.state(now, question.max_age, &question.of, earlier),
            ask_again: record.next(now, question.max_age),
            is_fresh: record.is_fresh(question.asked),
        }
    }

    /// Of a resource only these locations are left; what nobody is interested in any more is dropped.
    pub fn keep_only(&self, who: &ResourceId, locations: &[&str]) {
        let mut rooms = self.lock();
        let Some(seats) = rooms.seats.get_mut(who) else { return };
        let left = |(location, _): &mut (String, ProofKey)| !locations.contains(&location.as_str());
        let vacated: Vec<ProofKey> = seats.extract_if(.., left).map(|(_, key)| key).collect();
        if seats.is_empty() {
            rooms.seats.remove(who);
        }
        for key in vacated {
            rooms.vacate(key);
        }
    }

    fn prove(&self, proof: ProofKey, depth: Depth, question: &Question<'_>) {
        let (room, target) = (self.clone(), question.target.clone());
        let (namespace, max_age, asked) = (question.who.namespace.clone(), question.max_age, question.asked);
        // It outlives the pass that asked for it, and may serve many.
        let span = tracing::info_span!(parent: None, "proof", namespace, trace_id = tracing::field::Empty);
        span.follows_from(tracing::Span::current());
        traces::identify(&span);
        let proving = async move {
            let begun = Instant::now();
            let (prover, slots) = (room.prover.clone(), room.slots_of(&target.endpoint));
            let made = async move {
                // Credentials may be shared with a proof that was made a little earlier, not with one of an interval ago.
                let (namespace, max_age, slots) = (namespace.as_str(), max_age / 2, Some(&slots));
                let terms = Terms { depth, namespace, max_age, asked, id: proof.0, slots };
                Box::pin(prover.prove(&target, terms)).await
            };
            let findings = tokio::spawn(made.in_current_span()).await.unwrap_or_else(|_| broken());
            room.metrics.proved(&findings, begun.elapsed());
            let waiting = room.lock().finish(proof, depth, &findings);
            for who in waiting {
                // Without a receiver the process is stopping, and nobody waits any more.
                let _ = room.finished.send(who);
            }
        };
        tokio::spawn(proving.instrument(span));
    }

    fn slots_of(&self, endpoint: &Endpoint) -> Slots {
        let (host, count) = match endpoint {
            Endpoint::Region(_) => ("", self.concurrency),
            Endpoint::Url(url) => (url.origin(), self.concurrency.min(CONCURRENT_PROOFS_ELSEWHERE)),
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(host.to_owned()).or_insert_with(|| Slots::new(count)).clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is found where a proof breaks down: it is made again.
fn broken() -> Findings {
    let message =
        "The proof broke down: this is a defect of the operator, and its log has more. It is tried again by itself.";
    Findings::ending_with(Step::Principal, Verdict::Failed(Failure::new(Reason::UnexpectedAnswer, message)))
}

/// How long ago a time is, by the wall clock, which is all that an earlier process has left.
fn age(time: Timestamp) -> (Duration, Timestamp) {
    let age = Timestamp::now().duration_since(time);
    (Duration::try_from(age).unwrap_or(Duration::MAX), time)
}

impl Rooms {
    fn seat(&mut self, who: &ResourceId, location: &str, key: ProofKey) {
        let seats = self.seats.entry(who.clone()).or_default();
        let old = match seats.iter_mut().find(|(seated, _)| seated == location) {
            Some((_, old)) if *old == key => return,
            Some((_, old)) => Some(std::mem::replace(old, key)),
            None => {
                seats.push((location.to_owned(), key));
                None
            }
        };
        self.records.entry(key).or_default().seats += 1;
        if let Some(old) = old {
            self.vacate(old);
        }
    }

    fn vacate(&mut self, key: ProofKey) {
        let Some(record) = self.records.get_mut(&key) else { return };
        record.seats = record.seats.saturating_sub(1);
        if record.seats == 0 {
            self.records.remove(&key);
        }
    }

    /// Who waited for the outcome. A proof that nobody is interested in any more has no record.
    fn finish(&mut self, key: ProofKey, depth: Depth, findings: &Findings) -> HashSet<ResourceId> {
        self.records
            .get_mut(&key)
            .map(|record| record.finish(Instant::now(), Timestamp::now(), depth, findings))
            .unwrap_or_default()
    }
}
