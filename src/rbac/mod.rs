//! PURE: what the operator may do, feature by feature, and why; and the grants that give it that in one namespace.

pub mod grants;

use std::fmt::Write as _;

use Feature::{
    Annotate, Bundle, CloudCredentials, Cluster, Identities, Key, Leader, Mint, Output, Restart, Restore, Rollout,
};

/// What rights are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// That there is an operator at all, whatever it is used for.
    Cluster,
    /// One of several processes acts.
    Leader,
    /// A bundle is kept right in place.
    Bundle,
    /// The result is a Secret of its own.
    Output,
    /// Locations that use a service account's role.
    Mint,
    /// The service account gets its annotation.
    Annotate,
    /// It is said whether Quay runs what was written.
    Rollout,
    /// Workloads are rolled after a write.
    Restart,
    /// What stood in a bundle is put back at the end.
    Restore,
    /// IAM users and roles are made.
    Identities,
    /// The operator's own role comes from the Cloud Credential Operator.
    CloudCredentials,
    /// The access key of a user that is made is put into a Secret.
    Key,
}

/// What one rule allows, and what for.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The API group; the core one is empty.
    pub group: &'static str,
    /// The resources.
    pub resources: &'static [&'static str],
    /// The only object that is meant, where it is known.
    pub name: Option<&'static str>,
    /// What may be done with them.
    pub verbs: &'static [&'static str],
    /// What for.
    pub why: &'static str,
}

const fn rule(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    why: &'static str,
) -> Rule {
    Rule { group, resources, name: None, verbs, why }
}

const OURS: &str = "registry-sts.dev";
const WORKLOADS: &[&str] = &["deployments", "statefulsets"];

impl Feature {
    /// All of them.
    pub const ALL: [Self; 12] =
        [Cluster, Leader, Bundle, Output, Mint, Annotate, Rollout, Restart, Restore, Identities, CloudCredentials, Key];

    /// The role that deploy/ has for it: a `ClusterRole`, but for what is of the operator's own namespace.
    pub fn role(self) -> &'static str {
        match self {
            Self::Cluster => "registry-sts",
            Self::Leader => "registry-sts-leader",
            Self::Bundle => "registry-sts-bundle",
            Self::Output => "registry-sts-output",
            Self::Mint => "registry-sts-mint",
            Self::Annotate => "registry-sts-annotate",
            Self::Rollout => "registry-sts-rollout",
            Self::Restart => "registry-sts-restart",
            Self::Restore => "registry-sts-restore",
            Self::Identities => "registry-sts-identities",
            Self::CloudCredentials => "registry-sts-cloud-credentials",
            Self::Key => "registry-sts-key",
        }
    }

    /// Where it is bound, and by whom.
    pub fn bound(self) -> &'static str {
        match self {
            Self::Cluster => "cluster, by the install",
            Self::Leader => "its own namespace, by the install",
            Self::Identities => "cluster, by the opt-in install",
            Self::CloudCredentials => "its own namespace, by the opt-in install",
            Bundle | Output | Mint | Annotate | Rollout | Restart | Restore | Key => "namespace, by its owner",
        }
    }

    /// What of a resource, or of how the operator is started, needs it.
    pub fn needed(self) -> &'static str {
        match self {
            Self::Cluster => "always",
            Self::Leader => "unless --no-leader-election",
            Self::Bundle => "configBundleSecret or registryRef, without outputSecret",
            Self::Output => "outputSecret",
            Self::Mint => "auth.webIdentity",
            Self::Annotate => "annotateServiceAccount",
            Self::Rollout => "registryRef, for ConsumerCurrent",
            Self::Restart => "restart",
            Self::Restore => "deletionPolicy: Restore",
            Self::Identities => "--enable-identities",
            Self::CloudCredentials => "--enable-identities on OpenShift (ROLEARN)",
            Self::Key => "StorageIdentity with trust: user",
        }
    }

    /// What it may do.
    pub fn rules(self) -> &'static [Rule] {
        match self {
            Self::Cluster => CLUSTER,
            Self::Leader => LEADER,
            Self::Bundle => BUNDLE,
            Self::Output => OUTPUT,
            Self::Mint => MINT,
            Self::Annotate => ANNOTATE,
            Self::Rollout => ROLLOUT,
            Self::Restart => RESTART,
            Self::Restore => RESTORE,
            Self::Identities => IDENTITIES,
            Self::CloudCredentials => CLOUD_CREDENTIALS,
            Self::Key => KEY,
        }
    }
}

const CLUSTER: &[Rule] = &[
    rule(OURS, &["quaystorages"], &["get", "list", "watch"], "see what is asked for"),
    rule(OURS, &["quaystorages/status"], &["patch"], "report"),
    rule(OURS, &["quaystorages"], &["patch"], "set and take its finalizer, with deletionPolicy Restore"),
    rule(
        "quay.redhat.com",
        &["quayregistries"],
        &["get", "list", "watch"],
        "see a registry's bundle, pods' environment and version",
    ),
    rule("events.k8s.io", &["events"], &["create", "patch"], "tell of transitions"),
    rule(
        "",
        &["namespaces"],
        &["list", "watch"],
        "write nothing into a namespace that is being deleted (metadata only)",
    ),
    Rule {
        name: Some("pod-identity-webhook"),
        ..rule(
            "admissionregistration.k8s.io",
            &["mutatingwebhookconfigurations"],
            &["get"],
            "see whether pods get a role by their service account (metadata only)",
        )
    },
];

