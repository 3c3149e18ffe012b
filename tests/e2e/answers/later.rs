//! What was proven before stands while AWS is silent, and no longer than until it refuses.

use super::{CONFIG, put};
use crate::harness::operator::Operator;
use crate::harness::scripted_aws::{Http, Reply, Rule, ScriptedAws, sts_error};
use crate::harness::world::{World, condition, is, message};

#[tokio::test]
async fn through_silence_a_proven_resource_stays_ready_and_stale_and_a_denial_flips_it_at_once() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    let throttling = sts_error(400, "Throttling", "Rate exceeded");
    let silences = [
        ("unreachable", Rule::on("AssumeRole", Reply::Reset), "there was no connection"),
        ("throttling", Rule::says("AssumeRole", throttling), "AWS answered Throttling"),
        ("storage-unreachable", Rule::says("S3", Http::new(503, "")), "HTTP 503"),
    ];
    let mut accounts = Vec::new();
    for (name, ..) in &silences {
        let account = aws.account(&world, name, "us-east-1").await;
        world.put_bundle(name, CONFIG).await;
        put(&world, name, &account, "us-east-1").await;
        accounts.push(account);
    }
    let first = Operator::start_with(&world, &aws.url, &[]).await;
    let mut before = Vec::new();
    for (name, ..) in &silences {
        let ready = world.until_ready(name).await;
        before.push((condition(&ready, "Ready").unwrap(), world.bundle(name).await.metadata.resource_version));
    }
    let mut told = first.log();
    drop(first);
    for (name, ..) in &silences {
        world.make_proof_old(name).await;
    }

    for ((_, rule, _), account) in silences.iter().zip(&accounts) {
        aws.script(account, std::slice::from_ref(rule));
    }
    let operator = Operator::start_with(&world, &aws.url, &[]).await;
    for (((name, _, says), account), (ready, bundle)) in silences.iter().zip(&accounts).zip(&before) {
        let stale = world.until_reason(name, "ProofStale").await;
        assert!(is(&stale, "Ready", "True") && is(&stale, "RoleProven", "True"), "{name}");
        assert_eq!(condition(&stale, "Reconciling"), None, "{name}");
        let now = condition(&stale, "Ready").unwrap();
        assert_eq!(now["lastTransitionTime"], ready["lastTransitionTime"], "{name}: Ready was lost meanwhile");
        let said = message(&stale, "Ready");
        assert!(said.contains("proven before, but not lately") && said.contains(says), "{name}: {said}");
        assert_eq!(world.bundle(name).await.metadata.resource_version, *bundle, "{name}: the bundle was touched");
        let denied = sts_error(403, "AccessDenied", "Access denied");
        let also_storage = Rule::says("S3", Http::new(403, ""));
        aws.script(account, &[Rule::says("AssumeRole", denied), also_storage]);
    }
    for (((name, ..), account), (_, bundle)) in silences.iter().zip(&accounts).zip(&before) {
        let reason = if *name == "storage-unreachable" { "ListDenied" } else { "RoleNotAssumable" };
        let denied = world.until_reason(name, reason).await;
        assert!(is(&denied, "Ready", "False"), "{name}");
        assert_eq!(world.bundle(name).await.metadata.resource_version, *bundle, "{name}: the bundle was touched");
        // No silence brings back what was refused.
        aws.script(account, &[Rule::on("AssumeRole", Reply::Closed), Rule::on("S3", Reply::Closed)]);
    }
    for ((name, ..), account) in silences.iter().zip(&accounts) {
        let silent = world.until_reason(name, "AwsUnreachable").await;
        assert!(is(&silent, "Ready", "False"), "{name}");
        aws.heal(account);
    }
    for ((name, ..), (_, bundle)) in silences.iter().zip(&before) {
        let ready = world.until_reason(name, "ProvenAndWritten").await;
        assert!(is(&ready, "Ready", "True"), "{name}");
        assert_eq!(world.bundle(name).await.metadata.resource_version, *bundle, "{name}: the bundle was touched");
    }
    told += &operator.log();
    world.assert_nothing_secret_was_told(&told).await;
}
