//! The conditions, in the order in which people read them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Row, shortened};
use crate::api::quay_storage::Mode;
use crate::plan::{Plan, ProofState};
use crate::reason::{Failure, Reason, Remedy};
use crate::rollout::Runs;

/// What a condition says: status, reason, message.
type Says = (&'static str, Reason, String);

/// The conditions that this operator says.
const OURS: [&str; 8] =
    ["Ready", "RoleProven", "StorageProven", "BundleCurrent", "ConsumerCurrent", "Reconciling", "Stalled", "Suspended"];
/// The one that is said only where it is known what runs Quay.
const CONSUMER: &str = "ConsumerCurrent";

/// The API refuses a condition's message over 32 KiB; people read less.
const MESSAGE_LIMIT: usize = 4096;

/// Of a location without an answer yet.
const PENDING: &str = "waiting for AWS to answer.";

/// Of a resource that is suspended.
const SUSPENDED: &str = "Nothing is looked at, proven or written while spec.suspend is true. Set it to false to go on.";
/// The same, of what would be to be looked at.
const SUSPENDED_UNKNOWN: &str = "The spec may have changed since it was last acted on, and nothing is looked at, proven or written while spec.suspend is true. Set it to false to go on.";

const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";

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
    let consumer = is_followed(before).then(|| (CONSUMER, unknown("What runs Quay is not known")));
    let mut says = vec![
        ("Ready", (FALSE, failure.reason, failure.message.clone())),
        ("RoleProven", unknown("Nothing was proven")),
        ("StorageProven", unknown("Nothing was proven")),
        ("BundleCurrent", unknown("The bundle was not looked at")),
    ];
    says.extend(consumer);
    says.push(goes_on);
    stamp(says, before, generation, now)
}

/// Whether it was known what runs Quay.
fn is_followed(before: &[Condition]) -> bool {
    before.iter().any(|condition| condition.type_ == CONSUMER)
}

/// For a resource that is suspended: what was said stays said, but not of a spec that `moved`, and nothing is tried.
pub(super) fn suspended(moved: bool, before: &[Condition], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let is_said = |kind: &str| OURS.contains(&kind) && !["Reconciling", "Suspended"].contains(&kind);
    let said = before.iter().filter(|condition| !moved && is_said(&condition.type_));
    let said = said.map(|condition| Condition { observed_generation: generation, ..condition.clone() });
    let unknown = |kind| (kind, (UNKNOWN, Reason::Suspended, SUSPENDED_UNKNOWN.to_owned()));
    let kinds = ["Ready", "RoleProven", "StorageProven", "BundleCurrent"].into_iter();
    let unknown = kinds.chain(is_followed(before).then_some(CONSUMER)).filter(|_| moved).map(unknown);
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
    let ready = ready(rows, bundle, plan);
    let mut conditions = vec![
        ("Ready", ready.clone()),
        ("RoleProven", role_proven(rows)),
        ("StorageProven", storage_proven(rows)),
        ("BundleCurrent", bundle_current(rows, bundle, &plan.notes)),
    ];
    conditions.extend(runs.map(|runs| (CONSUMER, consumer_current(runs))));
    let waits = failures(rows, plan.mode).any(|(_, failure)| failure.reason.remedy() != Remedy::Edit);
    match ready.0 {
        TRUE => {}
        UNKNOWN => conditions.push(("Reconciling", (TRUE, Reason::Progressing, ready.2))),
        _ if waits => conditions.push(("Reconciling", (TRUE, Reason::ProgressingWithRetry, ready.2))),
        _ => conditions.push(("Stalled", (TRUE, ready.1, ready.2))),
    }
    stamp(conditions, before, generation, now)
}

/// Every failure that keeps a resource from being ready, by location in spec order, its proof before its entry.
fn failures<'a>(rows: &'a [Row<'a>], mode: Mode) -> impl Iterator<Item = (&'a str, &'a Failure)> {
    rows.iter().flat_map(move |row| {
        let proof = match row.proof {
            // It was asked for to be written all the same, and it is.
            ProofState::Failed(..) if mode == Mode::Warn && row.standing == Ok(Some(())) => None,
            ProofState::Failed(_, failure) => Some(failure),
            ProofState::Pending
            | ProofState::Proven(_)
            | ProofState::Earlier(_)
            | ProofState::Stale(..)
            | ProofState::Skipped => None,
        };
        // That an entry is kept for want of a proof is no failure of its own.
        let standing = row.standing.err().filter(|failure| failure.reason != Reason::NotProven);
        proof.into_iter().chain(standing).map(|failure| (row.name, failure))
    })
}

