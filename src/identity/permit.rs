//! What an `IdentityPolicy` lets a namespace ask for.

use crate::api::identity_policy::{AllowedStorage, IdentityPolicy, IdentityPolicySpec};
use crate::api::storage_identity::{Storage, StorageIdentity};
use crate::place::key_prefix;
use crate::reason::{Failure, Reason};
use crate::resource::ResourceId;

/// The policy that allows what a resource asks for.
///
/// Of several that do, the one that allowed it before counts, else the first by name: the path and the names of what was
/// made do not change because another policy comes.
///
/// # Errors
/// `IdentityNotAllowed`: no policy does, and why; `TooManyIdentities`: as many as it allows are older.
pub fn permit<'a>(
    resource: &StorageIdentity,
    policies: &'a [IdentityPolicy],
    all: &[StorageIdentity],
) -> Result<&'a IdentityPolicy, Failure> {
    let who = ResourceId::of(&resource.metadata);
    let mut of_namespace: Vec<&IdentityPolicy> =
        policies.iter().filter(|policy| policy.spec.namespaces.contains(&who.namespace)).collect();
    of_namespace.sort_by_key(|policy| (!is_last(resource, policy), policy.metadata.name.clone()));
    let mut hindrances = Vec::new();
    for policy in of_namespace {
        match hindrance(resource, &policy.spec) {
            None => return counted(resource, policy, all),
            Some(why) => hindrances.push(format!("IdentityPolicy {}: {why}", named(policy))),
        }
    }
    let why = if hindrances.is_empty() {
        format!(
            "No IdentityPolicy names namespace {}: the cluster's administrator adds it to spec.namespaces of one",
            who.namespace
        )
    } else {
        hindrances.join("; ")
    };
    Err(Failure::new(Reason::IdentityNotAllowed, format!("{why}. `kubectl get identitypolicies` shows them.")))
}

/// Why a policy does not allow what a resource asks for.
fn hindrance(resource: &StorageIdentity, policy: &IdentityPolicySpec) -> Option<String> {
    let spec = &resource.spec;
    if let Some(storage) = spec.storage.iter().find(|storage| !policy.storage.iter().any(|a| allows(a, storage))) {
        let Storage { bucket, storage_path, .. } = storage;
        return Some(format!("spec.storage does not allow bucket {bucket} with storagePath {storage_path:?}"));
    }
    let keys = spec.storage.iter().filter_map(|storage| storage.kms_key_arn.as_ref());
    if let Some(key) = keys.into_iter().find(|key| !policy.kms_key_arns.contains(key)) {
        return Some(format!("spec.kmsKeyArns does not allow {key}"));
    }
    let names = [("userName", &spec.user_name), ("roleName", &spec.role_name)];
    names.into_iter().find_map(|(field, name)| {
        let name = name.as_ref()?;
        let fits = name.starts_with(&policy.name_prefix) || policy.take_over.contains(name);
        (!fits).then(|| {
            format!(
                "{field} {name} neither begins with spec.namePrefix ({}) nor is it in spec.takeOver",
                policy.name_prefix
            )
        })
    })
}

/// Whether an entry covers what is asked for: the bucket, and the path or one above it.
pub fn allows(allowed: &AllowedStorage, asked: &Storage) -> bool {
    let path = key_prefix(&asked.storage_path);
    let covers = |above: &String| path.starts_with(&key_prefix(above));
    allowed.bucket == asked.bucket && (allowed.paths.is_empty() || allowed.paths.iter().any(covers))
}

fn counted<'a>(
    resource: &StorageIdentity,
    policy: &'a IdentityPolicy,
    all: &[StorageIdentity],
) -> Result<&'a IdentityPolicy, Failure> {
    let rank = |one: &StorageIdentity| {
        let created = one.metadata.creation_timestamp.as_ref().map(|created| created.0.as_second());
        (created, one.metadata.namespace.clone(), one.metadata.name.clone())
    };
    // One that nobody has looked at yet counts as well: whoever is looked at first must not get a younger one's place.
    let is_of = |one: &&StorageIdentity| {
        let namespace = one.metadata.namespace.as_ref();
        let is_new = one.status.as_ref().is_none_or(|status| status.policy_name.is_none());
        namespace.is_some_and(|namespace| policy.spec.namespaces.contains(namespace))
            && (is_last(one, policy) || (is_new && hindrance(one, &policy.spec).is_none()))
    };
    let who = ResourceId::of(&resource.metadata);
    let older = all
        .iter()
        .filter(is_of)
        .filter(|one| ResourceId::of(&one.metadata) != who && rank(one) < rank(resource))
        .count();
    let maximum = usize::try_from(policy.spec.maximum).unwrap_or(usize::MAX);
    if older < maximum {
        return Ok(policy);
    }
    Err(Failure::new(
        Reason::TooManyIdentities,
        format!(
            "IdentityPolicy {} allows {maximum} StorageIdentities (spec.maximum), and {older} older ones have it: delete one, or raise it.",
            named(policy)
        ),
    ))
}

