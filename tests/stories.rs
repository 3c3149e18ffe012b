//! The stories of tests/cases: manifests in, the plan, config.yaml and status out, by the very code that the controller
//! runs. Each folder is a story; `UPDATE=1 cargo test --test stories` writes what comes out, for a person to read.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use registry_sts::api::QuayStorage;
use registry_sts::api::quay_storage::Mode;
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
use registry_sts::status::{self, Outcome, Written};
use registry_sts::target::Principal;
use registry_sts::verdict::Step;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde::Deserialize;
use serde_yaml::Value;

const NOW: &str = "2026-01-02T03:04:05Z";

/// What the proof room would answer for a location. `proven` where a story says nothing.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Told {
    #[default]
    Proven,
    Pending,
    RoleNotAssumable,
    PutDenied,
    AwsUnreachable,
    /// Proven an hour ago, unreachable now.
    Stale,
}

/// Besides the manifests: what AWS and other resources say.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct World {
    #[serde(default)]
    proofs: BTreeMap<String, Told>,
    #[serde(default)]
    written: BTreeMap<String, String>,
    #[serde(default)]
    claimed: BTreeMap<String, String>,
    /// The annotations of service accounts.
    #[serde(default)]
    accounts: BTreeMap<String, BTreeMap<String, String>>,
    /// Another resource of the same bundle is older.
    #[serde(default)]
    has_elder: bool,
    /// The change that somebody approves of, by its digest.
    #[serde(default)]
    approved: Option<String>,
    /// Of a suspended resource: its spec is another than the one that status speaks of.
    #[serde(default)]
    moved: bool,
}

#[test]
fn every_story_goes_as_it_is_told() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut stories: Vec<_> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.retain(|path| path.is_dir());
    stories.sort();
    assert!(stories.len() >= 10, "there are {} stories", stories.len());
    let mut wrong = Vec::new();
    for story in &stories {
        for (file, text) in told(story) {
            let path = story.join(file);
            if std::env::var_os("UPDATE").is_some() {
                match &text {
                    Some(text) => fs::write(&path, text).unwrap(),
                    None => drop(fs::remove_file(&path)),
                }
            }
            if fs::read_to_string(&path).ok() != text {
                let comes = text.unwrap_or_else(|| "(nothing)".into());
                wrong.push(format!("{} is not what comes out:\n{comes}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 writes what comes out.", wrong.join("\n"));
}

/// The files that come out of a story; none where nothing does.
fn told(story: &Path) -> [(&'static str, Option<String>); 3] {
    let mut resource = None;
    let mut secrets = BTreeMap::new();
    let mut registries = BTreeMap::new();
    let mut world = World::default();
    let input = fs::read_to_string(story.join("input.yaml")).unwrap();
    for document in serde_yaml::Deserializer::from_str(&input) {
        let value = Value::deserialize(document).unwrap();
        match value.get("kind").and_then(Value::as_str) {
            Some("QuayStorage") => resource = Some(serde_yaml::from_value::<QuayStorage>(value).unwrap()),
            Some("Secret") => {
                let name = value["metadata"]["name"].as_str().unwrap().to_owned();
                secrets.insert(name, value);
            }
            Some("QuayRegistry") => {
                let name = value["metadata"]["name"].as_str().unwrap().to_owned();
                registries.insert(name, Registry::read(&serde_json::to_value(value).unwrap()).unwrap());
            }
            None => world = serde_yaml::from_value(value).unwrap(),
            Some(other) => panic!("{}: what is a {other}?", story.display()),
        }
    }
    let resource = resource.expect("a story has a QuayStorage");
    let now: Timestamp = NOW.parse().unwrap();
    let allowed = Allowed {
        endpoints: ["https://minio.example.com:9000".parse().unwrap()].into_iter().collect(),
        audiences: Some(["sts.amazonaws.com".to_owned()].into()),
    };
    if resource.spec.suspend {
        let outcome = Outcome::Suspended { moved: world.moved };
        let status = status::report(&outcome, resource.status.as_ref(), Some(2), now);
        let status = serde_yaml::to_string(&status).unwrap();
        return [("plan.txt", None), ("config.yaml", None), ("status.yaml", Some(status))];
    }
    let desired = desired(&resource, &registries, &allowed);
    let bundle = resource.status.as_ref().and_then(|status| status.config_bundle.clone());
    let left = Left { bundle, generation: Some(1), now };
    let plan = desired.as_ref().ok().map(|desired| Plan::make(desired, &observe(desired, &secrets, &world, left)));
    let written = match plan.as_ref().map(|plan| (&plan.held, &plan.write)) {
        Some((Some(held), Some(_))) => Written::Failed(held.failure.clone()),
        Some((None, Some(_))) => Written::Done { resource_version: "1002".into() },
        Some((_, None)) | None => Written::NotNeeded,
    };
    let outcome = match (&desired, &plan) {
        (Ok(desired), Some(plan)) => Outcome::Planned { bundle: &desired.consumer.bundle, plan, written: &written },
        (Err(Undesired::Invalid(failure)), _) => Outcome::Invalid(failure.clone()),
        (Err(Undesired::Unresolved(failure)), _) => Outcome::Unresolved(failure.clone()),
        (Ok(_), None) => unreachable!("what can be parsed is planned"),
    };
    let status = status::report(&outcome, resource.status.as_ref(), Some(1), now);
    let made = plan.as_ref().filter(|plan| plan.held.is_none());
    let config = made.and_then(|plan| plan.write.as_ref()).map(|write| write.config.expose_secret().to_owned());
    [
        ("plan.txt", plan.as_ref().map(ToString::to_string)),
        ("config.yaml", config),
        ("status.yaml", Some(serde_yaml::to_string(&status).unwrap())),
    ]
}

fn metadata(secret: &Value) -> ObjectMeta {
    serde_yaml::from_value(secret["metadata"].clone()).unwrap()
}

enum Undesired {
    Invalid(Failure),
    Unresolved(Failure),
}

/// A registry that is not told does not exist.
fn desired(
    resource: &QuayStorage,
    registries: &BTreeMap<String, Registry>,
    allowed: &Allowed,
) -> Result<Desired, Undesired> {
    let consumer = match Source::parse(&resource.spec).map_err(Undesired::Invalid)? {
        Source::Secret(consumer) => consumer,
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

fn observe(desired: &Desired, secrets: &BTreeMap<String, Value>, world: &World, left: Left) -> Observation {
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
    let bundle = if all_pending { ObservedBundle::NotLooked } else { bundle };
    Observation {
        locations,
        bundle,
        unwatched: None,
        has_elder: world.has_elder,
        left,
        approval: Approval::Given(approval),
    }
}

/// Whose output a Secret is, as its manifest says.
fn mark(secret: &Value) -> Option<Mark> {
    let texts = |field: &str| -> Option<BTreeMap<String, String>> {
        serde_yaml::from_value(secret.get("metadata")?.get(field)?.clone()).ok()
    };
    Mark::read(texts("labels").as_ref(), texts("annotations").as_ref())
}
