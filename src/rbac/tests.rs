use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize as _;
use serde_json::Value;

use super::grants::{Account, Wanted, Workload, grants};
use super::*;
use crate::resource::ResourceId;

const FILES: [&str; 11] = [
    include_str!("../../deploy/rbac/operator.yaml"),
    include_str!("../../deploy/manager/leader.yaml"),
    include_str!("../../deploy/rbac/bundle.yaml"),
    include_str!("../../deploy/rbac/output.yaml"),
    include_str!("../../deploy/rbac/mint.yaml"),
    include_str!("../../deploy/rbac/annotate.yaml"),
    include_str!("../../deploy/rbac/rollout.yaml"),
    include_str!("../../deploy/rbac/restore.yaml"),
    include_str!("../../deploy/rbac/identities.yaml"),
    include_str!("../../deploy/overlays/identities/cloud-credentials.yaml"),
    include_str!("../../deploy/rbac/key.yaml"),
];

/// What a role allows, verb by verb: group, resource, verb, name.
type Allowed = BTreeSet<[String; 4]>;

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn allowed(role: &Value) -> Allowed {
    let mut all = Allowed::new();
    for rule in role["rules"].as_array().unwrap() {
        let names = texts(&rule["resourceNames"]);
        for (group, resource) in texts(&rule["apiGroups"])
            .iter()
            .flat_map(|group| texts(&rule["resources"]).into_iter().map(move |resource| (group.clone(), resource)))
        {
            for verb in texts(&rule["verbs"]) {
                all.insert([group.clone(), resource.clone(), verb, names.join(" ")]);
            }
        }
    }
    all
}

/// The roles of deploy/, by name.
fn deployed() -> BTreeMap<String, Allowed> {
    let documents = FILES.iter().flat_map(|file| serde_yaml::Deserializer::from_str(file));
    let objects = documents.map(|document| Value::deserialize(document).unwrap());
    let roles = objects.filter(|object| object["kind"] == "ClusterRole" || object["kind"] == "Role");
    roles.map(|role| (role["metadata"]["name"].as_str().unwrap().to_owned(), allowed(&role))).collect()
}

#[test]
fn the_table_says_what_the_roles_of_deploy_allow_and_nothing_else() {
    let mut deployed = deployed();
    deployed.remove("registry-sts-read").unwrap();
    let mut told = BTreeMap::new();
    for feature in Feature::ALL {
        let mut all = Allowed::new();
        for rule in feature.rules() {
            for (resource, verb) in rule.resources.iter().flat_map(|of| rule.verbs.iter().map(move |verb| (of, verb))) {
                let name = rule.name.unwrap_or_default();
                let is_new = all.insert([rule.group, resource, verb, name].map(str::to_owned));
                assert!(is_new, "{} says {verb} {resource} twice", feature.role());
            }
        }
        told.insert(feature.role().to_owned(), all);
    }
    assert_eq!(told, deployed);
}

#[test]
fn each_row_of_the_table_says_why() {
    let rows = table();
    let rows: Vec<&str> = rows.lines().skip(2).collect();
    assert_eq!(rows.len(), Feature::ALL.iter().map(|feature| feature.rules().len()).sum::<usize>());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 6, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
    }
}

fn granted(wanted: &Wanted) -> Vec<Value> {
    grants("quay", &Account { namespace: "registry-sts".into(), name: "registry-sts".into() }, wanted)
}

/// The names of the cluster's roles that are bound, and the rules of the namespace's own.
fn summary(objects: &[Value]) -> (Vec<&str>, Allowed) {
    let mut own = Allowed::new();
    let mut bound = Vec::new();
    for object in objects {
        assert_eq!(object["metadata"]["namespace"], "quay");
        match object["kind"].as_str().unwrap() {
            "Role" => own.extend(allowed(object)),
            _ if object["roleRef"]["kind"] == "ClusterRole" => bound.push(object["roleRef"]["name"].as_str().unwrap()),
            _ => {
                let role = object["roleRef"]["name"].as_str().unwrap();
                assert!(objects.iter().any(|other| other["kind"] == "Role" && other["metadata"]["name"] == role));
            }
        }
    }
    (bound, own)
}

