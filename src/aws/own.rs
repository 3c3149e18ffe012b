//! The operator's own AWS identity, with which it makes users, roles and keys, and nothing else: a role, by the token of its
//! service account. It never proves a tenant's role.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use tokio::sync::Mutex;

use super::{Aws, read};
use crate::arn::RoleArn;
use crate::consumer::StsEndpoint;
use crate::place::Region;
use crate::verdict::Answer;

/// Where deploy/ mounts the Secret with which `OpenShift`'s Cloud Credential Operator answers a `CredentialsRequest`.
pub const CREDENTIALS_FILE: &str = "/var/run/secrets/registry-sts/aws/credentials";
/// How the sessions of the operator are called, for `CloudTrail`.
const SESSION_NAME: &str = "registry-sts";
/// Credentials that expire within this are not used any more.
const MARGIN: Duration = Duration::from_mins(5);

/// A role, and the file with the token that opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRole {
    role: RoleArn,
    token_file: PathBuf,
    region: Option<Region>,
}

/// Why the operator has no AWS identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoIdentity {
    /// Nothing gives it one.
    #[error(
        "neither AWS_ROLE_ARN with AWS_WEB_IDENTITY_TOKEN_FILE is set (IRSA: annotate its ServiceAccount with eks.amazonaws.com/role-arn), nor is there a file {0} (OpenShift: ROLEARN in the Subscription)"
    )]
    Nothing(String),
    /// What gives it one cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl OwnRole {
    /// Finds it, as it is now: the Secret may come later than the operator.
    ///
    /// # Errors
    /// Why there is none.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Result<Self, NoIdentity> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).and_then(|region| region.parse().ok());
        let unusable = |role: &str, why: &dyn std::fmt::Display| {
            NoIdentity::Unusable(format!("the operator's own role {role:?} {why}"))
        };
        if let (Some(role), Some(token)) = (set("AWS_ROLE_ARN"), set("AWS_WEB_IDENTITY_TOKEN_FILE")) {
            let role = role.parse().map_err(|why| unusable(&role, &why))?;
            return Ok(Self { role, token_file: token.into(), region });
        }
        let file = set("AWS_SHARED_CREDENTIALS_FILE").unwrap_or_else(|| CREDENTIALS_FILE.to_owned());
        let text = std::fs::read_to_string(&file).map_err(|_| NoIdentity::Nothing(file.clone()))?;
        let value = |key: &str| {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            pairs
                .map(|(name, value)| (name.trim(), value.trim()))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value)
        };
        let (Some(role), Some(token)) = (value("role_arn"), value("web_identity_token_file")) else {
            let why = format!(
                "{file} has no role_arn with web_identity_token_file: the cluster's credentials are no STS role"
            );
            return Err(NoIdentity::Unusable(why));
        };
        let role = role.parse().map_err(|why| unusable(role, &why))?;
        Ok(Self { role, token_file: token.into(), region })
    }

    /// The role.
    pub fn role(&self) -> &RoleArn {
        &self.role
    }
}

/// The operator's own role, assumed whenever its credentials are about to expire.
#[derive(Clone)]
pub struct Own {
    aws: Aws,
    assumed: Arc<Mutex<Option<(OwnRole, Credentials)>>>,
}

/// Why the operator could not become who it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAssumed {
    /// It has no identity.
    #[error("the operator has no AWS identity of its own: {0}")]
    None(#[from] NoIdentity),
    /// The token of its service account is not there.
    #[error("the token of the operator's service account cannot be read: {0}")]
    Token(PathBuf),
    /// STS refuses it.
    #[error("STS answered {1} when the operator assumed its own role {0}")]
    Refused(RoleArn, Answer),
}

impl Own {
    /// Nobody is asked yet.
    pub fn new(aws: Aws) -> Self {
        Self { aws, assumed: Arc::default() }
    }

    /// Credentials of the role, good for some minutes at least.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn credentials(&self, role: OwnRole) -> Result<SharedCredentialsProvider, NotAssumed> {
        let mut assumed = self.assumed.lock().await;
        let soon = SystemTime::now() + MARGIN;
        if let Some((of, credentials)) = &*assumed
            && *of == role
            && credentials.expiry().is_some_and(|expiry| expiry > soon)
        {
            return Ok(SharedCredentialsProvider::new(credentials.clone()));
        }
        let credentials = self.assume(&role).await?;
        *assumed = Some((role, credentials.clone()));
        Ok(SharedCredentialsProvider::new(credentials))
    }

    /// Forgets its credentials after an answer that may be about them: the next try is made with others.
    pub async fn forget(&self) {
        *self.assumed.lock().await = None;
    }

    async fn assume(&self, role: &OwnRole) -> Result<Credentials, NotAssumed> {
        // The kubelet renews it.
        let token =
            std::fs::read_to_string(&role.token_file).map_err(|_| NotAssumed::Token(role.token_file.clone()))?;
        let at = role.region.clone().map_or(StsEndpoint::Global, StsEndpoint::Regional);
        let request = self
            .aws
            .sts(&self.aws.sts_url(&at), at.signing_region(), None)
            .assume_role_with_web_identity()
            .role_arn(role.role.as_str())
            .role_session_name(SESSION_NAME)
            .web_identity_token(token.trim());
        let refused = |answer| NotAssumed::Refused(role.role.clone(), answer);
        let assumed = request.send().await.map_err(|error| refused(read::answer(&error)))?;
        let given = assumed.credentials.ok_or_else(|| refused(Answer::Status(200, None)))?;
        let seconds = given.expiration.secs().try_into().unwrap_or_default();
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let (id, secret, token) = (given.access_key_id, given.secret_access_key, given.session_token);
        Ok(Credentials::new(id, secret, Some(token), Some(expires), SESSION_NAME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&str, &str)]) -> Result<OwnRole, NoIdentity> {
        OwnRole::detect(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const ROLE: &str = "arn:aws:iam::123456789012:role/registry-sts";

    #[test]
    fn the_identity_is_that_of_the_service_account_or_of_the_mounted_secret() {
        let found =
            detect(&[("AWS_ROLE_ARN", ROLE), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), ("AWS_REGION", "eu-west-1")]);
        let found = found.unwrap();
        assert_eq!((found.role.as_str(), found.token_file.to_str()), (ROLE, Some("/token")));
        assert_eq!(found.region.unwrap().as_str(), "eu-west-1");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        let at = [("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap())];
        assert!(matches!(detect(&at), Err(NoIdentity::Nothing(_))));
        std::fs::write(&file, format!("[default]\nsts_regional_endpoints = regional\nrole_arn = {ROLE}\nweb_identity_token_file = /var/run/token\n")).unwrap();
        assert_eq!(detect(&at).unwrap().token_file.to_str(), Some("/var/run/token"));
        std::fs::write(&file, "[default]\naws_access_key_id = AKIAHUSH\naws_secret_access_key = HUSH\n").unwrap();
        let refused = detect(&at).unwrap_err();
        assert!(matches!(&refused, NoIdentity::Unusable(why) if !why.contains("HUSH")), "{refused}");
    }

    #[test]
    fn a_role_that_is_none_is_told() {
        let refused =
            detect(&[("AWS_ROLE_ARN", "registry-sts"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")]).unwrap_err();
        assert!(refused.to_string().contains("\"registry-sts\" is not an ARN"), "{refused}");
        assert!(matches!(detect(&[("AWS_ROLE_ARN", ROLE)]), Err(NoIdentity::Nothing(_))));
    }
}
