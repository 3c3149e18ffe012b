//! What came of a pass, as status says it.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::desired::{Desired, Trusted};
use super::keys::Rotation;
use super::marker::{Notes, Phase};
use super::observed::{Key, KeySecret, LastUsed, Observed};
use super::plan::Plan;
use crate::api::storage_identity::{KeyState, KeyStatus, StorageIdentityStatus};
use crate::plan::key::last_four;
use crate::reason::{Failure, Reason, Remedy};
use crate::status::{Says, stamp};

/// The conditions that this operator says.
const OURS: [&str; 6] = ["Ready", "Provisioned", "Rotating", "Reconciling", "Stalled", "Suspended"];

const SUSPENDED: &str = "Nothing is looked at, made or rotated while spec.suspend is true. Set it to false to go on.";

/// What came of a pass.
pub enum Outcome<'a> {
    /// Nothing was looked at: why.
    Refused(&'a Failure),
    /// Nothing is to be looked at.
    Suspended,
    /// What was seen last, what is still to be done, and why that was not done.
    Planned {
        /// What is to be.
        desired: &'a Desired,
        /// By which policy.
        policy: &'a str,
        /// What was seen; none if it could not be.
        seen: Option<(&'a Observed, &'a Plan)>,
        /// What was tried last and did not come to be.
        failed: Option<&'a Failure>,
    },
}

