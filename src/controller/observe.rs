//! Observing: it never fails, and it asks only for what may have changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _};

use super::memory::{Inputs, KeyReading, LocationInput, Memory, ProofInput};
use super::{Context, Stored};
use crate::api::QuayStorage;
use crate::cluster::version::Version;
use crate::cluster::{ApiProblem, secrets};
use crate::fingerprint::fingerprint;
use crate::plan::claim::{self, Claimant};
use crate::plan::desired::{Desired, DesiredLocation, Wanted};
use crate::plan::key::AccessKey;
use crate::plan::observation::{BundleSecret, ObservedBundle, ObservedLocation, Reference};
use crate::plan::{Observation, ProofState};
use crate::proof::Question;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// Answers of AWS that come within this are taken together; a first one that takes longer is announced.
const AWAITED_FOR: Duration = Duration::from_secs(1);

/// What was seen, and what the plan made from it depends on (none if that cannot be known).
pub(super) struct Seen {
    pub(super) observation: Observation,
    pub(super) inputs: Option<Inputs>,
    /// When a proof is due to be made or made again, whichever is first.
    pub(super) next_proof: Option<Duration>,
    /// Something of it may change without a watch that tells.
    pub(super) unwatched: bool,
    /// How long to wait for answers of AWS before the bundle is looked at without them.
    pub(super) wait: Option<Duration>,
}

/// Looks at everything that the desired state refers to. While an answer of AWS may come at any moment, the bundle is
/// not looked at: several locations are then written at once.
pub(super) async fn observe(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    desired: &Desired,
    memory: &mut Memory,
) -> Seen {
    read_keys(context, who, desired, memory).await;
    let mut locations = Vec::with_capacity(desired.locations.len());
    let mut inputs = Vec::with_capacity(desired.locations.len());
    let mut next_proof = None;
    let mut unwatched = false;
    let sharing = sharing(context, who, desired);
    for location in &desired.locations {
        let reading = reading(location, memory);
        let (proof, again) = match (&location.wanted, &reading.key) {
            (Ok(wanted), Ok(key)) => {
                let of = proof_of(wanted, reading.version.as_ref());
                let earlier = earlier_proof(resource, &location.name, &of);
                let answer = context.proofs.ask(&Question {
                    who,
                    location: &location.name,
                    key,
                    role: &wanted.role,
                    of,
                    max_age: desired.interval,
                    earlier,
                });
                (answer.state, answer.ask_again)
            }
            (Err(failure), _) | (_, Err(failure)) => (ProofState::Failed(failure.clone()), None),
        };
        unwatched |= location.wanted.is_ok() && reading.version.is_none();
        next_proof = [next_proof, again].into_iter().flatten().min();
        let claimed_by = claimed_by(resource, &sharing, desired, &location.name);
        inputs.push(LocationInput {
            key: reading.version.clone(),
            proof: ProofInput::of(&proof),
            claimed_by: claimed_by.clone(),
        });
        locations.push(ObservedLocation {
            key: reading.key,
            proof,
            written_at: written_at(resource, &desired.bundle, &location.name),
            claimed_by,
        });
    }
    let names: Vec<&str> = desired.locations.iter().map(|location| location.name.as_str()).collect();
    context.proofs.keep_only(who, &names);

    let generation = resource.metadata.generation;
    let is_pending = |location: &ObservedLocation| location.proof == ProofState::Pending;
    let wait = awaited(memory, locations.iter().any(is_pending));
    let (bundle, version) = if wait.is_some() || locations.iter().all(is_pending) {
        (ObservedBundle::NotLooked, None)
    } else {
        let looked = observe_bundle(context, who, desired, memory, |bundle| Inputs {
            generation,
            bundle,
            locations: inputs.clone(),
        })
        .await;
        unwatched |= looked.1.is_none();
        looked
    };
    let inputs = version.map(|bundle| Inputs { generation, bundle, locations: inputs });
    Seen { observation: Observation { locations, bundle, unwatched: None }, inputs, next_proof, unwatched, wait }
}

/// How long answers are still to be awaited together.
fn awaited(memory: &mut Memory, any: bool) -> Option<Duration> {
    if !any {
        memory.awaiting = None;
        return None;
    }
    let since = memory.awaiting.get_or_insert_with(Instant::now);
    AWAITED_FOR.checked_sub(since.elapsed())
}

/// When status says that the very same was proven, by an earlier process perhaps.
fn earlier_proof(resource: &QuayStorage, location: &str, of: &str) -> Option<Timestamp> {
    let status = resource.status.as_ref()?;
    let row = status.locations.iter().find(|l| l.name == location)?;
    let proof = row.proof.as_ref()?;
    // What was refused since is not proven by what was before.
    (proof.of == of && row.proven != "False").then_some(proof.time.0)
}

/// Where status says that this resource wrote a location into this bundle.
fn written_at(resource: &QuayStorage, bundle: &str, location: &str) -> Option<String> {
    let written = resource.status.as_ref()?.config_bundle.as_ref().filter(|written| written.secret_name == bundle)?;
    written.locations.iter().find(|l| l.name == location).map(|l| l.place.clone())
}

/// Reads the key Secrets that may have changed; each once, however many locations share it.
async fn read_keys(context: &Context, who: &ResourceId, desired: &Desired, memory: &mut Memory) {
    let wanted: std::collections::BTreeSet<&String> =
        desired.locations.iter().filter_map(|location| Some(&location.wanted.as_ref().ok()?.key_secret)).collect();
    memory.keys.retain(|name, _| wanted.contains(name));
    for name in wanted {
        let known = context.secrets.version(&who.namespace, name);
        let unchanged = known.is_some() && memory.keys.get(name).is_some_and(|reading| reading.version == known);
        if !unchanged {
            let before = context.secrets.before_request(&who.namespace, name);
            let reading = read_key(context, who, name).await;
            note(context, who, name, before.as_ref(), reading.version.as_ref());
            memory.keys.insert(name.clone(), reading);
        }
    }
}