/// Whether it is the policy by which a resource was allowed last.
fn is_last(resource: &StorageIdentity, policy: &IdentityPolicy) -> bool {
    let last = resource.status.as_ref().and_then(|status| status.policy_name.as_deref());
    last.is_some() && last == policy.metadata.name.as_deref()
}

fn named(policy: &IdentityPolicy) -> &str {
    policy.metadata.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn identity(namespace: &str, name: &str, storage: &Value) -> StorageIdentity {
        let spec = json!({"trust": "user", "storage": storage});
        let mut identity = StorageIdentity::new(name, serde_json::from_value(spec).unwrap());
        identity.metadata.namespace = Some(namespace.into());
        identity
    }

    fn policy(name: &str, otherwise: &Value) -> IdentityPolicy {
        let mut spec = json!({"namespaces": ["quay"], "storage": [{"bucket": "blobs", "paths": ["/datastorage"]}],
            "permissionsBoundaryArn": "arn:aws:iam::123492922789:policy/boundary"});
        for (field, value) in otherwise.as_object().unwrap() {
            spec[field] = value.clone();
        }
        IdentityPolicy::new(name, serde_json::from_value(spec).unwrap())
    }

    fn asks(storage: &Value) -> StorageIdentity {
        identity("quay", "example", &json!([storage]))
    }

    #[test]
    fn a_path_covers_itself_and_what_is_below_it_and_nothing_else() {
        let allowed = [policy("quay", &json!({}))];
        let permits =
            |path: &str| permit(&asks(&json!({"bucket": "blobs", "storagePath": path})), &allowed, &[]).is_ok();
        for path in ["/datastorage", "datastorage", "/datastorage/", "/datastorage/registry"] {
            assert!(permits(path), "{path}");
        }
        for path in ["", "/", "/data", "/datastorage2", "//datastorage", "/other"] {
            assert!(!permits(path), "{path}");
        }
        let whole = [policy("quay", &json!({"storage": [{"bucket": "blobs"}]}))];
        assert!(permit(&asks(&json!({"bucket": "blobs", "storagePath": ""})), &whole, &[]).is_ok());
        assert!(permit(&asks(&json!({"bucket": "blobs2"})), &whole, &[]).is_err());
    }

    #[test]
    fn what_hinders_is_told_of_each_policy_of_the_namespace() {
        let key = "arn:aws:kms:eu-west-1:123492922789:key/1234";
        let refused = |resource: &StorageIdentity, policies: &[IdentityPolicy]| {
            let failure = permit(resource, policies, &[]).unwrap_err();
            assert_eq!(failure.reason, Reason::IdentityNotAllowed);
            failure.message
        };
        let policies = [policy("a", &json!({})), policy("b", &json!({"storage": [{"bucket": "others"}]}))];
        let told = refused(&asks(&json!({"bucket": "blobs", "kmsKeyArn": key})), &policies);
        assert!(told.contains(&format!("IdentityPolicy a: spec.kmsKeyArns does not allow {key}")), "{told}");
        assert!(told.contains("IdentityPolicy b: spec.storage does not allow bucket blobs"), "{told}");
        let elsewhere = identity("other", "example", &json!([{"bucket": "blobs"}]));
        assert!(refused(&elsewhere, &policies).starts_with("No IdentityPolicy names namespace other"));
        let mut named = asks(&json!({"bucket": "blobs"}));
        named.spec.role_name = Some("administrator".into());
        assert!(refused(&named, &policies).contains("roleName administrator neither begins with"));
        named.spec.role_name = Some("registry-sts-quay".into());
        assert!(permit(&named, &policies, &[]).is_ok());
    }

    #[test]
    fn the_policy_that_allowed_it_before_goes_on_to_and_the_oldest_have_the_places() {
        let policies = [policy("b", &json!({"maximum": 1})), policy("a", &json!({}))];
        let mut resource = asks(&json!({"bucket": "blobs"}));
        let name = |resource: &StorageIdentity, all: &[StorageIdentity]| {
            permit(resource, &policies, all).map(|policy| named(policy).to_owned())
        };
        assert_eq!(name(&resource, &[]).unwrap(), "a");
        let before = |policy: &str| Some(serde_json::from_value(json!({"policyName": policy})).unwrap());
        resource.status = before("b");
        assert_eq!(name(&resource, &[]).unwrap(), "b");

        let mut elder = identity("quay", "a-sibling", &json!([{"bucket": "blobs"}]));
        elder.status = before("b");
        assert_eq!(name(&resource, &[elder.clone()]).unwrap_err().reason, Reason::TooManyIdentities);
        assert_eq!(name(&elder, &[resource.clone()]).unwrap(), "b");
        elder.status = before("a");
        assert_eq!(name(&resource, &[elder]).unwrap(), "b");
    }
}
