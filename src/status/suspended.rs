//! The status of a resource that is suspended: nobody looks, so nothing that is said changes but for what cannot be known.

use jiff::Timestamp;

use super::{conditions, locations};
use crate::api::status::QuayStorageStatus;
use crate::reason::{Failure, Reason};

/// The status, given the one that is there, which speaks of the same spec unless that `moved`.
pub(super) fn status(
    moved: bool,
    before: QuayStorageStatus,
    generation: Option<i64>,
    now: Timestamp,
) -> QuayStorageStatus {
    let conditions = conditions::suspended(moved, &before.conditions, generation, now);
    let known = QuayStorageStatus { observed_generation: generation, conditions, ..before };
    if !moved {
        return known;
    }
    let unknown = locations::unknown(&Failure::new(Reason::Suspended, ""), &known.locations);
    QuayStorageStatus { summary: None, locations: unknown, ..known }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    use super::*;

    const THEN: Timestamp = Timestamp::UNIX_EPOCH;

    fn said(conditions: &[(&str, &str, &str)]) -> QuayStorageStatus {
        let condition = |(kind, status, reason): &(&str, &str, &str)| Condition {
            type_: (*kind).into(),
            status: (*status).into(),
            reason: (*reason).into(),
            message: "(said before)".into(),
            observed_generation: Some(1),
            last_transition_time: Time(THEN),
        };
        QuayStorageStatus {
            observed_generation: Some(1),
            summary: Some("1/1".into()),
            conditions: conditions.iter().map(condition).collect(),
            last_handled_reconcile_at: Some("monday".into()),
            ..QuayStorageStatus::default()
        }
    }

    fn words(status: &QuayStorageStatus) -> Vec<String> {
        status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect()
    }

    #[test]
    fn what_was_said_of_the_same_spec_stays_said_but_that_it_is_tried_again() {
        let before = said(&[
            ("Ready", "False", "PutDenied"),
            ("Reconciling", "True", "ProgressingWithRetry"),
            ("TheirsAlone", "True", "Theirs"),
        ]);
        let now = THEN + jiff::SignedDuration::from_hours(1);
        let after = status(false, before, Some(2), now);
        assert_eq!(words(&after), ["Ready=False PutDenied", "Suspended=True Suspended", "TheirsAlone=True Theirs"]);
        assert_eq!(after.conditions[0].observed_generation, Some(2));
        assert_eq!(after.conditions[0].last_transition_time, Time(THEN));
        assert_eq!((after.observed_generation, after.summary.as_deref()), (Some(2), Some("1/1")));
        assert_eq!(after.last_handled_reconcile_at.as_deref(), Some("monday"));
        assert_eq!(status(false, after.clone(), Some(2), now), after, "it is said once");
    }

    #[test]
    fn of_a_spec_that_moved_nothing_is_known() {
        let before = said(&[("Ready", "True", "ProvenAndWritten"), ("Stalled", "True", "WouldMoveData")]);
        let after = status(true, before, Some(2), THEN);
        assert_eq!(
            words(&after),
            [
                "Ready=Unknown Suspended",
                "RoleProven=Unknown Suspended",
                "StorageProven=Unknown Suspended",
                "BundleCurrent=Unknown Suspended",
                "Suspended=True Suspended"
            ]
        );
        assert_eq!((after.summary.as_deref(), after.observed_generation), (None, Some(2)));
        assert_eq!(status(false, after.clone(), Some(2), THEN), after, "it is said once");
    }
}
