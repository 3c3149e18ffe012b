//! STS as Quay calls it.

use aws_sdk_sts::config::Credentials;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Aws, read};
use crate::arn::RoleArn;
use crate::consumer::StsEndpoint;
use crate::plan::key::AccessKey;
use crate::verdict::Answer;

/// The session name that Quay's driver and config-tool use with keys, and config-tool with a token. A trust policy may
/// pin it.
pub const SESSION_NAME: &str = "quay";

/// Credentials that S3 is asked with: a role's temporary ones, or a key's own. They have no Debug.
#[derive(Clone)]
pub struct Session {
    access_key_id: String,
    secret_access_key: SecretString,
    token: Option<SecretString>,
}

impl Session {
    fn of(credentials: Option<aws_sdk_sts::types::Credentials>) -> Result<Self, Answer> {
        // An answer of success without credentials is not AWS's, nor is one of which the end is missing: the SDK fills
        // in for what did not come.
        let is_whole = |credentials: &aws_sdk_sts::types::Credentials| {
            let texts = [&credentials.access_key_id, &credentials.secret_access_key, &credentials.session_token];
            texts.into_iter().all(|text| !text.is_empty()) && credentials.expiration.secs() > 0
        };
        let credentials = credentials.filter(is_whole).ok_or(Answer::Status(200, None))?;
        Ok(Self {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key.into(),
            token: Some(credentials.session_token.into()),
        })
    }

    /// The key itself, for a storage that it opens without a role.
    pub fn of_key(key: &AccessKey) -> Self {
        Self { access_key_id: key.id().to_owned(), secret_access_key: key.secret().clone(), token: None }
    }

    pub(super) fn credentials(&self) -> Credentials {
        let token = self.token.as_ref().map(|token| token.expose_secret().to_owned());
        let secret = self.secret_access_key.expose_secret();
        Credentials::new(&self.access_key_id, secret, token, None, "registry-sts")
    }
}

impl Aws {
    fn sts_of_key(&self, key: &AccessKey, endpoint: &StsEndpoint) -> aws_sdk_sts::Client {
        let credentials = Credentials::new(key.id(), key.secret().expose_secret(), None, None, "registry-sts");
        self.sts(&self.sts_url(endpoint), endpoint.signing_region(), Some(credentials))
    }

    /// Assumes the role with the key, as Quay will: session name `quay`, no duration, no external id, no tags.
    ///
    /// # Errors
    /// What AWS answered instead.
    pub async fn assume_role(&self, key: &AccessKey, role: &RoleArn, at: &StsEndpoint) -> Result<Session, Answer> {
        let request = self.sts_of_key(key, at).assume_role().role_arn(role.as_str()).role_session_name(SESSION_NAME);
        match request.send().await {
            Ok(assumed) => Session::of(assumed.credentials),
            Err(error) => Err(read::answer(&error)),
        }
    }

    /// Assumes the role with a service account's token, under a session name of Quay's.
    ///
    /// # Errors
    /// What AWS answered instead.
    pub async fn assume_role_with_web_identity(
        &self,
        token: &SecretString,
        role: &RoleArn,
        session_name: &str,
        at: &StsEndpoint,
    ) -> Result<Session, Answer> {
        let request = self
            .sts(&self.sts_url(at), at.signing_region(), None)
            .assume_role_with_web_identity()
            .role_arn(role.as_str())
            .role_session_name(session_name)
            .web_identity_token(token.expose_secret());
        match request.send().await {
            Ok(assumed) => Session::of(assumed.credentials),
            Err(error) => Err(read::answer(&error)),
        }
    }

    /// Who a key is: the ARN of its user. AWS asks for no permission.
    ///
    /// # Errors
    /// What AWS answered instead.
    pub async fn caller(&self, key: &AccessKey, at: &StsEndpoint) -> Result<String, Answer> {
        let identity = self.sts_of_key(key, at).get_caller_identity().send().await;
        let arn = identity.map_err(|error| read::answer(&error))?.arn;
        // It ends up in messages: what is no ARN did not come from AWS.
        let is_arn =
            |arn: &String| arn.starts_with("arn:") && arn.len() <= 2048 && arn.bytes().all(|b| b.is_ascii_graphic());
        arn.filter(is_arn).ok_or(Answer::Status(200, None))
    }
}
