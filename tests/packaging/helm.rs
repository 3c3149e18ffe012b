//! The Helm chart: what it makes, beside what kustomize makes.

mod scope;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::files::{documents, kustomized, printed, root, tool};

const CHART: &str = "deploy/helm/registry-sts";
const EVERYTHING: [&str; 2] = ["--values", "deploy/helm/registry-sts/ci/everything-values.yaml"];

fn helm() -> Command {
    static HELM: LazyLock<PathBuf> = LazyLock::new(|| tool("helm"));
    let mut helm = Command::new(&*HELM);
    helm.current_dir(root());
    helm
}

/// Helm, about to render a chart.
fn template(chart: &str, values: &[&str]) -> Command {
    let mut helm = helm();
    helm.args(["template", "registry-sts", chart, "--namespace", "registry-sts", "--include-crds"]);
    // The oldest that the chart takes: there is no cluster to say which it is.
    helm.args(["--kube-version", "1.30.0"]).args(values);
    helm
}

/// What the chart makes, each object by its kind, namespace and name.
fn rendered(values: &[&str]) -> BTreeMap<String, Value> {
    named(documents(&printed(&mut template(CHART, values))))
}

/// What Helm says to values that are refused.
fn refused(values: &[&str]) -> String {
    let output = template(CHART, values).output().unwrap();
    assert!(!output.status.success(), "{values:?} is not refused");
    String::from_utf8(output.stderr).unwrap()
}

fn named(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let count = objects.len();
    let named: BTreeMap<String, Value> = objects.into_iter().map(|object| (name(&object), object)).collect();
    assert_eq!(named.len(), count, "an object stands twice");
    named
}

fn name(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    format!("{} {namespace}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

/// An object without what Helm adds to it.
fn plain(mut object: Value) -> Value {
    let is_definition = object["kind"] == "CustomResourceDefinition";
    let metadata = object["metadata"].as_object_mut().unwrap();
    let mut drop = |map: &str, keys: &[&str]| {
        if let Some(entries) = metadata.get_mut(map) {
            for key in keys {
                assert!(entries.as_object_mut().unwrap().remove(*key).is_some(), "there is no {map} {key}");
            }
        }
        if metadata.get(map).is_some_and(|entries| entries.as_object().unwrap().is_empty()) {
            metadata.remove(map);
        }
    };
    let added = ["managed-by", "instance", "version"].map(|label| format!("app.kubernetes.io/{label}"));
    drop("labels", &["helm.sh/chart", &added[0], &added[1], &added[2]]);
    if is_definition {
        drop("annotations", &["helm.sh/resource-policy"]);
    }
    object
}

fn without_additions(objects: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    objects.into_iter().map(|(name, object)| (name, plain(object))).collect()
}

/// The same objects, and the first one that differs.
fn assert_same(ours: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) {
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, object) in ours {
        assert_eq!(object, &theirs[name], "{name}");
    }
}

#[test]
fn by_default_it_is_what_kustomize_makes() {
    let mut theirs = named(kustomized("deploy/default"));
    assert!(theirs.remove("Namespace /registry-sts").is_some());
    assert_same(&without_additions(rendered(&[])), &theirs);
}

#[test]
fn with_all_secrets_it_is_what_kustomize_makes_of_that_overlay() {
    let mut theirs = named(kustomized("deploy/overlays/all-secrets"));
    theirs.remove("Namespace /registry-sts");
    assert_same(&without_additions(rendered(&["--set", "allSecrets.enabled=true"])), &theirs);
}

#[test]
fn with_identities_it_is_what_kustomize_makes_of_that_overlay() {
    let overlay = kustomized("deploy/overlays/identities").into_iter().map(|object| {
        // Kustomize has no values: there it is to be replaced.
        serde_json::from_str(&object.to_string().replace("<cluster-id>", "prod-eu-1")).unwrap()
    });
    let mut theirs = named(overlay.collect());
    theirs.remove("Namespace /registry-sts");
    let enabled = "identities.enabled=true,identities.clusterId=prod-eu-1";
    let on_openshift = without_additions(rendered(&["--set", &format!("{enabled},identities.openshift=true")]));
    assert_same(&on_openshift, &theirs);

    // Elsewhere nobody answers a CredentialsRequest.
    for kind in ["Role", "RoleBinding"] {
        assert!(theirs.remove(&format!("{kind} registry-sts/registry-sts-cloud-credentials")).is_some());
    }
    let deployment = theirs.get_mut("Deployment registry-sts/registry-sts").unwrap();
    let pod = deployment["spec"]["template"]["spec"].as_object_mut().unwrap();
    pod.remove("volumes");
    pod["containers"][0].as_object_mut().unwrap().remove("volumeMounts");
    assert_same(&without_additions(rendered(&["--set", enabled])), &theirs);
}

#[test]
fn what_is_for_prometheus_is_what_deploy_monitoring_has() {
    let ours = rendered(&["--set", "serviceMonitor.enabled=true,prometheusRule.enabled=true"]);
    let theirs = named(kustomized("deploy/monitoring"));
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        let name = format!("{kind} registry-sts/registry-sts");
        assert_eq!(plain(ours[&name].clone()), theirs[&name], "{name}");
    }
}

#[test]
fn the_files_that_it_copies_are_not_stale() {
    printed(Command::new("python3").args(["deploy/helm/generate.py", "--check"]));
}