/// A condition, and what it says.
type Said = (&'static str, Says);

/// The status after a pass.
pub fn report(
    outcome: &Outcome<'_>,
    before: Option<&StorageIdentityStatus>,
    generation: Option<i64>,
    now: Timestamp,
) -> StorageIdentityStatus {
    let mut status = StorageIdentityStatus { observed_generation: generation, ..before.cloned().unwrap_or_default() };
    let was = before.map_or(&[][..], |before| &before.conditions);
    let says = match outcome {
        Outcome::Refused(failure) => nothing_known(failure, was),
        Outcome::Suspended => {
            let suspended = |status| (status, Reason::Suspended, SUSPENDED.to_owned());
            let mut says = vec![("Ready", suspended("Unknown")), ("Suspended", suspended("True"))];
            says.extend(not_looked_at(was, &Failure::new(Reason::Suspended, SUSPENDED)));
            says
        }
        Outcome::Planned { desired, policy, seen, failed } => {
            status.policy_name = Some((*policy).to_owned());
            if let Some((observed, plan)) = seen {
                names(&mut status, desired, observed, plan);
            }
            let unanswered = failed.filter(|failure| seen.is_none() && failure.reason == Reason::IamUnanswered);
            let was_ready = was.iter().any(|c| c.type_ == "Ready" && c.status == "True");
            match unanswered.filter(|_| was_ready) {
                // What was seen a while ago is not known to be otherwise.
                Some(failure) => as_it_was(was, failure),
                None => planned(*seen, *failed, was),
            }
        }
    };
    status.conditions = stamp(&OURS, says, was, (generation, now));
    status
}

fn nothing_known(failure: &Failure, was: &[Condition]) -> Vec<Said> {
    let mut says = vec![("Ready", ("False", failure.reason, failure.message.clone()))];
    says.push(("Provisioned", unseen(failure)));
    says.extend(not_looked_at(was, failure));
    says.push(goes_on(failure));
    says
}

fn unseen(failure: &Failure) -> Says {
    ("Unknown", failure.reason, format!("Nothing was looked at: {}", failure.message))
}

/// A rotation that was under way is not over because nobody sees it.
fn not_looked_at(was: &[Condition], failure: &Failure) -> Option<Said> {
    was.iter().any(|condition| condition.type_ == "Rotating").then(|| ("Rotating", unseen(failure)))
}

/// What was said of user, role and keys, once more, and why it is not looked at.
fn as_it_was(was: &[Condition], failure: &Failure) -> Vec<Said> {
    let said = ["Ready", "Provisioned", "Rotating"].into_iter().filter_map(|kind| {
        let condition = was.iter().find(|condition| condition.type_ == kind)?;
        let reason = Reason::ALL.iter().find(|reason| reason.as_str() == condition.reason)?;
        let status = ["True", "False", "Unknown"].into_iter().find(|status| *status == condition.status)?;
        Some((kind, (status, *reason, condition.message.clone())))
    });
    said.chain([("Reconciling", ("True", Reason::ProgressingWithRetry, failure.message.clone()))]).collect()
}

fn goes_on(failure: &Failure) -> Said {
    match failure.reason.remedy() {
        Remedy::Edit => ("Stalled", ("True", failure.reason, failure.message.clone())),
        Remedy::Waits | Remedy::None => {
            ("Reconciling", ("True", Reason::ProgressingWithRetry, failure.message.clone()))
        }
    }
}

fn planned(seen: Option<(&Observed, &Plan)>, failed: Option<&Failure>, was: &[Condition]) -> Vec<Said> {
    let Some((_, plan)) = seen else {
        return failed.map(|failure| nothing_known(failure, was)).unwrap_or_default();
    };
    let is_provisioned = plan.steps.is_empty() && failed.is_none();
    let mut says = Vec::new();
    let rotating = plan.rotation.as_ref().and_then(rotating);
    let hindrance = failed.cloned().or_else(|| plan.missing.clone()).or_else(|| hindrance(plan.rotation.as_ref()));
    match &hindrance {
        None => says.push(("Ready", ("True", Reason::Provisioned, ready(plan)))),
        Some(failure) => says.push(("Ready", ("False", failure.reason, failure.message.clone()))),
    }
    says.push(match failed.filter(|_| !is_provisioned) {
        None => ("Provisioned", ("True", Reason::Provisioned, "User, role and policies are as intended.".to_owned())),
        Some(failure) => ("Provisioned", ("False", failure.reason, failure.message.clone())),
    });
    says.extend(rotating);
    says.extend(hindrance.as_ref().map(goes_on));
    says
}

fn ready(plan: &Plan) -> String {
    match &plan.rotation {
        None => "The role is as intended.".to_owned(),
        Some(Rotation::Settled(next)) => {
            format!(
                "User, role and key are as intended. The key is replaced at {}.",
                next.strftime("%Y-%m-%dT%H:%M:%SZ")
            )
        }
        Some(_) => "User, role and key are as intended; the key is being replaced.".to_owned(),
    }
}

/// What keeps the key from being usable, or from being replaced.
fn hindrance(rotation: Option<&Rotation>) -> Option<Failure> {
    match rotation? {
        Rotation::Stopped { failure, .. } => Some(failure.clone()),
        Rotation::Making { is_working: false } => {
            Some(Failure::new(Reason::MakingKey, "An access key is being made, and proven before it is handed out."))
        }
        _ => None,
    }
}

/// Where the rotation is; nothing while there is none.
fn rotating(rotation: &Rotation) -> Option<Said> {
    let until = |then: &Timestamp| then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (reason, message) = match rotation {
        Rotation::Settled(_) => return None,
        Rotation::Making { .. } => (
            Reason::MakingKey,
            "A new key is made, proven three times over a minute, and then put into the Secret.".into(),
        ),
        Rotation::WaitingForConsumers(who) => {
            (Reason::WaitingForConsumers, format!("The old key works until everybody has the new one. {who}."))
        }
        Rotation::KeepingOldKey(then) => (
            Reason::KeepingOldKey,
            format!(
                "Everybody has the new key. The old one works at least until {}, and until it was not used for as long.",
                until(then)
            ),
        ),
        Rotation::ConfirmationNeeded(ask) => (Reason::ConfirmationNeeded, format!("The old key stays active: {ask}")),
        Rotation::OldKeyInactive(then) => (
            Reason::OldKeyInactive,
            format!("The old key is inactive. It is deleted at {} if nobody misses it.", until(then)),
        ),
        Rotation::OldKeyStillUsed(who) => {
            (Reason::OldKeyStillUsed, format!("The old key was deactivated and missed, and works again. {who}."))
        }
        Rotation::Stopped { failure, .. } => (failure.reason, failure.message.clone()),
    };
    Some(("Rotating", ("True", reason, message)))
}

fn names(status: &mut StorageIdentityStatus, desired: &Desired, observed: &Observed, plan: &Plan) {
    status.role_arn = observed.role.as_ref().map(|role| role.arn.clone());
    status.user_arn = observed.user.as_ref().map(|user| user.arn.clone());
    status.next_rotation_time = match &plan.rotation {
        Some(Rotation::Settled(next)) => Some(Time(*next)),
        _ => None,
    };
    let (Some(keys), Trusted::User { secret, .. }) = (&observed.keys, &desired.trusted) else { return };
    let in_secret = match &keys.secret {
        KeySecret::Holds(id) => id.as_deref(),
        KeySecret::Absent | KeySecret::Unusable(_) => None,
    };
    // A Secret that was named stays named while it is gone: those who use it wait for it.
    if in_secret.is_some() {
        status.secret_name = Some(secret.clone());
    }
    let notes = observed.user.as_ref().map(|user| Notes::of(&user.tags)).unwrap_or_default();
    let state = |key: &Key| match (notes.markers.get(&key.id).map(|marker| marker.phase), key.is_active) {
        _ if in_secret == Some(&key.id) => KeyState::Current,
        (None, _) => KeyState::Foreign,
        (Some(Phase::Pending), _) => KeyState::Pending,
        (Some(_), true) => KeyState::Old,
        (Some(_), false) => KeyState::Inactive,
    };
    let mut listed: Vec<&Key> = keys.listed.iter().collect();
    listed.sort_by_key(|key| (in_secret != Some(key.id.as_str()), std::cmp::Reverse(key.created)));
    status.keys = listed
        .into_iter()
        .map(|key| KeyStatus {
            last_four: last_four(&key.id).to_owned(),
            state: state(key),
            created: Time(key.created),
            last_used: match &key.last_used {
                LastUsed::At(at) => Some(Time(*at)),
                LastUsed::Never | LastUsed::Unknown(_) => None,
            },
        })
        .collect();
}
