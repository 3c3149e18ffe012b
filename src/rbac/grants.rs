//! What the owner of a namespace applies so that the operator can keep registries there: bindings of the roles of deploy/,
//! and roles for some objects only where these are named.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Feature, READ_SECRETS, Rule};
use crate::plan::backup;
use crate::resource::ResourceId;

/// What every grant carries, so that all of them can be found.
pub const LABEL: (&str, &str) = ("app.kubernetes.io/part-of", "registry-sts");
const RBAC: &str = "rbac.authorization.k8s.io";
/// The role that reads Secrets of a namespace and changes none.
const READ: &str = "registry-sts-read";

/// Which registries of a namespace the operator keeps, and how.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The only bundles that it may change; all Secrets of the namespace, if none is named.
    pub bundles: Vec<String>,
    /// The outputs that it makes. With outputs, and no bundle named, it may change nothing else.
    pub outputs: Vec<String>,
    /// The service accounts that it mints tokens of.
    pub minted: Vec<String>,
    /// The service accounts that it annotates.
    pub annotated: Vec<String>,
    /// Whether it sees what runs Quay.
    pub sees_rollouts: bool,
    /// The workloads that it rolls.
    pub restarted: Vec<Workload>,
    /// The `QuayStorages` of which it keeps what stood in the bundle, to be put back.
    pub restored: Vec<String>,
    /// The Secrets into which it puts the access keys that it makes.
    pub keys: Vec<String>,
    /// The install is of namespaces: there is no `ClusterRole` that could be bound.
    pub is_namespaced: bool,
}

/// What runs Quay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// `deployments` or `statefulsets`.
    pub resource: &'static str,
    /// Its name.
    pub name: String,
}

/// A ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The objects that grant what is wanted in a namespace to the operator's ServiceAccount.
pub fn grants(namespace: &str, operator: &Account, wanted: &Wanted) -> Vec<Value> {
    let mut made = Made { namespace, operator, is_namespaced: wanted.is_namespaced, objects: Vec::new() };
    if wanted.bundles.is_empty() && wanted.outputs.is_empty() {
        made.bind(Feature::Bundle.role(), Feature::Bundle.rules());
    } else {
        made.bind(READ, &READ_SECRETS);
    }
    if !wanted.bundles.is_empty() {
        made.role("registry-sts-bundle-named", &[of("", "secrets", &["patch"], &wanted.bundles)]);
    }
    if !wanted.outputs.is_empty() {
        // Who may create cannot be held to a name by a rule.
        let rules = [of("", "secrets", &["create"], &[]), of("", "secrets", &["patch"], &wanted.outputs)];
        made.role("registry-sts-output-named", &rules);
    }
    if !wanted.minted.is_empty() {
        made.role("registry-sts-mint-named", &named(Feature::Mint.rules(), &wanted.minted));
    }
    if !wanted.annotated.is_empty() {
        made.role("registry-sts-annotate-named", &named(Feature::Annotate.rules(), &wanted.annotated));
    }
    if wanted.sees_rollouts {
        made.bind(Feature::Rollout.role(), Feature::Rollout.rules());
    }
    if !wanted.restarted.is_empty() {
        made.role("registry-sts-restart-named", &restarts(&wanted.restarted));
    }
    if !wanted.restored.is_empty() {
        let backup = |name: &String| backup::name(&ResourceId { namespace: namespace.to_owned(), name: name.clone() });
        let backups: Vec<String> = wanted.restored.iter().map(backup).collect();
        // What is written anew is kept before: a backup is changed, too.
        let rules = [of("", "secrets", &["create"], &[]), of("", "secrets", &["patch", "delete"], &backups)];
        made.role("registry-sts-restore-named", &rules);
    }
    if !wanted.keys.is_empty() {
        // Here, too, `create` cannot be held to a name.
        let rules = [of("", "secrets", &["create"], &[]), of("", "secrets", &["get", "patch"], &wanted.keys)];
        made.role("registry-sts-key-named", &rules);
    }
    made.objects
}

struct Made<'a> {
    namespace: &'a str,
    operator: &'a Account,
    is_namespaced: bool,
    objects: Vec<Value>,
}

impl Made<'_> {
    /// Binds a `ClusterRole` of deploy/ in the namespace; where there is none, a role of the namespace with its rules.
    fn bind(&mut self, role: &str, rules: &[Rule]) {
        if self.is_namespaced {
            self.role(role, &named(rules, &[]));
        } else {
            self.push_binding("ClusterRole", role);
        }
    }

    /// A role of the namespace, bound there. Its name is none of the `ClusterRoles`': a binding's role cannot be changed.
    fn role(&mut self, name: &str, rules: &[Value]) {
        let metadata = self.metadata(name);
        self.objects.push(json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": metadata, "rules": rules,
        }));
        self.push_binding("Role", name);
    }

    fn push_binding(&mut self, kind: &str, role: &str) {
        let metadata = self.metadata(role);
        let Account { namespace, name } = self.operator;
        self.objects.push(json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }));
    }

    fn metadata(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.namespace, "labels": {LABEL.0: LABEL.1}})
    }
}

fn of(group: &str, resource: &str, verbs: &[&str], names: &[String]) -> Value {
    let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    if !names.is_empty() {
        rule["resourceNames"] = json!(names);
    }
    rule
}

/// The rules, held to some objects.
fn named(rules: &[Rule], names: &[String]) -> Vec<Value> {
    let each = rules.iter().flat_map(|rule| rule.resources.iter().map(move |resource| (rule, resource)));
    each.map(|(rule, resource)| of(rule.group, resource, rule.verbs, names)).collect()
}

fn restarts(workloads: &[Workload]) -> Vec<Value> {
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for workload in workloads {
        names.entry(workload.resource).or_default().push(workload.name.clone());
    }
    let mut rules: Vec<Value> =
        names.iter().map(|(resource, names)| of("apps", resource, &["get", "patch"], names)).collect();
    rules.push(of("", "pods", &["list"], &[]));
    rules
}
