//! The operator and a registry from Git: what Argo CD and Flux are given.

mod check;
mod health;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::files::{documents, kustomized, printed, root, text, tool};

/// What Argo CD and Flux are told to install: the operator, and a registry.
const ARGO_CD: [&str; 2] = ["deploy/argocd/operator.yaml", "deploy/argocd/registry.yaml"];
const FLUX: &str = "deploy/flux";
/// A registry as each of them gets it.
const EXAMPLES: [&str; 2] = ["deploy/argocd/example", "deploy/flux/example"];

fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is_it).unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

fn application(path: &str) -> Value {
    documents(&text(path)).remove(0)
}

/// What kustomize makes of a folder of its own, which names paths of the repository.
fn kustomized_outside(of: impl Fn(&str) -> Value, files: &[(&str, &str)]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let up = "../".repeat(path.components().count() - 1);
    let kustomization = of(&format!("{}{}", up, root().strip_prefix("/").unwrap().display()));
    std::fs::write(path.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    for (name, text) in files {
        std::fs::write(path.join(name), text).unwrap();
    }
    documents(&printed(Command::new(tool("kustomize")).arg("build").arg(path)))
}

#[test]
fn the_health_check_is_one_key_of_the_configmap_of_argo_cd_for_each_kind_that_has_a_status() {
    let objects = kustomized("deploy/argocd");
    let [map] = objects.as_slice() else { panic!("it is {} objects", objects.len()) };
    assert_eq!((&map["metadata"]["name"], &map["metadata"]["namespace"]), (&"argocd-cm".into(), &"argocd".into()));
    assert_eq!(map["metadata"]["labels"]["app.kubernetes.io/part-of"], "argocd");
    let data = map["data"].as_object().unwrap();
    let mut keys = Vec::new();
    for crd in ["quaystorages", "storageidentities", "identitypolicies"] {
        let crd = documents(&text(&format!("crds/{crd}.yaml"))).remove(0);
        let has_status = !crd["spec"]["versions"][0]["subresources"]["status"].is_null();
        let (group, kind) = (crd["spec"]["group"].as_str().unwrap(), crd["spec"]["names"]["kind"].as_str().unwrap());
        keys.extend(has_status.then(|| format!("resource.customizations.health.{group}_{kind}")));
    }
    assert_eq!(data.keys().collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
    for script in data.values() {
        assert_eq!(script, &text("deploy/argocd/health/health.lua"));
    }
}

#[test]
fn an_argo_cd_that_kustomize_installs_takes_the_health_check_as_a_component() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata: {url: https://argocd.example.com}\n";
    let kustomization = |top: &str| {
        serde_json::json!({
            "namespace": "argocd", "resources": ["cm.yaml"], "components": [format!("{top}/deploy/argocd/health")],
        })
    };
    let objects = kustomized_outside(kustomization, &[("cm.yaml", map)]);
    let data = objects[0]["data"].as_object().unwrap();
    assert_eq!((objects.len(), data.len(), &data["url"]), (1, 3, &"https://argocd.example.com".into()));
}

#[test]
fn what_argo_cd_and_flux_are_told_to_install_is_there() {
    for path in ARGO_CD {
        let source = &application(path)["spec"]["source"];
        assert!(!kustomized(source["path"].as_str().unwrap()).is_empty(), "{path}");
    }
    let flux = kustomized(FLUX);
    for kustomization in flux.iter().filter(|object| object["kind"] == "Kustomization") {
        let spec = &kustomization["spec"];
        let installed = kustomized(spec["path"].as_str().unwrap());
        let source = &spec["sourceRef"];
        named(&flux, source["kind"].as_str().unwrap(), source["name"].as_str().unwrap());
        for other in spec["dependsOn"].as_array().into_iter().flatten() {
            named(&flux, "Kustomization", other["name"].as_str().unwrap());
        }
        for check in spec["healthChecks"].as_array().into_iter().flatten() {
            let object = named(&installed, check["kind"].as_str().unwrap(), check["name"].as_str().unwrap());
            assert_eq!(object["apiVersion"], check["apiVersion"]);
            assert_eq!(object["metadata"]["namespace"], check["namespace"]);
        }
    }
    let of_registry = &named(&flux, "Kustomization", "example-registry")["spec"];
    assert_eq!(of_registry["path"], "./deploy/flux/example");
    assert_eq!(of_registry["healthCheckExprs"][0]["kind"], of_registry["healthChecks"][0]["kind"]);
}

#[test]
fn every_file_names_the_same_repository_at_the_version_of_this_one() {
    let (url, tag) = ("https://git.example.com/registry-sts.git", concat!("v", env!("CARGO_PKG_VERSION")));
    for path in ARGO_CD {
        let source = &application(path)["spec"]["source"];
        assert_eq!((&source["repoURL"], &source["targetRevision"]), (&url.into(), &tag.into()), "{path}");
    }
    let flux = kustomized(FLUX);
    let repository = &named(&flux, "GitRepository", "registry-sts")["spec"];
    assert_eq!((&repository["url"], &repository["ref"]["tag"]), (&url.into(), &tag.into()));
    assert!(text("deploy/gitops/pull-request.yaml").contains(&format!("--git {url} --tag {tag} registry-sts\n")));
    let page = text("docs/gitops.md");
    assert!(page.contains(&format!("`{url}` at `{tag}`")), "docs/gitops.md does not say what is to be replaced");
}

#[test]
fn flux_fetches_all_that_the_folders_need() {
    let repository = kustomized(FLUX);
    let ignored = named(&repository, "GitRepository", "registry-sts")["spec"]["ignore"].as_str().unwrap();
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix("!/")).collect();
    let resources = documents(&text("deploy/default/kustomization.yaml")).remove(0)["resources"].clone();
    for resource in resources.as_array().unwrap() {
        let path = root().join("deploy/default").join(resource.as_str().unwrap()).canonicalize().unwrap();
        let top = path.strip_prefix(root().canonicalize().unwrap()).unwrap().iter().next().unwrap();
        assert!(kept.contains(&top.to_str().unwrap()), "{} is ignored", path.display());
    }
}

#[test]
fn neither_tool_takes_a_definition_away() {
    let flux = kustomized(FLUX);
    let patches = [
        (
            application(ARGO_CD[0])["spec"]["source"]["kustomize"]["patches"].clone(),
            ("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"),
        ),
        (
            named(&flux, "Kustomization", "registry-sts")["spec"]["patches"].clone(),
            ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
        ),
    ];
    for (patches, (annotation, value)) in patches {
        let kustomization =
            |top: &str| serde_json::json!({"resources": [format!("{top}/deploy/default")], "patches": patches.clone()});
        let objects = kustomized_outside(kustomization, &[]);
        assert_eq!(objects.len(), kustomized("deploy/default").len());
        let definitions = objects.iter().filter(|object| object["kind"] == "CustomResourceDefinition");
        let kept = definitions.map(|crd| assert_eq!(crd["metadata"]["annotations"][annotation], value)).count();
        assert_eq!(kept, 3);
    }
}

#[test]
fn in_both_examples_git_owns_the_bundle_and_the_registry_uses_the_output() {
    for folder in EXAMPLES {
        let objects = kustomized(folder);
        let spec = &named(&objects, "QuayStorage", "example")["spec"];
        let registry = named(&objects, "QuayRegistry", spec["registryRef"]["name"].as_str().unwrap());
        assert_eq!(registry["spec"]["configBundleSecret"], spec["outputSecret"], "{folder}");
        let key = &spec["locations"][0]["auth"]["accessKey"]["secretRef"]["name"];
        let is_secret = |object: &&Value| object["kind"].as_str().unwrap().ends_with("Secret");
        let names: Vec<&Value> = objects.iter().filter(is_secret).map(|secret| &secret["metadata"]["name"]).collect();
        assert_eq!(names, [&spec["configBundleSecret"], key], "{folder}: the output is in no repository");
        for secret in objects.iter().filter(is_secret) {
            for part in [&secret["spec"]["encryptedData"], &secret["stringData"]] {
                let values = part.as_object().into_iter().flatten();
                assert!(values.clone().all(|(_, value)| value.as_str().unwrap().contains("REPLACE")), "{secret}");
            }
        }
        assert!(objects.iter().all(|o| o["kind"] == "Namespace" || o["metadata"]["namespace"] == "quay"), "{folder}");
    }
}

#[test]
fn the_rights_of_the_examples_are_those_that_the_program_prints() {
    let rights = text("deploy/gitops/registry/rights.yaml");
    let command = rights.lines().find_map(|line| line.strip_prefix("#   registry-sts ")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_registry-sts"));
    assert_eq!(documents(&rights), documents(&printed(Command::new(program).args(command.split(' ')))));
    assert!(text("docs/gitops.md").contains(&format!("$ registry-sts {command}\n")));
}