fn rights(all: &[[&str; 4]]) -> Allowed {
    all.iter().map(|one| one.map(str::to_owned)).collect()
}

#[test]
fn without_names_the_bundles_of_the_namespace_may_be_changed_and_nothing_more_is_granted() {
    assert_eq!(summary(&granted(&Wanted::default())), (vec!["registry-sts-bundle"], Allowed::new()));
}

#[test]
fn with_the_bundles_name_no_other_secret_may_be_changed() {
    let wanted = Wanted { bundles: vec!["one".into(), "two".into()], ..Wanted::default() };
    let expected = rights(&[["", "secrets", "patch", "one two"]]);
    assert_eq!(summary(&granted(&wanted)), (vec!["registry-sts-read"], expected));
}

#[test]
fn with_an_output_nothing_but_the_output_may_be_changed() {
    let wanted = Wanted { outputs: vec!["output".into()], ..Wanted::default() };
    let expected = rights(&[["", "secrets", "create", ""], ["", "secrets", "patch", "output"]]);
    assert_eq!(summary(&granted(&wanted)), (vec!["registry-sts-read"], expected));
}

#[test]
fn what_is_named_is_all_that_is_minted_annotated_and_rolled() {
    let backup = crate::plan::backup::name(&ResourceId { namespace: "quay".into(), name: "example".into() });
    let workload = |resource, name: &str| Workload { resource, name: name.to_owned() };
    let wanted = Wanted {
        minted: vec!["app".into()],
        annotated: vec!["app".into()],
        restarted: vec![workload("deployments", "quay"), workload("statefulsets", "mirror")],
        sees_rollouts: true,
        restored: vec!["example".into()],
        ..Wanted::default()
    };
    let expected = rights(&[
        ["", "serviceaccounts", "get", "app"],
        ["", "serviceaccounts/token", "create", "app"],
        ["", "serviceaccounts", "patch", "app"],
        ["apps", "deployments", "get", "quay"],
        ["apps", "deployments", "patch", "quay"],
        ["apps", "statefulsets", "get", "mirror"],
        ["apps", "statefulsets", "patch", "mirror"],
        ["", "pods", "list", ""],
        ["", "secrets", "create", ""],
        ["", "secrets", "patch", &backup],
        ["", "secrets", "delete", &backup],
    ]);
    let bound = vec!["registry-sts-bundle", "registry-sts-rollout"];
    assert_eq!(summary(&granted(&wanted)), (bound, expected));
}

#[test]
fn with_a_keys_name_no_other_secret_is_read_or_changed_for_it() {
    let wanted = Wanted { bundles: vec!["bundle".into()], keys: vec!["key".into()], ..Wanted::default() };
    let expected = rights(&[
        ["", "secrets", "patch", "bundle"],
        ["", "secrets", "create", ""],
        ["", "secrets", "get", "key"],
        ["", "secrets", "patch", "key"],
    ]);
    assert_eq!(summary(&granted(&wanted)), (vec!["registry-sts-read"], expected));
    let wanted = Wanted { keys: vec!["key".into()], ..Wanted::default() };
    assert_eq!(summary(&granted(&wanted)).0, vec!["registry-sts-bundle"], "the bundle is not named");
}

#[test]
fn of_an_operator_of_namespaces_no_role_of_the_cluster_is_bound_and_the_rules_are_the_same() {
    let wanted = Wanted { sees_rollouts: true, is_namespaced: true, ..Wanted::default() };
    let objects = granted(&wanted);
    let (bound, own) = summary(&objects);
    let deployed = deployed();
    assert_eq!(bound, Vec::<&str>::new());
    assert_eq!(own, deployed["registry-sts-bundle"].union(&deployed["registry-sts-rollout"]).cloned().collect());
}
