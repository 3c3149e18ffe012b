//! The stories of tests/cases: manifests in, the plan, config.yaml and status out, by the very code that the controller
//! runs. Each folder is a story; `UPDATE=1 cargo test --test stories` writes what comes out, for a person to read.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../golden/mod.rs"]
mod golden;
mod observed;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use registry_sts::api::QuayStorage;
use registry_sts::plan::desired::Allowed;
use registry_sts::plan::{Left, Plan};
use registry_sts::registry::Registry;
use registry_sts::rollout::WorkloadSeen;
use registry_sts::status::{self, Outcome, Written};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_yaml::Value;

use golden::differing;
use observed::{Undesired, desired, observe, runs};

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
        wrong.extend(differing(story, told(story)));
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 writes what comes out.", wrong.join("\n"));
}

/// The files that come out of a story; none where nothing does.
fn told(story: &Path) -> [(&'static str, Option<String>); 3] {
    let mut resource = None;
    let mut secrets = BTreeMap::new();
    let mut registries = BTreeMap::new();
    let (mut workloads, mut pods) = (BTreeMap::new(), Vec::new());
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
            Some(kind @ ("Deployment" | "StatefulSet")) => {
                let name = format!("{kind} {}", value["metadata"]["name"].as_str().unwrap());
                workloads.insert(name, WorkloadSeen::read(&serde_json::to_value(value).unwrap()).unwrap());
            }
            Some("Pod") => pods.push(metadata(&value)),
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
        Some((None, Some(_))) => Written::Done { resource_version: "1002".into(), at: Some(now) },
        Some((_, None)) | None => Written::NotNeeded,
    };
    let reported = resource.status.as_ref().and_then(|status| status.config_bundle.as_ref()?.last_written_time.clone());
    let last_write = if let Written::Done { at, .. } = &written { *at } else { reported.map(|time| time.0) };
    let planned = desired.as_ref().ok().zip(plan.as_ref());
    let runs = planned.and_then(|(desired, plan)| runs((desired, plan, &written), last_write, &workloads, &pods));
    let outcome = match (&desired, &plan) {
        (Ok(desired), Some(plan)) => {
            Outcome::Planned { bundle: &desired.consumer.bundle, plan, written: &written, runs: runs.as_ref() }
        }
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
