//! The check before a merge, run as a pipeline runs it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::console::blocks;
use crate::files::{documents, kustomized, root, text, tool};

const CHECK: &str = "deploy/gitops/check.sh";
const CLEAR: &str = "apiVersion: v1
kind: Secret
metadata: {name: example-config-bundle, namespace: quay}
stringData:
  config.yaml: |
    SERVER_HOSTNAME: quay.example.com
    DATABASE_SECRET_KEY: the-secret-of-the-database
---
apiVersion: v1
kind: Secret
metadata: {name: quay-user, namespace: quay}
stringData:
  AWS_ACCESS_KEY_ID: AKIAIOSFODNN7EXAMPLE
  AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
";

/// A repository as deploy/gitops/pull-request.yaml expects it; `sops` prints what it is given.
struct Pipeline(tempfile::TempDir);

impl Pipeline {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["bin", "ci", "quay/registry"] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_registry-sts"), path.join("bin/registry-sts")).unwrap();
        symlink(tool("kustomize"), path.join("bin/kustomize")).unwrap();
        symlink(root().join(CHECK), path.join("ci/check.sh")).unwrap();
        let sops = path.join("bin/sops");
        fs::write(&sops, "#!/bin/sh\n[ \"$1\" = decrypt ] && cat \"$2\"\n").unwrap();
        fs::set_permissions(&sops, fs::Permissions::from_mode(0o755)).unwrap();
        for file in fs::read_dir(root().join("deploy/gitops/registry")).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), path.join("quay/registry").join(file.file_name())).unwrap();
        }
        fs::write(path.join("quay/secrets.sops.yaml"), CLEAR).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Where nobody answers for AWS.
    fn run(&self, command: &str) -> Output {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let path = format!("{}:{}", self.file("bin").display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        let bash = bash.args(["-e", "-c", command]).current_dir(&self.0).env_clear().env("PATH", path);
        bash.env("AWS_ENDPOINT_URL", format!("http://{free}")).output().unwrap()
    }
}

/// The commands of the workflow that check, and what they are called.
fn steps() -> Vec<(String, String)> {
    let workflow = documents(&text("deploy/gitops/pull-request.yaml")).remove(0);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = workflow["jobs"]["check"]["steps"].as_array().unwrap();
    let checks = steps.iter().filter(|step| step["run"].as_str().is_some_and(|run| run.contains("check.sh")));
    checks.map(|step| (text(&step["name"]), text(&step["run"]))).collect()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_pull_request_shows_what_would_be_written_and_no_secret() {
    let steps = steps();
    let [(name, render), _] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(name, "what would be written");
    let (code, diff, told) = said(&Pipeline::new().run(render));
    assert_eq!(code, Some(0), "{told}");
    assert!(diff.contains("\n+    - sts_role_arn: \"arn:aws:iam::123492922789:role/example-role\"\n"), "{diff}");
    assert!(told.contains("Nothing was proven"), "{told}");
    for secret in ["the-secret-of-the-database", "wJalrXUtnFEMI"] {
        assert!(!diff.contains(secret) && !told.contains(secret), "{secret}");
    }
}

#[test]
fn where_aws_does_not_answer_the_proof_is_no_pass() {
    let steps = steps();
    let [_, (name, prove)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(name, "whether the role works");
    let (code, table, told) = said(&Pipeline::new().run(prove));
    assert_eq!(code, Some(2), "{told}");
    assert!(table.contains("quay/example, location default: could not be looked at"), "{table}");
}

#[test]
fn a_change_that_would_be_refused_fails_the_pipeline_and_says_where() {
    let (_, render) = &steps()[0];
    let refused = |change: &dyn Fn(&Pipeline)| {
        let pipeline = Pipeline::new();
        change(&pipeline);
        let (code, printed, told) = said(&pipeline.run(render));
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{told}");
        told
    };
    let replaced = |pipeline: &Pipeline, from: &str, to: &str| {
        let file = pipeline.file("quay/registry/storage.yaml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(file, text.replace(from, to)).unwrap();
    };
    let typo = refused(&|pipeline| replaced(pipeline, "region:", "regoin:"));
    assert!(typo.contains("regoin"), "{typo}");
    let place = refused(&|pipeline| {
        let had = "DISTRIBUTED_STORAGE_CONFIG: {default: [S3Storage, {s3_bucket: old, storage_path: /datastorage, s3_region: us-east-1}]}";
        let moved = CLEAR.replace("SERVER_HOSTNAME", &format!("{had}\n    SERVER_HOSTNAME"));
        fs::write(pipeline.file("quay/secrets.sops.yaml"), moved).unwrap();
    });
    assert!(place.contains("WouldMoveData"), "{place}");
    let undecrypted = refused(&|pipeline| fs::remove_file(pipeline.file("quay/secrets.sops.yaml")).unwrap());
    assert!(undecrypted.contains("BundleMissing"), "{undecrypted}");
}

#[test]
fn what_cannot_be_read_and_a_wrong_call_have_exit_codes_of_their_own() {
    let pipeline = Pipeline::new();
    let code = |command: &str| said(&pipeline.run(command)).0;
    assert_eq!(code("ci/check.sh quay/elsewhere < quay/secrets.sops.yaml"), Some(2));
    assert_eq!(code("ci/check.sh < quay/secrets.sops.yaml"), Some(64));
    assert_eq!(code("ci/check.sh quay/registry --read-only < quay/secrets.sops.yaml"), Some(64));
    assert_eq!(code("ci/check.sh quay/registry --prove --nonsense < quay/secrets.sops.yaml"), Some(64));
}

#[test]
fn the_page_has_the_commands_of_the_workflow() {
    let page = text("docs/gitops.md");
    let told: Vec<String> = blocks(&page).into_iter().filter(|b| b.language == "sh").map(|b| b.text).collect();
    let workflow: Vec<String> = steps().into_iter().map(|(_, run)| run.replace("ci/check.sh", CHECK)).collect();
    assert_eq!(told, workflow);
}

#[test]
fn the_encrypted_files_are_not_in_the_folder_that_is_checked() {
    assert!(kustomized("deploy/gitops/registry").iter().all(|object| object["kind"] != "Secret"));
    assert!(Path::new(&root().join(CHECK)).metadata().unwrap().permissions().mode() & 0o111 != 0);
}
