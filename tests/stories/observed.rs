//! What is seen of a story's manifests, as the operator sees it in a cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use registry_sts::api::QuayStorage;
use registry_sts::api::quay_storage::{DeletionPolicy, Mode};
use registry_sts::plan::backup::{self, Backup, BackupSeen};
use registry_sts::plan::desired::{Allowed, Auth, Desired, Wanted};
use registry_sts::plan::key::AccessKey;
use registry_sts::plan::mark::Mark;
use registry_sts::plan::observation::{BundleSecret, Observation, ObservedBundle, ObservedLocation, Proof, Reference};
use registry_sts::plan::output::{OutputSeen, WholeSecret};
use registry_sts::plan::owner::{Owner, last_writer};
use registry_sts::plan::source::Output;
use registry_sts::plan::web_identity::{AccountSeen, PodIdentity, Webhook};
use registry_sts::plan::{Approval, Left, Plan, ProofState, Source};
use registry_sts::reason::{Failure, Reason};
use registry_sts::registry::{Registry, RegistrySeen};
use registry_sts::resource::ResourceId;
use registry_sts::rollout::{self, Bundle, PodSeen, Runner, Runs, WorkloadSeen};
use registry_sts::status::Written;
use registry_sts::target::Principal;
use registry_sts::verdict::Step;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde_yaml::Value;

use super::{Told, World, metadata};

/// Whether Quay runs what was written, of workloads and pods as they are told.
pub(super) fn runs(
    (desired, plan, came): (&Desired, &Plan, &Written),
    written: Option<Timestamp>,
    workloads: &BTreeMap<String, (WorkloadSeen, LabelSelector)>,
    pods: &[ObjectMeta],
) -> Option<Runs> {
    let runners = &desired.consumer.runners;
    let see = |runner: &Runner| match workloads.get(&runner.called()) {
        None => Reference::Missing,
        Some((seen, selector)) => {
            let labels = selector.match_labels.clone().unwrap_or_default();
            let is_its_own = |pod: &&ObjectMeta| {
                labels.iter().all(|(key, value)| pod.labels.as_ref().unwrap().get(key) == Some(value))
            };
            let pods = pods.iter().filter(is_its_own).map(PodSeen::of).collect();
            Reference::Found(WorkloadSeen { pods, ..seen.clone() })
        }
    };
    let seen: Vec<_> = runners.workloads.iter().map(see).collect();
    let bundle = Bundle { name: &desired.consumer.bundle, written, changed: None, of_before: None };
    let judged = || rollout::judge(runners, bundle, &seen);
    (!runners.workloads.is_empty())
        .then(|| rollout::beforehand(&desired.consumer, (plan, came), written).unwrap_or_else(judged))
}

pub(super) enum Undesired {
    Invalid(Failure),
    Unresolved(Failure),
}

/// A registry that is not told does not exist.
pub(super) fn desired(
    resource: &QuayStorage,
    registries: &BTreeMap<String, Registry>,
    allowed: &Allowed,
) -> Result<Desired, Undesired> {
    let consumer = match Source::parse(&resource.spec).map_err(Undesired::Invalid)? {
        Source::Secret(consumer) => *consumer,
        Source::Registry(name) => {
            let seen =
                registries.get(&name).cloned().map_or(RegistrySeen::Missing, |one| RegistrySeen::Found(Box::new(one)));
            seen.consumer(&name).map_err(Undesired::Unresolved)?
        }
        Source::Checked(name, Output { output, source }) => {
            let seen =
                registries.get(&name).cloned().map_or(RegistrySeen::Missing, |one| RegistrySeen::Found(Box::new(one)));
            seen.output_consumer(&name, &output, &source).map_err(Undesired::Unresolved)?
        }
    };
    Desired::parse(&resource.spec, consumer, allowed).map_err(Undesired::Invalid)
}

