//! Whether a service account is one that Quay's pods get a role by: its annotations say so, and a webhook does it.

use std::collections::BTreeMap;

use super::desired::{Auth, Desired, WebIdentity};
use super::observation::Observation;
use crate::arn::RoleArn;
use crate::consumer::Environment;
use crate::reason::{Failure, Reason};
use crate::target::Account;

/// Says which role the pods of a service account get.
pub const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
const AUDIENCE: &str = "eks.amazonaws.com/audience";
const REGIONAL: &str = "eks.amazonaws.com/sts-regional-endpoints";
/// What the webhook asks tokens for where no annotation says.
const DEFAULT_AUDIENCE: &str = "sts.amazonaws.com";

/// A service account as it was seen, and its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSeen {
    /// Its uid.
    pub uid: String,
    /// Its version, the precondition of a change.
    pub resource_version: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Whether the cluster has a pod identity webhook.
    pub webhook: Webhook,
}

/// Whether a cluster has a pod identity webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Webhook {
    /// It has.
    Installed,
    /// It has none.
    Missing,
    /// The API server does not let that be seen.
    #[default]
    Unseen,
}

/// An annotation to add: which role the pods of a service account get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The account's name.
    pub account: String,
    /// The account's uid: another one of that name is another.
    pub uid: String,
    /// The version that was observed. If it is no longer that, nothing is added.
    pub resource_version: String,
    /// The role.
    pub role: RoleArn,
}

/// The accounts that lack the annotation, where the resource asks to add it; of two roles for one account the first
/// counts. Nothing is added for a Quay that could not use it.
pub(super) fn annotations(desired: &Desired, seen: &Observation) -> Vec<Annotation> {
    let mut annotations: Vec<Annotation> = Vec::new();
    if desired.consumer.hindrance.is_some() {
        return annotations;
    }
    for (location, seen) in desired.locations.iter().zip(&seen.locations) {
        let Ok(Auth::WebIdentity(WebIdentity { account, role: Some(role), annotate: true, .. })) =
            location.wanted.as_ref().map(|wanted| &wanted.auth)
        else {
            continue;
        };
        // One that is empty is somebody's, too.
        let lacking = seen.account.as_ref().filter(|seen| !seen.annotations.contains_key(ROLE_ARN));
        if let (Some(seen), false) = (lacking, annotations.iter().any(|known| known.account == *account)) {
            annotations.push(Annotation {
                account: account.clone(),
                uid: seen.uid.clone(),
                resource_version: seen.resource_version.clone(),
                role: role.clone(),
            });
        }
    }
    annotations
}

/// Who Quay's pods are to AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIdentity {
    /// The service account.
    pub account: Account,
    /// The role that its pods get.
    pub role: RoleArn,
    /// The account asks for the STS host of the region.
    pub regional: bool,
}

impl PodIdentity {
    /// Reads a service account's annotations against what is wanted.
    ///
    /// # Errors
    /// Why Quay's pods would not get that role by it, and what to change.
    pub fn of(wanted: &WebIdentity, namespace: &str, seen: &AccountSeen) -> Result<Self, Failure> {
        let account = &wanted.account;
        let annotation = |key: &str| seen.annotations.get(key).map(|value| value.trim()).filter(|v| !v.is_empty());
        let annotate =
            |value: &str| format!("kubectl -n {namespace} annotate serviceaccount {account} {ROLE_ARN}={value}");
        let Some(annotated) = annotation(ROLE_ARN) else {
            let role = wanted.role.as_ref().map_or("<role ARN>", RoleArn::as_str);
            return Err(Failure::new(
                Reason::AnnotationMismatch,
                format!(
                    "Service account {account} has no annotation {ROLE_ARN}: Quay's pods would get no role by it. Its owner adds it: {}; then restart Quay's pods. (EKS Pod Identity, which needs no annotation, does not work for Quay: its config-tool knows nothing of it.)",
                    annotate(role)
                ),
            ));
        };
        let role: RoleArn = annotated.parse().map_err(|why| {
            Failure::new(
                Reason::AnnotationMismatch,
                format!(
                    "Annotation {ROLE_ARN} of service account {account} {why}. Correct it, and restart Quay's pods."
                ),
            )
        })?;
        if let Some(wanted) = wanted.role.as_ref().filter(|wanted| **wanted != role) {
            return Err(Failure::new(
                Reason::AnnotationMismatch,
                format!(
                    "Annotation {ROLE_ARN} of service account {account} names {role}, and auth.webIdentity.roleArn {wanted}. Quay's pods get the annotated one: correct one of the two."
                ),
            ));
        }
        let audience = annotation(AUDIENCE).unwrap_or(DEFAULT_AUDIENCE);
        if audience != wanted.audience {
            return Err(Failure::new(
                Reason::AnnotationMismatch,
                format!(
                    "The tokens of Quay's pods are for audience {audience} (annotation {AUDIENCE} of service account {account}, else {DEFAULT_AUDIENCE}), and auth.webIdentity.audience is {}. Correct one of the two.",
                    wanted.audience
                ),
            ));
        }
        if seen.webhook == Webhook::Unseen {
            return Err(Failure::new(
                Reason::WebhookMissing,
                "Whether the cluster has a pod identity webhook cannot be seen: getting MutatingWebhookConfiguration pod-identity-webhook is forbidden. Grant it with the ClusterRole of deploy/rbac/operator.yaml.",
            ));
        }
        if seen.webhook == Webhook::Missing {
            return Err(Failure::new(
                Reason::WebhookMissing,
                "The cluster has no pod identity webhook (MutatingWebhookConfiguration pod-identity-webhook): Quay's pods would get neither token nor role. On OpenShift the Cloud Credential Operator installs it; elsewhere install amazon-eks-pod-identity-webhook.",
            ));
        }
        Ok(Self {
            account: Account {
                namespace: namespace.to_owned(),
                name: account.clone(),
                uid: seen.uid.clone(),
                audience: wanted.audience.clone(),
            },
            role,
            regional: annotation(REGIONAL).is_some_and(|value| value.eq_ignore_ascii_case("true")),
        })
    }

