//! Pages are followed by somebody who has an API server, and AWS: the first one, and the last.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::cluster::{alone, rbac, until_left};
use crate::console::{Block, blocks};
use crate::files::{kustomized, root, text, tool};
use crate::harness::world::{World, eventually};
use crate::kubectl::{ended, kubectl};
use crate::pod;

const FIRST: &str = "docs/getting-started-iam-user.md";
const LAST: &str = "docs/uninstall.md";
const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// A shell at the top of a clone, for one block after the other.
struct Reader<'a> {
    page: &'static str,
    world: &'a World,
    folder: &'a Path,
    /// What the page tells its reader to replace.
    variables: String,
}

impl<'a> Reader<'a> {
    fn of(page: &'static str, world: &'a World, variables: String) -> Self {
        let folder = world.dir.path();
        for name in ["deploy", "crds"] {
            symlink(root().join(name), folder.join(name)).unwrap();
        }
        std::fs::create_dir(folder.join("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_registry-sts"), folder.join("bin/registry-sts")).unwrap();
        symlink(env!("CARGO_BIN_EXE_registry-sts"), folder.join("bin/kubectl-registry_sts")).unwrap();
        symlink(tool("kubectl"), folder.join("bin/kubectl")).unwrap();
        Self { page, world, folder, variables }
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("bash");
        let path = format!("{}:{}", self.folder.join("bin").display(), std::env::var("PATH").unwrap());
        shell
            .args(["-euo", "pipefail", "-c", &format!("{}\n{script}", self.variables)])
            .current_dir(self.folder)
            .env("PATH", path)
            .env("HOME", self.folder)
            .env("KUBECONFIG", self.world.plane.info("kubeconfig"))
            .env("AWS_ENDPOINT_URL", self.world.plane.info("aws"))
            .stdin(Stdio::null());
        shell
    }

    /// Types what stands in a block; what is printed.
    fn types(&self, block: &Block) -> String {
        let script = block.commands().join("\n");
        let output = self.shell(&script).output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{}:{}: {script}\n{out}{err}", self.page, block.line);
        out
    }

    /// Types a command that stays.
    fn leaves_running(&self, block: &Block) -> Running {
        let [command] = block.commands().try_into().unwrap();
        let log = self.folder.join("operator.log");
        // The program itself, and not a shell that waits for it, gets the signal.
        let (variable, program) = command.split_once(' ').unwrap();
        let mut shell = self.shell(&format!("export {variable}; exec {program}"));
        Running(shell.stderr(File::create(&log).unwrap()).spawn().unwrap())
    }

    fn has_key(&self, key: &crate::harness::iam::Key) {
        let mut file = File::create(self.folder.join("key.env")).unwrap();
        writeln!(file, "AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}", key.id, key.secret).unwrap();
    }
}

struct Running(Child);

