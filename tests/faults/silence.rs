//! AWS answers nothing that says anything of a role or a storage, in every way in which it may, or is gone.

use std::time::Instant;

use kube::api::{Patch, PatchParams};
use registry_sts::api::QuayStorage;
use serde_json::json;

use crate::aftermath::{assert_rests, assert_right};
use crate::harness::audit::{secret_writes, until_quiet};
use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::scripted_aws::{Asked, Http, Reply, Rule, ScriptedAws, s3_error, sts_error};
use crate::harness::world::{World, condition, is, message};
use crate::line::Line;
use crate::outages::undisturbed;

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";
const RATE: [&str; 2] = ["--sts-rate", "100"];

/// A resource, its bundle and its account, all of one name.
struct Registry {
    name: String,
    account: Iam,
}

impl Registry {
    async fn with_account(world: &World, aws: &ScriptedAws, name: &str) -> Self {
        let account = aws.account(world, name, "us-east-1").await;
        world.put_bundle(name, CONFIG).await;
        Self { name: name.to_owned(), account }
    }

    async fn put(&self, world: &World) {
        let location = World::location("default", &self.account, &format!("{}-key", self.name));
        world.put_resource(&self.name, &self.name, &[location]).await;
    }

    async fn version(&self, world: &World) -> Option<String> {
        world.bundle(&self.name).await.metadata.resource_version
    }

    async fn prove(&self, world: &World, when: &str) {
        let patch = json!({"metadata": {"annotations": {"registry-sts.dev/proveAt": when}}});
        let resources = world.api::<QuayStorage>();
        resources.patch(&self.name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// It was Ready before, and is, and its bundle is as it was.
    async fn assert_stale(&self, world: &World, before: &(QuayStorage, Option<String>)) {
        let stale = world.until_reason(&self.name, "ProofStale").await;
        assert!(is(&stale, "Ready", "True"), "{}", self.name);
        let since = |r: &QuayStorage| condition(r, "Ready").unwrap()["lastTransitionTime"].clone();
        assert_eq!(since(&stale), since(&before.0), "{}: Ready was lost meanwhile", self.name);
        assert_eq!(self.version(world).await, before.1, "{}: the bundle was touched", self.name);
    }

    /// It is tried again, and nothing is written.
    async fn assert_waits(&self, world: &World) {
        let silent = |r: &QuayStorage| {
            condition(r, "Ready").is_some_and(|c| c["status"] == "False") && is(r, "Reconciling", "True")
        };
        let waits = world.until(&self.name, "not Ready", silent).await;
        let reason = condition(&waits, "Ready").unwrap()["reason"].clone();
        assert!(["AwsUnreachable", "Throttled"].contains(&reason.as_str().unwrap()), "{}: {reason}", self.name);
        assert_eq!(world.config(&self.name).await, CONFIG);
    }

    async fn assert_right(&self, world: &World, aws: &ScriptedAws) {
        world.until_reason(&self.name, "ProvenAndWritten").await;
        let location = ("default", &self.account, &self.account.key);
        assert_right(&world.config(&self.name).await, CONFIG, &[location]);
        assert_eq!(aws.stored(&self.account), 0, "{}: something is left", self.name);
    }
}

/// How AWS is silent, by a name of its own.
fn silences() -> Vec<(&'static str, Vec<Rule>)> {
    let unavailable = || Http::new(503, "");
    let throttling = sts_error(400, "Throttling", "Rate exceeded");
    let slow_down = s3_error(503, "SlowDown", "Please reduce your request rate.");
    // That something may be removed is tried first, on what is not there.
    let not_missing: fn(&Asked) -> bool = |asked| !asked.key.ends_with("/missing");
    let not_removed = ["DeleteObject", "AbortMultipartUpload"];
    vec![
        ("unavailable", vec![Rule::says("AssumeRole", unavailable())]),
        ("storage-unavailable", vec![Rule::says("S3", unavailable())]),
        ("throttling", vec![Rule::says("AssumeRole", throttling)]),
        ("slow-down", vec![Rule::says("S3", slow_down.clone())]),
        ("too-many", vec![Rule::says("AssumeRole", Http::new(429, ""))]),
        ("storage-too-many", vec![Rule::says("S3", Http::new(429, ""))]),
        ("hanging", vec![Rule::on("AssumeRole", Reply::Never)]),
        ("storage-hanging", vec![Rule::on("S3", Reply::Never)]),
        ("reset", vec![Rule::on("AssumeRole", Reply::Reset)]),
        ("storage-reset-yet-done", vec![Rule::on("S3", Reply::Reset).done()]),
        ("nothing-removed", not_removed.map(|o| Rule::says(o, slow_down.clone()).only(not_missing)).into()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_every_silence_of_aws_what_was_ready_stays_so_and_what_is_new_gets_ready_after_it() {
    let _undisturbed = undisturbed().await;
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    let operator = Operator::start_with(&world, &aws.url, &RATE).await;
    let (mut known, mut new) = (Vec::new(), Vec::new());
    for (name, _) in silences() {
        known.push(Registry::with_account(&world, &aws, name).await);
        new.push(Registry::with_account(&world, &aws, &format!("new-{name}")).await);
        known.last().unwrap().put(&world).await;
    }
    let mut before = Vec::new();
    for registry in &known {
        before.push((world.until_ready(&registry.name).await, registry.version(&world).await));
    }

    for ((_, rules), (known, new)) in silences().iter().zip(known.iter().zip(&new)) {
        aws.script(&known.account, rules);
        aws.script(&new.account, rules);
        known.prove(&world, "in silence").await;
        new.put(&world).await;
    }
    for (known, before) in known.iter().zip(&before) {
        known.assert_stale(&world, before).await;
    }
    for new in &new {
        new.assert_waits(&world).await;
    }
    for registry in known.iter().chain(&new) {
        aws.heal(&registry.account);
    }
    let healed = Instant::now();
    for registry in known.iter().chain(&new) {
        registry.assert_right(&world, &aws).await;
    }
    eprintln!("right {:?} after the silence", healed.elapsed());
    for (known, before) in known.iter().zip(&before) {
        assert_eq!(known.version(&world).await, before.1, "{}: the bundle was touched", known.name);
    }
    until_quiet(&world, &operator.credential).await;
    let written = secret_writes(&world, &operator.credential).len();
    assert_eq!(written, known.len() + new.len(), "each bundle is written once");
    assert_rests(&operator).await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_aws_is_gone_what_was_ready_stays_so_and_what_is_new_gets_ready_when_it_is_back() {
    let _undisturbed = undisturbed().await;
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    let mut line = Line::to(&aws.url).await;
    let operator = Operator::start_with(&world, &format!("http://{}", line.address), &RATE).await;
    let known = Registry::with_account(&world, &aws, "known").await;
    let new = Registry::with_account(&world, &aws, "new").await;
    known.put(&world).await;
    let before = (world.until_ready("known").await, known.version(&world).await);

    line.unplug().await;
    known.prove(&world, "while it is gone").await;
    new.put(&world).await;
    known.assert_stale(&world, &before).await;
    new.assert_waits(&world).await;
    let stale = world.until_reason("known", "ProofStale").await;
    assert!(message(&stale, "Ready").contains("there was no connection"), "{}", message(&stale, "Ready"));
    line.heal().await;
    known.assert_right(&world, &aws).await;
    new.assert_right(&world, &aws).await;
    assert_eq!(known.version(&world).await, before.1, "the bundle was touched");
    until_quiet(&world, &operator.credential).await;
    assert_eq!(secret_writes(&world, &operator.credential).len(), 2, "each bundle is written once");
    assert_rests(&operator).await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
