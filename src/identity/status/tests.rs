//! What stays said while nothing can be seen.

use serde_json::json;

use super::*;
use crate::api::{IdentityPolicy, StorageIdentity};

fn desired() -> Desired {
    let spec = json!({"trust": "user", "storage": [{"bucket": "blobs"}]});
    let mut resource = StorageIdentity::new("example", serde_json::from_value(spec).unwrap());
    resource.metadata.namespace = Some("quay".into());
    let spec = json!({"namespaces": ["quay"], "storage": [{"bucket": "blobs", "paths": ["/datastorage"]}],
        "permissionsBoundaryArn": "arn:aws:iam::123492922789:policy/boundary"});
    let policy = IdentityPolicy::new("quay", serde_json::from_value(spec).unwrap());
    let unknown = Err(Failure::new(Reason::IssuerUnknown, ""));
    Desired::parse(&resource, &policy, &"prod".parse().unwrap(), unknown).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A key that is being replaced.
fn rotating(ready: &'static str) -> StorageIdentityStatus {
    let said: Vec<Said> = vec![
        ("Ready", (ready, Reason::Provisioned, "All is well.".into())),
        ("Provisioned", ("True", Reason::Provisioned, "As intended.".into())),
        ("Rotating", ("True", Reason::ConfirmationNeeded, "Who uses it?".into())),
    ];
    StorageIdentityStatus { conditions: stamp(&OURS, said, &[], (Some(1), at(0))), ..Default::default() }
}

/// Kind, status, reason and since when, of each condition.
fn told(status: &StorageIdentityStatus) -> Vec<(&str, &str, &str, i64)> {
    let told = |c: &'_ Condition| c.last_transition_time.0.as_second();
    status.conditions.iter().map(|c| (&*c.type_, &*c.status, &*c.reason, told(c))).collect()
}

fn unseen(reason: Reason, before: &StorageIdentityStatus) -> StorageIdentityStatus {
    let failure = Failure::new(reason, "Why.");
    let outcome = Outcome::Planned { desired: &desired(), policy: "quay", seen: None, failed: Some(&failure) };
    report(&outcome, Some(before), Some(1), at(9))
}

#[test]
fn while_iam_does_not_answer_what_was_seen_stays_said() {
    let expected = [
        ("Ready", "True", "Provisioned", 0),
        ("Provisioned", "True", "Provisioned", 0),
        ("Rotating", "True", "ConfirmationNeeded", 0),
        ("Reconciling", "True", "ProgressingWithRetry", 9),
    ];
    assert_eq!(told(&unseen(Reason::IamUnanswered, &rotating("True"))), expected);
}

#[test]
fn a_rotation_is_not_over_because_it_is_not_seen() {
    let forbidden = unseen(Reason::IamForbidden, &rotating("True"));
    assert_eq!(
        told(&forbidden)[..3],
        [
            ("Ready", "False", "IamForbidden", 9),
            ("Provisioned", "Unknown", "IamForbidden", 9),
            ("Rotating", "Unknown", "IamForbidden", 9),
        ]
    );
    let unanswered = unseen(Reason::IamUnanswered, &rotating("False"));
    assert_eq!(told(&unanswered)[2], ("Rotating", "Unknown", "IamUnanswered", 9));

    let suspended = report(&Outcome::Suspended, Some(&rotating("True")), Some(2), at(9));
    let rotation = |status: &StorageIdentityStatus| {
        told(status)
            .iter()
            .find(|told| told.0 == "Rotating")
            .copied()
            .map(|told| (told.1.to_owned(), told.2.to_owned()))
    };
    assert_eq!(rotation(&suspended), Some(("Unknown".into(), "Suspended".into())));
    // And no rotation begins by that.
    let settled = StorageIdentityStatus::default();
    assert_eq!(rotation(&unseen(Reason::IamForbidden, &settled)), None);
    assert_eq!(rotation(&report(&Outcome::Suspended, Some(&settled), Some(2), at(9))), None);
}
