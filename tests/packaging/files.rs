//! Programs, and what they print.

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
