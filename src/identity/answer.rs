//! What an answer of IAM means for people.

use super::desired::Desired;
use super::step::Step;
use crate::reason::{Failure, Reason};
use crate::verdict::Answer;

/// A call that was not answered as hoped: which action, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The action as policies name it, for example `iam:GetUser`.
    pub action: &'static str,
    /// What was answered.
    pub answer: Answer,
}

impl Unanswered {
    /// What it means, for a step or for a look.
    pub fn failure(&self, desired: &Desired, step: Option<&Step>) -> Failure {
        let (action, role) = (self.action, &desired.role.name);
        let tried = step.map_or_else(|| action.to_owned(), |step| format!("{action} ({})", step.says(desired)));
        let Answer::Refused(refused) = &self.answer else {
            let message = format!("IAM answered {tried} with {}. It is tried again.", self.answer);
            return Failure::new(Reason::IamUnanswered, message);
        };
        match refused.code.as_str() {
            "AccessDenied" => Failure::new(
                Reason::IamForbidden,
                format!(
                    "IAM does not allow {tried}. The operator's own role needs the policy that `registry-sts policy --operator -f <IdentityPolicies> --cluster-id {}` prints; if it has it, the user or role lies outside of that, or an organization's policy denies it.",
                    desired.owner.cluster
                ),
            ),
            "NoSuchEntity" if matches!(step, Some(Step::Create(_) | Step::Bound(_))) => Failure::new(
                Reason::IamUnanswered,
                format!(
                    "IAM answered {tried} with NoSuchEntity: is there a policy {} (permissionsBoundaryArn of the IdentityPolicy)? It is tried again.",
                    desired.boundary
                ),
            ),
            "MalformedPolicyDocument"
                if desired.user().is_some() && matches!(step, Some(Step::Create(_) | Step::Trust)) =>
            {
                Failure::new(
                    Reason::PrincipalPending,
                    format!(
                        "IAM does not know yet whom role {role} is to trust: a new user takes some seconds to be known everywhere. It is tried again."
                    ),
                )
            }
            "DeleteConflict" => Failure::new(
                Reason::InUse,
                format!(
                    "IAM does not do {tried}: there is something on it that this operator has not made, such as a password, a group or an MFA device. Remove that; it is tried again."
                ),
            ),
            code => {
                Failure::new(Reason::IamUnanswered, format!("IAM answered {tried} with {code}. It is tried again."))
            }
        }
    }
}
