//! The YAML of pages is what the program takes.

use std::io::Write as _;
use std::process::Stdio;

use super::{binary, pages};
use crate::console::blocks;
use crate::files::{documents, text};

const HEAD: &str =
    "apiVersion: registry-sts.dev/v1alpha1\nkind: QuayStorage\nmetadata: {name: example, namespace: quay}\n";
const LOCATION: &str = "name: default
    bucket: my-quay-bucket
    region: us-east-1
    auth: {webIdentity: {serviceAccountName: example-registry-quay-app}}\n";

/// What is left out of an example for brevity: its head, the registry, the locations.
fn whole(yaml: &str) -> Option<String> {
    if yaml.contains("kind: QuayStorage") {
        return Some(yaml.to_owned());
    }
    if yaml.starts_with("spec:") {
        let locations =
            if yaml.contains("locations:") { String::new() } else { format!("  locations:\n  - {LOCATION}") };
        return Some(format!("{HEAD}{yaml}\n{locations}"));
    }
    let is_location = yaml.trim_start().starts_with("- name:");
    is_location.then(|| format!("{HEAD}spec:\n  configBundleSecret: bundle\n  locations:\n{yaml}\n"))
}

#[test]
fn every_quaystorage_on_a_page_is_one_that_the_program_takes() {
    let mut taken = 0;
    for page in pages() {
        for block in blocks(&text(&page)).iter().filter(|block| block.language == "yaml") {
            let Some(manifest) = whole(&block.text) else {
                assert!(!documents(&block.text).is_empty(), "{page}:{}", block.line);
                continue;
            };
            let mut command = binary();
            let command = command.args(["policy", "-f", "-"]).stdin(Stdio::piped());
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}:{}: {said}\n{manifest}", block.line);
            taken += 1;
        }
    }
    assert!(taken > 0);
}
