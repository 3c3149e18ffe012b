//! What has to be so after every fault, once everything is right again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::audit::{Request, until_quiet};
use crate::harness::iam::{Iam, Key};
use crate::harness::operator::Operator;
use crate::harness::verb::left_in;
use crate::harness::world::World;

/// What the process may have in memory, in KiB.
const MEMORY: u64 = 96 * 1024;
/// Over which time it is looked at what a process at rest needs, and how much of a processor's time that may be.
const REST: Duration = Duration::from_secs(3);
const BUSY: Duration = Duration::from_millis(60);
/// How Linux counts a process's time.
const TICK: Duration = Duration::from_millis(10);

/// Nothing is left in the buckets, no secret was told, and the process rests: it asks nobody, and needs neither much memory
/// nor time.
pub(crate) async fn assert_calm(world: &World, operator: &Operator, accounts: &[Iam]) {
    until_quiet(world, &operator.credential).await;
    for account in accounts {
        assert_eq!(left_in(world, account).await, [""; 0], "something is left in {}", account.bucket);
    }
    assert_rests(operator).await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}

/// The process needs neither much memory nor time.
pub(crate) async fn assert_rests(operator: &Operator) {
    let memory = memory(operator);
    let before = busy(operator);
    // What is measured is what it needs in this very time.
    tokio::time::sleep(REST).await;
    let busy = busy(operator).checked_sub(before).unwrap();
    eprintln!("at rest: {} MiB, busy for {busy:?} of {REST:?}", memory / 1024);
    assert!(memory < MEMORY, "{memory} KiB of memory");
    assert!(busy < BUSY, "busy for {busy:?} of {REST:?}");
}

/// So many requests were not made.
pub(crate) fn assert_fewer(asked: &[Request], most: usize) {
    let mut kinds = BTreeMap::<_, usize>::new();
    for request in asked {
        *kinds.entry((&request.verb, &request.resource, request.code)).or_default() += 1;
    }
    assert!(asked.len() < most, "{} requests, not fewer than {most}: {kinds:?}", asked.len());
}

fn proc(operator: &Operator, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{}/{file}", operator.id())).unwrap()
}

fn memory(operator: &Operator) -> u64 {
    let status = proc(operator, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// How long the process has used a processor.
fn busy(operator: &Operator) -> Duration {
    let stat = proc(operator, "stat");
    // The name in parentheses may have spaces; the state comes next, and the times are the 12th and 13th after it.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<u32>().unwrap();
    TICK * (ticks(11) + ticks(12))
}

/// A bundle has all that it had before, and then the entries of these locations, each with its key, and nothing else.
pub(crate) fn assert_right(config: &str, before: &str, locations: &[(&str, &Iam, &Key)]) {
    assert!(config.starts_with(before), "what stood before is not as it was: {config}");
    let mut now: Value = serde_yaml::from_str(config).unwrap();
    let storage = now["DISTRIBUTED_STORAGE_CONFIG"].as_object().expect("there is no entry").clone();
    let preference: Vec<String> = serde_json::from_value(now["DISTRIBUTED_STORAGE_PREFERENCE"].clone()).unwrap();
    for (name, iam, key) in locations {
        let entry = json!(["STSS3Storage", {
            "sts_role_arn": iam.role_arn, "s3_bucket": iam.bucket, "storage_path": "/datastorage",
            "s3_region": "us-east-1", "sts_user_access_key": key.id, "sts_user_secret_key": key.secret}]);
        assert_eq!(storage.get(*name), Some(&entry), "{name}: {config}");
        assert_eq!(preference.iter().filter(|preferred| preferred == name).count(), 1, "{name}: {config}");
    }
    assert_eq!((storage.len(), preference.len()), (locations.len(), locations.len()), "{config}");
    let ours = ["DISTRIBUTED_STORAGE_CONFIG", "DISTRIBUTED_STORAGE_PREFERENCE"];
    now.as_object_mut().unwrap().retain(|key, _| !ours.contains(&key.as_str()));
    assert_eq!(now, serde_yaml::from_str::<Value>(before).unwrap());
}
