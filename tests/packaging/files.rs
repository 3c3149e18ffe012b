//! Programs, and what they print.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize as _;
use serde_json::Value;

/// The top of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program of tests/tools, built if it is not there.
pub(crate) fn tool(name: &str) -> PathBuf {
    printed(Command::new("python3").arg("tests/tools/build.py").arg(name)).trim().into()
}

/// What a program prints that does what it is to do, run at the top of the repository.
pub(crate) fn printed(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The documents of a YAML text, without those that are empty.
pub(crate) fn documents(yaml: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(yaml).map(|document| Value::deserialize(document).unwrap());
    documents.filter(|document| !document.is_null()).collect()
}

/// What kustomize makes of a folder.
pub(crate) fn kustomized(folder: &str) -> Vec<Value> {
    documents(&printed(Command::new(tool("kustomize")).args(["build", folder])))
}

/// Which object it is: kind, namespace, name.
pub(crate) fn identity(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    format!("{} {namespace}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

/// Each verb of each resource that rules allow: group, resource, verb, and the names that they are held to.
pub(crate) fn allowed(rules: &Value) -> BTreeSet<[String; 4]> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut all = BTreeSet::new();
    for rule in rules.as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    all.insert([group.clone(), resource.clone(), verb, texts(&rule["resourceNames"]).join(" ")]);
                }
            }
        }
    }
    all
}
