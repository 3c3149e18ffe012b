//! Observing: it never fails, and it asks only for what may have changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _};

use super::memory::{Inputs, LastWrites, LocationInput, Memory, ProofInput};
use super::principals::{self, note};
use super::{Context, Stored, backup, consumer, output, reference};
use crate::api::QuayStorage;
use crate::api::quay_storage::{Location, Mode};
use crate::arn::RoleArn;
use crate::cluster::registries::Look;
use crate::cluster::secrets;
use crate::cluster::version::Version;
use crate::fingerprint::{fingerprint, hex};
use crate::plan::claim::{self, Claimant};
use crate::plan::desired::{Auth, Desired, DesiredLocation, WebIdentity};
use crate::plan::observation::{ObservedBundle, ObservedLocation, Reference};
use crate::plan::{Approval, Left, Observation, ProofState};
use crate::proof::Question;
use crate::requests::Requests;
use crate::resource::ResourceId;
use crate::target::Target;

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
    /// Everything that is asked to be proven anew has an outcome.
    pub(super) is_fresh: bool,
    /// How long to wait for answers of AWS before the bundle is looked at without them.
    pub(super) wait: Option<Duration>,
}

/// The version of the bundle, and that of the Secret that it is made from, where that is another one.
pub(super) type Versions = (Version, Option<Version>);

/// Looks at everything that the desired state refers to. While an answer of AWS may come at any moment, the bundle is
/// not looked at: several locations are then written at once.
pub(super) async fn observe(
    context: &Context,
    who: &ResourceId,
    resource: &QuayStorage,
    desired: &Desired,
    memory: &mut Memory,
) -> Seen {
    principals::read(context, who, desired, memory).await;
    let mut locations = Vec::with_capacity(desired.locations.len());
    let mut inputs = Vec::with_capacity(desired.locations.len());
    let mut next_proof = None;
    let mut unwatched = false;
    let mut is_fresh = true;
    let sharing = sharing(context, who, desired);
    for location in &desired.locations {
        let known = principals::of(who, desired, location, memory);
        let (proof, again) = match (&known.target, desired.mode) {
            (Ok(_), Mode::Skip) => (ProofState::Skipped, None),
            (Ok(target), Mode::Enforce | Mode::Warn) => {
                let of = proof_of(target, known.version.as_ref());
                let earlier = earlier_proof(resource, &location.name, &of);
                let location = &location.name;
                let (max_age, urgent) = (desired.interval, memory.urgent);
                let asked = memory.requests.proof_since();
                let question = Question { who, location, target, of, max_age, earlier, urgent, asked };
                let answer = context.proofs.ask(&question);
                is_fresh &= answer.is_fresh;
                (answer.state, answer.ask_again)
            }
            (Err(_), Mode::Skip) if known.principal.is_ok() => (ProofState::Skipped, None),
            (Err((step, failure)), _) => (ProofState::Failed(*step, failure.clone()), None),
        };
        unwatched |= known.is_unwatched;
        next_proof = [next_proof, again, known.look_again].into_iter().flatten().min();
        let claimed_by = claimed_by(resource, &sharing, desired, &location.name);
        inputs.push(LocationInput {
            principal: known.version.clone(),
            proof: ProofInput::of(&proof),
            claimed_by: claimed_by.clone(),
            identity: identity_of(resource, location),
        });
        locations.push(ObservedLocation {
            principal: known.principal,
            key_version: known.version.as_ref().map(version_of),
            account: known.account,
            proof,
            written_at: last_place(resource, desired, &location.name),
            claimed_by,
        });
    }
    let names: Vec<&str> = desired.locations.iter().map(|location| location.name.as_str()).collect();
    context.proofs.keep_only(who, &names);

    let has_elder = has_elder(resource, &sharing);
    let generation = resource.metadata.generation;
    let is_pending = |location: &ObservedLocation| location.proof == ProofState::Pending;
    let wait = awaited(memory, locations.iter().any(is_pending));
    let may_be_written = desired.consumer.hindrance.is_none();
    let inputs_at = |(bundle, source): Versions| Inputs {
        generation,
        consumer: desired.consumer.clone(),
        bundle,
        source,
        has_elder,
        locations: inputs.clone(),
    };
    let (bundle, versions) = if wait.is_some() || !may_be_written || locations.iter().all(is_pending) {
        (ObservedBundle::NotLooked, None)
    } else {
        let looked = observe_bundle(context, who, desired, memory, inputs_at).await;
        unwatched |= looked.1.is_none();
        looked
    };
    let inputs = versions.map(inputs_at);
    let reported = || resource.status.as_ref().and_then(|status| status.config_bundle.clone());
    let left = Left { bundle: memory.left.as_deref().cloned().or_else(reported), generation, now: Timestamp::now() };
    let approval = Approval::Given(Requests::of(resource.annotations()).approve);
    let backup = backup::observe(context, who, desired, memory).await;
    unwatched |= matches!(&backup, Some((_, Reference::Forbidden { .. } | Reference::Unreadable { .. })));
    let observation = Observation { locations, bundle, unwatched: None, has_elder, left, approval, backup };
    Seen { observation, inputs, next_proof, unwatched, is_fresh, wait }
}

