//! IAM as the operator asks it about the users, roles and keys that it keeps, and what it does to them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use aws_sdk_iam::Client;
use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::config::{BehaviorVersion, Region, SharedCredentialsProvider, StalledStreamProtectionConfig};
use aws_sdk_iam::error::SdkError;
use aws_sdk_iam::types::{StatusType, Tag};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde_json::Value;

use super::{Aws, framework, read, timeouts};
use crate::arn::Partition;
use crate::identity::answer::Unanswered;
use crate::identity::desired::{Desired, Entity, POLICY_NAME};
use crate::identity::observed::{Found, Key, LastUsed};
use crate::identity::step::{Kind, Step, name, permissions};
use crate::plan::key::AccessKey;
use crate::reason::Failure;
use crate::verdict::{Answer, Refused};

/// What came of a step.
pub enum Made {
    /// It is done.
    Done,
    /// A key, told this once.
    Key(AccessKey),
}

/// IAM of a partition, asked with credentials.
pub struct Iam(Client);

impl Aws {
    /// IAM, asked with these credentials.
    pub fn iam(&self, partition: Partition, credentials: SharedCredentialsProvider) -> Iam {
        let region = match partition {
            Partition::Aws => "us-east-1",
            Partition::China => "cn-north-1",
            Partition::GovCloud => "us-gov-west-1",
        };
        let mut config = aws_sdk_iam::Config::builder();
        config.set_endpoint_url(self.configured.iam.as_ref().map(|url| url.as_str().to_owned()));
        let config = config
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http.clone())
            .interceptor(self.counted.clone())
            .region(Region::new(region))
            // A key that is made twice is one too many: what was not answered is looked at first.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .credentials_provider(credentials);
        let config = match framework() {
            Some(framework) => config.framework_metadata(framework),
            None => config,
        };
        Iam(Client::from_conf(config.build()))
    }
}

/// The answer of a call; none where what it asks for is not there.
async fn found<T, E>(
    action: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<Option<T>, Unanswered> {
    match call.await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match read::answer(&error) {
            Answer::Refused(refused) if refused.code == "NoSuchEntity" => Ok(None),
            answer => Err(Unanswered { action, answer }),
        },
    }
}

/// The same, where what it asks for was there a moment ago.
async fn answered<T, E>(
    action: &'static str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Unanswered> {
    let gone = || Refused { status: 404, code: "NoSuchEntity".to_owned(), ..Refused::default() };
    found(action, call).await?.ok_or_else(|| Unanswered { action, answer: Answer::Refused(gone()) })
}

impl Iam {
    /// A user with all that is put on it.
    ///
    /// # Errors
    /// What IAM answered instead.
    pub async fn user(&self, wanted: &Entity) -> Result<Option<Found>, Unanswered> {
        let name = wanted.name.as_str();
        let Some(user) = found("iam:GetUser", self.0.get_user().user_name(name).send()).await? else { return Ok(None) };
        let Some(user) = user.user else { return Ok(None) };
        // Of one that stands elsewhere nothing more may be seen, and nothing more is needed.
        if user.arn != wanted.arn {
            return Ok(Some(Found { arn: user.arn, ..Found::default() }));
        }
        let names = answered("iam:ListUserPolicies", self.0.list_user_policies().user_name(name).send()).await?;
        let mut inline = BTreeMap::new();
        for policy in names.policy_names {
            let asked = self.0.get_user_policy().user_name(name).policy_name(&policy).send();
            if let Some(told) = found("iam:GetUserPolicy", asked).await? {
                inline.insert(policy, document(&told.policy_document));
            }
        }
        let asked = self.0.list_attached_user_policies().user_name(name).send();
        let attached = answered("iam:ListAttachedUserPolicies", asked).await?.attached_policies.unwrap_or_default();
        Ok(Some(Found {
            arn: user.arn,
            tags: tags(user.tags.unwrap_or_default()),
            boundary: user.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
            inline,
            attached: attached.into_iter().filter_map(|policy| policy.policy_arn).collect(),
            trust: None,
        }))
    }

