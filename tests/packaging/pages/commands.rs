//! The commands of pages that need no network are run, page by page, as they stand.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::pages;
use crate::console::{blocks, programs};
use crate::files::{printed, text};

/// The verbs that ask nobody.
const OFFLINE: [&str; 4] = ["crd", "policy", "rbac", "render"];
/// The files that a reader has by then, if no command of the page made them.
const GIVEN: [(&str, &str); 2] = [("storage.yaml", STORAGE), ("config.yaml", CONFIG)];
const STORAGE: &str = "apiVersion: registry-sts.dev/v1alpha1
kind: QuayStorage
metadata: {name: example, namespace: quay}
spec:
  configBundleSecret: example-config-bundle
  locations:
  - name: default
    roleArn: arn:aws:iam::123492922789:role/example-role
    bucket: my-quay-bucket
    region: us-east-1
    auth: {accessKey: {secretRef: {name: quay-user}}}
";
const CONFIG: &str = "SERVER_HOSTNAME: quay.example.com
DISTRIBUTED_STORAGE_CONFIG:
  other:
    - STSS3Storage
    - sts_role_arn: arn:aws:iam::123492922789:role/other-role
      s3_bucket: other-bucket
      storage_path: /datastorage
      s3_region: us-east-1
      sts_user_access_key: AKIAIOSFODNN7EXAMPLE
      sts_user_secret_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
DISTRIBUTED_STORAGE_PREFERENCE: [other]
";

fn key() -> String {
    "apiVersion: v1\nkind: Secret\nmetadata: {name: quay-user, namespace: quay}\nstringData:
  AWS_ACCESS_KEY_ID: AKIAIOSFODNN7EXAMPLE\n  AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
        .to_owned()
}

fn bundle() -> String {
    let config = CONFIG.replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: example-config-bundle, namespace: quay}}\nstringData:\n  config.yaml: |\n    {config}"
    )
}

/// A folder with what a reader has.
fn reader() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    for (name, text) in GIVEN {
        put(name, text);
    }
    put("key.yaml", &key());
    put("bundle.yaml", &bundle());
    put("secrets.yaml", &format!("{}---\n{}", key(), bundle()));
    fs::create_dir(folder.path().join("quay")).unwrap();
    put("quay/all.yaml", &format!("{STORAGE}---\n{}---\n{}", key(), bundle()));
    fs::create_dir(folder.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_registry-sts"), folder.path().join("bin/registry-sts")).unwrap();
    folder
}

/// Whether a command needs nobody but this machine.
fn is_offline(command: &str) -> bool {
    programs(command).iter().all(|words| match words[0].as_str() {
        "registry-sts" => {
            let reads_files = words.iter().any(|word| word == "-f" || word == "--config");
            words.get(1).is_some_and(|verb| OFFLINE.contains(&verb.as_str()) || (verb == "adopt" && reads_files))
        }
        "cat" => command.contains("<<"),
        program => ["command", "ln", "mkdir"].contains(&program),
    })
}

#[test]
fn what_needs_no_network_is_run_as_it_stands_page_by_page() {
    let mut ran = BTreeMap::new();
    for page in pages() {
        let folder = reader();
        let path = format!("{}/bin:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut script = String::from("set -euo pipefail\n");
        for block in blocks(&text(&page)).iter().filter(|b| b.language == "console" && b.needs.is_none()) {
            for command in block.commands().iter().filter(|command| is_offline(command)) {
                let place = format!("echo '== {page}:{}' >&2", block.line);
                script.extend([place.as_str(), "\n", command.as_str(), "\n"]);
                *ran.entry(page.clone()).or_insert(0) += 1;
            }
        }
        let mut bash = Command::new("bash");
        let bash = bash.args(["-c", &script]).current_dir(folder.path()).env_clear();
        let output = bash.env("PATH", path).env("HOME", folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{page}: the last of these failed:\n{said}");
        if page.contains("getting-started") {
            for policy in ["trust.json", "permissions.json"] {
                let document = fs::read_to_string(folder.path().join(policy)).unwrap();
                assert!(document.contains("\"Statement\"") && !document.contains('<'), "{page}: {policy}: {document}");
            }
        }
        let link = folder.path().join(".local/bin/kubectl-registry_sts");
        if page == "docs/cli.md" {
            assert!(printed(Command::new(&link).arg("--version")).starts_with("registry-sts "));
        }
    }
    for page in ["docs/cli.md", "docs/getting-started-iam-user.md", "docs/getting-started-rosa.md"] {
        assert!(ran[page] > 3, "{page}: {ran:?}");
    }
}
