//! The plan: all steps from what is to what is to be.

use std::time::Duration;

use jiff::Timestamp;

use super::desired::{Desired, Trusted};
use super::entity;
use super::keys::{self, KeyPlan, Rotation};
use super::marker::Notes;
use super::observed::{Keys, Observed};
use super::step::{Kind, Step};
use crate::reason::{Failure, Reason};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The steps that can be made now, in their order. After a key was made there is another plan.
    pub steps: Vec<Step>,
    /// Where the rotation of the key is, where there is one.
    pub rotation: Option<Rotation>,
    /// How long until there is something to do, if nothing else happens.
    pub again: Option<Duration>,
    /// What somebody else has to do.
    pub missing: Option<Failure>,
}

impl Plan {
    /// Plans.
    ///
    /// # Errors
    /// `IdentityTaken`: the user or the role is somebody else's. Nothing is done then.
    pub fn make(desired: &Desired, observed: &Observed, now: Timestamp) -> Result<Self, Failure> {
        let mut steps = Vec::new();
        // Whose the role is is known before anything is made of the user.
        let role = entity::steps(desired, &desired.role, Kind::Role, observed.role.as_ref())?;
        if let Some(user) = desired.user() {
            steps.extend(entity::steps(desired, user, Kind::User, observed.user.as_ref())?);
        }
        steps.extend(role);
        let keys = match (&desired.trusted, &observed.keys) {
            (Trusted::User { rotation, .. }, Some(keys)) => {
                let notes = observed.user.as_ref().map(|user| Notes::of(&user.tags)).unwrap_or_default();
                Some(keys::plan(keys, &notes, *rotation, now))
            }
            _ => None,
        };
        let (rotation, again) = match keys {
            Some(KeyPlan { steps: more, rotation, again }) => {
                steps.extend(more);
                (Some(rotation), again)
            }
            None => (None, None),
        };
        Ok(Self { steps, rotation, again, missing: missing_provider(desired, observed) })
    }

    /// Plans the end of everything that was made.
    ///
    /// # Errors
    /// As of [`Plan::make`].
    pub fn remove(desired: &Desired, observed: &Observed) -> Result<Vec<Step>, Failure> {
        let mut steps = Vec::new();
        if let Some(user) = desired.user() {
            let removal = entity::removal(desired, user, Kind::User, observed.user.as_ref())?;
            let listed = observed.keys.iter().flat_map(|Keys { listed, .. }| listed);
            steps.extend(listed.filter(|_| !removal.is_empty()).map(|key| Step::DeleteKey(key.id.clone())));
            steps.extend(removal);
        }
        steps.extend(entity::removal(desired, &desired.role, Kind::Role, observed.role.as_ref())?);
        Ok(steps)
    }
}

fn missing_provider(desired: &Desired, observed: &Observed) -> Option<Failure> {
    let Trusted::WebIdentity { provider, issuer, audience } = &desired.trusted else { return None };
    (observed.has_provider == Some(false)).then(|| {
        Failure::new(
            Reason::ProviderMissing,
            format!(
                "The account has no identity provider {provider} for audience {audience}, so AWS takes no token of this cluster. Its administrator creates it: aws iam create-open-id-connect-provider --url {issuer} --client-id-list {audience} (or, where it is there: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {provider} --client-id {audience})"
            ),
        )
    })
}
