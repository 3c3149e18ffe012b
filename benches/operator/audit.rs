//! The API server's own audit log: what a process asked it, and when.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::{Duration, SystemTime};

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::plane::Plane;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) code: u64,
    pub(crate) received: SystemTime,
    pub(crate) answered: SystemTime,
}

impl Request {
    /// Whether it is about no single resource: its lease, its rights, its watches.
    pub(crate) fn is_upkeep(&self) -> bool {
        let is_own = ["leases", "selfsubjectaccessreviews", "selfsubjectreviews"].contains(&self.resource.as_str());
        is_own || ["list", "watch"].contains(&self.verb.as_str())
    }

    /// Whether it is about a single resource of ours or one of its Secrets.
    pub(crate) fn is_of_a_pass(&self) -> bool {
        !self.is_upkeep() && ["secrets", "quaystorages/status"].contains(&self.resource.as_str())
    }
}

/// A place in the log, from which on it is read.
#[derive(Clone, Copy)]
pub(crate) struct Mark(u64);

impl Mark {
    pub(crate) fn now(plane: &Plane) -> Self {
        Self(std::fs::metadata(plane.info("audit_log")).unwrap().len())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    stage: String,
    user: User,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: Value,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    name: String,
}

/// The requests of one credential, in the order in which they were answered.
pub(crate) fn requests(plane: &Plane, from: Mark, credential: &str) -> Vec<Request> {
    let mut log = std::fs::File::open(plane.info("audit_log")).unwrap();
    log.seek(SeekFrom::Start(from.0)).unwrap();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    let lines = text.lines().filter(|line| line.contains(credential));
    // The last line may be half written.
    let events = lines.filter_map(|line| serde_json::from_str::<Event>(line).ok());
    events
        // The request that issued the credential names it too.
        .filter(|event| {
            let ids = event.user.extra.get("authentication.kubernetes.io/credential-id");
            ids.is_some_and(|ids| ids.iter().any(|id| id == credential))
        })
        .filter(|event| event.stage == "ResponseComplete" || event.verb == "watch")
        .map(|event| {
            let ObjectRef { resource, subresource, name } = event.object_ref;
            let resource = if subresource.is_empty() { resource } else { format!("{resource}/{subresource}") };
            Request {
                verb: event.verb,
                resource,
                name,
                code: event.response_status["code"].as_u64().unwrap_or_default(),
                received: event.request_received_timestamp.into(),
                answered: event.stage_timestamp.into(),
            }
        })
        .collect()
}

/// Waits until a process has asked nothing for so long, but for its lease; what it has asked by then.
pub(crate) async fn until_quiet(plane: &Plane, from: Mark, credential: &str, quiet: Duration) -> Vec<Request> {
    let mut last = 0;
    loop {
        let asked = requests(plane, from, credential);
        let count = asked.iter().filter(|request| request.resource != "leases").count();
        if count == last {
            return asked;
        }
        last = count;
        tokio::time::sleep(quiet).await;
    }
}
