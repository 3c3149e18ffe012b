//! What each condition says of a resource that was planned.

use super::Row;
use crate::api::quay_storage::Mode;
use crate::plan::{Plan, ProofState, Restorable};
use crate::reason::{Failure, Reason};
use crate::rollout::Runs;

pub(super) use super::Says;

pub(super) const TRUE: &str = "True";
pub(super) const FALSE: &str = "False";
pub(super) const UNKNOWN: &str = "Unknown";

/// Of a location without an answer yet.
const PENDING: &str = "waiting for AWS to answer.";

/// Every failure that keeps a resource from being ready, by location in spec order, its proof before its entry.
pub(super) fn failures<'a>(rows: &'a [Row<'a>], mode: Mode) -> impl Iterator<Item = (&'a str, &'a Failure)> {
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

pub(super) fn ready(rows: &[Row<'_>], bundle: &str, plan: &Plan) -> Says {
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

pub(super) fn role_proven(rows: &[Row<'_>]) -> Says {
    worst(rows, (Reason::RoleAssumed, "Every role was assumed as Quay will assume it."), |row| match row.proof {
        ProofState::Failed(step, _) if step.is_storage() => None,
        ProofState::Failed(_, failure) if failure.reason == Reason::StsEndpointUnknown => {
            Some((UNKNOWN, failure.reason, at(row.name, &failure.message)))
        }
        ProofState::Failed(_, failure) => Some((FALSE, failure.reason, at(row.name, &failure.message))),
        _ => unanswered(row),
    })
}

pub(super) fn storage_proven(rows: &[Row<'_>]) -> Says {
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

pub(super) fn bundle_current(rows: &[Row<'_>], bundle: &str, notes: &[String]) -> Says {
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

pub(super) fn restorable(restorable: &Restorable) -> Says {
    match restorable {
        Restorable::Kept(secret) => (
            TRUE,
            Reason::BackupMade,
            format!(
                "Secret {secret} keeps what stood in the bundle before the first write. It is put back when this resource is deleted, if nobody has changed the entry since and it is proven to work then."
            ),
        ),
        Restorable::NotYet => (
            UNKNOWN,
            Reason::NothingWritten,
            "Nothing was written yet. What stands there is kept before that.".to_owned(),
        ),
        Restorable::Lost(failure) => (FALSE, failure.reason, failure.message.clone()),
    }
}

pub(super) fn consumer_current(runs: &Runs) -> Says {
    match runs {
        Runs::Current(message) => (TRUE, Reason::RolledOut, message.clone()),
        Runs::NotYet(failure) => (FALSE, failure.reason, failure.message.clone()),
        Runs::Unknown(failure) => (UNKNOWN, failure.reason, failure.message.clone()),
    }
}

fn at(location: &str, message: &str) -> String {
    format!("location {location:?}: {message}")
}