    /// A role with all that is put on it.
    ///
    /// # Errors
    /// What IAM answered instead.
    pub async fn role(&self, wanted: &Entity) -> Result<Option<Found>, Unanswered> {
        let name = wanted.name.as_str();
        let Some(role) = found("iam:GetRole", self.0.get_role().role_name(name).send()).await? else { return Ok(None) };
        let Some(role) = role.role else { return Ok(None) };
        // Of one that stands elsewhere nothing more may be seen, and nothing more is needed.
        if role.arn != wanted.arn {
            return Ok(Some(Found { arn: role.arn, ..Found::default() }));
        }
        let names = answered("iam:ListRolePolicies", self.0.list_role_policies().role_name(name).send()).await?;
        let mut inline = BTreeMap::new();
        for policy in names.policy_names {
            let asked = self.0.get_role_policy().role_name(name).policy_name(&policy).send();
            if let Some(told) = found("iam:GetRolePolicy", asked).await? {
                inline.insert(policy, document(&told.policy_document));
            }
        }
        let asked = self.0.list_attached_role_policies().role_name(name).send();
        let attached = answered("iam:ListAttachedRolePolicies", asked).await?.attached_policies.unwrap_or_default();
        Ok(Some(Found {
            arn: role.arn,
            tags: tags(role.tags.unwrap_or_default()),
            boundary: role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn),
            inline,
            attached: attached.into_iter().filter_map(|policy| policy.policy_arn).collect::<BTreeSet<_>>(),
            trust: role.assume_role_policy_document.as_deref().map(document),
        }))
    }

    /// The keys of a user; none where there is no such user. `unknown` says why it is not known when a key was used, where
    /// IAM does not tell.
    ///
    /// # Errors
    /// What IAM answered instead.
    pub async fn keys(&self, user: &str, unknown: impl Fn(&Unanswered) -> Failure) -> Result<Vec<Key>, Unanswered> {
        let asked = self.0.list_access_keys().user_name(user).send();
        let listed = found("iam:ListAccessKeys", asked).await?.map(|listed| listed.access_key_metadata);
        let mut keys = Vec::new();
        for key in listed.unwrap_or_default() {
            let (Some(id), Some(created)) = (key.access_key_id, key.create_date.as_ref().and_then(time)) else {
                continue;
            };
            let asked = self.0.get_access_key_last_used().access_key_id(&id).send();
            let last_used = match answered("iam:GetAccessKeyLastUsed", asked).await {
                Ok(told) => {
                    let at = told.access_key_last_used.and_then(|used| used.last_used_date.as_ref().and_then(time));
                    at.map_or(LastUsed::Never, LastUsed::At)
                }
                Err(unanswered) => LastUsed::Unknown(unknown(&unanswered)),
            };
            keys.push(Key { id, created, is_active: key.status == Some(StatusType::Active), last_used });
        }
        Ok(keys)
    }

    /// Whether the account has an identity provider that takes tokens for an audience; none if IAM does not let us ask.
    ///
    /// # Errors
    /// What IAM answered instead.
    pub async fn has_provider(&self, arn: &str, audience: &str) -> Result<Option<bool>, Unanswered> {
        let asked = self.0.get_open_id_connect_provider().open_id_connect_provider_arn(arn).send();
        match found("iam:GetOpenIDConnectProvider", asked).await {
            Ok(provider) => {
                let takes = |audiences: Vec<String>| audiences.iter().any(|one| one == audience);
                Ok(Some(provider.is_some_and(|provider| provider.client_id_list.is_some_and(takes))))
            }
            Err(Unanswered { answer: Answer::Refused(refused), .. }) if refused.status == 403 => Ok(None),
            Err(unanswered) => Err(unanswered),
        }
    }

    /// Makes a step. What was to be removed and is not there is removed.
    ///
    /// # Errors
    /// What IAM answered instead. Where there was no answer it may have been done all the same.
    #[allow(clippy::too_many_lines)] // One call a step, and nothing else.
    pub async fn make(&self, desired: &Desired, step: &Step) -> Result<Made, Unanswered> {
        let iam = &self.0;
        let action = step.action();
        let named = |kind: Kind| name(desired, kind).to_owned();
        let (user, role) = (named(Kind::User), named(Kind::Role));
        let document = |kind: Kind| permissions(desired, kind).to_string();
        let tags: Vec<Tag> =
            step.tags(desired).into_iter().filter_map(|(k, v)| Tag::builder().key(k).value(v).build().ok()).collect();
        match step {
            Step::Create(Kind::User) => {
                let call = iam.create_user().user_name(user).path(&desired.path).set_tags(Some(tags));
                done(answered(action, call.permissions_boundary(&desired.boundary).send()).await)
            }
            Step::Create(Kind::Role) => {
                let call = iam.create_role().role_name(role).path(&desired.path).set_tags(Some(tags));
                let call = call.assume_role_policy_document(desired.trust.to_string());
                done(answered(action, call.permissions_boundary(&desired.boundary).send()).await)
            }
            Step::Tag(Kind::Role) => {
                done(answered(action, iam.tag_role().role_name(role).set_tags(Some(tags)).send()).await)
            }
            Step::Tag(Kind::User) | Step::NoteIntent(_) | Step::Mark(..) => {
                done(answered(action, iam.tag_user().user_name(user).set_tags(Some(tags)).send()).await)
            }
            Step::Bound(Kind::User) => {
                let call = iam.put_user_permissions_boundary().user_name(user).permissions_boundary(&desired.boundary);
                done(answered(action, call.send()).await)
            }
            Step::Bound(Kind::Role) => {
                let call = iam.put_role_permissions_boundary().role_name(role).permissions_boundary(&desired.boundary);
                done(answered(action, call.send()).await)
            }
            Step::PutPolicy(kind @ Kind::User) => {
                let call = iam.put_user_policy().user_name(user).policy_name(POLICY_NAME);
                done(answered(action, call.policy_document(document(*kind)).send()).await)
            }
            Step::PutPolicy(kind @ Kind::Role) => {
                let call = iam.put_role_policy().role_name(role).policy_name(POLICY_NAME);
                done(answered(action, call.policy_document(document(*kind)).send()).await)
            }
            Step::DeletePolicy(Kind::User, policy) => {
                let call = iam.delete_user_policy().user_name(user).policy_name(policy).send();
                done(found(action, call).await)
            }
            Step::DeletePolicy(Kind::Role, policy) => {
                let call = iam.delete_role_policy().role_name(role).policy_name(policy).send();
                done(found(action, call).await)
            }
            Step::Detach(Kind::User, policy) => {
                let call = iam.detach_user_policy().user_name(user).policy_arn(policy).send();
                done(found(action, call).await)
            }
            Step::Detach(Kind::Role, policy) => {
                let call = iam.detach_role_policy().role_name(role).policy_arn(policy).send();
                done(found(action, call).await)
            }
            Step::Trust => {
                let call = iam.update_assume_role_policy().role_name(role).policy_document(desired.trust.to_string());
                done(answered(action, call.send()).await)
            }
            Step::CreateKey => {
                let made = answered(action, iam.create_access_key().user_name(user).send()).await?.access_key;
                let key = made.and_then(|made| {
                    AccessKey::new(&SecretString::from(made.access_key_id), &SecretString::from(made.secret_access_key))
                });
                key.map(Made::Key).ok_or(Unanswered { action, answer: Answer::Status(200, None) })
            }
            Step::Activate(id) | Step::Deactivate(id) => {
                let status = if matches!(step, Step::Activate(_)) { StatusType::Active } else { StatusType::Inactive };
                let call = iam.update_access_key().user_name(user).access_key_id(id).status(status);
                done(answered(action, call.send()).await)
            }
            Step::DeleteKey(id) => {
                let call = iam.delete_access_key().user_name(user).access_key_id(id).send();
                done(found(action, call).await)
            }
            Step::Unmark(keys) => {
                let call = iam.untag_user().user_name(user).set_tag_keys(Some(keys.clone())).send();
                done(found(action, call).await)
            }
            Step::Delete(Kind::User) => done(found(action, iam.delete_user().user_name(user).send()).await),
            Step::Delete(Kind::Role) => done(found(action, iam.delete_role().role_name(role).send()).await),
            // The Secret is the cluster's.
            Step::Publish(_) => Ok(Made::Done),
        }
    }
}

/// Whatever a call that changes something answers with, or that there was nothing to remove: it is done.
fn done<T>(answer: Result<T, Unanswered>) -> Result<Made, Unanswered> {
    answer.map(|_| Made::Done)
}

fn tags(tags: Vec<Tag>) -> BTreeMap<String, String> {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

/// IAM gives documents percent-encoded; what is none is null, and like no other.
fn document(encoded: &str) -> Value {
    let text = percent_decode_str(encoded).decode_utf8_lossy();
    serde_json::from_str(&text).unwrap_or_default()
}

fn time(time: &aws_sdk_iam::primitives::DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}