const LEADER: &[Rule] = &[rule(
    "coordination.k8s.io",
    &["leases"],
    &["get", "create", "update"],
    "take and renew the Lease that says which process acts",
)];

const READ_SECRETS: [Rule; 2] = [
    rule("", &["secrets"], &["get"], "read the access key and the config bundle"),
    rule("", &["secrets"], &["list", "watch"], "see at once that one of them changed (metadata only)"),
];

const BUNDLE: &[Rule] =
    &[READ_SECRETS[0], READ_SECRETS[1], rule("", &["secrets"], &["patch"], "change config.yaml of the config bundle")];

const OUTPUT: &[Rule] = &[
    READ_SECRETS[0],
    READ_SECRETS[1],
    rule("", &["secrets"], &["create"], "create the output"),
    rule("", &["secrets"], &["patch"], "keep the output in step; its source is never changed"),
];

const MINT: &[Rule] = &[
    rule("", &["serviceaccounts"], &["get"], "see the annotations of the account that Quay's pods run as"),
    rule(
        "",
        &["serviceaccounts/token"],
        &["create"],
        "assume the role as Quay's pods will, and see who issues the tokens that a StorageIdentity's role trusts",
    ),
];

const ANNOTATE: &[Rule] =
    &[rule("", &["serviceaccounts"], &["patch"], "add eks.amazonaws.com/role-arn where it is missing")];

const SEE_PODS: Rule = rule("", &["pods"], &["list"], "see that none is older than the write (metadata only)");

const ROLLOUT: &[Rule] = &[rule("apps", WORKLOADS, &["get"], "see whether what runs Quay is rolled out"), SEE_PODS];

const RESTART: &[Rule] = &[
    rule("apps", WORKLOADS, &["get"], "see whether what runs Quay is rolled out"),
    rule("apps", WORKLOADS, &["patch"], "roll it, as kubectl rollout restart does"),
    SEE_PODS,
];

const RESTORE: &[Rule] = &[
    rule("", &["secrets"], &["create"], "keep what stands in the bundle before the first write"),
    rule("", &["secrets"], &["patch"], "keep what a later write is to write over, too"),
    rule("", &["secrets"], &["delete"], "remove that once it was put back"),
];

const IDENTITIES: &[Rule] = &[
    rule(OURS, &["storageidentities"], &["get", "list", "watch"], "see what is asked for"),
    rule(OURS, &["storageidentities/status"], &["patch"], "report"),
    rule(OURS, &["storageidentities"], &["patch"], "set and take its finalizer, with deletionPolicy Delete"),
    rule(OURS, &["identitypolicies"], &["get", "list", "watch"], "see what namespaces may ask for"),
    Rule {
        name: Some("cluster"),
        ..rule(
            "config.openshift.io",
            &["authentications"],
            &["get"],
            "see the issuer of the cluster's tokens, on OpenShift",
        )
    },
];

const CLOUD_CREDENTIALS: &[Rule] = &[
    rule(
        "cloudcredential.openshift.io",
        &["credentialsrequests"],
        &["create"],
        "ask for the role that the Subscription names",
    ),
    Rule {
        name: Some("registry-sts"),
        ..rule(
            "cloudcredential.openshift.io",
            &["credentialsrequests"],
            &["get", "patch"],
            "keep asking for the role that it names now",
        )
    },
];

const KEY: &[Rule] = &[
    rule("", &["secrets"], &["get"], "read the access key that it has put there"),
    rule("", &["secrets"], &["create"], "put the first access key into a Secret of its own"),
    rule("", &["secrets"], &["patch"], "put the next one there, at each rotation"),
];

/// All rights as a table in Markdown: feature, rule, why.
pub fn table() -> String {
    let mut text = "| needed for | role | bound in | resources | verbs | why |\n|---|---|---|---|---|---|\n".to_owned();
    for feature in Feature::ALL {
        for rule in feature.rules() {
            let group = if rule.group.is_empty() { String::new() } else { format!(".{}", rule.group) };
            let resources: Vec<String> = rule.resources.iter().map(|resource| with_group(resource, &group)).collect();
            let name = rule.name.map_or(String::new(), |name| format!(" ({name})"));
            let (needed, role, bound) = (feature.needed(), feature.role(), feature.bound());
            let (resources, verbs) = (resources.join(", "), rule.verbs.join(", "));
            let _ = writeln!(text, "| {needed} | `{role}` | {bound} | {resources}{name} | {verbs} | {} |", rule.why);
        }
    }
    text
}

/// `quaystorages/status` is `quaystorages.registry-sts.dev/status`, as kubectl has it.
fn with_group(resource: &str, group: &str) -> String {
    match resource.split_once('/') {
        Some((resource, of)) => format!("{resource}{group}/{of}"),
        None => format!("{resource}{group}"),
    }
}

#[cfg(test)]
mod tests;
