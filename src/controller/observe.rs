//! Observing: it never fails, and it asks only for what may have changed.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use sha2::{Digest as _, Sha256};

use super::Context;
use super::memory::{Inputs, KeyReading, LocationInput, Memory, ProofInput};
use crate::api::QuayStorage;
use crate::cluster::secret_watches::Version;
use crate::cluster::{ApiProblem, secrets};
use crate::plan::claim::{self, Claimant};
use crate::plan::desired::{Desired, DesiredLocation, Wanted};
use crate::plan::key::AccessKey;
use crate::plan::observation::{BundleSecret, ObservedBundle, ObservedLocation, Reference};
use crate::plan::{Observation, ProofState};
use crate::proof::Question;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// What was seen, and what the plan made from it depends on (none if that cannot be known).
pub(super) struct Seen {
    pub(super) observation: Observation,
    pub(super) inputs: Option<Inputs>,
}

/// Looks at everything that the desired state refers to.
pub(super) async fn observe(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    desired: &Desired,
    memory: &mut Memory,
) -> Seen {
    read_keys(context, who, desired, memory).await;
    let names: Vec<&str> = desired.locations.iter().map(|location| location.name.as_str()).collect();
    context.proofs.keep_only(who, &names);
    let mut locations = Vec::with_capacity(desired.locations.len());
    let mut inputs = Vec::with_capacity(desired.locations.len());
    let mut next_proof = None;
    for location in &desired.locations {
        let reading = reading(location, memory);
        let (proof, again) = match (&location.wanted, &reading.key) {
            (Ok(wanted), Ok(key)) => {
                let answer = context.proofs.ask(&Question {
                    who,
                    location: &location.name,
                    key,
                    role: &wanted.role,
                    of: proof_of(wanted, reading.version.as_ref()),
                    max_age: desired.interval,
                });
                (answer.state, answer.ask_again)
            }
            (Err(failure), _) | (_, Err(failure)) => (ProofState::Failed(failure.clone()), None),
        };
        next_proof = [next_proof, again].into_iter().flatten().min();
        let claimed_by = claimed_by(context, who, resource, desired, &location.name);
        inputs.push(LocationInput {
            key: reading.version.clone(),
            proof: match proof {
                ProofState::Pending => ProofInput::Pending,
                ProofState::Skipped => ProofInput::Skipped,
                ProofState::Proven(_) => ProofInput::Proven,
                ProofState::Stale(..) => ProofInput::Stale,
                ProofState::Failed(_) => ProofInput::Failed,
            },
            claimed_by: claimed_by.clone(),
        });
        locations.push(ObservedLocation { key: reading.key, proof, claimed_by });
    }
    let generation = resource.metadata.generation;
    let (bundle, version) = if locations.iter().all(|location| location.proof == ProofState::Pending) {
        (ObservedBundle::NotLooked, None)
    } else {
        observe_bundle(context, who, desired, memory, |bundle| Inputs { generation, bundle, locations: inputs.clone() })
            .await
    };
    let inputs = version.map(|bundle| Inputs { generation, bundle, locations: inputs });
    Seen { observation: Observation { locations, bundle, next_proof }, inputs }
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
            let reading = read_key(context, who, name).await;
            context.secrets.saw(&who.namespace, name, reading.version.clone());
            memory.keys.insert(name.clone(), reading);
        }
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
                    context.grants.bundle(&who.namespace)
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
    let (bundle, version) = read_bundle(context, who, &desired.bundle).await;
    context.secrets.saw(&who.namespace, &desired.bundle, version.clone());
    (ObservedBundle::Read(bundle), version)
}

async fn read_bundle(context: &Context, who: &ResourceId, name: &str) -> (Reference<BundleSecret>, Option<Version>) {
    match secrets::read_bundle(&context.client, &who.namespace, name).await {
        Ok(read) => (Reference::Found(read.content), Some(read.version)),
        Err(ApiProblem::NotFound) => (Reference::Missing, Some(Version::Absent)),
        Err(ApiProblem::Forbidden) => (Reference::Forbidden { grant: context.grants.bundle(&who.namespace) }, None),
        Err(problem) => (Reference::Unreadable { why: problem.to_string() }, None),
    }
}

/// The resource that writes a location of the same bundle, if that is another one.
fn claimed_by(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    desired: &Desired,
    location: &str,
) -> Option<String> {
    let sharing = context.secrets.referrers(&who.namespace, &desired.bundle);
    let others: Vec<_> = sharing
        .iter()
        .filter(|name| **name != who.name)
        .filter_map(|name| context.resources.get(&ObjectRef::new(name).within(&who.namespace)))
        .collect();
    let others = others.iter().filter_map(|other| other.0.as_ref().ok());
    let claimants = others.chain([resource]).filter_map(|claimant| {
        let claims = claimant.spec.config_bundle_secret == desired.bundle
            && claimant.spec.locations.iter().any(|l| l.name == location)
            && claimant.metadata.deletion_timestamp.is_none();
        claims.then(|| claim_of(claimant, &desired.bundle, location))
    });
    claim::owner(claimants).filter(|owner| *owner != who.name).map(str::to_owned)
}

fn claim_of<'a>(resource: &'a QuayStorage, bundle: &str, location: &str) -> Claimant<'a> {
    let status = resource.status.as_ref().and_then(|status| status.config_bundle.as_ref());
    Claimant {
        name: resource.metadata.name.as_deref().unwrap_or_default(),
        created: resource.creation_timestamp().map_or(0, |created| Timestamp::as_second(created.0)),
        written: status.is_some_and(|s| s.secret_name == bundle && s.locations.iter().any(|l| l == location)),
    }
}

/// What a proof is of: the key Secret's uid and version, and a hash of what is no secret.
fn proof_of(wanted: &Wanted, key: Option<&Version>) -> String {
    let mut hash = Sha256::new();
    for part in [wanted.role.as_str(), &wanted.place().to_string()] {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize().iter().take(8).fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    match key {
        Some(Version::At { uid, resource_version }) => format!("{uid}/{resource_version}/{hash:016x}"),
        Some(Version::Absent) | None => format!("unknown/{hash:016x}"),
    }
}
