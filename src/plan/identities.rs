//! What a `StorageIdentity` says of a location's role and of who assumes it, put where the location refers to it.

use std::collections::BTreeMap;

use crate::api::StorageIdentity;
use crate::api::auth::{AccessKey, Auth, SecretRef, WebIdentity};
use crate::api::quay_storage::QuayStorageSpec;
use crate::api::storage_identity::StorageIdentityStatus;
use crate::reason::{Failure, Reason};

/// What is known of a `StorageIdentity`.
pub enum Seen {
    /// It is there.
    Found(Box<StorageIdentity>),
    /// There is none of that name.
    Missing,
    /// Nobody looks: the operator was started without identities.
    Disabled,
    /// It could not be read: why.
    Unreadable(String),
}

/// Whether any location refers to one.
pub fn are_referred_to(spec: &QuayStorageSpec) -> bool {
    names(spec).next().is_some()
}

/// The names that locations refer to.
pub fn names(spec: &QuayStorageSpec) -> impl Iterator<Item = &str> {
    spec.locations.iter().filter_map(|location| Some(location.auth.identity_ref.as_ref()?.name.as_str()))
}

/// The spec with what each identity says in the place of the reference; and the locations of which the identity does not say
/// enough yet, with why.
pub fn resolved(spec: &QuayStorageSpec, seen: &BTreeMap<String, Seen>) -> (QuayStorageSpec, BTreeMap<String, Failure>) {
    let (mut resolved, mut unknown) = (spec.clone(), BTreeMap::new());
    for location in &mut resolved.locations {
        let Some(of) = location.auth.identity_ref.take() else { continue };
        match said(&of.name, seen.get(&of.name).unwrap_or(&Seen::Missing)) {
            Ok((auth, role)) => {
                location.auth = auth;
                location.role_arn = role;
            }
            Err(failure) => {
                location.auth.identity_ref = Some(of);
                unknown.insert(location.name.clone(), failure);
            }
        }
    }
    (resolved, unknown)
}

fn said(name: &str, seen: &Seen) -> Result<(Auth, Option<String>), Failure> {
    let failure = |reason, message| Err(Failure::new(reason, message));
    let identity = match seen {
        Seen::Found(identity) => identity,
        Seen::Missing => {
            return failure(
                Reason::IdentityMissing,
                format!("StorageIdentity {name} (auth.identityRef) does not exist in this namespace. Create it."),
            );
        }
        Seen::Disabled => {
            return failure(
                Reason::IdentitiesDisabled,
                format!(
                    "auth.identityRef refers to StorageIdentity {name}, and the operator was started without identities: its administrator starts it with --enable-identities and --cluster-id."
                ),
            );
        }
        Seen::Unreadable(why) => {
            return failure(
                Reason::IdentityPending,
                format!("StorageIdentity {name} (auth.identityRef) could not be read: {why}. It is tried again."),
            );
        }
    };
    let StorageIdentityStatus { role_arn, secret_name, .. } = identity.status.clone().unwrap_or_default();
    let pending = |what: &str| {
        let message = format!(
            "StorageIdentity {name} (auth.identityRef) has no {what} yet: `kubectl describe storageidentity {name}` says why."
        );
        Failure::new(Reason::IdentityPending, message)
    };
    let role = role_arn.ok_or_else(|| pending("role"))?;
    match identity.spec.web_identity.clone() {
        None => {
            let secret_ref = SecretRef { name: secret_name.ok_or_else(|| pending("key"))? };
            let auth = Auth { access_key: Some(AccessKey { secret_ref }), web_identity: None, identity_ref: None };
            Ok((auth, Some(role)))
        }
        Some(trusted) => {
            let web_identity = WebIdentity {
                service_account_name: trusted.service_account_name,
                audience: trusted.audience,
                role_arn: Some(role),
                annotate_service_account: trusted.annotate_service_account,
            };
            Ok((Auth { access_key: None, web_identity: Some(web_identity), identity_ref: None }, None))
        }
    }
}
