//! The proof room: it makes proofs, keeps them, makes them again, and tells who waits. Asking never waits for AWS.

mod record;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tokio::sync::{Semaphore, mpsc};

use crate::arn::RoleArn;
use crate::aws::Aws;
use crate::fingerprint::fingerprint;
use crate::plan::ProofState;
use crate::plan::key::AccessKey;
use crate::resource::ResourceId;
use record::Record;

/// How many proofs are made at the same time.
const CONCURRENT_PROOFS: usize = 16;

/// What identifies a proof: everything that its outcome depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ProofKey([u8; 32]);

/// What is to be proven, and for whom.
pub struct Question<'a> {
    /// The resource that asks; it is told when an answer that it waits for is there.
    pub who: &'a ResourceId,
    /// The location that it asks for.
    pub location: &'a str,
    /// The key that assumes.
    pub key: &'a AccessKey,
    /// The role to be assumed.
    pub role: &'a RoleArn,
    /// What the proof is said to be of.
    pub of: String,
    /// How old a proof may be.
    pub max_age: Duration,
    /// When an earlier process proved the very same, if status says so.
    pub earlier: Option<Timestamp>,
}

/// What is known now.
pub struct Answer {
    /// The proof, or what is instead of it.
    pub state: ProofState,
    /// When to ask again, if nobody will be told before.
    pub ask_again: Option<Duration>,
}

#[derive(Default)]
struct Rooms {
    records: HashMap<ProofKey, Record>,
    /// Which proof each location of a resource is interested in.
    seats: HashMap<ResourceId, HashMap<String, ProofKey>>,
}

/// Makes and keeps proofs.
#[derive(Clone)]
pub struct ProofRoom {
    aws: Aws,
    rooms: Arc<Mutex<Rooms>>,
    slots: Arc<Semaphore>,
    finished: mpsc::UnboundedSender<ResourceId>,
}

impl ProofRoom {
    /// A room without proofs. Who waits for one is sent to `finished`.
    pub fn new(aws: Aws, finished: mpsc::UnboundedSender<ResourceId>) -> Self {
        Self { aws, rooms: Arc::default(), slots: Arc::new(Semaphore::new(CONCURRENT_PROOFS)), finished }
    }

    /// What is known of the role with this key; starts a proof where one is due.
    pub fn ask(&self, question: &Question<'_>) -> Answer {
        let now = Instant::now();
        let key = self.key(question);
        let mut rooms = self.lock();
        let seats = rooms.seats.entry(question.who.clone()).or_default();
        if let Some(old) = seats.insert(question.location.to_owned(), key).filter(|old| *old != key) {
            rooms.vacate(old);
        }
        let record = rooms.records.entry(key).or_default();
        if record.is_due(now, question.max_age) {
            record.start();
            self.prove(key, question.key.clone(), question.role.clone());
        }
        if record.is_running() {
            record.waiting.insert(question.who.clone());
        }
        Answer {
            state: record.state(now, question.max_age, &question.of, question.earlier.map(age)),
            ask_again: record.next(now, question.max_age),
        }
    }

    /// Of a resource only these locations are left; what nobody is interested in any more is dropped.
    pub fn keep_only(&self, who: &ResourceId, locations: &[&str]) {
        let mut rooms = self.lock();
        let Some(seats) = rooms.seats.get_mut(who) else { return };
        let vacated: Vec<ProofKey> =
            seats.extract_if(|location, _| !locations.contains(&location.as_str())).map(|(_, key)| key).collect();
        if seats.is_empty() {
            rooms.seats.remove(who);
        }
        for key in vacated {
            rooms.vacate(key);
        }
    }

    fn prove(&self, proof: ProofKey, key: AccessKey, role: RoleArn) {
        let room = self.clone();
        tokio::spawn(async move {
            // The semaphore is never closed; if it were, the proof would be made all the same.
            let _slot = room.slots.acquire().await;
            let outcome = room.aws.assume_role(&key, &role).await;
            let waiting = room.lock().finish(proof, outcome);
            for who in waiting {
                // Without a receiver the process is stopping, and nobody waits any more.
                let _ = room.finished.send(who);
            }
        });
    }

    fn key(&self, question: &Question<'_>) -> ProofKey {
        let (key, role) = (question.key, question.role);
        ProofKey(fingerprint([key.id(), key.secret().expose_secret(), role.as_str(), self.aws.sts_endpoint()]))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long ago a time is, by the wall clock, which is all that an earlier process has left.
fn age(time: Timestamp) -> (Duration, Timestamp) {
    let age = Timestamp::now().duration_since(time);
    (Duration::try_from(age).unwrap_or(Duration::MAX), time)
}

impl Rooms {
    fn vacate(&mut self, key: ProofKey) {
        if !self.seats.values().flat_map(HashMap::values).any(|seated| *seated == key) {
            self.records.remove(&key);
        }
    }

    /// Who waited for the outcome. A proof that nobody is interested in any more has no record.
    fn finish(&mut self, key: ProofKey, outcome: Result<(), crate::reason::Failure>) -> HashSet<ResourceId> {
        self.records
            .get_mut(&key)
            .map(|record| record.finish(Instant::now(), Timestamp::now(), outcome))
            .unwrap_or_default()
    }
}
