//! A proof that is cut: whatever fails, however, and should the operator itself be killed, nothing is left behind.

use serde_json::{Value, json};

use super::CONFIG;
use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::scripted_aws::{Asked, Http, Reply, Rule, ScriptedAws, s3_error};
use crate::harness::world::{World, eventually};

/// All that a proof asks of S3.
const OPERATIONS: [&str; 12] = [
    "HeadBucket",
    "GetBucketLocation",
    "ListMultipartUploads",
    "ListObjectsV2",
    "PutObject",
    "HeadObject",
    "GetObject",
    "CopyObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
];

fn denied() -> Http {
    s3_error(403, "AccessDenied", "Access Denied")
}

/// How an operation fails, by a name of its own.
fn ways(operation: &'static str) -> [(&'static str, Rule); 4] {
    let broken = || s3_error(500, "InternalError", "We encountered an internal error. Please try again.");
    [
        ("denied", Rule::says(operation, denied())),
        ("failed", Rule::says(operation, broken())),
        ("failed-yet-done", Rule::says(operation, broken()).done()),
        ("closed-yet-done", Rule::on(operation, Reply::Closed).done()),
    ]
}

/// An account for each operation, and its location.
async fn locations(world: &World, aws: &ScriptedAws, name: &str, operations: &[&str]) -> (Vec<Iam>, Vec<Value>) {
    let (mut accounts, mut locations) = (Vec::new(), Vec::new());
    for operation in operations {
        let operation = operation.to_ascii_lowercase();
        let account = aws.account(world, &format!("{name}-{operation}"), "us-east-1").await;
        locations.push(World::location(&operation, &account, &format!("{name}-{operation}-key")));
        accounts.push(account);
    }
    (accounts, locations)
}

#[tokio::test]
async fn whatever_fails_and_however_the_next_proof_finds_nothing_left_behind() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    let operations: Vec<&'static str> = OPERATIONS.into_iter().chain(["DeleteObject"]).collect();
    let operator = Operator::start_with(&world, &aws.url, &["--sts-rate", "1000"]).await;
    let mut played = Vec::new();
    for (index, (way, _)) in ways("").into_iter().enumerate() {
        let (accounts, locations) = locations(&world, &aws, way, &operations).await;
        for (account, operation) in accounts.iter().zip(&operations) {
            aws.script(account, &[ways(operation)[index].1.clone()]);
        }
        let before = world.put_bundle(way, CONFIG).await;
        world.put_resource(way, way, &locations).await;
        played.push((way, accounts, before));
    }
    for (way, accounts, _) in &played {
        for (account, operation) in accounts.iter().zip(&operations) {
            // A proof begins with a look at what is there: the second one sees what the first has left.
            aws.until_asked(account, "ListObjectsV2", 2).await;
            let asked = aws.asked(account);
            let looks: Vec<_> = asked.iter().filter(|asked| asked.operation == "ListObjectsV2").collect();
            assert!(looks.iter().all(|look| look.stored == 0), "{operation} {way}: something was left: {looks:?}");
            let puts = asked.iter().any(|asked| asked.operation == "PutObject");
            assert!(!puts || *operation != "DeleteObject", "{way}: what could not be removed was put");
            let uploads = asked.iter().any(|asked| asked.operation == "CreateMultipartUpload");
            assert!(!uploads || *operation != "AbortMultipartUpload", "{way}: what could not be aborted was begun");
        }
    }
    for (way, accounts, before) in &played {
        let after = world.bundle(way).await.metadata.resource_version;
        assert_eq!(after, before.metadata.resource_version, "{way}: the bundle was touched");
        for account in accounts {
            aws.heal(account);
        }
    }
    for (way, accounts, _) in &played {
        world.until_ready(way).await;
        let left = accounts.iter().map(|account| aws.stored(account)).sum::<usize>();
        assert_eq!(left, 0, "{way}: something was left behind");
    }
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn what_could_not_be_removed_is_removed_by_the_proof_that_can() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    let account = aws.account(&world, "example", "us-east-1").await;
    // That it may be removed is tried first, on a key and an upload that are not there.
    let not_missing: fn(&_) -> bool = |asked: &Asked| !asked.key.ends_with("/missing");
    let rules = ["DeleteObject", "AbortMultipartUpload"]
        .map(|operation| Rule::says(operation, Http::new(500, "")).only(not_missing));
    aws.script(&account, &rules);
    world.put_bundle("example", CONFIG).await;
    let operator = Operator::start_with(&world, &aws.url, &[]).await;
    world.put_resource("example", "example", &[World::location("default", &account, "example-key")]).await;
    world.until_reason("example", "AwsUnreachable").await;
    assert!(aws.stored(&account) > 0);
    aws.heal(&account);
    world.until_ready("example").await;
    assert_eq!(aws.stored(&account), 0);
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

#[tokio::test]
async fn what_a_killed_operator_left_is_removed_by_the_next_one() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    let held = ["GetObject", "CopyObject", "UploadPart", "CompleteMultipartUpload", "DeleteObject"];
    let (accounts, mut locations) = locations(&world, &aws, "held", &held).await;
    for (account, operation) in accounts.iter().zip(held) {
        // Nor is anything removed, should it take so long that a call is given up meanwhile.
        let rules = [Rule::on(operation, Reply::Never).done()]
            .into_iter()
            .chain(["DeleteObject", "AbortMultipartUpload"].map(|operation| Rule::on(operation, Reply::Never)))
            .map(|rule| rule.only(|asked| !asked.key.ends_with("/missing")));
        aws.script(account, &rules.collect::<Vec<_>>());
    }
    for location in &mut locations {
        location["storagePath"] = json!("/quay/blobs");
    }
    world.put_bundle("bundle", CONFIG).await;
    let killed = Operator::start_with(&world, &aws.url, &[]).await;
    world.put_resource("example", "bundle", &locations).await;
    for (account, operation) in accounts.iter().zip(held) {
        eventually(&format!("{operation} is held"), || async {
            let held = |asked: &Asked| asked.operation == operation && !asked.key.ends_with("/missing");
            aws.asked(account).iter().any(held).then_some(())
        })
        .await;
    }
    let told = killed.log();
    // As `kill -9` does.
    drop(killed);
    let left: Vec<usize> = accounts.iter().map(|account| aws.stored(account)).collect();
    assert!(left[..4].iter().all(|left| *left > 0), "{left:?}");

    for account in &accounts {
        aws.heal(account);
    }
    let operator = Operator::start_with(&world, &aws.url, &[]).await;
    world.until_ready("example").await;
    let left: Vec<usize> = accounts.iter().map(|account| aws.stored(account)).collect();
    assert_eq!(left, [0; 5], "{held:?}");
    world.assert_nothing_secret_was_told(&(told + &operator.log())).await;
}
