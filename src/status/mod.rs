//! PURE: what was planned and what came of it, turned into status.

mod conditions;
mod locations;
mod says;
mod suspended;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::status::{ConfigBundleStatus, QuayStorageStatus, WrittenLocation};
use crate::plan::{BundleWrite, Plan, ProofState, Standing, Standings};
use crate::reason::{Failure, Reason};
use crate::rollout::Runs;

/// What became of a resource in one pass.
pub enum Outcome<'a> {
    /// It cannot be read as a `QuayStorage`.
    Invalid(Failure),
    /// Which bundle it speaks of, or which Quay reads that, cannot be known.
    Unresolved(Failure),
    /// Somebody asked that nothing be done.
    Suspended {
        /// What status says may be of another spec.
        moved: bool,
    },
    /// It was planned, and the plan carried out.
    Planned {
        /// The bundle Secret's name.
        bundle: &'a str,
        /// The plan.
        plan: &'a Plan,
        /// What came of its write.
        written: &'a Written,
        /// Whether Quay runs what was written; none where nobody says what runs it.
        runs: Option<&'a Runs>,
    },
}

/// What came of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// There was nothing to write.
    NotNeeded,
    /// The Secret was changed.
    Done {
        /// Its new resourceVersion.
        resource_version: String,
        /// When, by the clock of the API server, if it said so.
        at: Option<Timestamp>,
    },
    /// The API server did not take it; the bundle is as it was.
    Failed(Failure),
}

/// A location's proof and its entry, as one row.
struct Row<'a> {
    name: &'a str,
    proof: &'a ProofState,
    principal: Option<&'a str>,
    standing: Result<Option<()>, &'a Failure>,
    place: Option<&'a str>,
    of: Option<&'a str>,
    /// Another resource writes it.
    claimed: bool,
}

/// The status to report, given the one that is there.
pub fn report(
    outcome: &Outcome<'_>,
    previous: Option<&QuayStorageStatus>,
    generation: Option<i64>,
    now: Timestamp,
) -> QuayStorageStatus {
    let before = previous.cloned().unwrap_or_default();
    let now = whole_seconds(now);
    let (bundle, plan, written, runs) = match outcome {
        Outcome::Invalid(failure) => {
            return QuayStorageStatus {
                observed_generation: generation,
                last_handled_reconcile_at: before.last_handled_reconcile_at,
                last_handled_prove_at: before.last_handled_prove_at,
                conditions: conditions::invalid(failure, &before.conditions, generation, now),
                summary: None,
                locations: Vec::new(),
                config_bundle: before.config_bundle,
            };
        }
        Outcome::Unresolved(failure) => {
            return QuayStorageStatus {
                observed_generation: generation,
                last_handled_reconcile_at: before.last_handled_reconcile_at,
                last_handled_prove_at: before.last_handled_prove_at,
                conditions: conditions::unresolved(failure, &before.conditions, generation, now),
                summary: None,
                // What was written and proven before is needed again once it is known.
                locations: locations::unknown(failure, &before.locations),
                config_bundle: before.config_bundle,
            };
        }
        Outcome::Suspended { moved } => return suspended::status(*moved, before, generation, now),
        Outcome::Planned { bundle, plan, written, runs } => (*bundle, *plan, *written, *runs),
    };
    let rows = rows(plan, written);
    let proven =
        |row: &Row<'_>| matches!(row.proof, ProofState::Proven(_) | ProofState::Earlier(_) | ProofState::Stale(..));
    let right = rows.iter().filter(|row| proven(row) && row.standing == Ok(Some(()))).count();
    QuayStorageStatus {
        observed_generation: generation,
        last_handled_reconcile_at: before.last_handled_reconcile_at,
        last_handled_prove_at: before.last_handled_prove_at,
        summary: Some(format!("{right}/{}", rows.len())),
        conditions: conditions::of(&rows, bundle, (plan, runs), &before.conditions, generation, now),
        config_bundle: Some(config_bundle((bundle, plan), &rows, written, before.config_bundle, now)),
        locations: rows.iter().map(|row| locations::of(row, &before.locations)).collect(),
    }
}

