//! Pages are followed by somebody who has an API server, and AWS: the first one, the last, and what the others tell to type.

use std::path::Path;

use serde_json::json;

use crate::cluster::{
    alone, delete_resources_and_grants, rbac, until_kinds_are_served, until_nothing_is_left, with_namespace,
};
use crate::console::{Block, blocks};
use crate::files::{kustomized, root, text};
use crate::harness::world::{World, eventually};
use crate::kubectl::{ended, kubectl};
use crate::pod;
use crate::reader::Reader;

const FIRST: &str = "docs/getting-started-iam-user.md";
const LAST: &str = "docs/uninstall.md";
const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// What the page has AWS make: a user, a role with the page's own policies, and a bucket.
async fn make_role(world: &World, folder: &Path) {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let aws = |service: &'static str, call: &'static str, args| world.plane.aws(service, call, args);
    aws("s3", "create_bucket", json!({"Bucket": "paged-bucket"})).await;
    let args = json!({"RoleName": "paged-role", "AssumeRolePolicyDocument": read("trust.json")});
    aws("iam", "create_role", args).await;
    let args = json!({"RoleName": "paged-role", "PolicyName": "quay", "PolicyDocument": read("permissions.json")});
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
    let world = with_namespace("paged").await;
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
    until_kinds_are_served(&world);
    delete_resources_and_grants(&world);
    kubectl(&world, &["delete", "--wait=true", "--timeout=60s", "-k", "deploy/default"], "");
    until_nothing_is_left(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_the_last_page_has_nothing_left_but_what_it_says() {
    let _alone = alone().await;
    let mut world = with_namespace("quay").await;
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
            until_kinds_are_served(&world);
        }
        reader.types(block);
        typed += 1;
        if script.contains("Retain") {
            eventually("the backup is gone", || async { kubectl(&world, &backups, "").is_empty().then_some(()) }).await;
        }
    }
    assert_eq!(typed, 6, "the blocks of the page");
    until_nothing_is_left(&world).await;
    assert!(world.config("bundle").await.contains("STSS3Storage"), "the bundle keeps its entry");
    let definition = ended(&world, &["get", "quaystorages", "-A"], "");
    assert!(!definition.is_success, "nobody knows of QuayStorages");
    kubectl(&world, &["delete", "namespace", "quay", "--wait=true", "--timeout=60s"], "");
}

/// The pages that are not followed from their beginning to their end, the one with the installation first.
fn others() -> Vec<&'static str> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let mut pages: Vec<String> =
        docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().into_string().unwrap())).collect();
    pages.retain(|page| Path::new(page).extension().is_some_and(|end| end == "md") && page != FIRST && page != LAST);
    pages.sort();
    pages.insert(0, "README.md".to_owned());
    pages.into_iter().map(|page| &*page.leak()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_other_pages_tell_to_type_at_a_cluster_can_be_typed() {
    let _alone = alone().await;
    let world = with_namespace("quay").await;
    kubectl(&world, &["create", "namespace", "argocd"], "");
    let iam = world.iam("others").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", CONFIG).await;
    let objects = kustomized("deploy/default");
    let mut reader = Reader::of("README.md", &world, String::new());
    let (mut operator, mut typed) = (None, Vec::new());
    for page in others() {
        reader.page = page;
        let page = text(page);
        // Of what is not typed here the verbs are run elsewhere, and the chart is.
        let is_typed =
            |block: &&Block| block.language == "console" && block.needs.is_none() && block.text.contains("kubectl");
        let all = blocks(&page);
        for block in all.iter().filter(is_typed) {
            reader.types(block);
            typed.push(format!("{}:{}", reader.page, block.line));
        }
        if operator.is_none() {
            kubectl(&world, &["wait", "--for=condition=Established", "crd/quaystorages.registry-sts.dev"], "");
            let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
            operator = Some(pod::at_home(&world, deployment).await);
            let locations = [World::location("default", &iam, "quay-user")];
            let spec = json!({"configBundleSecret": "bundle", "apply": "Approve", "locations": locations});
            world.put_resource_spec("example", spec).await;
            world.until_reason("example", "ApprovalPending").await;
        }
    }
    assert!(typed.len() >= 10, "{typed:?}");
    // One of them approved, and the last one said to leave it alone.
    eventually("what was approved is written", || async {
        world.config("bundle").await.contains("STSS3Storage").then_some(())
    })
    .await;
    operator.unwrap().ends_gracefully_in("stopped").await;
    until_kinds_are_served(&world);
    kubectl(&world, &["-n", "quay", "delete", "quaystorage", "--all", "--wait=true", "--timeout=60s"], "");
    kubectl(&world, &["delete", "-k", "deploy/overlays/namespaced"], "");
    kubectl(&world, &["delete", "--wait=true", "--timeout=60s", "-k", "deploy/default"], "");
    kubectl(&world, &["delete", "namespace", "quay", "argocd", "--wait=true", "--timeout=60s"], "");
    until_nothing_is_left(&world).await;
}
