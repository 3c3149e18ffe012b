//! What is to be proven of a location, once it is known who assumes its role; or the step at which that ends.

use super::desired::Wanted;
use super::key::AccessKey;
use super::web_identity::PodIdentity;
use crate::arn::RoleArn;
use crate::consumer::{Consumer, StsEndpoints};
use crate::reason::Failure;
use crate::target::{Principal, Target, same_partition, sts_endpoints};
use crate::verdict::Step;

impl Wanted {
    /// With an access key as it was read, and the STS hosts as far as they can be known.
    ///
    /// # Errors
    /// The step that fails before anything is asked.
    pub fn assumed_with(
        &self,
        key: &Result<AccessKey, Failure>,
        role: &RoleArn,
        sts: &Result<StsEndpoints, Failure>,
        consumer: &Consumer,
    ) -> Result<Target, (Step, Failure)> {
        let key = key.as_ref().map_err(|failure| (Step::Principal, failure.clone()))?;
        let sts = sts.as_ref().map_err(|failure| (Step::AssumeRole, failure.clone()))?;
        let asked = (sts.clone(), &consumer.environment);
        Ok(self.target(Principal::Key(key.clone()), role.clone(), asked, consumer.version))
    }

    /// By Quay's pods, which have the role and the environment that their service account gives them.
    ///
    /// # Errors
    /// The step that fails before anything is asked.
    pub fn assumed_by(&self, pod: &PodIdentity, consumer: &Consumer) -> Result<Target, (Step, Failure)> {
        let environment = pod.environment(&consumer.environment);
        same_partition(&pod.role, &self.endpoint)
            .and_then(|()| sts_endpoints(&environment, &pod.role))
            .map(|sts| {
                let principal = Principal::Account(pod.account.clone());
                self.target(principal, pod.role.clone(), (sts, &environment), consumer.version)
            })
            .map_err(|failure| (Step::AssumeRole, failure))
    }
}
