//! What the product is made of, and which version it is. What needs cargo-deny is `make audit`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::files::{documents, printed, root, text};

static RULES: LazyLock<Value> = LazyLock::new(|| toml("deny.toml"));

/// The packages of all that is built, tests included, for the targets of deny.toml.
static PACKAGES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--locked", "--format-version", "1"]);
    for target in texts(&RULES["graph"]["targets"]) {
        cargo.args(["--filter-platform", &target]);
    }
    let mut metadata: Value = serde_json::from_str(&printed(&mut cargo)).unwrap();
    serde_json::from_value(metadata["packages"].take()).unwrap()
});

fn toml(path: &str) -> Value {
    let program = "import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], 'rb'))))";
    serde_json::from_str(&printed(Command::new("python3").args(["-c", program, path]))).unwrap()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn version() -> String {
    toml("Cargo.toml")["package"]["version"].as_str().unwrap().to_owned()
}

/// Whether an SPDX expression can be met with licences of a list.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed);
    assert!(words.next().is_none(), "{expression} is no expression");
    met
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let word = words.next().expect("a licence");
    if word == "(" {
        let met = any(words, allowed);
        assert_eq!(words.next(), Some(")"));
        return met;
    }
    if words.next_if_eq(&"WITH").is_some() {
        return allowed.contains(&format!("{word} WITH {}", words.next().unwrap()));
    }
    allowed.contains(word)
}

/// The files below a folder, where it is there.
fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

#[test]
fn an_expression_of_licences_is_met_as_it_reads() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned));
    for met in ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-3.0", "(GPL-3.0 OR MIT) AND ISC", "Apache-2.0 WITH LLVM-exception"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "Apache-2.0", "MIT WITH LLVM-exception"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}

#[test]
fn every_licence_is_one_that_deny_toml_allows_and_every_one_of_these_is_needed() {
    let allowed: BTreeSet<String> = texts(&RULES["licenses"]["allow"]).into_iter().collect();
    let licence = |package: &Value| package["license"].as_str().unwrap_or("none").to_owned();
    let refused = |allowed: &BTreeSet<String>| -> Vec<String> {
        let packages = PACKAGES.iter().filter(|package| !is_met(&licence(package), allowed));
        packages.map(|package| format!("{}: {}", package["name"], licence(package))).collect()
    };
    assert_eq!(refused(&allowed), Vec::<String>::new());
    for one in &allowed {
        let mut fewer = allowed.clone();
        fewer.remove(one);
        assert!(!refused(&fewer).is_empty(), "no crate needs {one}: it is not to be allowed");
    }
}

#[test]
fn every_crate_comes_from_crates_io() {
    let [index] = &texts(&RULES["sources"]["allow-registry"])[..] else { panic!("not one registry") };
    let ours = |package: &&Value| package["name"] == "registry-sts";
    assert_eq!(PACKAGES.iter().filter(ours).count(), 1);
    for package in PACKAGES.iter().filter(|package| !ours(package)) {
        assert_eq!(package["source"], format!("registry+{index}"), "{}", package["name"]);
    }
}

#[test]
fn no_crate_is_one_that_deny_toml_denies() {
    let denied = RULES["bans"]["deny"].as_array().unwrap();
    assert!(!denied.is_empty());
    for entry in denied {
        let found = PACKAGES.iter().any(|package| package["name"] == entry["crate"]);
        assert!(!found, "{} is denied: {}", entry["crate"], entry["reason"]);
    }
}

#[test]
fn every_image_and_tag_that_is_named_has_the_version_of_cargo_toml() {
    const BEFORE: [&str; 6] = [
        "registry-sts/registry-sts:",
        "registry-sts-bundle:v",
        "registry-sts.v",
        "targetRevision: v",
        "tag: v",
        "--tag v",
    ];
    let version = version();
    let mut seen = BTreeSet::new();
    for path in ["deploy", "docs"].iter().flat_map(|folder| below(&root().join(folder))) {
        let content = std::fs::read(&path).unwrap();
        let content = String::from_utf8_lossy(&content);
        for before in BEFORE {
            for rest in content.split(before).skip(1) {
                let found = rest.split(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c))).next().unwrap();
                // A template or a placeholder is no version, and the full stop belongs to the sentence.
                if found.starts_with(|c: char| c.is_ascii_digit()) {
                    assert_eq!(found.trim_end_matches('.'), version, "{}", path.display());
                    seen.insert(before);
                }
            }
        }
    }
    assert_eq!(seen, BTreeSet::from(BEFORE), "one of these stands nowhere");
}

#[test]
fn the_chart_and_the_operator_bundle_have_the_version_of_cargo_toml() {
    let version = version();
    let mut found = Vec::new();
    for path in below(&root().join("deploy")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let object = || documents(&text(path.to_str().unwrap())).swap_remove(0);
        if name == "Chart.yaml" {
            let chart = object();
            assert_eq!((&chart["version"], &chart["appVersion"]), (&version.as_str().into(), &version.as_str().into()));
            found.push("chart");
        }
        if name.ends_with(".clusterserviceversion.yaml") {
            let csv = object();
            assert_eq!(csv["spec"]["version"], version);
            assert_eq!(csv["metadata"]["name"], format!("registry-sts.v{version}"));
            found.push("operator bundle");
        }
    }
    found.sort_unstable();
    assert_eq!(found, ["chart", "operator bundle"]);
}