fn note(context: &Context, who: &ResourceId, secret: &str, before: Option<&Version>, read: Option<&Version>) {
    match read {
        Some(version) => context.secrets.saw(&who.namespace, secret, before, version),
        None => context.secrets.lost(&who.namespace, secret),
    }
}

async fn read_key(context: &Context, who: &ResourceId, name: &str) -> KeyReading {
    match secrets::read_data(&context.client, &who.namespace, name).await {
        Ok(read) => KeyReading { version: Some(read.version), key: AccessKey::from_secret(name, &read.content) },
        Err(ApiProblem::NotFound) => KeyReading {
            version: Some(Version::Absent),
            key: Err(Failure::new(
                Reason::KeySecretMissing,
                format!(
                    "Secret {name} (auth.accessKey.secretRef) does not exist in this namespace. Create it with the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
                ),
            )),
        },
        Err(ApiProblem::Forbidden) => KeyReading {
            version: None,
            key: Err(Failure::new(
                Reason::KeySecretForbidden,
                format!(
                    "The operator may not read Secret {name} (auth.accessKey.secretRef). Grant it: {}",
                    context.grants.bundle(&who.namespace).await
                ),
            )),
        },
        Err(problem) => KeyReading {
            version: None,
            key: Err(Failure::new(Reason::KeySecretUnreadable, format!("Secret {name} could not be read: {problem}."))),
        },
    }
}

fn reading(location: &DesiredLocation, memory: &Memory) -> KeyReading {
    let invalid = |failure: &Failure| KeyReading { version: None, key: Err(failure.clone()) };
    match &location.wanted {
        Err(failure) => invalid(failure),
        Ok(wanted) => memory.keys.get(&wanted.key_secret).cloned().unwrap_or_else(|| {
            invalid(&Failure::new(Reason::KeySecretUnreadable, format!("Secret {} was not read.", wanted.key_secret)))
        }),
    }
}

async fn observe_bundle(
    context: &Context,
    who: &ResourceId,
    desired: &Desired,
    memory: &Memory,
    inputs_at: impl Fn(Version) -> Inputs,
) -> (ObservedBundle, Option<Version>) {
    let known = context.secrets.version(&who.namespace, &desired.bundle);
    if let (Some(version), Some((inputs, standings))) = (&known, &memory.settled)
        && *inputs == inputs_at(version.clone())
    {
        return (ObservedBundle::Unchanged(standings.clone()), known);
    }
    let before = context.secrets.before_request(&who.namespace, &desired.bundle);
    let (bundle, version) = read_bundle(context, who, &desired.bundle).await;
    note(context, who, &desired.bundle, before.as_ref(), version.as_ref());
    (ObservedBundle::Read(bundle), version)
}

async fn read_bundle(context: &Context, who: &ResourceId, name: &str) -> (Reference<BundleSecret>, Option<Version>) {
    match secrets::read_bundle(&context.client, &who.namespace, name).await {
        Ok(read) => (Reference::Found(read.content), Some(read.version)),
        Err(ApiProblem::NotFound) => (Reference::Missing, Some(Version::Absent)),
        Err(ApiProblem::Forbidden) => {
            (Reference::Forbidden { grant: context.grants.bundle(&who.namespace).await }, None)
        }
        Err(problem) => (Reference::Unreadable { why: problem.to_string() }, None),
    }
}

/// The other resources that name the same bundle.
fn sharing(context: &Context, who: &ResourceId, desired: &Desired) -> Vec<Arc<Stored>> {
    context.resources.state_filter(|other| {
        let meta = other.meta();
        let spec = other.0.as_ref().ok().map(|other| &other.spec);
        meta.namespace.as_deref() == Some(&who.namespace)
            && meta.name.as_deref() != Some(&who.name)
            && meta.deletion_timestamp.is_none()
            && spec.is_some_and(|spec| spec.config_bundle_secret == desired.bundle)
    })
}

/// The resource that writes a location of the same bundle, if that is another one.
fn claimed_by(resource: &QuayStorage, sharing: &[Arc<Stored>], desired: &Desired, location: &str) -> Option<String> {
    let others = sharing.iter().filter_map(|other| other.0.as_ref().ok());
    let claimants = others.filter(|other| other.spec.locations.iter().any(|l| l.name == location)).chain([resource]);
    let owner = claim::owner(claimants.map(|claimant| claim_of(claimant, &desired.bundle, location)));
    owner.filter(|owner| Some(*owner) != resource.metadata.name.as_deref()).map(str::to_owned)
}

fn claim_of<'a>(resource: &'a QuayStorage, bundle: &str, location: &str) -> Claimant<'a> {
    Claimant {
        name: resource.metadata.name.as_deref().unwrap_or_default(),
        created: resource.creation_timestamp().map_or(0, |created| Timestamp::as_second(created.0)),
        written: written_at(resource, bundle, location).is_some(),
    }
}

/// What a proof is of: the key Secret's uid and version, and a hash of what is no secret.
fn proof_of(wanted: &Wanted, key: Option<&Version>) -> String {
    let hash = fingerprint([wanted.role.as_str(), &wanted.place().to_string()]);
    let hash = hash.iter().take(8).fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    match key {
        Some(Version::At { uid, resource_version }) => format!("{uid}/{resource_version}/{hash:016x}"),
        Some(Version::Absent) | None => format!("unknown/{hash:016x}"),
    }
}