/// What a `StorageIdentity` says of a location that refers to it: that changes without the spec.
fn identity_of(resource: &QuayStorage, location: &DesiredLocation) -> Option<Box<str>> {
    let is_its = |one: &&Location| one.name == location.name && one.auth.identity_ref.is_some();
    resource.spec.locations.iter().find(is_its)?;
    Some(match location.wanted.as_ref().map(|wanted| &wanted.auth) {
        Ok(Auth::AccessKey { secret, role, .. }) => format!("{secret} {role}").into(),
        Ok(Auth::WebIdentity(WebIdentity { account, role, .. })) => {
            format!("{account} {}", role.as_ref().map_or("", RoleArn::as_str)).into()
        }
        Err(failure) => failure.reason.as_str().into(),
    })
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

/// Where this resource last wrote a location of the same Quay: its registry may have named another bundle then, and
/// Quay's blobs are where they were.
fn last_place(resource: &QuayStorage, desired: &Desired, location: &str) -> Option<String> {
    let last = resource.status.as_ref()?.config_bundle.as_ref()?;
    let bundle = if desired.consumer.registry.is_some() { &last.secret_name } else { &desired.consumer.bundle };
    written_at(resource, bundle, location)
}

async fn observe_bundle(
    context: &Context,
    who: &ResourceId,
    desired: &Desired,
    memory: &mut Memory,
    inputs_at: impl Fn(Versions) -> Inputs,
) -> (ObservedBundle, Option<Versions>) {
    let known = |name: &String| context.secrets.version(&who.namespace, name);
    let source = desired.consumer.source.as_ref();
    let versions = match (known(&desired.consumer.bundle), source.map(known)) {
        (Some(bundle), None) => Some((bundle, None)),
        (Some(bundle), Some(Some(source))) => Some((bundle, Some(source))),
        _ => None,
    };
    if let (Some(versions), Some((inputs, standings))) = (&versions, &memory.settled)
        && *inputs == inputs_at(versions.clone())
    {
        return (ObservedBundle::Unchanged(standings.clone()), Some(versions.clone()));
    }
    if let Some(source) = source {
        return output::observe(context, who, desired, source, memory).await;
    }
    let before = context.secrets.before_request(&who.namespace, &desired.consumer.bundle);
    let answer = secrets::read_bundle(&context.client, &who.namespace, &desired.consumer.bundle).await;
    let (bundle, version) = reference::of_secret(answer, context.grants.bundle(&who.namespace)).await;
    note(context, who, &desired.consumer.bundle, &before, version.as_ref());
    if let Reference::Found(secret) = &bundle {
        memory.written = Some(LastWrites::of(&desired.consumer.bundle, secret));
    }
    (ObservedBundle::Read(Box::new(bundle)), version.map(|version| (version, None)))
}

/// The other resources of the same bundle, whether they name it or their registry does.
pub(super) fn sharing(context: &Context, who: &ResourceId, desired: &Desired) -> Vec<Arc<Stored>> {
    if desired.consumer.source.is_some() {
        return Vec::new();
    }
    let bundle = desired.consumer.bundle.as_str();
    let may_name = |registry: &str| match context.registries.look(&who.namespace, registry) {
        Look::Found(Some(registry)) => registry.bundle.is_none_or(|named| named == bundle),
        _ => true,
    };
    let mut sharing = context.resources.of_bundle(&who.namespace, bundle, may_name);
    sharing.retain(|other| {
        let meta = other.meta();
        meta.name.as_deref() != Some(&who.name)
            && meta.deletion_timestamp.is_none()
            && other
                .0
                .as_ref()
                .is_ok_and(|other| consumer::bundle_of(context, &who.namespace, other).as_deref() == Some(bundle))
    });
    sharing
}

/// Whether one of them is older.
fn has_elder(resource: &QuayStorage, sharing: &[Arc<Stored>]) -> bool {
    let age = |resource: &QuayStorage| {
        let created = resource.creation_timestamp().map_or(0, |created| Timestamp::as_second(created.0));
        (created, resource.metadata.name.clone())
    };
    sharing.iter().filter_map(|other| other.0.as_ref().ok()).any(|other| age(other) < age(resource))
}

/// The resource that writes a location of the same bundle, if that is another one.
fn claimed_by(resource: &QuayStorage, sharing: &[Arc<Stored>], desired: &Desired, location: &str) -> Option<String> {
    let others = sharing.iter().filter_map(|other| other.0.as_ref().ok());
    let claimants = others.filter(|other| other.spec.locations.iter().any(|l| l.name == location)).chain([resource]);
    let owner = claim::owner(claimants.map(|claimant| claim_of(claimant, &desired.consumer.bundle, location)));
    owner.filter(|owner| Some(*owner) != resource.metadata.name.as_deref()).map(str::to_owned)
}

fn claim_of<'a>(resource: &'a QuayStorage, bundle: &str, location: &str) -> Claimant<'a> {
    Claimant {
        name: resource.metadata.name.as_deref().unwrap_or_default(),
        created: resource.creation_timestamp().map_or(0, |created| Timestamp::as_second(created.0)),
        written: written_at(resource, bundle, location).is_some(),
    }
}

/// What a proof is of: uid and version of the key's Secret or the account, and a hash of what is no secret.
fn proof_of(target: &Target, principal: Option<&Version>) -> String {
    let sts = target.sts.driver.host();
    let parts = [
        target.role.as_ref().map_or("", RoleArn::as_str),
        target.bucket.as_str(),
        &target.prefix(),
        target.region(),
        &sts,
    ];
    let endpoint_gets_sts = target.endpoint_gets_sts.map(|gets| if gets { "true" } else { "false" });
    let hash = fingerprint(parts.into_iter().chain(endpoint_gets_sts));
    let hash = hex(hash.get(..8).unwrap_or_default());
    match principal {
        Some(version @ Version::At { .. }) => format!("{}/{hash}", version_of(version)),
        Some(Version::Absent) | None => format!("unknown/{hash}"),
    }
}

fn version_of(version: &Version) -> String {
    match version {
        Version::At { uid, resource_version } => format!("{uid}/{resource_version}"),
        Version::Absent => String::new(),
    }
}