#[test]
fn helm_has_nothing_to_say_against_it() {
    let quiet = |values: &[&str]| {
        printed(
            Command::new(tool("helm")).args(["lint", "--strict", "--namespace", "registry-sts", CHART]).args(values),
        )
    };
    for values in [&[][..], &EVERYTHING, &scope::SCOPED] {
        let said = quiet(values);
        assert!(said.contains("1 chart(s) linted, 0 chart(s) failed"), "{said}");
        assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{said}");
    }
}

#[test]
fn a_digest_counts_more_than_a_tag() {
    let image = |values: &[&str]| {
        let objects = rendered(values);
        let containers = &objects["Deployment registry-sts/registry-sts"]["spec"]["template"]["spec"]["containers"];
        containers[0]["image"].as_str().unwrap().to_owned()
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    let (tag, both) = ("image.tag=1.2.3", format!("image.tag=1.2.3,image.digest={digest}"));
    assert_eq!(image(&["--set", tag]), "quay.io/registry-sts/registry-sts:1.2.3");
    assert_eq!(image(&["--set", &both]), format!("quay.io/registry-sts/registry-sts@{digest}"));
    assert!(refused(&["--set", "image.digest=latest"]).contains("/image/digest"));
}

#[test]
fn every_switch_takes_away_its_objects_and_no_others() {
    // What the names of those begin with that go.
    let switches: [(&str, &[&str]); 8] = [
        ("crds.enabled", &["CustomResourceDefinition "]),
        ("rbac.create", &["Role ", "RoleBinding ", "ClusterRole ", "ClusterRoleBinding "]),
        ("policies.enabled", &["ValidatingAdmissionPolicy"]),
        (
            "aggregatedRoles.enabled",
            &[
                "ClusterRole /registry-sts-admin",
                "ClusterRole /registry-sts-editor",
                "ClusterRole /registry-sts-viewer",
                "ClusterRole /registry-sts-identitypolicy-",
            ],
        ),
        ("serviceAccount.create", &["ServiceAccount "]),
        ("metrics.enabled", &["Service "]),
        ("networkPolicy.enabled", &["NetworkPolicy "]),
        ("podDisruptionBudget.enabled", &["PodDisruptionBudget "]),
    ];
    let all = rendered(&[]);
    for (switch, begins) in switches {
        let left = rendered(&["--set", &format!("{switch}=false")]);
        let goes = |name: &str| begins.iter().any(|begin| name.starts_with(begin));
        let expected: BTreeSet<&String> = all.keys().filter(|name| !goes(name)).collect();
        assert!(begins.iter().all(|begin| all.keys().any(|name| name.starts_with(begin))), "{switch}");
        assert_eq!(left.keys().collect::<BTreeSet<_>>(), expected, "{switch}");
    }
    let unkept = rendered(&["--set", "crds.keep=false"]);
    for (objects, is_kept) in [(all, true), (unkept, false)] {
        let definitions = objects.values().filter(|object| object["kind"] == "CustomResourceDefinition");
        let annotated = definitions.map(|crd| crd["metadata"].get("annotations").is_some()).collect::<Vec<_>>();
        assert_eq!(annotated, [is_kept; 3]);
    }
}

#[test]
fn without_metrics_nothing_of_the_pod_or_of_its_network_speaks_of_them() {
    let objects = rendered(&["--set", "metrics.enabled=false"]);
    for name in ["Deployment registry-sts/registry-sts", "NetworkPolicy registry-sts/registry-sts"] {
        assert!(!objects[name]["spec"].to_string().contains("metrics"), "{name}");
    }
}

#[test]
fn no_user_and_no_group_is_asked_for() {
    for objects in [rendered(&EVERYTHING), rendered(&[])] {
        let pod = objects.values().find(|object| object["kind"] == "Deployment").unwrap().to_string();
        for field in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"] {
            assert!(!pod.contains(field), "{field}");
        }
    }
}

#[test]
fn the_namespace_and_the_account_of_the_release_are_everywhere() {
    let values = ["--namespace", "elsewhere", "--set", "serviceAccount.name=prover"];
    let subject = serde_json::json!({"kind": "ServiceAccount", "name": "prover", "namespace": "elsewhere"});
    for (name, object) in rendered(&values) {
        let namespace = &object["metadata"]["namespace"];
        assert!(namespace.is_null() || namespace == "elsewhere", "{name}");
        for found in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(found, &subject, "{name}");
        }
        for condition in object["spec"]["matchConditions"].as_array().into_iter().flatten() {
            let asked = "request.userInfo.username == 'system:serviceaccount:elsewhere:prover'";
            assert_eq!(condition["expression"], asked, "{name}");
        }
    }
}

#[test]
fn the_policy_on_tokens_follows_the_audiences() {
    let objects = rendered(&["--set", "allowAudience={sts.amazonaws.com,sts.amazonaws.com.cn}"]);
    let rule = &objects["ValidatingAdmissionPolicy /registry-sts-audiences"]["spec"]["validations"][0];
    let expression = rule["expression"].as_str().unwrap();
    assert!(expression.ends_with("object.spec.audiences[0] in ['sts.amazonaws.com', 'sts.amazonaws.com.cn']"));
    let message = "registry-sts may mint tokens for these audiences only: sts.amazonaws.com, sts.amazonaws.com.cn";
    assert_eq!(rule["message"], message);
}
