//! The API server's own audit log: what a process asked it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::operator::Operator;
use super::world::{World, eventually};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) code: u64,
    pub(crate) at: String,
}

impl Request {
    pub(crate) fn is_watch_keeping(&self) -> bool {
        ["list", "watch"].contains(&self.verb.as_str())
    }

    pub(crate) fn is_event(&self) -> bool {
        self.resource == "events"
    }

    pub(crate) fn is_write(&self) -> bool {
        is_write(&self.verb)
    }
}

fn is_write(verb: &str) -> bool {
    !["get", "list", "watch"].contains(&verb)
}

/// The finished requests of one credential, in the order in which they were answered.
pub(crate) fn requests(world: &World, credential: &str) -> Vec<Request> {
    let log = std::fs::read_to_string(world.plane.info("audit_log")).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    log.lines()
        .filter(|line| line.contains(credential))
        // The last line may be half written.
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        // The request that issued the credential names it too.
        .filter(|event| event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0] == credential)
        .filter(|event| event["stage"] == "ResponseComplete" || event["verb"] == "watch")
        .map(|event| {
            let object = &event["objectRef"];
            let subresource = object["subresource"].as_str().map(|s| format!("/{s}")).unwrap_or_default();
            Request {
                verb: text(&event["verb"]),
                resource: text(&object["resource"]) + &subresource,
                name: text(&object["name"]),
                code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
                at: text(&event["requestReceivedTimestamp"]),
            }
        })
        .collect()
}

/// What was changed in a world's namespace, by whom, and how that was answered: for a failure to show.
pub(crate) fn changes(world: &World) -> Vec<String> {
    let log = std::fs::read_to_string(world.plane.info("audit_log")).unwrap();
    let changed = |event: &Value| {
        let object = &event["objectRef"];
        let is_change = is_write(event["verb"].as_str()?) && object["resource"] != "events";
        let is_ours = object["namespace"] == world.namespace && event["stage"] == "ResponseComplete";
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (is_change && is_ours).then(|| {
            let (at, verb, who) = (&event["requestReceivedTimestamp"], &event["verb"], &event["user"]["username"]);
            let words = [at, verb, &object["resource"], &object["subresource"], &object["name"]].map(text).join(" ");
            format!("{words} {} by {}", event["responseStatus"]["code"], text(who))
        })
    };
    log.lines().filter_map(|line| changed(&serde_json::from_str(line).ok()?)).collect()
}

/// The changes of Secrets that one credential has made.
pub(crate) fn secret_writes(world: &World, credential: &str) -> Vec<Request> {
    let asked = requests(world, credential).into_iter();
    asked.filter(|r| r.resource == "secrets" && r.is_write() && r.code < 300).collect()
}

/// Waits until a process has asked nothing for a second: a line of the log may come a moment after the answer.
pub(crate) async fn until_quiet(world: &World, credential: &str) -> Vec<Request> {
    until_quiet_for(world, credential, Duration::from_secs(1)).await
}

/// Waits until a process has asked nothing for a while.
pub(crate) async fn until_quiet_for(world: &World, credential: &str, quiet: Duration) -> Vec<Request> {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let started = Instant::now();
    let (mut last, mut since) = (requests(world, credential), Instant::now());
    while since.elapsed() < quiet {
        ticks.tick().await;
        let now = requests(world, credential);
        if now.len() != last.len() {
            assert!(started.elapsed() < Duration::from_secs(10), "it asks on and on: {:?}", &now[last.len()..]);
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// Waits until a process asks for nothing but its lease.
pub(crate) async fn until_quiet_but_for_the_lease(world: &World, operator: &Operator) {
    let asked = || requests(world, &operator.credential).iter().filter(|r| r.resource != "leases").count();
    let last = Cell::new((asked(), Instant::now()));
    eventually("it is quiet", || {
        let (known, since) = last.get();
        let now = asked();
        if now != known {
            last.set((now, Instant::now()));
        }
        let quiet = now == known && since.elapsed() > Duration::from_secs(1);
        async move { quiet.then_some(()) }
    })
    .await;
}
