//! From a user or role as it is to what it is to be.

use super::desired::{Desired, Entity, POLICY_NAME};
use super::document::same;
use super::observed::Found;
use super::owner::Whose;
use super::step::{Kind, Step};
use crate::reason::{Failure, Reason};

/// The steps that make a user or role what it is to be, in their order.
///
/// # Errors
/// `IdentityTaken`: it is another's, or nobody's and may not be taken over.
pub fn steps(desired: &Desired, wanted: &Entity, kind: Kind, found: Option<&Found>) -> Result<Vec<Step>, Failure> {
    let Some(found) = found else { return Ok(vec![Step::Create(kind), Step::PutPolicy(kind)]) };
    let mut steps = Vec::new();
    is_ours(desired, wanted, kind, found)?;
    if desired.owner.tags().iter().any(|(key, value)| found.tags.get(key) != Some(value)) {
        steps.push(Step::Tag(kind));
    }
    if found.boundary.as_ref() != Some(&desired.boundary) {
        steps.push(Step::Bound(kind));
    }
    if kind == Kind::Role && !found.trust.as_ref().is_some_and(|trust| same(trust, &desired.trust)) {
        steps.push(Step::Trust);
    }
    if !found.inline.get(POLICY_NAME).is_some_and(|document| same(document, &wanted.permissions)) {
        steps.push(Step::PutPolicy(kind));
    }
    let others = found.inline.keys().filter(|name| *name != POLICY_NAME);
    steps.extend(others.map(|name| Step::DeletePolicy(kind, name.clone())));
    steps.extend(found.attached.iter().map(|policy| Step::Detach(kind, policy.clone())));
    Ok(steps)
}

/// The steps that remove it: all that hangs on it first.
///
/// # Errors
/// As of [`steps`].
pub fn removal(desired: &Desired, wanted: &Entity, kind: Kind, found: Option<&Found>) -> Result<Vec<Step>, Failure> {
    let Some(found) = found else { return Ok(Vec::new()) };
    is_ours(desired, &Entity { may_be_taken: false, ..wanted.clone() }, kind, found)?;
    // IAM lets us change policies within the boundary only.
    let is_bound = found.boundary.as_ref() == Some(&desired.boundary);
    let bound = (!is_bound).then_some(Step::Bound(kind));
    let policies = found.inline.keys().map(|name| Step::DeletePolicy(kind, name.clone()));
    let attached = found.attached.iter().map(|policy| Step::Detach(kind, policy.clone()));
    Ok(bound.into_iter().chain(policies).chain(attached).chain([Step::Delete(kind)]).collect())
}

/// That it is this resource's, or may be taken over, and stands where the operator may change it.
fn is_ours(desired: &Desired, wanted: &Entity, kind: Kind, found: &Found) -> Result<(), Failure> {
    let (word, name) = (kind.word(), &wanted.name);
    let taken = |message: String| Err(Failure::new(Reason::IdentityTaken, message));
    if found.arn != wanted.arn {
        let move_it = match kind {
            Kind::User => format!(", or move it: aws iam update-user --user-name {name} --new-path {}", desired.path),
            Kind::Role => " (a role cannot be moved)".to_owned(),
        };
        return taken(format!(
            "IAM {word} {name} exists as {}, and the IdentityPolicy has path {}. It was left as it is. Give another {word}Name{move_it}.",
            found.arn, desired.path
        ));
    }
    match desired.owner.reads(&found.tags) {
        Whose::Ours => Ok(()),
        Whose::Nobodys if wanted.may_be_taken => Ok(()),
        Whose::Nobodys => taken(format!(
            "IAM {word} {name} exists, and does not carry this operator's tags. It was left as it is. Give another {word}Name; or the cluster's administrator lets it be taken over: spec.takeOver of the IdentityPolicy with {name}."
        )),
        Whose::Others(whose) => taken(format!(
            "IAM {word} {name} belongs to {whose}, as its tags say. It was left as it is. Give another {word}Name; if that cluster is gone, delete the {word}, or remove its registry-sts.dev/ tags."
        )),
    }
}
