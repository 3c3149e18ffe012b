//! The OLM bundle, beside what kustomize makes of the default install.

mod shown;
mod validated;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::files::{allowed, documents, kustomized, printed, root, text, tool};

const BUNDLE: &str = "deploy/olm";
const CSV: &str = "deploy/olm/manifests/registry-sts.clusterserviceversion.yaml";

/// The one document of a file.
fn document(path: &str) -> Value {
    let mut documents = documents(&text(path));
    assert_eq!(documents.len(), 1, "{path}");
    documents.remove(0)
}

/// The files of the bundle's manifests.
fn manifests() -> Vec<(String, Value)> {
    let folder = Path::new(BUNDLE).join("manifests");
    let entries = root().join(&folder).read_dir().unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| (name.clone(), document(folder.join(&name).to_str().unwrap()))).collect()
}

/// What OLM makes of the bundle in a namespace.
fn unpacked(namespace: &str) -> Vec<Value> {
    documents(&printed(Command::new("python3").args(["deploy/olm/unpack.py", namespace])))
}

fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is_it).unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

#[test]
fn nothing_in_the_bundle_is_stale() {
    printed(Command::new("python3").args(["deploy/olm/generate.py", "--check"]));
}

#[test]
fn the_cluster_version_is_that_of_the_package() {
    let csv = document(CSV);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(csv["spec"]["version"], version);
    assert_eq!(csv["metadata"]["name"], format!("registry-sts.v{version}"));
    let image = csv["metadata"]["annotations"]["containerImage"].as_str().unwrap();
    assert!(image.ends_with(&format!(":{version}")), "{image}");
}

#[test]
fn the_rights_are_those_of_the_install_with_identities() {
    let csv = document(CSV);
    let install = &csv["spec"]["install"]["spec"];
    let rules = |file: &str, name: &str| -> Vec<Value> {
        let objects = documents(&text(&format!("deploy/rbac/{file}.yaml")));
        named(&objects, "ClusterRole", name)["rules"].as_array().unwrap().clone()
    };
    let expected = [rules("operator", "registry-sts"), rules("identities", "registry-sts-identities")].concat();
    let account = json!("registry-sts");
    assert_eq!(install["clusterPermissions"].as_array().unwrap().len(), 1);
    assert_eq!(install["clusterPermissions"][0]["rules"], Value::from(expected));
    assert_eq!(install["clusterPermissions"][0]["serviceAccountName"], account);

    let overlay = kustomized("deploy/overlays/identities");
    let own = ["registry-sts-leader", "registry-sts-cloud-credentials"];
    let own = own.iter().flat_map(|role| allowed(&named(&overlay, "Role", role)["rules"])).collect();
    let permissions = &install["permissions"][0];
    assert_eq!(permissions["serviceAccountName"], account);
    let without_names = |rights: BTreeSet<[String; 4]>| -> BTreeSet<_> {
        rights.into_iter().map(|[group, resource, verb, _]| (group, resource, verb)).collect()
    };
    assert_eq!(without_names(allowed(&permissions["rules"])), without_names(own));
}

#[test]
fn what_is_of_the_operators_namespace_is_of_one_name_where_olm_gives_it_for_all_namespaces() {
    let roles = unpacked("elsewhere");
    let roles: Vec<&Value> = roles.iter().filter(|object| object["kind"] == "ClusterRole").collect();
    for (resource, change) in [("leases", "update"), ("credentialsrequests", "patch")] {
        let rights: Vec<_> = roles
            .iter()
            .flat_map(|role| allowed(&role["rules"]))
            .filter(|[_, of, ..]| of == resource)
            .map(|[_, _, verb, names]| (verb, names))
            .collect();
        let expected = [("create", ""), ("get", "registry-sts"), (change, "registry-sts")];
        assert_eq!(rights, expected.map(|(verb, names)| (verb.to_owned(), names.to_owned())));
    }
}