    /// The environment of the pods: what is known of it, and what the webhook adds.
    pub fn environment(&self, known: &Environment) -> Environment {
        Environment { regional: known.regional || self.regional, ..known.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123492922789:role/quay";

    fn seen(annotations: &[(&str, &str)]) -> AccountSeen {
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        AccountSeen { uid: "u".into(), resource_version: "7".into(), annotations, webhook: Webhook::Installed }
    }

    fn wanted(role: Option<&str>, audience: &str) -> WebIdentity {
        WebIdentity {
            account: "example-registry-quay-app".into(),
            audience: audience.into(),
            role: role.map(|role| role.parse().unwrap()),
            annotate: false,
        }
    }

    #[test]
    fn an_annotated_account_is_who_quays_pods_are() {
        let identity =
            PodIdentity::of(&wanted(None, "sts.amazonaws.com"), "quay", &seen(&[(ROLE_ARN, ROLE), (REGIONAL, "true")]))
                .unwrap();
        assert_eq!(identity.role.as_str(), ROLE);
        assert_eq!(identity.account.subject(), "system:serviceaccount:quay:example-registry-quay-app");
        assert!(identity.environment(&Environment::default()).regional);
    }

    #[test]
    fn what_would_give_quays_pods_another_role_or_none_is_told_with_what_to_change() {
        let other = "arn:aws:iam::123492922789:role/other";
        for (wanted, seen, reason, says) in [
            (
                wanted(Some(ROLE), "sts.amazonaws.com"),
                seen(&[]),
                Reason::AnnotationMismatch,
                "annotate serviceaccount example-registry-quay-app eks.amazonaws.com/role-arn=arn:aws:iam::123492922789:role/quay",
            ),
            (wanted(None, "sts.amazonaws.com"), seen(&[]), Reason::AnnotationMismatch, "EKS Pod Identity"),
            (
                wanted(Some(ROLE), "sts.amazonaws.com"),
                seen(&[(ROLE_ARN, other)]),
                Reason::AnnotationMismatch,
                "role/other",
            ),
            (
                wanted(None, "sts.amazonaws.com"),
                seen(&[(ROLE_ARN, "quay")]),
                Reason::AnnotationMismatch,
                "is not an ARN",
            ),
            (
                wanted(None, "openshift"),
                seen(&[(ROLE_ARN, ROLE)]),
                Reason::AnnotationMismatch,
                "auth.webIdentity.audience is openshift",
            ),
            (
                wanted(None, "sts.amazonaws.com"),
                AccountSeen { webhook: Webhook::Missing, ..seen(&[(ROLE_ARN, ROLE)]) },
                Reason::WebhookMissing,
                "pod-identity-webhook",
            ),
        ] {
            let failure = PodIdentity::of(&wanted, "quay", &seen).unwrap_err();
            assert_eq!(failure.reason, reason);
            assert!(failure.message.contains(says), "{}", failure.message);
        }
    }
}