impl Running {
    fn ends(&mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the page has AWS make: a user, a role with the page's own policies, and a bucket.
async fn make_role(world: &World, folder: &Path) {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let aws = |service: &'static str, call: &'static str, args| world.plane.aws(service, call, args);
    aws("s3", "create_bucket", json!({"Bucket": "paged-bucket"})).await;
    let args = json!({"RoleName": "paged-role", "AssumeRolePolicyDocument": read("trust.json")});
    aws("iam", "create_role", args).await;
    let mut permissions: serde_json::Value = serde_json::from_str(&read("permissions.json")).unwrap();
    // An action that AWS does not have, and the mock asks for.
    let head = json!({"Effect": "Allow", "Action": "s3:HeadBucket", "Resource": "*"});
    permissions["Statement"].as_array_mut().unwrap().push(head);
    let args = json!({"RoleName": "paged-role", "PolicyName": "quay", "PolicyDocument": permissions.to_string()});
    aws("iam", "put_role_policy", args).await;
    // Nor is a trust policy enough for it.
    let assume = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Resource": "arn:aws:iam::123456789012:role/paged-role"}]});
    let args = json!({"UserName": "paged-user", "PolicyName": "a", "PolicyDocument": assume.to_string()});
    aws("iam", "put_user_policy", args).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_the_first_page_gets_a_registry_with_a_role_and_rotates_its_key() {
    let _alone = alone().await;
    let world = World::bare("paged".into()).await;
    world.plane.start_controllers().await;
    world.put_namespace().await;
    world.put_bundle("paged-bundle", CONFIG).await;
    world.plane.aws("iam", "create_user", json!({"UserName": "paged-user"})).await;
    let page = text(FIRST);
    let mut blocks = blocks(&page).into_iter().filter(|block| block.language == "console").peekable();
    let told = blocks.next().unwrap().commands().join("\n");
    let replaced = told.lines().map(|line| {
        let (name, _) = line.split_once('=').unwrap();
        let value = match name {
            "NAMESPACE" => "paged",
            "BUNDLE" => "paged-bundle",
            "BUCKET" => "paged-bucket",
            "REGION" => "us-east-1",
            "USER_ARN" => "arn:aws:iam::123456789012:user/paged-user",
            "ROLE_ARN" => "arn:aws:iam::123456789012:role/paged-role",
            other => panic!("{other} is told to be replaced, and by what?"),
        };
        format!("{name}={value}")
    });
    let reader = Reader::of(FIRST, &world, replaced.collect::<Vec<_>>().join("\n"));
    let (mut running, mut keys, mut typed) = (None, 0, Vec::new());
    for block in blocks {
        let script = block.commands().join("\n");
        match block.needs.as_deref() {
            None if script.contains("registry-sts run") => running = Some(reader.leaves_running(&block)),
            None => {
                // The reader makes a second key as the first.
                if script.starts_with("NEW=") {
                    keys += 1;
                    reader.has_key(&world.new_key("paged-user").await);
                }
                typed.push((block.line, reader.types(&block)));
            }
            Some("aws") if script.contains("create-role") => make_role(&world, reader.folder).await,
            Some("aws") if script.contains("create-access-key") => {
                keys += 1;
                reader.has_key(&world.new_key("paged-user").await);
            }
            Some("aws" | "cluster") => {}
            Some(other) => panic!("{FIRST}:{} needs {other}", block.line),
        }
    }
    assert!(keys == 2 && typed.len() >= 9, "{typed:?}");
    let table = typed.iter().find(|(_, printed)| printed.contains("SUMMARY")).map(|(_, table)| table.as_str());
    assert!(table.unwrap().contains("ProvenAndWritten"), "{table:?}");
    let config = world.config("paged-bundle").await;
    assert!(config.contains("role/paged-role") && config.starts_with(CONFIG), "the entry is there");

    // The plugin's name is all that it takes.
    let plugin = reader.shell("kubectl registry-sts check -n paged example --read-only").output().unwrap();
    assert!(plugin.status.success(), "{}", String::from_utf8_lossy(&plugin.stderr));
    assert!(String::from_utf8_lossy(&plugin.stdout).contains("assume role"));

    running.unwrap().ends();
    kubectl(&world, &["-n", "paged", "delete", "quaystorage", "--all", "--wait=true", "--timeout=60s"], "");
    kubectl(&world, &["delete", "roles,rolebindings", "-A", "-l", "app.kubernetes.io/part-of=registry-sts"], "");
    kubectl(&world, &["delete", "--wait=true", "--timeout=60s", "-k", "deploy/default"], "");
    until_left(&world, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_the_last_page_has_nothing_left_but_what_it_says() {
    let _alone = alone().await;
    let mut world = World::bare("quay".into()).await;
    world.plane.start_controllers().await;
    world.put_namespace().await;
    kubectl(&world, &["apply", "--server-side", "-k", "deploy/default"], "");
    let objects = kustomized("deploy/default");
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let mut operator = pod::start(&mut world, deployment).await;
    // With nothing but these names: also what is kept of a later write.
    kubectl(&world, &["apply", "-f", "-"], &rbac(&world, &["--bundle", "bundle", "--restore", "example"]));
    let iam = world.iam("last").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let locations = [World::location("default", &iam, "quay-user")];
    let spec = json!({"configBundleSecret": "bundle", "deletionPolicy": "Restore", "locations": locations});
    world.put_resource_spec("example", spec).await;
    world.until_ready("example").await;
    world.rotate_example(&iam).await;
    world.until_ready("example").await;
    let backups = ["-n", "quay", "get", "secrets", "-l", "registry-sts.dev/backup", "-o", "name"];
    assert_eq!(kubectl(&world, &backups, "").lines().count(), 1, "what stood there is kept");

    let reader = Reader::of(LAST, &world, String::new());
    let page = text(LAST);
    let mut typed = 0;
    for block in blocks(&page).iter().filter(|block| block.language == "console" && block.needs.is_none()) {
        let script = block.commands().join("\n");
        if script.contains("delete -k deploy/default") {
            operator.ends_gracefully_in("stopped").await;
        }
        reader.types(block);
        typed += 1;
        if script.contains("Retain") {
            eventually("the backup is gone", || async { kubectl(&world, &backups, "").is_empty().then_some(()) }).await;
        }
    }
    assert_eq!(typed, 6, "the blocks of the page");
    until_left(&world, &[]).await;
    assert!(world.config("bundle").await.contains("STSS3Storage"), "the bundle keeps its entry");
    let definition = ended(&world, &["get", "quaystorages", "-A"], "");
    assert!(!definition.is_success, "nobody knows of QuayStorages");
    kubectl(&world, &["delete", "namespace", "quay", "--wait=true", "--timeout=60s"], "");
}
