//! The conditions, in the order in which people read them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Row, shortened};
use crate::plan::ProofState;
use crate::reason::{Failure, Reason, Remedy};

/// What a condition says: status, reason, message.
type Says = (&'static str, Reason, String);

/// The conditions that this operator says.
const OURS: [&str; 6] = ["Ready", "RoleProven", "StorageProven", "BundleCurrent", "Reconciling", "Stalled"];

/// The API refuses a condition's message over 32 KiB; people read less.
const MESSAGE_LIMIT: usize = 4096;

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
    let unknown = |what: &str| (UNKNOWN, failure.reason, format!("{what}: the spec cannot be read."));
    stamp(
        vec![
            ("Ready", (FALSE, failure.reason, failure.message.clone())),
            ("RoleProven", unknown("Nothing was proven")),
            ("StorageProven", unknown("Nothing was proven")),
            ("BundleCurrent", unknown("The bundle was not looked at")),
            ("Stalled", (TRUE, failure.reason, failure.message.clone())),
        ],
        before,
        generation,
        now,
    )
}

/// For a resource that was planned.
pub(super) fn of(
    rows: &[Row<'_>],
    bundle: &str,
    unwatched: Option<&str>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let ready = ready(rows, bundle, unwatched);
    let mut conditions = vec![
        ("Ready", ready.clone()),
        ("RoleProven", role_proven(rows)),
        (
            "StorageProven",
            (
                UNKNOWN,
                Reason::NotChecked,
                "S3 itself is not exercised by this version: only the role is proven.".into(),
            ),
        ),
        ("BundleCurrent", bundle_current(rows, bundle)),
    ];
    let waits = failures(rows).any(|(_, failure)| failure.reason.remedy() != Remedy::Edit);
    match ready.0 {
        TRUE => {}
        UNKNOWN => conditions.push(("Reconciling", (TRUE, Reason::Progressing, ready.2))),
        _ if waits => conditions.push(("Reconciling", (TRUE, Reason::ProgressingWithRetry, ready.2))),
        _ => conditions.push(("Stalled", (TRUE, ready.1, ready.2))),
    }
    stamp(conditions, before, generation, now)
}

/// Every failure, by location in spec order, its proof before its entry.
fn failures<'a>(rows: &'a [Row<'a>]) -> impl Iterator<Item = (&'a str, &'a Failure)> {
    rows.iter().flat_map(|row| {
        let proof = match row.proof {
            ProofState::Failed(failure) => Some(failure),
            ProofState::Pending | ProofState::Proven(_) | ProofState::Stale(..) | ProofState::Skipped => None,
        };
        // That an entry is kept for want of a proof is no failure of its own.
        let standing = row.standing.err().filter(|failure| failure.reason != Reason::NotProven);
        proof.into_iter().chain(standing).map(|failure| (row.name, failure))
    })
}

fn ready(rows: &[Row<'_>], bundle: &str, unwatched: Option<&str>) -> Says {
    if let Some((location, failure)) = failures(rows).next() {
        return (FALSE, failure.reason, at(location, &failure.message));
    }
    if let Some(row) = rows.iter().find(|row| *row.proof == ProofState::Pending) {
        return (UNKNOWN, Reason::ProofPending, at(row.name, "waiting for AWS to answer AssumeRole."));
    }
    if let Some(row) = rows.iter().find(|row| row.standing != Ok(Some(()))) {
        return (UNKNOWN, Reason::NotProven, at(row.name, "its role has to be proven again before it is written."));
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
    if let Some(row) = rows.iter().find(|row| *row.proof == ProofState::Skipped) {
        return (TRUE, Reason::WrittenUnproven, at(row.name, "written as asked, without a proof of its role."));
    }
    if let Some(grant) = unwatched {
        return (
            TRUE,
            Reason::SecretsUnwatched,
            format!(
                "Every role is proven and stands in Secret {bundle}, but the operator may not watch the Secrets of this namespace and sees changes late. Grant it: {grant}"
            ),
        );
    }
    (TRUE, Reason::ProvenAndWritten, format!("Every role is proven and stands in Secret {bundle}."))
}

fn role_proven(rows: &[Row<'_>]) -> Says {
    let mut says = (TRUE, Reason::RoleAssumed, "Every role was assumed as Quay will assume it.".to_owned());
    for row in rows {
        match row.proof {
            ProofState::Failed(failure) => return (FALSE, failure.reason, at(row.name, &failure.message)),
            ProofState::Pending if says.0 == TRUE => {
                says = (UNKNOWN, Reason::ProofPending, at(row.name, "waiting for AWS to answer AssumeRole."));
            }
            ProofState::Skipped if says.0 == TRUE => {
                says = (UNKNOWN, Reason::WrittenUnproven, at(row.name, "nobody tried to assume its role."));
            }
            ProofState::Stale(_, failure) if says.1 == Reason::RoleAssumed => {
                says = (TRUE, Reason::ProofStale, at(row.name, &failure.message));
            }
            ProofState::Pending | ProofState::Stale(..) | ProofState::Skipped | ProofState::Proven(_) => {}
        }
    }
    says
}

fn bundle_current(rows: &[Row<'_>], bundle: &str) -> Says {
    let mut unknown = false;
    for row in rows {
        match row.standing {
            Err(failure) => return (FALSE, failure.reason, at(row.name, &failure.message)),
            Ok(None) => unknown = true,
            Ok(Some(())) => {}
        }
    }
    if unknown {
        (UNKNOWN, Reason::NotProven, format!("Secret {bundle} is looked at once a role has an answer."))
    } else {
        (TRUE, Reason::BundleMatches, format!("Secret {bundle} reads as intended."))
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