pub(super) fn observe(desired: &Desired, secrets: &BTreeMap<String, Value>, world: &World, left: Left) -> Observation {
    let now = left.now;
    let data = |name: &str| -> Option<BTreeMap<String, SecretString>> {
        let data = secrets.get(name)?.get("stringData").cloned().unwrap_or_default();
        let data: BTreeMap<String, String> = serde_yaml::from_value(data).unwrap_or_default();
        Some(data.into_iter().map(|(key, value)| (key, SecretString::from(value))).collect())
    };
    let account = |name: &str| AccountSeen {
        uid: "uid".into(),
        resource_version: "1001".into(),
        annotations: world.accounts.get(name).cloned().unwrap_or_default(),
        webhook: Webhook::Installed,
    };
    let principal = |wanted: &Wanted| match &wanted.auth {
        Auth::AccessKey { secret, sts, .. } => match data(secret) {
            Some(data) => {
                let key = AccessKey::from_secret(secret, &data).map(Principal::Key);
                if desired.mode == Mode::Skip { key } else { sts.clone().and(key) }
            }
            None => Err(Failure::new(Reason::KeySecretMissing, format!("Secret {secret} does not exist."))),
        },
        Auth::WebIdentity(identity) if desired.mode == Mode::Skip => Ok(Principal::unseen("quay", identity)),
        Auth::WebIdentity(identity) => {
            PodIdentity::of(identity, "quay", &account(&identity.account)).map(|pod| Principal::Account(pod.account))
        }
    };
    let locations = desired.locations.iter().map(|location| {
        let principal = location.wanted.clone().and_then(|wanted| principal(&wanted));
        let proof = |at: Timestamp| Proof { at, of: "uid/1001/0123456789abcdef".into(), notes: Vec::new() };
        let failure =
            |reason: Reason| Failure::new(reason, format!("(what AWS answered, and the advice: {})", reason.as_str()));
        let an_hour_ago = now - k8s_openapi::jiff::SignedDuration::from_hours(1);
        let proof = match (&principal, world.proofs.get(&location.name).copied().unwrap_or_default()) {
            (Err(failure), _) => ProofState::Failed(Step::Principal, failure.clone()),
            _ if desired.mode == Mode::Skip => ProofState::Skipped,
            (_, Told::Proven) => ProofState::Proven(proof(now)),
            (_, Told::Pending) => ProofState::Pending,
            (_, Told::RoleNotAssumable) => ProofState::Failed(Step::AssumeRole, failure(Reason::RoleNotAssumable)),
            (_, Told::PutDenied) => ProofState::Failed(Step::PutObject, failure(Reason::PutDenied)),
            (_, Told::AwsUnreachable) => ProofState::Failed(Step::AssumeRole, failure(Reason::AwsUnreachable)),
            (_, Told::Stale) => ProofState::Stale(proof(an_hour_ago), failure(Reason::AwsUnreachable)),
        };
        let account = location.wanted.as_ref().ok().and_then(|wanted| match &wanted.auth {
            Auth::WebIdentity(identity) if desired.mode != Mode::Skip => Some(account(&identity.account)),
            Auth::WebIdentity(_) | Auth::AccessKey { .. } => None,
        });
        ObservedLocation {
            principal,
            key_version: Some("uid/1001".into()),
            account,
            proof,
            written_at: world.written.get(&location.name).cloned(),
            claimed_by: world.claimed.get(&location.name).cloned(),
        }
    });
    let locations: Vec<_> = locations.collect();
    let values = |name: &str| -> BTreeMap<String, SecretSlice<u8>> {
        let bytes = |value: SecretString| SecretSlice::from(value.expose_secret().as_bytes().to_vec());
        data(name).into_iter().flatten().map(|(key, value)| (key, bytes(value))).collect()
    };
    let bundle = |name: &str| match secrets.get(name) {
        None => Reference::Missing,
        Some(secret) => Reference::Found(WholeSecret {
            bundle: BundleSecret {
                uid: "uid".into(),
                resource_version: "1001".into(),
                immutable: secret.get("immutable").and_then(Value::as_bool).unwrap_or_default(),
                mark: mark(secret),
                owner: Owner::of(&metadata(secret)),
                last_writer: last_writer(&metadata(secret)),
                ..BundleSecret::of(values(name))
            },
            data: values(name),
        }),
    };
    let bundle = match &desired.consumer.source {
        Some(source) => ObservedBundle::Output(Box::new(OutputSeen {
            owner: ResourceId { namespace: "quay".into(), name: "example".into() },
            source: bundle(source),
            output: bundle(&desired.consumer.bundle),
        })),
        None => ObservedBundle::Read(Box::new(match bundle(&desired.consumer.bundle) {
            Reference::Found(secret) => Reference::Found(secret.bundle),
            _ => Reference::Missing,
        })),
    };
    let all_pending = locations.iter().all(|location| location.proof == ProofState::Pending);
    let approval = world.approved.clone();
    let backup = backup(desired, secrets);
    let bundle = if all_pending { ObservedBundle::NotLooked } else { bundle };
    Observation {
        locations,
        bundle,
        unwatched: None,
        has_elder: world.has_elder,
        left,
        approval: Approval::Given(approval),
        backup,
    }
}

/// The backup of the resource, if it is to have one.
fn backup(desired: &Desired, secrets: &BTreeMap<String, Value>) -> Option<(ResourceId, Reference<BackupSeen>)> {
    let owner = ResourceId { namespace: "quay".into(), name: "example".into() };
    if desired.deletion_policy == DeletionPolicy::Retain {
        return None;
    }
    let found = secrets.get(&backup::name(&owner)).map(|secret| {
        let data: BTreeMap<String, String> = serde_yaml::from_value(secret["stringData"].clone()).unwrap();
        let data = data.into_iter().map(|(key, value)| (key, SecretSlice::from(value.into_bytes())));
        let backup = Backup::read(&data.collect()).expect("the backup can be read");
        Reference::Found(BackupSeen { uid: "uid".into(), resource_version: "1001".into(), backup })
    });
    Some((owner, found.unwrap_or(Reference::Missing)))
}

/// Whose output a Secret is, as its manifest says.
fn mark(secret: &Value) -> Option<Mark> {
    let texts = |field: &str| -> Option<BTreeMap<String, String>> {
        serde_yaml::from_value(secret.get("metadata")?.get(field)?.clone()).ok()
    };
    Mark::read(texts("labels").as_ref(), texts("annotations").as_ref())
}
