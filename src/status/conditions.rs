//! The conditions, in the order in which people read them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Row;
use super::says::{self, FALSE, Says, TRUE, UNKNOWN};
use crate::plan::Plan;
use crate::reason::{Failure, Reason, Remedy};
use crate::rollout::Runs;

/// The conditions that this operator says.
const OURS: [&str; 9] = [
    "Ready",
    "RoleProven",
    "StorageProven",
    "BundleCurrent",
    CONSUMER,
    RESTORABLE,
    "Reconciling",
    "Stalled",
    "Suspended",
];
/// Said only where it is known what runs Quay.
const CONSUMER: &str = "ConsumerCurrent";
/// Said only where the bundle is to get back what stood there before.
const RESTORABLE: &str = "Restorable";

/// Of a resource that is suspended.
const SUSPENDED: &str = "Nothing is looked at, proven or written while spec.suspend is true. Set it to false to go on.";
/// The same, of what would be to be looked at.
const SUSPENDED_UNKNOWN: &str = "The spec may have changed since it was last acted on, and nothing is looked at, proven or written while spec.suspend is true. Set it to false to go on.";

/// For an object that is no `QuayStorage`: nothing is known of anything.
pub(super) fn invalid(
    failure: &Failure,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let stalled = ("Stalled", (TRUE, failure.reason, failure.message.clone()));
    nothing_known((failure, "the spec cannot be read."), stalled, before, generation, now)
}

/// For a resource of which the bundle, or the Quay that reads it, is not known.
pub(super) fn unresolved(
    failure: &Failure,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let goes_on = match failure.reason.remedy() {
        Remedy::Edit => ("Stalled", (TRUE, failure.reason, failure.message.clone())),
        Remedy::Waits | Remedy::None => ("Reconciling", (TRUE, Reason::ProgressingWithRetry, failure.message.clone())),
    };
    nothing_known((failure, &failure.message), goes_on, before, generation, now)
}

/// What is said where nothing can be acted on.
fn nothing_known(
    (failure, why): (&Failure, &str),
    goes_on: (&'static str, Says),
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let unknown = |what: &str| (UNKNOWN, failure.reason, format!("{what}: {why}"));
    let mut says = vec![
        ("Ready", (FALSE, failure.reason, failure.message.clone())),
        ("RoleProven", unknown("Nothing was proven")),
        ("StorageProven", unknown("Nothing was proven")),
        ("BundleCurrent", unknown("The bundle was not looked at")),
    ];
    says.extend(also(before).map(|kind| (kind, unknown("Nothing was looked at"))));
    says.push(goes_on);
    stamp(says, before, generation, now)
}

/// What was said beside what is always said.
fn also(before: &[Condition]) -> impl Iterator<Item = &'static str> {
    [CONSUMER, RESTORABLE].into_iter().filter(|kind| before.iter().any(|condition| condition.type_ == *kind))
}

/// For a resource that is suspended: what was said stays said, but not of a spec that `moved`, and nothing is tried.
pub(super) fn suspended(moved: bool, before: &[Condition], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let is_said = |kind: &str| OURS.contains(&kind) && !["Reconciling", "Suspended"].contains(&kind);
    let said = before.iter().filter(|condition| !moved && is_said(&condition.type_));
    let said = said.map(|condition| Condition { observed_generation: generation, ..condition.clone() });
    let unknown = |kind| (kind, (UNKNOWN, Reason::Suspended, SUSPENDED_UNKNOWN.to_owned()));
    let kinds = ["Ready", "RoleProven", "StorageProven", "BundleCurrent"].into_iter();
    let unknown = kinds.chain(also(before)).filter(|_| moved).map(unknown);
    let suspended = ("Suspended", (TRUE, Reason::Suspended, SUSPENDED.to_owned()));
    said.chain(stamp(unknown.chain([suspended]).collect(), before, generation, now)).collect()
}

/// For a resource that was planned.
pub(super) fn of(
    rows: &[Row<'_>],
    bundle: &str,
    (plan, runs): (&Plan, Option<&Runs>),
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let ready = says::ready(rows, bundle, plan);
    let mut conditions = vec![
        ("Ready", ready.clone()),
        ("RoleProven", says::role_proven(rows)),
        ("StorageProven", says::storage_proven(rows)),
        ("BundleCurrent", says::bundle_current(rows, bundle, &plan.notes)),
    ];
    conditions.extend(runs.map(|runs| (CONSUMER, says::consumer_current(runs))));
    conditions.extend(plan.restorable.as_ref().map(|restorable| (RESTORABLE, says::restorable(restorable))));
    let waits = says::failures(rows, plan.mode).any(|(_, failure)| failure.reason.remedy() != Remedy::Edit);
    match ready.0 {
        TRUE => {}
        UNKNOWN => conditions.push(("Reconciling", (TRUE, Reason::Progressing, ready.2))),
        _ if waits => conditions.push(("Reconciling", (TRUE, Reason::ProgressingWithRetry, ready.2))),
        _ => conditions.push(("Stalled", (TRUE, ready.1, ready.2))),
    }
    stamp(conditions, before, generation, now)
}

/// Ours as the API wants them, and what others say.
fn stamp(
    says: Vec<(&'static str, Says)>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    super::stamp(&OURS, says, before, (generation, now))
}
