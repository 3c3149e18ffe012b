//! What the operator exposes, and what an expression asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use registry_sts::reason::{Failure, Reason};
use registry_sts::resource::ResourceId;
use registry_sts::telemetry::metrics::{CallResult, IdentityStanding, Metrics, PassOutcome, Standing, WriteOutcome};
use registry_sts::verdict::{Findings, Step, Verdict};

const OUTCOMES: [PassOutcome; 7] = [
    PassOutcome::Wrote,
    PassOutcome::Reported,
    PassOutcome::Unchanged,
    PassOutcome::Waiting,
    PassOutcome::Ending,
    PassOutcome::Unreported,
    PassOutcome::Broken,
];
const WRITES: [WriteOutcome; 3] = [WriteOutcome::Written, WriteOutcome::Raced, WriteOutcome::Failed];
const RESULTS: [CallResult; 5] = [
    CallResult::Answered,
    CallResult::Refused,
    CallResult::Throttled,
    CallResult::ServerError,
    CallResult::Unreachable,
];

/// The values of each label.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// Every metric that the operator can have, as it is scraped.
pub(super) fn exposed() -> BTreeMap<String, Labels> {
    let metrics = Metrics::default();
    metrics.leads(true);
    for outcome in OUTCOMES {
        metrics.passed(outcome, Duration::ZERO);
    }
    for outcome in WRITES {
        metrics.wrote(outcome);
    }
    for result in RESULTS {
        metrics.called("STS", "AssumeRole", result);
    }
    let failed = |reason: &Reason| Verdict::Failed(Failure::new(*reason, ""));
    for verdict in Reason::ALL.iter().map(failed).chain([Verdict::Passed, Verdict::Unknown(String::new())]) {
        metrics.proved(&Findings::ending_with(Step::PutObject, verdict), Duration::ZERO);
    }
    let at = Some(Timestamp::UNIX_EPOCH);
    for reason in Reason::ALL.iter().map(|reason| reason.as_str()) {
        let who = ResourceId { namespace: "quay".into(), name: reason.into() };
        let interval = Some(Duration::ZERO);
        let standing = Standing { is_ready: true, reason: reason.into(), proven: at, interval, key_changed: at };
        metrics.stands(&who, standing);
        let rotating = Some(reason.into());
        metrics.identity_stands(&who, IdentityStanding { is_ready: true, reason: reason.into(), rotating });
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = runtime.block_on(async { metrics.registry() });
    let mut scraped = String::new();
    prometheus_client::encoding::text::encode(&mut scraped, &registry).unwrap();

    let mut exposed: BTreeMap<String, Labels> = BTreeMap::new();
    for (name, labels) in asked(&scraped) {
        let known = exposed.entry(name).or_default();
        for (label, value) in labels {
            known.entry(label).or_default().insert(value);
        }
    }
    exposed
}

/// The operator's metrics that a text names, each time with the labels that it has there and their values.
pub(super) fn asked(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let comments = |line: &&str| !line.starts_with('#');
    for line in text.lines().filter(comments) {
        let mut rest = line;
        while let Some(start) = rest.find(is_word) {
            let word = &rest[start..];
            let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
            let (name, after) = word.split_at(end);
            rest = after;
            if ["registry_sts_", "process_", "tokio_"].iter().any(|prefix| name.starts_with(prefix)) {
                let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
                found.push((name.to_owned(), braced.map_or_else(Vec::new, |(inner, _)| matchers(inner))));
                rest = braced.map_or(after, |(_, rest)| rest);
            }
        }
    }
    found
}

/// The labels between braces, one for each value that an expression of alternatives names.
fn matchers(inner: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut parts = inner.split('"');
    while let (Some(label), Some(values)) = (parts.next(), parts.next()) {
        let label = label.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        found.extend(values.split('|').map(|value| (label.to_owned(), value.to_owned())));
    }
    found
}

/// The labels that an expression groups or matches by.
pub(super) fn grouped(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for word in ["by (", "on (", "ignoring (", "group_left (", "without ("] {
        for list in expression.split(word).skip(1).map(|rest| rest.split(')').next().unwrap()) {
            found.extend(list.split(',').map(|label| label.trim().to_owned()));
        }
    }
    found
}
