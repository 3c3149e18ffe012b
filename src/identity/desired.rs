//! What a `StorageIdentity` asks for, within what its `IdentityPolicy` allows: every name, ARN and document of it.

use std::time::Duration;

use serde_json::Value;

use super::owner::{ClusterId, Owner};
use super::permit::allows;
use crate::api::identity_policy::{IdentityPolicy, IdentityPolicySpec};
use crate::api::storage_identity::{DeletionPolicy, Rotation, Storage as Asked, StorageIdentity, Trust};
use crate::arn::{Partition, RoleArn, RoleArnError};
use crate::place::key_prefix;
use crate::policy::principal::Issuer;
use crate::policy::{Federated, Storage, permission_to_assume, permissions_of, trust_of_principal};
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// The name of the one inline policy that a user and a role have.
pub const POLICY_NAME: &str = "registry-sts";

/// What is to be.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Whose it is.
    pub owner: Owner,
    /// The ARN of the permissions boundary.
    pub boundary: String,
    /// The IAM path.
    pub path: String,
    /// The role.
    pub role: Entity,
    /// Its ARN.
    pub role_arn: RoleArn,
    /// Who may assume it.
    pub trust: Value,
    /// Who assumes it.
    pub trusted: Trusted,
    /// What becomes of it all when the resource is deleted.
    pub deletion_policy: DeletionPolicy,
}

/// A user or a role.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// What it may do.
    pub permissions: Value,
    /// Whether it may be taken over though it carries no tags.
    pub may_be_taken: bool,
}

/// Who assumes the role.
#[derive(Clone, Debug)]
pub enum Trusted {
    /// A user with an access key.
    User {
        /// The user.
        user: Entity,
        /// The Secret that its key is put into.
        secret: String,
        /// When the key is replaced.
        rotation: RotationWanted,
    },
    /// A service account with its token.
    WebIdentity {
        /// The ARN of the identity provider of the cluster's tokens.
        provider: String,
        /// The URL of the tokens' issuer.
        issuer: String,
        /// The audience of the tokens.
        audience: String,
    },
}

/// When a key is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationWanted {
    /// How old a key becomes.
    pub interval: Duration,
    /// How long the old key goes on working, and then stays inactive.
    pub overlap: Duration,
}

impl Desired {
    /// What a resource asks for. `issuer` is that of the cluster's tokens, needed for `webIdentity` alone.
    ///
    /// # Errors
    /// `InvalidSpec`, which the schema refuses too; `IssuerUnknown`.
    pub fn parse(
        resource: &StorageIdentity,
        policy: &IdentityPolicy,
        cluster: &ClusterId,
        issuer: Result<&Issuer, Failure>,
    ) -> Result<Self, Failure> {
        let (metadata, spec, within) = (&resource.metadata, &resource.spec, &policy.spec);
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let name = metadata.name.clone().unwrap_or_default();
        let uid = metadata.uid.clone();
        let owner =
            Owner { cluster: cluster.clone(), resource: ResourceId { namespace: namespace.clone(), name }, uid };
        let account = Account::of(within)?;
        let named = |kind: &str, name: Option<&String>, permissions: Value| {
            let name = name.cloned().unwrap_or_else(|| owner.default_name(&within.name_prefix));
            Entity {
                arn: format!("{}:{kind}{}{name}", account.iam(), within.iam_path),
                may_be_taken: within.take_over.contains(&name),
                name,
                permissions,
            }
        };
        let role = named("role", spec.role_name.as_ref(), permissions(&spec.storage, within, &account));
        let role_arn = role
            .arn
            .parse()
            .map_err(|why: RoleArnError| Failure::new(Reason::InvalidSpec, format!("the role's ARN {why}")))?;
        let (trusted, trust) = match (spec.trust, &spec.web_identity) {
            (Trust::User, None) => {
                let user = named("user", spec.user_name.as_ref(), permission_to_assume(&role.arn));
                let trust = trust_of_principal(&user.arn);
                let secret = spec.secret_name.clone().unwrap_or_else(|| owner.resource.name.clone());
                (Trusted::User { user, secret, rotation: rotation(&spec.rotation)? }, trust)
            }
            (Trust::WebIdentity, Some(trusted)) => {
                let issuer = issuer?.as_str();
                let subject = format!("system:serviceaccount:{namespace}:{}", trusted.service_account_name);
                let audience = &trusted.audience;
                let (partition, id) = (account.partition, account.id);
                let federated = Federated { partition, account: id, issuer, subject: &subject, audience };
                let (provider, issuer) = (federated.provider_arn(), format!("https://{issuer}"));
                (Trusted::WebIdentity { provider, issuer, audience: audience.clone() }, federated.trust())
            }
            (Trust::User, Some(_)) | (Trust::WebIdentity, None) => {
                return Err(Failure::new(
                    Reason::InvalidSpec,
                    "webIdentity says which service account the role trusts: give it with trust: webIdentity, and only there.",
                ));
            }
        };
        let (boundary, path) = (within.permissions_boundary_arn.clone(), within.iam_path.clone());
        Ok(Self { owner, boundary, path, role, role_arn, trust, trusted, deletion_policy: spec.deletion_policy })
    }

