//! The plan of a `StorageIdentity` without an operator: what is missing in AWS, step by step, and the making of it.

use k8s_openapi::jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::api::{IdentityPolicy, StorageIdentity};
use crate::aws::iam::{Iam, Made};
use crate::cluster::key_secrets::OWNER;
use crate::identity::desired::{Desired, Trusted};
use crate::identity::marker::{Marker, Phase};
use crate::identity::observed::{Asked, KeySecret, Keys, Observed};
use crate::identity::owner::ClusterId;
use crate::identity::permit::permit;
use crate::identity::plan::Plan;
use crate::identity::step::Step;
use crate::plan::key::AccessKey;
use crate::policy::principal::Issuer;
use crate::reason::{Failure, Reason};

/// How often what IAM does not know yet is tried again.
const TRIES: u32 = 20;
/// After how long.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(3);

/// What a manifest asks for, within the policies given.
///
/// # Errors
/// Why it cannot be had.
pub fn desired(
    resource: &StorageIdentity,
    policies: &[IdentityPolicy],
    cluster: &ClusterId,
    issuer: Option<&Issuer>,
) -> Result<Desired, Failure> {
    let unknown = || {
        let message = "The issuer of the cluster's tokens is not known: give --oidc-issuer. `kubectl get --raw /.well-known/openid-configuration` shows it.";
        Failure::new(Reason::IssuerUnknown, message)
    };
    let policy = permit(resource, policies, &[])?;
    Desired::parse(resource, policy, cluster, issuer.ok_or_else(unknown))
}

/// The steps to it, as if nothing were there or as AWS says. A user that has a key gets no other: whether that one is used
/// cannot be seen from here, and replacing it is the operator's.
///
/// # Errors
/// `IdentityTaken`, or what IAM answered.
pub async fn plan(desired: &Desired, iam: Option<&Iam>) -> Result<Plan, Failure> {
    let mut observed = Observed { user: None, role: None, keys: None, has_provider: None };
    let mut has_key = false;
    if let Some(iam) = iam {
        observed.role = iam.role(&desired.role).await.map_err(|told| told.failure(desired, None))?;
        if let Some(user) = desired.user() {
            observed.user = iam.user(user).await.map_err(|told| told.failure(desired, None))?;
            if observed.user.is_some() {
                let keys = iam.keys(&user.name, |told| told.failure(desired, None)).await;
                has_key = !keys.map_err(|told| told.failure(desired, None))?.is_empty();
            }
        }
        if let Trusted::WebIdentity { provider, audience, .. } = &desired.trusted {
            observed.has_provider =
                iam.has_provider(provider, audience).await.map_err(|told| told.failure(desired, None))?;
        }
    }
    if desired.user().is_some() && !has_key {
        observed.keys = Some(Keys {
            listed: Vec::new(),
            secret: KeySecret::Absent,
            held: None,
            in_bundles: std::collections::BTreeMap::new(),
            is_bundle_unread: false,
            consumers: Vec::new(),
            asked: Asked::default(),
        });
    }
    Plan::make(desired, &observed, Timestamp::now())
}

/// Makes one step, and notes of a key that was made that it was handed out: to whoever asked for it. What only takes IAM a
/// while, as a fresh user does, is tried again for a minute.
///
/// # Errors
/// What IAM answered instead.
pub async fn make(desired: &Desired, iam: &Iam, step: &Step) -> Result<Option<AccessKey>, Failure> {
    let mut tries = 0;
    loop {
        match once(desired, iam, step).await {
            Err(failure) if failure.reason == Reason::PrincipalPending && tries < TRIES => tries += 1,
            answer => return answer,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn once(desired: &Desired, iam: &Iam, step: &Step) -> Result<Option<AccessKey>, Failure> {
    let Made::Key(key) = iam.make(desired, step).await.map_err(|told| told.failure(desired, Some(step)))? else {
        return Ok(None);
    };
    // The operator would take a key of which nothing is noted for one that was lost while it was made.
    for phase in [Phase::Pending, Phase::Published] {
        let mark = Step::Mark(key.id().to_owned(), Marker { phase, since: Timestamp::now() });
        if iam.make(desired, &mark).await.is_err() {
            tracing::warn!("the note of key {} could not be put on the user", key.last_four());
        }
    }
    Ok(Some(key))
}

/// The manifest of the Secret with a key, as the operator would write it. Who applies it hands the key out.
pub fn secret(desired: &Desired, key: &AccessKey) -> Option<SecretString> {
    let Trusted::User { secret, .. } = &desired.trusted else { return None };
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret,
            "namespace": desired.owner.resource.namespace,
            "annotations": {OWNER: desired.owner.resource.name},
        },
        "type": "Opaque",
        "stringData": {"AWS_ACCESS_KEY_ID": key.id(), "AWS_SECRET_ACCESS_KEY": key.secret().expose_secret()},
    });
    serde_yaml::to_string(&manifest).ok().map(SecretString::from)
}