/// The API keeps whole seconds: a finer time would differ from itself once it is read back.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The API refuses a condition's message over 32 KiB; people read less.
const MESSAGE_LIMIT: usize = 4096;

/// Status, reason, message.
pub type Says = (&'static str, Reason, String);

/// Conditions as the API wants them. The transition time moves only when the status does, and what others than `ours` say of
/// the resource stays.
pub fn stamp(
    ours: &[&str],
    says: Vec<(&'static str, Says)>,
    before: &[Condition],
    (generation, now): (Option<i64>, Timestamp),
) -> Vec<Condition> {
    let said = says.into_iter().map(|(kind, (status, reason, message))| {
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
    let theirs = before.iter().filter(|condition| !ours.contains(&condition.type_.as_str())).cloned();
    said.chain(theirs).collect()
}

/// A text of at most so many bytes, with an ellipsis where the rest was.
pub fn shortened(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Whether a status says no more than that the first answer is awaited.
pub fn is_pending(status: &QuayStorageStatus) -> bool {
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    ready.is_some_and(|ready| ready.reason == Reason::ProofPending.as_str())
}

fn rows<'a>(plan: &'a Plan, written: &'a Written) -> Vec<Row<'a>> {
    let concerned = |name: &String| {
        plan.write.as_ref().is_none_or(|write| write.locations.is_empty() || write.locations.contains(name))
    };
    let standing = |index: usize, name: &String| match (&plan.standings, written) {
        (Standings::NotLooked, _) => Ok(None),
        (Standings::Unusable(failure), _) => Err(failure),
        (Standings::Each(each), written) => match (each.get(index), written) {
            // What a failed write was to bring is not there.
            (Some(Standing::Kept(failure)), _) => Err(failure),
            (_, Written::Failed(failure)) if concerned(name) => Err(failure),
            (Some(Standing::Current), _) => Ok(Some(())),
            (None, _) => Ok(None),
        },
    };
    plan.locations
        .iter()
        .enumerate()
        .map(|(index, location)| Row {
            name: &location.name,
            proof: &location.proof,
            principal: location.principal.as_deref(),
            standing: standing(index, &location.name),
            place: location.place.as_deref(),
            of: location.of.as_deref(),
            claimed: location.claimed,
        })
        .collect()
}

fn config_bundle(
    (secret_name, plan): (&str, &Plan),
    rows: &[Row<'_>],
    written: &Written,
    before: Option<ConfigBundleStatus>,
    now: Timestamp,
) -> ConfigBundleStatus {
    let is_same = |before: &&ConfigBundleStatus| before.secret_name == secret_name;
    let (resource_version, last_written_time) = match (written, before.as_ref().filter(is_same)) {
        (Written::Done { resource_version, at }, _) => (Some(resource_version.clone()), Some(Time(at.unwrap_or(now)))),
        (_, Some(before)) => (before.resource_version.clone(), before.last_written_time.clone()),
        (_, None) => (None, None),
    };
    let source_version = match (written, &plan.write) {
        (Written::Done { .. }, Some(BundleWrite { output: Some(output), .. })) => Some(output.source_version.clone()),
        _ => before.as_ref().filter(is_same).and_then(|before| before.source_version.clone()),
    };
    // Another bundle is another Quay, unless it is the registry that names another.
    let before = before.filter(|before| plan.follows_registry || is_same(&before));
    let was_written = |name: &str| before.as_ref().and_then(|b| b.locations.iter().find(|l| l.name == name).cloned());
    // One that left the spec stays in the bundle, but is no longer this resource's.
    let locations = rows.iter().filter(|row| !row.claimed).filter_map(|row| match (row.standing, row.place) {
        (Ok(Some(())), Some(place)) => {
            Some(WrittenLocation { name: row.name.into(), place: place.into(), of: row.of.map(str::to_owned) })
        }
        _ => was_written(row.name),
    });
    let locations = locations.collect();
    let (contested, pending) = (plan.contested.clone(), plan.pending.clone());
    ConfigBundleStatus {
        secret_name: secret_name.into(),
        resource_version,
        source_version,
        last_written_time,
        locations,
        pending,
        contested,
    }
}

#[cfg(test)]
mod tests;