#[test]
fn what_olm_makes_is_the_default_install_but_for_what_is_beside_the_bundle() {
    let default = kustomized("deploy/default");
    let mut made = unpacked("registry-sts");
    let beside = kustomized("deploy/olm/policies");
    assert!(beside.iter().all(|object| default.contains(object)), "deploy/olm/policies is a part of deploy/default");
    // OLM names and splits these as it likes; the rights are compared above.
    let is_of_rights = |object: &Value| {
        let bound = ["ClusterRoleBinding", "Role", "RoleBinding"].contains(&object["kind"].as_str().unwrap());
        let name = object["metadata"]["name"].as_str().unwrap();
        bound || object["kind"] == "ClusterRole" && ["registry-sts", "registry-sts-identities"].contains(&name)
    };
    let overlay = kustomized("deploy/overlays/identities");
    let with_identities = &named(&overlay, "Deployment", "registry-sts")["spec"]["template"]["spec"];
    for object in &mut made {
        if object["kind"] == "Deployment" {
            // What OLM adds.
            object["spec"].as_object_mut().unwrap().remove("revisionHistoryLimit");
            let csv = document(CSV);
            let annotations = object["spec"]["template"]["metadata"]["annotations"].as_object_mut().unwrap();
            let added = csv["metadata"]["annotations"].as_object().unwrap();
            annotations.retain(|key, _| !added.contains_key(key) && key != "olm.targetNamespaces");
            // What waits for a Subscription that switches identities on.
            let pod = object["spec"]["template"]["spec"].as_object_mut().unwrap();
            assert_eq!(pod.remove("volumes").as_ref(), Some(&with_identities["volumes"]));
            let mounts = pod["containers"][0].as_object_mut().unwrap().remove("volumeMounts");
            assert_eq!(mounts.as_ref(), Some(&with_identities["containers"][0]["volumeMounts"]));
        }
    }
    for object in &default {
        let is_there = made.contains(object) || beside.contains(object) || is_of_rights(object);
        // Whoever installs makes the namespace.
        assert!(is_there || object["kind"] == "Namespace", "OLM does not make {object:#}");
    }
    for object in &made {
        let is_olms = object["metadata"]["name"].as_str().unwrap().starts_with("registry-sts.v");
        assert!(is_olms || default.contains(object), "not of the default install: {object:#}");
    }
}

#[test]
fn nothing_but_the_policies_knows_the_namespace() {
    for object in unpacked("elsewhere") {
        let mut object = object;
        // Of the pods: the annotations of the ClusterServiceVersion, which suggest a namespace.
        if object["kind"] == "Deployment" {
            object["spec"]["template"]["metadata"]["annotations"].take();
        }
        let namespace = &object["metadata"]["namespace"];
        assert!(namespace.is_null() || namespace == "elsewhere", "{object:#}");
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["namespace"], "elsewhere", "{object:#}");
        }
        assert!(!object.to_string().contains(r#""namespace":"registry-sts""#), "{object:#}");
    }
}

#[test]
fn the_policies_are_of_another_namespace_after_what_the_readme_does_to_them() {
    let readme = text("deploy/olm/README.md");
    let script = readme.lines().find_map(|line| line.trim().strip_prefix("| sed '")).unwrap();
    let script = script.split('\'').next().unwrap().replace("NAMESPACE", "elsewhere");
    let build = r#""$0" build deploy/olm/policies | sed "$1""#;
    let made = printed(Command::new("sh").args(["-c", build]).arg(tool("kustomize")).arg(script));
    assert!(!made.contains("serviceaccount:registry-sts:") && !made.contains("namespace: registry-sts"), "{made}");
    let held = made.matches("system:serviceaccount:elsewhere:registry-sts").count();
    let policies = documents(&made).iter().filter(|object| object["kind"] == "ValidatingAdmissionPolicy").count();
    assert_eq!((held, policies), (8, 8));
    assert_eq!(named(&documents(&made), "NetworkPolicy", "registry-sts")["metadata"]["namespace"], "elsewhere");
}

#[test]
fn the_labels_of_the_image_are_the_annotations_of_the_bundle() {
    let annotations = document("deploy/olm/metadata/annotations.yaml");
    let annotations: BTreeSet<String> = annotations["annotations"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap()))
        .collect();
    let dockerfile = text("deploy/olm/bundle.Dockerfile");
    let labels = dockerfile.lines().filter_map(|line| line.strip_prefix("LABEL ")).map(str::to_owned).collect();
    assert_eq!(annotations, labels);
    assert!(dockerfile.contains("\nFROM scratch\n"));
}
