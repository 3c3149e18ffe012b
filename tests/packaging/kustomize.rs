//! The installs by kustomize.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::files::{allowed, identity, kustomized};

fn find<'a>(objects: &'a [Value], which: &str) -> &'a Value {
    objects.iter().find(|object| identity(object) == which).unwrap_or_else(|| panic!("there is no {which}"))
}

#[test]
fn the_namespaced_install_has_the_rights_of_the_default_one_as_far_as_they_are_of_namespaces() {
    let default = kustomized("deploy/default");
    let mut expected = allowed(&find(&default, "ClusterRole /registry-sts")["rules"]);
    expected.extend(allowed(&find(&default, "ClusterRole /registry-sts-bundle")["rules"]));
    let cluster = ["namespaces", "mutatingwebhookconfigurations"];
    expected.retain(|[_, resource, ..]| !cluster.contains(&resource.as_str()));
    let namespaced = kustomized("deploy/overlays/namespaced");
    assert_eq!(allowed(&find(&namespaced, "Role quay/registry-sts")["rules"]), expected);
}

#[test]
fn the_namespaced_install_has_nothing_outside_its_namespace() {
    for object in kustomized("deploy/overlays/namespaced") {
        assert_eq!(object["metadata"]["namespace"], "quay", "{}", identity(&object));
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["namespace"], "quay", "{}", identity(&object));
        }
    }
}

#[test]
fn the_default_install_may_read_no_secret() {
    let default = kustomized("deploy/default");
    let bound = |object: &&Value| object["kind"].as_str().unwrap().ends_with("Binding");
    let roles: BTreeSet<&str> =
        default.iter().filter(bound).filter_map(|binding| binding["roleRef"]["name"].as_str()).collect();
    assert_eq!(roles, BTreeSet::from(["registry-sts", "registry-sts-leader"]));
    let role = allowed(&find(&default, "ClusterRole /registry-sts")["rules"]);
    assert!(role.iter().all(|[_, resource, ..]| resource != "secrets"));
}

#[test]
fn the_install_for_all_secrets_is_the_default_one_and_one_binding() {
    let default: BTreeSet<String> = kustomized("deploy/default").iter().map(ToString::to_string).collect();
    let all: BTreeSet<String> = kustomized("deploy/overlays/all-secrets").iter().map(ToString::to_string).collect();
    assert!(default.is_subset(&all));
    assert_eq!(all.len(), default.len() + 1);
}

#[test]
fn the_install_with_identities_is_the_default_one_with_their_rights_flags_and_volumes() {
    let (default, all) = (kustomized("deploy/default"), kustomized("deploy/overlays/identities"));
    let names = |objects: &[Value]| -> BTreeSet<String> { objects.iter().map(identity).collect() };
    let added = [
        "ClusterRoleBinding /registry-sts-identities",
        "Role registry-sts/registry-sts-cloud-credentials",
        "RoleBinding registry-sts/registry-sts-cloud-credentials",
    ];
    assert_eq!(&names(&all) - &names(&default), added.map(str::to_owned).into());
    let deployment = "Deployment registry-sts/registry-sts";
    for object in &default {
        let which = identity(object);
        assert!(which == deployment || all.contains(object), "{which}");
    }
    let mut with = find(&all, deployment).clone();
    let pod = with["spec"]["template"]["spec"].as_object_mut().unwrap();
    let volumes = pod.remove("volumes").unwrap();
    let names: Vec<&Value> = volumes.as_array().unwrap().iter().map(|volume| &volume["name"]).collect();
    let container = pod["containers"][0].as_object_mut().unwrap();
    let mounts = container.remove("volumeMounts").unwrap();
    assert_eq!(names, mounts.as_array().unwrap().iter().map(|mount| &mount["name"]).collect::<Vec<_>>());
    let arguments = container["args"].as_array_mut().unwrap();
    // What is to be replaced is refused as it stands.
    assert_eq!(arguments.split_off(arguments.len() - 2), ["--enable-identities", "--cluster-id=<cluster-id>"]);
    assert_eq!(&with, find(&default, deployment));
    let answer = volumes.as_array().unwrap().iter().find(|volume| volume["secret"].is_object()).unwrap();
    assert_eq!(answer["secret"]["optional"], true, "the pod starts before the Secret is there");
}
