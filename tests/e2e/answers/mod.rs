//! Answers that only AWS itself gives, or a broken network: each has its reason and says what to change, leaves the
//! bundle alone, and heals by itself.

mod cut;
mod later;
mod regions;
mod s3;
mod sts;
mod tokens;

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use futures::future::join_all;
use serde_json::json;

use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::scripted_aws::{REQUEST_ID, Rule, ScriptedAws};
use crate::harness::world::{World, condition, is, message};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// How AWS answers, and what is said of it.
struct Row {
    /// Of the resource, the bundle and the account.
    name: &'static str,
    region: &'static str,
    script: Vec<Rule>,
    reason: &'static str,
    says: &'static [&'static str],
    never_says: &'static [&'static str],
}

fn row(name: &'static str, script: Vec<Rule>, reason: &'static str, says: &'static [&'static str]) -> Row {
    Row { name, region: "us-east-1", script, reason, says, never_says: &[] }
}

impl Row {
    fn in_region(self, region: &'static str) -> Self {
        Self { region, ..self }
    }

    fn never_says(self, never_says: &'static [&'static str]) -> Self {
        Self { never_says, ..self }
    }
}

/// The step at which all rows of a table fail.
#[derive(Clone, Copy, PartialEq)]
enum Fails {
    Role,
    Storage,
}

/// Plays all rows at once, each with a resource, a bundle and an account of its own.
async fn play(world: &World, aws: &ScriptedAws, rows: &[Row], fails: Fails) {
    let operator = Operator::start_with(world, &aws.url, &["--sts-rate", "100"]).await;
    // All rows are played to their end, whichever fails; what failed is on stderr by then.
    let played = rows.iter().map(|row| AssertUnwindSafe(play_one(world, aws, row, fails)).catch_unwind());
    let failed: Vec<&str> =
        rows.iter().zip(join_all(played).await).filter(|(_, end)| end.is_err()).map(|(row, _)| row.name).collect();
    assert!(failed.is_empty(), "these rows failed: {failed:?}");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

async fn play_one(world: &World, aws: &ScriptedAws, row: &Row, fails: Fails) {
    let name = row.name;
    let account = aws.account(world, name, row.region).await;
    aws.script(&account, &row.script);
    let before = world.put_bundle(name, CONFIG).await;
    put(world, name, &account, row.region).await;

    let failed = world.until_reason(name, row.reason).await;
    assert!(is(&failed, "Ready", "False") && is(&failed, "Reconciling", "True"), "{name}");
    let (proven, failing) = match fails {
        Fails::Role => ("RoleProven", "RoleProven"),
        Fails::Storage => ("RoleProven", "StorageProven"),
    };
    assert_eq!(is(&failed, proven, "True"), fails == Fails::Storage, "{name}");
    assert!(is(&failed, failing, "False"), "{name}");
    assert_eq!(condition(&failed, failing).unwrap()["reason"], row.reason, "{name}");
    let said = message(&failed, "Ready");
    let role = account.role_arn.as_str();
    for word in row.says.iter().chain(&["location \"default\"", role]) {
        assert!(said.contains(word), "{name}: {word:?} is not in: {said}");
    }
    for word in row.never_says.iter().chain(&[REQUEST_ID, "Credential="]) {
        assert!(!said.contains(word), "{name}: {word:?} is in: {said}");
    }
    let after = world.bundle(name).await.metadata.resource_version;
    assert_eq!(after, before.metadata.resource_version, "{name}: the bundle was touched");

    aws.heal(&account);
    world.until_ready(name).await;
    assert!(world.config(name).await.contains(role), "{name}");
    assert_eq!(aws.stored(&account), 0, "{name}: something was left behind");
}

/// A resource that is named as its bundle and its account are.
async fn put(world: &World, name: &str, account: &Iam, region: &str) {
    let mut location = World::location("default", account, &format!("{name}-key"));
    location["region"] = json!(region);
    world.put_resource(name, name, &[location]).await;
}
