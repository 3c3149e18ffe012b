//! `AssumeRole`, as Quay calls it.

use super::{Aws, answer};
use crate::arn::RoleArn;
use crate::plan::key::AccessKey;
use crate::reason::Failure;

/// The session name that Quay's driver and config-tool use. A trust policy may pin it.
const SESSION_NAME: &str = "quay";

impl Aws {
    /// Assumes the role with the key, as Quay will: session name `quay`, no duration, no external id, no tags. The
    /// credentials that AWS gives are dropped.
    ///
    /// # Errors
    /// Why it did not work, in words that say what to change.
    pub async fn assume_role(&self, key: &AccessKey, role: &RoleArn) -> Result<(), Failure> {
        let sent = self.sts(key).assume_role().role_arn(role.as_str()).role_session_name(SESSION_NAME).send().await;
        let answer = match sent {
            Ok(_) => return Ok(()),
            Err(error) => answer::of(&error),
        };
        let host = self.sts_url.split_once("://").map_or(self.sts_url.as_str(), |(_, host)| host);
        let tried = format!("AssumeRole of {role} with access key …{} at {host}", key.last_four());
        Err(answer.explained(&tried))
    }
}