fn ready(rows: &[Row<'_>], bundle: &str, plan: &Plan) -> Says {
    if let Some((location, failure)) = failures(rows, plan.mode).next() {
        // What it means for the bundle, that a proof fails.
        let kept = rows.iter().find(|row| row.name == location).and_then(|row| row.standing.err());
        let kept = kept.filter(|kept| kept.reason == Reason::NotProven);
        let message = kept.map_or(failure.message.clone(), |kept| format!("{} {}", failure.message, kept.message));
        return (FALSE, failure.reason, at(location, &message));
    }
    if let Some(row) = rows.iter().find(|row| *row.proof == ProofState::Pending) {
        return (UNKNOWN, Reason::ProofPending, at(row.name, PENDING));
    }
    if let Some(row) = rows.iter().find(|row| row.standing != Ok(Some(()))) {
        return (UNKNOWN, Reason::NotProven, at(row.name, "it has to be proven again before it is written."));
    }
    if let Some(failure) = &plan.elsewhere {
        return (FALSE, failure.reason, failure.message.clone());
    }
    for row in rows {
        let unproven = match row.proof {
            ProofState::Failed(_, failure) => format!("written as asked (mode Warn), though: {}", failure.message),
            ProofState::Skipped => "written as asked (mode Skip), without a proof.".to_owned(),
            ProofState::Stale(..) | ProofState::Proven(_) | ProofState::Earlier(_) | ProofState::Pending => continue,
        };
        return (TRUE, Reason::WrittenUnproven, at(row.name, &unproven));
    }
    if let Some((row, failure)) = rows.iter().find_map(|row| match row.proof {
        ProofState::Stale(_, failure) => Some((row, failure)),
        _ => None,
    }) {
        return (
            TRUE,
            Reason::ProofStale,
            at(row.name, &format!("proven before, but not lately: {}", failure.message)),
        );
    }
    if let Some(grant) = &plan.unwatched {
        return (
            TRUE,
            Reason::SecretsUnwatched,
            format!(
                "Every location is proven and stands in Secret {bundle}, but the operator may not watch the Secrets of this namespace and sees changes late. Grant it: {grant}"
            ),
        );
    }
    (TRUE, Reason::ProvenAndWritten, format!("Every location is proven and stands in Secret {bundle}."))
}

fn role_proven(rows: &[Row<'_>]) -> Says {
    worst(rows, (Reason::RoleAssumed, "Every role was assumed as Quay will assume it."), |row| match row.proof {
        ProofState::Failed(step, _) if step.is_storage() => None,
        ProofState::Failed(_, failure) if failure.reason == Reason::StsEndpointUnknown => {
            Some((UNKNOWN, failure.reason, at(row.name, &failure.message)))
        }
        ProofState::Failed(_, failure) => Some((FALSE, failure.reason, at(row.name, &failure.message))),
        _ => unanswered(row),
    })
}

fn storage_proven(rows: &[Row<'_>]) -> Says {
    let mut says =
        worst(rows, (Reason::StorageWorks, "Every role did on S3 what Quay will do."), |row| match row.proof {
            ProofState::Failed(step, failure) if step.is_storage() => {
                Some((FALSE, failure.reason, at(row.name, &failure.message)))
            }
            ProofState::Failed(..) => {
                Some((UNKNOWN, Reason::NotChecked, at(row.name, "S3 is exercised once the role is assumed.")))
            }
            _ => unanswered(row),
        });
    for row in rows {
        if let (Reason::StorageWorks, ProofState::Proven(proof)) = (says.1, row.proof) {
            for note in &proof.notes {
                says.2 = format!("{} {}", says.2, at(row.name, note));
            }
        }
    }
    says
}

/// What a row says where there is neither a proof nor a failure.
fn unanswered(row: &Row<'_>) -> Option<Says> {
    match row.proof {
        ProofState::Pending => Some((UNKNOWN, Reason::ProofPending, at(row.name, PENDING))),
        ProofState::Skipped => Some((UNKNOWN, Reason::WrittenUnproven, at(row.name, "nobody tried (mode Skip)."))),
        ProofState::Stale(_, failure) => Some((TRUE, Reason::ProofStale, at(row.name, &failure.message))),
        ProofState::Proven(_) | ProofState::Earlier(_) | ProofState::Failed(..) => None,
    }
}

/// The worst that any row says, the first of its kind; what to say where none says anything.
fn worst(rows: &[Row<'_>], good: (Reason, &str), says: impl Fn(&Row<'_>) -> Option<Says>) -> Says {
    let rank = |says: &Says| [FALSE, UNKNOWN, TRUE].iter().position(|status| *status == says.0);
    rows.iter().filter_map(says).min_by_key(rank).unwrap_or_else(|| (TRUE, good.0, good.1.to_owned()))
}

fn bundle_current(rows: &[Row<'_>], bundle: &str, notes: &[String]) -> Says {
    let (status, reason, message) = bundle_alone(rows, bundle);
    let notes = notes.iter().map(String::as_str);
    (status, reason, [message.as_str()].into_iter().chain(notes).collect::<Vec<_>>().join(" "))
}

fn bundle_alone(rows: &[Row<'_>], bundle: &str) -> Says {
    let mut unknown = false;
    for row in rows {
        match row.standing {
            Err(failure) => return (FALSE, failure.reason, at(row.name, &failure.message)),
            Ok(None) => unknown = true,
            Ok(Some(())) => {}
        }
    }
    if unknown {
        (UNKNOWN, Reason::NotProven, format!("Secret {bundle} is looked at once a location has an answer."))
    } else {
        (TRUE, Reason::BundleMatches, format!("Secret {bundle} reads as intended."))
    }
}

fn consumer_current(runs: &Runs) -> Says {
    match runs {
        Runs::Current(message) => (TRUE, Reason::RolledOut, message.clone()),
        Runs::NotYet(failure) => (FALSE, failure.reason, failure.message.clone()),
        Runs::Unknown(failure) => (UNKNOWN, failure.reason, failure.message.clone()),
    }
}

fn at(location: &str, message: &str) -> String {
    format!("location {location:?}: {message}")
}

/// Conditions as the API wants them. The transition time moves only when the status does.
fn stamp(
    says: Vec<(&'static str, Says)>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let ours = says.into_iter().map(|(kind, (status, reason, message))| {
        let same = before.iter().find(|c| c.type_ == kind && c.status == status);
        Condition {
            type_: kind.into(),
            status: status.into(),
            reason: reason.as_str().into(),
            message: shortened(message, MESSAGE_LIMIT),
            observed_generation: generation,
            last_transition_time: same.map_or(Time(now), |c| c.last_transition_time.clone()),
        }
    });
    // What others say of the resource stays.
    let theirs = before.iter().filter(|condition| !OURS.contains(&condition.type_.as_str())).cloned();
    ours.chain(theirs).collect()
}