    /// The user, if there is to be one.
    pub fn user(&self) -> Option<&Entity> {
        match &self.trusted {
            Trusted::User { user, .. } => Some(user),
            Trusted::WebIdentity { .. } => None,
        }
    }
}

/// The account that users and roles are made in: the one of the boundary.
pub struct Account<'a> {
    /// Its partition.
    pub partition: Partition,
    /// Its twelve digits.
    pub id: &'a str,
}

impl<'a> Account<'a> {
    /// The account of a policy's boundary.
    ///
    /// # Errors
    /// `InvalidSpec`: the boundary is no ARN of a policy; the schema refuses that, too.
    pub fn of(policy: &'a IdentityPolicySpec) -> Result<Self, Failure> {
        let arn = &policy.permissions_boundary_arn;
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let partition = |text: &str| {
            [Partition::Aws, Partition::China, Partition::GovCloud].into_iter().find(|one| one.as_str() == text)
        };
        match parts.as_slice() {
            ["arn", of, "iam", "", id, _] if id.len() == 12 && partition(of).is_some() => {
                Ok(Self { partition: partition(of).unwrap_or(Partition::Aws), id })
            }
            _ => Err(Failure::new(
                Reason::InvalidSpec,
                format!("permissionsBoundaryArn {arn:?} of the IdentityPolicy is no ARN of a policy of an account."),
            )),
        }
    }

    /// What ARNs of its users and roles begin with.
    pub fn iam(&self) -> String {
        format!("arn:{}:iam::{}", self.partition.as_str(), self.id)
    }
}

fn permissions(asked: &[Asked], within: &IdentityPolicySpec, account: &Account<'_>) -> Value {
    let prefixes: Vec<String> = asked.iter().map(|storage| key_prefix(&storage.storage_path)).collect();
    let storages: Vec<Storage<'_>> = asked
        .iter()
        .zip(&prefixes)
        .map(|(storage, prefix)| Storage {
            partition: account.partition,
            account: owner_of(storage, within).unwrap_or(account.id),
            bucket: &storage.bucket,
            prefix,
            region: storage.kms_key_arn.as_deref().and_then(|arn| arn.split(':').nth(3)).unwrap_or_default(),
            kms_key_arn: storage.kms_key_arn.as_deref(),
        })
        .collect();
    permissions_of(&storages)
}

/// The account that owns a bucket, where the policy says that it is another.
fn owner_of<'a>(asked: &Asked, within: &'a IdentityPolicySpec) -> Option<&'a str> {
    within.storage.iter().find(|allowed| allows(allowed, asked))?.account.as_deref()
}

fn rotation(spec: &Rotation) -> Result<RotationWanted, Failure> {
    let day = Duration::from_hours(24);
    Ok(RotationWanted {
        interval: duration("interval", &spec.interval, day..=day * 3650, "24h to 87600h, for example 2160h")?,
        overlap: duration("overlap", &spec.overlap, Duration::from_hours(1)..=day * 30, "1h to 720h, for example 24h")?,
    })
}

fn duration(
    field: &str,
    text: &str,
    within: std::ops::RangeInclusive<Duration>,
    expected: &str,
) -> Result<Duration, Failure> {
    let parsed: Option<jiff::SignedDuration> = text.parse().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| within.contains(duration))
        .ok_or_else(|| {
            Failure::new(Reason::InvalidSpec, format!("spec.rotation.{field} is {text:?}: expected {expected}."))
        })
}
