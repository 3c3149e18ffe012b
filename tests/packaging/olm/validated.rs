//! What the programs of the operator framework say.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;

use super::{BUNDLE, document, manifests};
use crate::files::{documents, root, text, tool};

/// Which validators are run.
const VALIDATORS: [&str; 8] = [
    "default",
    "operatorhub/v2",
    "standardcapabilities",
    "standardcategories",
    "bundle-objects",
    "community",
    "good-practices",
    "alpha-deprecated-apis",
];

/// The kinds that OLM takes since operator-registry 1.47 at the latest (`pkg/lib/bundle/supported_resources.go`).
const CARRIED: [&str; 19] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterServiceVersion",
    "ConfigMap",
    "ConsoleCLIDownload",
    "ConsoleLink",
    "ConsoleQuickStart",
    "ConsoleYAMLSample",
    "CustomResourceDefinition",
    "PodDisruptionBudget",
    "PriorityClass",
    "PrometheusRule",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
    "VerticalPodAutoscaler",
];

static VERIFY: LazyLock<PathBuf> = LazyLock::new(|| tool("operator-verify"));
static OPM: LazyLock<PathBuf> = LazyLock::new(|| tool("opm"));

/// A copy of the bundle, as its image has it.
fn copy() -> TempDir {
    // The loader passes over hidden folders.
    let copy = tempfile::Builder::new().prefix("bundle").tempdir().unwrap();
    for folder in ["manifests", "metadata"] {
        std::fs::create_dir(copy.path().join(folder)).unwrap();
        for file in root().join(BUNDLE).join(folder).read_dir().unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join(folder).join(file.file_name())).unwrap();
        }
    }
    copy
}

fn verified(bundle: &Path) -> Output {
    Command::new(&*VERIFY).arg(bundle).output().unwrap()
}

#[test]
fn the_validators_of_the_operator_framework_have_nothing_to_say() {
    let output = verified(copy().path());
    let mut expected = String::new();
    for validator in VALIDATORS {
        writeln!(expected, "{validator}: nothing to say").unwrap();
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert!(output.status.success());
}

#[test]
fn the_readme_names_the_validators() {
    let readme = text("deploy/olm/README.md");
    for validator in VALIDATORS {
        assert!(readme.contains(&format!("`{validator}`")), "{validator}");
    }
}

#[test]
fn the_validators_find_a_bundle_that_is_broken() {
    let csv = "manifests/registry-sts.clusterserviceversion.yaml";
    let cases = [
        (csv, "minKubeVersion: 1.30.0", "minKubeVersion: '1.30'", "csv.Spec.MinKubeVersion has an invalid value"),
        (csv, "capabilities: Basic Install", "capabilities: Basic", "\"Basic\" is not a valid capabilities level"),
        (csv, "categories: Security,", "categories: Safety,", "\"Safety\" is not in the set of standard categories"),
        (csv, "\"kind\": \"QuayStorage\"", "\"kind\": \"Quay\"", "example must have a provided API"),
        (csv, "  name: registry-sts.v0", "  name: registry_sts.v0", "metadata.name"),
        ("manifests/registry-sts.dev_quaystorages.yaml", "    kind: QuayStorage", "    kind: Quay", "owned CRD"),
        ("manifests/registry-sts_policy_v1_poddisruptionbudget.yaml", ": 1", ": 0%", "maxUnavailable field"),
        ("metadata/annotations.yaml", ".v1: candidate", ".v1: alpha", "recommended naming convention"),
    ];
    for (file, before, after, complaint) in cases {
        let bundle = copy();
        let path = bundle.path().join(file);
        let whole = std::fs::read_to_string(&path).unwrap();
        assert!(whole.contains(before), "{file} has no {before}");
        std::fs::write(&path, whole.replace(before, after)).unwrap();
        let output = verified(bundle.path());
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(complaint), "{after} in {file} is not found:\n{said}");
    }
}

#[test]
fn the_bundle_carries_what_every_olm_takes_and_nothing_that_olm_makes() {
    for (file, object) in manifests() {
        let kind = object["kind"].as_str().unwrap();
        assert!(CARRIED.contains(&kind), "{file} is a {kind}");
        assert_ne!(kind, "ServiceAccount", "{file}: the ClusterServiceVersion names it");
        assert!(object["metadata"]["namespace"].is_null(), "{file} has a namespace");
    }
}

/// Writes the catalog that opm makes of the template, with the bundle rendered from its folder instead of from an image
/// that is not there yet.
fn catalog(template: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let image = "quay.io/registry-sts/registry-sts-bundle:v{{.Version}}";
    let mut opm = Command::new(&*OPM);
    opm.args(["render", "--output=json", "--migrate-level=bundle-object-to-csv-metadata"]);
    let copy = copy();
    let bundle = opm.args(["--alpha-image-ref-template", image]).arg(copy.path()).output().unwrap();
    assert!(bundle.status.success(), "{}", String::from_utf8_lossy(&bundle.stderr));
    let mut all = String::from_utf8(bundle.stdout).unwrap();
    let template = documents(template).remove(0);
    let entries = template["entries"].as_array().unwrap();
    let rendered = documents(&all);
    let images: BTreeSet<&str> = entries.iter().filter_map(|entry| entry["image"].as_str()).collect();
    assert_eq!(images, BTreeSet::from([rendered[0]["image"].as_str().unwrap()]));
    for entry in entries.iter().filter(|entry| entry["schema"] != "olm.bundle") {
        writeln!(all, "{entry}").unwrap();
    }
    std::fs::write(folder.path().join("catalog.json"), all).unwrap();
    folder
}

#[test]
fn opm_takes_the_catalog_and_refuses_one_that_is_broken() {
    let template = text("deploy/olm/catalog/template.yaml");
    let name = document(super::CSV)["metadata"]["name"].as_str().unwrap().to_owned();
    for (template, complaint) in [
        (template.clone(), None),
        (template.replace(&name, "registry-sts.v0.0.9"), Some("not found in any channel entries")),
        (
            template.replace("defaultChannel: candidate", "defaultChannel: stable"),
            Some("channel must contain at least one bundle"),
        ),
    ] {
        let output = Command::new(&*OPM).arg("validate").arg(catalog(&template).path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), complaint.is_none(), "{said}");
        assert!(said.contains(complaint.unwrap_or_default()), "{said}");
    }
}
