//! In which namespaces, and what is granted there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{named, refused, rendered};
use crate::files::{documents, kustomized, text};

/// Two namespaces, without the definition.
pub(super) const SCOPED: [&str; 2] = ["--values", "deploy/helm/registry-sts/ci/namespaced-values.yaml"];

/// The rules of the `ClusterRole` of that name.
fn rules(name: &str) -> Value {
    named(kustomized("deploy/default"))[&format!("ClusterRole /{name}")]["rules"].clone()
}

#[test]
fn in_some_namespaces_only_there_is_nothing_of_the_clusters() {
    for (name, object) in rendered(&SCOPED) {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        assert!(["registry-sts", "quay", "mirror"].contains(&namespace), "{name}");
        assert_ne!(object["roleRef"]["kind"], "ClusterRole", "{name}");
    }
}

#[test]
fn in_some_namespaces_only_the_definitions_are_all_that_is_of_the_cluster() {
    let objects = rendered(&[&SCOPED[..], &["--set", "crds.enabled=true"]].concat());
    let of_the_cluster: Vec<_> = objects.keys().filter(|name| name.contains(" /")).collect();
    let kinds = ["identitypolicies", "quaystorages", "storageidentities"];
    assert_eq!(
        of_the_cluster,
        kinds.map(|kind| format!("CustomResourceDefinition /{kind}.registry-sts.dev")).each_ref()
    );
}

#[test]
fn the_rights_in_a_namespace_are_those_of_the_namespaced_install() {
    let theirs = named(kustomized("deploy/overlays/namespaced"));
    let ours = rendered(&SCOPED);
    for namespace in ["quay", "mirror"] {
        let role = format!("Role {namespace}/registry-sts");
        assert_eq!(ours[&role]["rules"], theirs["Role quay/registry-sts"]["rules"], "{namespace}");
        let binding = &ours[&format!("RoleBinding {namespace}/registry-sts")];
        let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "registry-sts"});
        assert_eq!(binding["roleRef"], reference);
        assert_eq!(binding["subjects"][0]["namespace"], "registry-sts");
    }
    let roles: BTreeSet<_> = ours.keys().filter(|name| name.starts_with("Role ")).map(String::as_str).collect();
    let granted = ["Role quay/registry-sts-mint", "Role quay/registry-sts-restore"];
    let always = ["Role mirror/registry-sts", "Role quay/registry-sts", "Role registry-sts/registry-sts-leader"];
    assert_eq!(roles, granted.into_iter().chain(always).collect());
}

#[test]
fn the_operator_works_in_the_namespaces_of_its_scope() {
    let objects = rendered(&SCOPED);
    let pod = &objects["Deployment registry-sts/registry-sts"]["spec"]["template"]["spec"];
    let arguments = pod["containers"][0]["args"].as_array().unwrap();
    assert!(arguments.contains(&json!("--namespace=quay")) && arguments.contains(&json!("--namespace=mirror")));
}

#[test]
fn a_grant_gives_the_same_rights_in_either_scope() {
    let grants = r#"grants=[{"namespace":"quay","roles":["output","mint"]}]"#;
    let everywhere = rendered(&["--set-json", grants]);
    let scoped = rendered(&["--set-json", grants, "--set", "scope.namespaces={quay}"]);
    for role in ["registry-sts-output", "registry-sts-mint"] {
        let binding = format!("RoleBinding quay/{role}");
        assert_eq!(everywhere[&binding]["roleRef"]["kind"], "ClusterRole");
        assert_eq!(everywhere[&format!("ClusterRole /{role}")]["rules"], rules(role));
        assert_eq!(scoped[&binding]["roleRef"]["kind"], "Role");
        assert_eq!(scoped[&format!("Role quay/{role}")]["rules"], rules(role));
        for objects in [&everywhere, &scoped] {
            assert_eq!(objects[&binding]["roleRef"]["name"], role);
            let account = json!([{"kind": "ServiceAccount", "name": "registry-sts", "namespace": "registry-sts"}]);
            assert_eq!(objects[&binding]["subjects"], account);
        }
    }
}

#[test]
fn what_can_be_granted_are_the_roles_that_are_bound_by_namespace() {
    let schema: Value = serde_json::from_str(&text("deploy/helm/registry-sts/values.schema.json")).unwrap();
    let grantable = &schema["properties"]["grants"]["items"]["properties"]["roles"]["items"]["enum"];
    let grantable: BTreeSet<String> =
        grantable.as_array().unwrap().iter().map(|role| format!("registry-sts-{}", role.as_str().unwrap())).collect();
    let names = |objects: Vec<Value>| -> BTreeSet<String> {
        let roles = objects.into_iter().filter(|object| object["kind"] == "ClusterRole");
        roles.map(|role| role["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let people = names(documents(&text("deploy/rbac/people.yaml")));
    let mut to_be_bound = &names(kustomized("deploy/default")) - &people;
    // Those are the cluster's.
    assert!(to_be_bound.remove("registry-sts") && to_be_bound.remove("registry-sts-identities"));
    assert_eq!(grantable, to_be_bound);
}

#[test]
fn what_does_not_go_together_is_refused_in_plain_words() {
    let cases: [(&[&str], &str); 8] = [
        (
            &["--set", "scope.namespaces={quay},allSecrets.enabled=true"],
            "allSecrets.enabled is for all namespaces: leave scope.namespaces empty",
        ),
        (
            &["--set", "scope.namespaces={quay}", "--set-json", r#"grants=[{"namespace":"other","roles":["mint"]}]"#],
            "grants names namespace other, which scope.namespaces leaves out",
        ),
        (
            &["--set-json", r#"grants=[{"namespace":"quay","roles":["mint"]},{"namespace":"quay","roles":["read"]}]"#],
            "grants names namespace quay twice: list all its roles in one entry",
        ),
        (
            &["--set", "serviceMonitor.enabled=true,metrics.enabled=false"],
            "serviceMonitor and prometheusRule need metrics.enabled",
        ),
        (&["--set", "extraArgs={--no-leader-election}"], "/extraArgs/0"),
        (&["--set", "identities.enabled=true"], "identities.enabled needs identities.clusterId: a word that no other"),
        (
            &["--set", "scope.namespaces={quay},identities.enabled=true,identities.clusterId=prod-eu-1"],
            "identities.enabled is for all namespaces",
        ),
        (
            &["--set", "identities.roleArn=arn:aws:iam::123492922789:role/registry-sts"],
            "identities.roleArn is for identities.openshift: elsewhere the role is the annotation",
        ),
    ];
    for (values, why) in cases {
        let said = refused(values);
        assert!(said.contains(why), "{said}");
    }
}
